"""`eval` and `bench`: how good and how fast, in figures."""

from collections.abc import Mapping
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from staffroom.ai import load_writer
from staffroom.app import App
from staffroom.cli.output import JsonOption, out, print_json, progress_bars
from staffroom.cli.rankings import compare_rankings, measure_rankings
from staffroom.cli.run import with_app
from staffroom.cli.serve import served_beside
from staffroom.config import load_settings
from staffroom.content.management import ContentManager
from staffroom.embedding import load_embedder
from staffroom.errors import InputError
from staffroom.evaluation.answers import QUESTIONS, AnswersReport, evaluate_answers
from staffroom.evaluation.benchmark import Comparison, bench_embed, bench_search
from staffroom.evaluation.calibrate import CalibrationReport
from staffroom.evaluation.calibrate import calibrate as fit_calibration
from staffroom.evaluation.evaluate import scratch_library
from staffroom.evaluation.grounding import evaluate_grounding, fit_support, read_claims
from staffroom.evaluation.ingest import LEAST_READY, LEAST_TEXTS, bench_ingest
from staffroom.evaluation.load import measure_load
from staffroom.evaluation.runs import MODES
from staffroom.models import model_path


class _FolderFirst(TyperGroup):
    """`eval DIR` and `eval --compare` are short for `eval search` with them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["search", *args]
        rest: list[str] = super().parse_args(ctx, args)
        return rest


measure = typer.Typer(
    cls=_FolderFirst,
    no_args_is_help=True,
    help="Measure how good search and answers are. `eval DIR` is short for `eval search DIR`.",
)


@measure.command()
def search(
    folder: Annotated[
        str | None, typer.Argument(help="A data set in BEIR layout, or `golden`.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="The judgements to use.")] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(help=f"One of {', '.join(MODES)}; give it again for more. All, if not given."),
    ] = None,
    comparison: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", help="Two modes, or stored runs, to hold against each other."),
    ] = None,
    kept: Annotated[
        Path | None, typer.Option("--out", help="A file that the run is stored in, as JSON.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--report", help="A file that a page with plots is written to.")
    ] = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Measure the search on a data set, in a scratch tenant that is erased afterwards."""
    if comparison:
        if mode:
            raise InputError("--compare names the modes itself. Leave --mode away.")
        compare_rankings(comparison, folder, split, kept, page, json=json)
    elif folder is None:
        raise InputError("no data set is named. Write `staffroom eval DIR` or `eval golden`.")
    else:
        measure_rankings(folder, split, mode or (), kept, page, json=json)


@measure.command()
def answers(
    writer: Annotated[
        list[str] | None, typer.Option(help="A writer to compare; give it again for more.")
    ] = None,
    questions: Annotated[int, typer.Option(min=2, help="Questions for each writer.")] = QUESTIONS,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Measure how far answers can be trusted, on golden data and the starter library."""
    settings = load_settings()
    specs = list(dict.fromkeys([*(writer or ()), settings.writer, "extractive"]))

    async def work(app: App) -> AnswersReport:
        writers = [
            load_writer(settings.model_copy(update={"writer": spec}), app.cache) for spec in specs
        ]
        try:
            with progress_bars() as progress:
                async with scratch_library(app.database, app.vector_ops) as library:
                    await ContentManager(library).load_starter_library(progress)
                    return await evaluate_answers(library, app.cache, writers, questions, progress)
        finally:
            for opened in writers:
                await opened.close()

    _show(with_app(work), json=json)


@measure.command()
def calibrate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only report; keep the calibration in use.")
    ] = False,
    write: Annotated[
        Path | None, typer.Option(help="A file that the calibration is written to, as JSON.")
    ] = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Fit what the embedding model's scores mean, on golden questions; keep and report it."""

    async def work(app: App) -> CalibrationReport:
        async with scratch_library(app.database, app.vector_ops) as library:
            calibration, report = await fit_calibration(app.embedder, library)
        if not dry_run:
            await app.vector_ops.calibrate(calibration)
        if write:
            document = {"model": app.embedder.model, "calibration": calibration.document()}
            write.write_text(dumps(document, separators=(",", ":")) + "\n", "utf-8")
        return report

    _show(with_app(work), json=json)


@measure.command()
def grounding(
    file: Annotated[Path, typer.Argument(help="Judged claims, their corpus.jsonl beside it.")],
    refit: Annotated[
        bool, typer.Option("--refit", help="Print newly fitted weights instead.")
    ] = False,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Measure whether the support score tells what a text says from what it does not say."""
    claims = read_claims(file)

    async def work(app: App) -> Mapping[str, Any]:
        with progress_bars() as progress:
            judge = fit_support if refit else evaluate_grounding
            return await judge(claims, app.embedder, progress)

    _show(with_app(work), json=json or refit)


def _show(report: Mapping[str, Any], *, json: bool) -> None:
    if json:
        print_json(report)
    else:
        _print_report(report)


def _print_report(report: Mapping[str, Any], indent: str = "") -> None:
    for name, value in report.items():
        label = f"{indent}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            out.print(label)
            _print_report(value, indent + "  ")
        elif isinstance(value, list):
            for part in value:
                out.print(label)
                _print_report(part, indent + "  ")
        else:
            shown = f"{value:.3f}" if isinstance(value, float) else value
            out.print(f"{label:<32}{shown}")


bench = typer.Typer(
    no_args_is_help=True, help="Measure speed, as ratios to what one would use instead."
)


@bench.command()
def embed(json: Annotated[bool, JsonOption] = False) -> None:
    """Embed a question and a bulk of texts, beside the same model in full precision, and beside
    sentence-transformers if it is installed."""

    async def work(app: App) -> list[Comparison]:
        settings = app.settings
        kind, _, name = settings.embedder.partition(":")
        if kind != "local":
            raise InputError(
                f"STAFFROOM_EMBEDDER is {settings.embedder}, which another server runs. Set it to "
                "local:NAME to measure a model here."
            )
        exact = load_embedder(
            settings.embedder,
            models=settings.models,
            base_url=settings.openai_base_url,
            api_key=None,
            precision="float32",
        )
        try:
            return await bench_embed(app.embedder, model_path(settings.models, name), exact)
        finally:
            await exact.close()

    _print_comparisons(with_app(work), json=json)


@bench.command("search")
def search_(
    rows: Annotated[int, typer.Option(min=100, help="Scenarios to search among.")] = 10_000,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Search synthetic scenarios, beside the bare statement on the same index."""

    async def work(app: App) -> list[Comparison]:
        with progress_bars() as progress:
            return await bench_search(app.database, app.vector_ops, app.embedder, rows, progress)

    _print_comparisons(with_app(work), json=json)


@bench.command()
def ingest(
    rows: Annotated[
        int,
        typer.Option(min=0, max=1_000_000, help="Rows with ready vectors to store; 0 for none."),
    ] = 20_000,
    texts: Annotated[int, typer.Option(min=0, help="Rows to embed and store; 0 for none.")] = 512,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Store rows, beside bare COPY and the embedder alone, while questions are asked."""
    for option, given, least in (("--rows", rows, LEAST_READY), ("--texts", texts, LEAST_TEXTS)):
        if 0 < given < least:
            raise InputError(f"{option} {given} is too few to measure. Give {least} or more, or 0.")

    async def work(app: App) -> list[Comparison]:
        with progress_bars() as progress:
            return await bench_ingest(
                app.database, app.embedder, ready=rows, texts=texts, progress=progress
            )

    _print_comparisons(with_app(work), json=json)


@bench.command("serve")
def serve_(
    seconds: Annotated[float, typer.Option(min=0.5, help="How long each rate is held.")] = 5.0,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Load a server of its own on loopback, beside the same searches without HTTP, and then up to
    three times what it can carry; with the time until it is ready, and its memory."""

    async def work(app: App) -> Mapping[str, Any]:
        async with served_beside() as server:
            idle = server.megabytes()
            search = app.vector_ops.search
            report = await measure_load(server.host, server.port, search, seconds)
            return {
                "ready_s": server.ready_seconds,
                "idle_mb": idle,
                "loaded_mb": server.megabytes(),
                **report,
            }

    _show(with_app(work), json=json)


def _print_comparisons(comparisons: list[Comparison], *, json: bool) -> None:
    if json:
        print_json(comparisons)
        return
    table = Table("What", "Staffroom", "Beside it", "Unit", "Times faster", box=None)
    for row in comparisons:
        theirs = "-" if row["theirs"] is None else f"{row['theirs']:.3f}"
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
        if "spread" in row:
            low, high = row["spread"]
            ratio += f" ({low:.2f} to {high:.2f})"
        table.add_row(row["what"], f"{row['ours']:.3f}", theirs, row["unit"], ratio)
    out.print(table)
