"""`bench peers`: Staffroom beside what one would use instead."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from staffroom.app import App
from staffroom.cli.measure import bench
from staffroom.cli.output import JsonOption, out, print_json, progress_bars
from staffroom.cli.run import with_app
from staffroom.config import load_settings
from staffroom.errors import InputError
from staffroom.evaluation.beir import read_data_set
from staffroom.evaluation.golden_search import GOLDEN, golden_data_set
from staffroom.evaluation.peer_environments import PEERS, chosen_peers
from staffroom.evaluation.peers import Figure, PeersReport, bench_peers
from staffroom.models import model_path

MODEL = "all-MiniLM-L6-v2"
LEAST_DOCUMENTS = 5

COLUMNS = (
    ("import", "import, docs/s"),
    ("question", "question p50, ms"),
    ("clients", "16 clients, questions/s"),
    ("cold start", "cold start, s"),
    ("memory", "memory, MB"),
    ("ndcg@10", "nDCG@10"),
)


@bench.command()
def peers(
    folder: Annotated[str, typer.Argument(help="A data set in BEIR layout, or `golden`.")] = GOLDEN,
    split: Annotated[str | None, typer.Option(help="The judgements to use.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"One of {', '.join(PEERS)}; give it again for more. All, if not given."),
    ] = None,
    documents: Annotated[
        int, typer.Option(min=LEAST_DOCUMENTS, help="The most documents to store.")
    ] = 1_000,
    environments: Annotated[
        Path | None,
        typer.Option(help="Where the peers' environments are kept. `peers` in the home otherwise."),
    ] = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Import and search beside other libraries, in environments that pip makes (some gigabytes)."""
    settings = load_settings()
    if settings.embedder != f"local:{MODEL}":
        raise InputError(
            f"the peers embed with {MODEL}, and STAFFROOM_EMBEDDER is {settings.embedder}. "
            f"Set it to local:{MODEL} to measure the same work."
        )
    chosen = chosen_peers(only or ())
    data_set = golden_data_set(split) if folder == GOLDEN else read_data_set(Path(folder), split)

    async def work(app: App) -> PeersReport:
        with progress_bars() as progress:
            return await bench_peers(
                data_set,
                app.database,
                chosen,
                model=model_path(settings.models, MODEL),
                documents=documents,
                environments=(environments or settings.home / "peers").resolve(),
                progress=progress,
            )

    report = with_app(work)
    if json:
        print_json(report)
    else:
        _print_report(report)


def _print_report(report: PeersReport) -> None:
    out.print(
        f"{report['data_set']}: {report['documents']:,} documents, {report['questions']} questions"
    )
    table = Table("", *(title for _, title in COLUMNS), box=None, header_style="bold")
    for row in report["rows"]:
        table.add_row(row["name"], *(_shown(row["figures"].get(part)) for part, _ in COLUMNS))
    out.print(table)
    out.print("In brackets: how many times better Staffroom's figure is.")
    for row in report["rows"]:
        if "failed" in row:
            out.print(Text(f"{row['name']} failed at {row['failed']}"))


def _shown(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    value = f"{figure['value']:.3g}"
    return value if figure["ratio"] is None else f"{value} ({figure['ratio']:.1f})"
