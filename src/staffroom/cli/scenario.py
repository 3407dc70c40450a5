"""`scenario`: one scenario after another, from the first draft until it is retired."""

import json as json_module
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from staffroom.app import App
from staffroom.cli.output import JsonOption, out, print_json
from staffroom.cli.run import with_app
from staffroom.database.catalogue import DueCounts
from staffroom.database.standings import Standing, standing_document
from staffroom.documents import revision_documents, scenario_document
from staffroom.errors import InputError, UnreadableFile
from staffroom.evaluation.learning import update_scenario
from staffroom.scenario import ALIASES
from staffroom.scenario_life import is_overdue
from staffroom.types import STATUSES, Filters, Revision, Scenario, Status

scenario = typer.Typer(
    no_args_is_help=True, help="Write, publish, review, restore and retire scenarios."
)

IdArgument = Annotated[str, typer.Argument(help="The scenario's id.")]
ReasonOption = Annotated[str, typer.Option(help="Why, for the history.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="FIELD=VALUE, repeatable; items of a list parted by |."),
]
FileOption = Annotated[
    Path | None, typer.Option("--file", help="A JSON object with the fields; - reads input.")
]


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
    reason: ReasonOption = "",
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Change fields of a scenario; the old revision is kept."""
    changes = _fields(set_, file)
    if not changes:
        raise InputError("nothing to change. Name fields with --set FIELD=VALUE or --file.")

    async def work(app: App) -> Scenario:
        return await update_scenario(app.vector_ops, _uuid(scenario_id), changes, reason=reason)

    _print_scenario(with_app(work), json=json)


@scenario.command()
def standing(
    scenario_id: IdArgument,
    reset: Annotated[
        bool, typer.Option("--reset", help="Let what was reported until now no longer count.")
    ] = False,
    reason: ReasonOption = "",
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Tell how often a scenario's advice was reported to have worked, and what that is worth."""

    async def work(app: App) -> Standing:
        standings = app.vector_ops.standings
        known = _uuid(scenario_id)
        return await (standings.reset(known, reason) if reset else standings.get(known))

    found = with_app(work)
    if json:
        print_json(standing_document(found))
    else:
        out.print(f"reported to have worked: {found.worked}, weight {found.weight:.3f}")


@scenario.command()
def submit(
    scenario_id: IdArgument, reason: ReasonOption = "", json: Annotated[bool, JsonOption] = False
) -> None:
    """Send a scenario to review; teachers do not find it until it is published."""
    _move(scenario_id, "in_review", reason, json=json)


@scenario.command()
def publish(
    scenario_id: IdArgument, reason: ReasonOption = "", json: Annotated[bool, JsonOption] = False
) -> None:
    """Let teachers find a scenario, and answers quote it."""
    _move(scenario_id, "published", reason, json=json)


@scenario.command()
def retire(
    scenario_id: IdArgument, reason: ReasonOption = "", json: Annotated[bool, JsonOption] = False
) -> None:
    """Take a scenario out of use without deleting it."""
    _move(scenario_id, "retired", reason, json=json)


@scenario.command()
def review(
    scenario_id: IdArgument,
    next_: Annotated[str, typer.Option("--next", help="The next review, such as 2027-05-31.")],
    reason: ReasonOption = "",
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Note that a scenario was read again, and by when it is to be read next."""

    async def work(app: App) -> Scenario:
        return await app.content.review(_uuid(scenario_id), _day(next_), reason=reason)

    _print_scenario(with_app(work), json=json)


@scenario.command()
def due(
    days: Annotated[int, typer.Option(min=-1, max=36_500, help="From now; -1: overdue.")] = 30,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Scenarios at most.")] = 1000,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """List what is to be reviewed, the most overdue first."""

    async def work(app: App) -> tuple[list[Scenario], DueCounts]:
        catalogue = app.vector_ops.catalogue
        return await catalogue.due(days, limit), await catalogue.due_counts()

    scenarios, counts = with_app(work)
    if json:
        listed = [scenario_document(item) for item in scenarios]
        print_json({"scenarios": listed, "counts": asdict(counts)})
        return
    table = Table("Review by", "Id", "Status", "Name", box=None)
    for item in scenarios:
        metadata = item.content.metadata
        day = Text(str(metadata.review_by), style="yellow" if is_overdue(metadata) else "")
        table.add_row(day, str(item.id), metadata.status, Text(item.name))
    if scenarios:
        out.print(table)
    out.print(
        f"{counts.overdue} overdue, {counts.within_30} more within 30 days, {counts.within_90} "
        f"within 90, {counts.undated} without a date."
    )


@scenario.command()
def history(scenario_id: IdArgument, json: Annotated[bool, JsonOption] = False) -> None:
    """List what changed a scenario, newest first: when, who, why and which fields."""

    async def work(app: App) -> list[Revision]:
        return await app.vector_ops.list_revisions(_uuid(scenario_id))

    revisions = revision_documents(with_app(work))
    if json:
        print_json({"items": revisions})
        return
    table = Table("Revision", "When", "Author", "Changed", "Reason", box=None)
    for revision in revisions:
        when = revision["created_at"][:16].replace("T", " ")
        cells = (revision["author"], ", ".join(revision["changed"]), revision["reason"])
        table.add_row(str(revision["revision"]), when, *map(Text, cells))
    out.print(table)


@scenario.command()
def restore(
    scenario_id: IdArgument,
    revision: Annotated[int, typer.Argument(min=1, max=2**31 - 1, help="As history lists it.")],
    reason: ReasonOption = "",
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Say again what a revision said, as a new one on top; the status stays."""

    async def work(app: App) -> Scenario:
        return await app.content.restore(_uuid(scenario_id), revision, reason=reason)

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
    filters = Filters(statuses=read_statuses(status), categories=tuple(category or ()))

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


def _move(scenario_id: str, status: Status, reason: str, *, json: bool) -> None:
    async def work(app: App) -> Scenario:
        changes = {"status": status}
        return await update_scenario(app.vector_ops, _uuid(scenario_id), changes, reason=reason)

    _print_scenario(with_app(work), json=json)


def _print_scenario(item: Scenario, *, json: bool) -> None:
    document = scenario_document(item)
    if json:
        print_json(document)
        return
    for name, value in document.items():
        text = "\n".join(value) if isinstance(value, list) else str(value)
        if text and value is not None and value is not False:
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


def read_statuses(given: list[str] | None) -> tuple[Status, ...]:
    """The statuses that an option names; all, if it names none. Raises: InputError."""
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


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--next is {text!r}; write a date as 2027-05-31.") from error
