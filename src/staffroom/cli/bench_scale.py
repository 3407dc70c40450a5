"""`bench scale`: searching as a library grows."""

from typing import Annotated

import typer
from rich.table import Table

from staffroom.app import App
from staffroom.cli.measure import bench
from staffroom.cli.output import JsonOption, out, print_json, progress_bars
from staffroom.cli.run import with_app
from staffroom.evaluation.scale import LEAST_SCENARIOS, MOST_SCENARIOS, ScaleReport, bench_scale

SIZES = [1_000, 10_000, 100_000]


@bench.command()
def scale(
    rows: Annotated[
        list[int] | None,
        typer.Option(
            min=LEAST_SCENARIOS,
            max=MOST_SCENARIOS,
            help="Scenarios to search among; give it again for more sizes. "
            f"{', '.join(f'{size:,}' for size in SIZES)}, if not given.",
        ),
    ] = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Search libraries of growing size: time, recall, size of the index, other kinds of it."""

    async def work(app: App) -> ScaleReport:
        with progress_bars() as progress:
            return await bench_scale(app.database, app.embedder, rows or SIZES, progress)

    report = with_app(work)
    if json:
        print_json(report)
    else:
        _print_report(report)


def _print_report(report: ScaleReport) -> None:
    for size in report["sizes"]:
        out.print(
            f"{size['rows']:,} scenarios, {size['stored_per_s']:,.0f} stored a second; "
            f"index of {size['index_mb']:,.0f} MB built in {size['build_s']:,.1f} s; "
            f"half precision keeps {size['half']:.3f} of the nearest"
        )
        table = Table("", "p50, ms", "p95, ms", "recall@10", "candidates", box=None)
        for search in size["searches"]:
            table.add_row(
                search["what"],
                f"{search['p50_ms']:.2f}",
                f"{search['p95_ms']:.2f}",
                _share(search["recall"]),
                str(search["ef_search"] or "-"),
            )
        for kind in size["kinds"]:
            table.add_row(
                f"index of {kind['index']}: {kind['megabytes']:,.0f} MB, {kind['build_s']:,.1f} s",
                f"{kind['p50_ms']:.2f}",
                "-",
                _share(kind["recall"]),
                str(kind["ef_search"]),
            )
        out.print(table)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
