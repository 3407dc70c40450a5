"""`eval` and `bench`: how good and how fast, in figures."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from staffroom.app import App
from staffroom.cli.output import JsonOption, out, print_json, progress_bars
from staffroom.cli.run import with_app
from staffroom.evaluation.beir import read_data_set
from staffroom.evaluation.benchmark import Comparison, bench_embed, bench_search
from staffroom.evaluation.evaluate import Evaluation, evaluate
from staffroom.models import model_path

measure = typer.Typer()


@measure.command("eval")
def eval_(
    folder: Annotated[Path, typer.Argument(help="A data set in BEIR layout.")],
    split: Annotated[str | None, typer.Option(help="The judgements to use.")] = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Measure the search on a data set, in a scratch tenant that is erased afterwards."""
    data_set = read_data_set(folder, split)

    async def work(app: App) -> Evaluation:
        with progress_bars() as progress:
            return await evaluate(data_set, app.database, app.vector_ops, progress)

    result = with_app(work)
    if json:
        print_json(result)
        return
    out.print(f"{result['documents']} documents, {result['queries']} questions")
    for name, value in result["meaning"].items():
        out.print(f"meaning  {name:<12}{value:.4f}")


bench = typer.Typer(
    no_args_is_help=True, help="Measure speed, as ratios to what one would use instead."
)


@bench.command()
def embed(json: Annotated[bool, JsonOption] = False) -> None:
    """Embed a question and a bulk of texts, beside sentence-transformers if it is installed."""

    async def work(app: App) -> list[Comparison]:
        name = app.settings.embedder.removeprefix("local:")
        return await bench_embed(app.embedder, model_path(app.settings.models, name))

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


def _print_comparisons(comparisons: list[Comparison], *, json: bool) -> None:
    if json:
        print_json(comparisons)
        return
    table = Table("What", "Staffroom", "Beside it", "Unit", "Times faster", box=None)
    for row in comparisons:
        theirs = "-" if row["theirs"] is None else f"{row['theirs']:.3f}"
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
        table.add_row(row["what"], f"{row['ours']:.3f}", theirs, row["unit"], ratio)
    out.print(table)
