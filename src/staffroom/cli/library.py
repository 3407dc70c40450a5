"""`import`, `export` and `scenario`: what content editors do."""

import json as json_module
import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from staffroom.app import App
from staffroom.cli.output import JsonOption, err, out, print_error, print_json, progress_bars
from staffroom.cli.run import BAD_INPUT, UNAVAILABLE, with_app
from staffroom.content.formats import write_json_lines, write_rows
from staffroom.documents import scenario_document
from staffroom.errors import InputError, UnreadableFile
from staffroom.scenario import ALIASES
from staffroom.types import STATUSES, Filters, ImportReport, Scenario, Status

library = typer.Typer()
scenario = typer.Typer(no_args_is_help=True, help="Add, show, edit, list and retire scenarios.")

SHOWN_ERRORS = 20

IdArgument = Annotated[str, typer.Argument(help="The scenario's id.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="FIELD=VALUE, repeatable; items of a list parted by |."),
]
FileOption = Annotated[
    Path | None, typer.Option("--file", help="A JSON object with the fields; - reads input.")
]


@library.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="JSON Lines, CSV or Excel files.")],
    dry_run: Annotated[bool, typer.Option(help="Only tell what would change.")] = False,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Store scenarios from files: new ones, changed ones, and none twice."""

    async def work(app: App) -> ImportReport:
        with progress_bars() as progress:
            return await app.content.import_files(files, dry_run=dry_run, progress=progress)

    report = with_app(work)
    if json:
        print_json(report)
    else:
        _print_report(report, dry_run=dry_run, several=len(files) > 1)
    if "stopped" in report:
        raise typer.Exit(UNAVAILABLE)
    if report["failed"]:
        raise typer.Exit(BAD_INPUT)


@library.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(help="JSON Lines, CSV or Excel; else JSON Lines on output.")
    ] = None,
    status: Annotated[list[str] | None, typer.Option(help="Only this status.")] = None,
) -> None:
    """Write the library in the form that import reads."""
    statuses = _statuses(status)

    async def work(app: App) -> list[dict[str, Any]]:
        return [row async for row in app.content.export(Filters(statuses=statuses))]

    rows = with_app(work)
    if file is None:
        write_json_lines(sys.stdout, rows)
        return
    try:
        count = write_rows(file, rows)
    except OSError as error:
        raise UnreadableFile(f"{file} cannot be written: {error.strerror}.") from error
    err.print(f"{count} scenarios are in {file}.")


@scenario.command()
def add(
    name: Annotated[str, typer.Option(help="The situation in a few words.")] = "",
    description: Annotated[str, typer.Option(help="The situation as a teacher sees it.")] = "",
    expected_response: Annotated[str, typer.Option(help="The vetted advice.")] = "",
    set_: SetOption = None,
    file: FileOption = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Store one scenario, from options or from a JSON object."""
    given = {"name": name, "description": description, "expected_response": expected_response}
    fields = _fields(set_, file) | {key: value for key, value in given.items() if value}

    async def work(app: App) -> Scenario:
        stored = await app.vector_ops.store_scenario(**{"name": "", "description": "", **fields})
        return await app.vector_ops.get_scenario(stored)

    _print_scenario(with_app(work), json=json)


@scenario.command()
def show(scenario_id: IdArgument, json: Annotated[bool, JsonOption] = False) -> None:
    """Print a scenario with everything in it."""

    async def work(app: App) -> Scenario:
        return await app.vector_ops.get_scenario(_uuid(scenario_id))

    _print_scenario(with_app(work), json=json)


@scenario.command()
def edit(
    scenario_id: IdArgument,
    set_: SetOption = None,
    file: FileOption = None,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Change fields of a scenario; the old revision is kept."""
    changes = _fields(set_, file)
    if not changes:
        raise InputError("nothing to change. Name fields with --set FIELD=VALUE or --file.")

    async def work(app: App) -> Scenario:
        return await app.vector_ops.update_scenario(_uuid(scenario_id), changes, reason=reason)

    _print_scenario(with_app(work), json=json)


@scenario.command()
def retire(
    scenario_id: IdArgument,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Take a scenario out of use without deleting it."""

    async def work(app: App) -> Scenario:
        return await app.content.retire(_uuid(scenario_id), reason=reason)

    _print_scenario(with_app(work), json=json)


@scenario.command("list")
def list_(
    category: Annotated[list[str] | None, typer.Option(help="Only this category.")] = None,
    status: Annotated[list[str] | None, typer.Option(help="Only this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Scenarios at most.")] = 1000,
    after: Annotated[str | None, typer.Option(help="Go on after this id.")] = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """List the library, oldest first."""
    filters = Filters(statuses=_statuses(status), categories=tuple(category or ()))

    async def work(app: App) -> list[Scenario]:
        return await app.vector_ops.list_scenarios(filters, limit, _uuid(after) if after else None)

    scenarios = with_app(work)
    if json:
        print_json({"scenarios": [scenario_document(item) for item in scenarios]})
        return
    table = Table("Id", "Status", "Category", "Name", box=None)
    for item in scenarios:
        metadata = item.content.metadata
        table.add_row(str(item.id), metadata.status, metadata.category, Text(item.name))
    out.print(table)


def _print_report(report: ImportReport, *, dry_run: bool, several: bool) -> None:
    for error in report["errors"][:SHOWN_ERRORS]:
        place = f"{error['file']}, row {error['row']}" if several else f"Row {error['row']}"
        err.print(Text(f"{place}: {error['field']} {error['reason']}".replace(":  ", ": ")))
    hidden = len(report["errors"]) - SHOWN_ERRORS
    if hidden > 0:
        err.print(f"... and {hidden} more; --json lists all.")
    if "ignored" in report:
        names = ", ".join(report["ignored"])
        err.print(Text(f"Columns that mean nothing to Staffroom were ignored: {names}."))
    verb = "would be stored" if dry_run else "stored"
    out.print(
        f"{report['read']} rows read: {report['stored']} {verb}, {report['unchanged']} unchanged, "
        f"{report['failed']} failed."
    )
    if "stopped" in report:
        print_error(f"{report['stopped']} Run the import again to store the rest.")
    elif report["failed"]:
        err.print("Mend the rows above and run the import again; only they will change.")


def _print_scenario(item: Scenario, *, json: bool) -> None:
    document = scenario_document(item)
    if json:
        print_json(document)
        return
    for name, value in document.items():
        text = "\n".join(value) if isinstance(value, list) else str(value)
        if text:
            out.print(Text(f"{name}: ", style="bold").append(text, style="not bold"))


def _fields(pairs: list[str] | None, file: Path | None) -> dict[str, Any]:
    fields = _object(file) if file else {}
    for pair in pairs or ():
        name, mark, value = pair.partition("=")
        if not mark or name not in ALIASES:
            raise InputError(
                f"--set {pair!r}: write FIELD=VALUE, FIELD one of {', '.join(ALIASES)}."
            )
        fields[name] = value
    return fields


def _object(file: Path) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        fields = json_module.loads(text)
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{file} is not a readable JSON object: {error}.") from error
    if not isinstance(fields, dict):
        raise UnreadableFile(f"{file} holds a JSON {type(fields).__name__}, not an object.")
    return fields


def _statuses(given: list[str] | None) -> tuple[Status, ...]:
    unknown = [status for status in given or () if status not in STATUSES]
    if unknown:
        raise InputError(f"there is no status {unknown[0]!r}; choose {', '.join(STATUSES)}.")
    return tuple(status for status in STATUSES if not given or status in given)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InputError(
            f"{text!r} is not an id. `staffroom scenario list` shows the ids."
        ) from error
