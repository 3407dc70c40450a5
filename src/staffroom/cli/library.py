"""`import`: files become scenarios."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from staffroom.app import App
from staffroom.cli.output import JsonOption, err, out, print_error, print_json, progress_bars
from staffroom.cli.run import BAD_INPUT, UNAVAILABLE, with_app
from staffroom.content.formats import Reading
from staffroom.errors import InputError
from staffroom.scenario import ALIASES
from staffroom.types import ImportReport

library = typer.Typer()

SHOWN_ERRORS = 20


@library.command("import")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="JSON Lines, CSV, Excel, Parquet, Markdown or ZIP; or folders of Markdown."
        ),
    ],
    *,
    dry_run: Annotated[bool, typer.Option(help="Only tell what would change.")] = False,
    keep_duplicates: Annotated[
        bool,
        typer.Option(
            "--keep-duplicates", help="Store new rows also if another scenario says the same."
        ),
    ] = False,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", help="COLUMN=FIELD, repeatable; COLUMN= ignores the column."),
    ] = None,
    delimiter: Annotated[str, typer.Option(help="Of a text table: one character, or tab.")] = "",
    encoding: Annotated[str, typer.Option(help="Of a text file, as utf-8 or cp1252.")] = "",
    sheet: Annotated[str, typer.Option(help="Of an Excel file; else the first.")] = "",
    header_row: Annotated[
        int, typer.Option(min=0, max=20, help="Which row names the columns, from 1.")
    ] = 0,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Store scenarios from files: new ones, changed ones, and none twice."""
    reading = Reading(_mapping(map_ or ()), encoding, delimiter, sheet, header_row)

    async def work(app: App) -> ImportReport:
        with progress_bars() as progress:
            return await app.content.import_files(
                files,
                dry_run=dry_run,
                keep_duplicates=keep_duplicates,
                progress=progress,
                reading=reading,
            )

    report = with_app(work)
    if json:
        print_json(report)
    else:
        _print_report(report, dry_run=dry_run, several=len(files) > 1)
    if "stopped" in report:
        raise typer.Exit(UNAVAILABLE)
    if report["failed"]:
        raise typer.Exit(BAD_INPUT)


def _mapping(pairs: Iterable[str]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        column, mark, field = pair.rpartition("=")
        if not mark or not column:
            raise InputError(
                f"--map {pair!r}: write COLUMN=FIELD, FIELD one of {', '.join(ALIASES)}."
            )
        mapping[column.strip()] = field.strip()
    return mapping


def _print_report(report: ImportReport, *, dry_run: bool, several: bool) -> None:
    same = report.get("duplicates", [])
    for rows, of in ((report["errors"], report["failed"]), (same, len(same))):
        for error in rows[:SHOWN_ERRORS]:
            place = f"{error['file']}, row {error['row']}" if several else f"Row {error['row']}"
            err.print(Text(f"{place}: {error['field']} {error['reason']}".replace(":  ", ": ")))
        hidden = of - SHOWN_ERRORS
        if hidden > 0:
            listed = "them" if of == len(rows) else f"the first {len(rows):,}"
            err.print(f"... and {hidden:,} more; --json lists {listed}.")
    if "duplicates" in report:
        err.print("What says the same as another is left out; --keep-duplicates stores it.")
    if "ignored" in report:
        names = ", ".join(report["ignored"])
        err.print(Text(f"Columns that mean nothing to Staffroom were ignored: {names}."))
    for guess in report.get("guessed", ()):
        err.print(Text(f"{guess}, which is a guess; --encoding names another."))
    verb = "would be stored" if dry_run else "stored"
    out.print(
        f"{report['read']} rows read: {report['stored']} {verb}, {report['unchanged']} unchanged, "
        f"{report['duplicate']} repeated, {report['failed']} failed."
    )
    if "stopped" in report:
        print_error(f"{report['stopped']} Run the import again to store the rest.")
    elif report["failed"]:
        err.print("Mend the rows above and run the import again; only they will change.")
