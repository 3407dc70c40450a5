"""`gaps`: what the library lacks, in groups of one meaning, and what is done about it."""

from typing import Annotated, Any, get_args
from uuid import UUID

import typer

from staffroom.app import App
from staffroom.cli.answers import print_hanging
from staffroom.cli.output import JsonOption, out, print_json
from staffroom.cli.run import with_app
from staffroom.content.gap_draft import draft_scenario
from staffroom.database.gaps import GapState
from staffroom.errors import InputError
from staffroom.evaluation.gap_documents import (
    check_document,
    draft_document,
    gap_documents,
    whole_gap_document,
)
from staffroom.evaluation.learning import check_group

gaps = typer.Typer(
    no_args_is_help=True, help="See what the library lacks, and draft scenarios for it."
)

STATES = get_args(GapState)

GroupArgument = Annotated[UUID, typer.Argument(help="The id that `gaps list` printed.")]


@gaps.command("list")
def list_(
    state: Annotated[str, typer.Option(help=f"One of {', '.join(STATES)}.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Groups at most.")] = 100,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """List the groups of questions that the library failed, the largest first."""
    wanted = _state(state)

    async def work(app: App) -> list[dict[str, Any]]:
        groups = await app.vector_ops.gaps.largest(wanted, limit)
        return await gap_documents(app.vector_ops, groups)

    found = with_app(work)
    if json:
        print_json(found)
        return
    for group in found:
        print_hanging("", group["label"], "bold")
        print_hanging("", f"{_size(group)} {group['id']}")
        print_hanging("", ", ".join(group["words"]))
    if not found:
        out.print(f"There is no group that is {wanted}.")


@gaps.command()
def show(group_id: GroupArgument, json: Annotated[bool, JsonOption] = False) -> None:
    """Show a group: its questions, the scenarios near it, and what came of it."""

    async def work(app: App) -> dict[str, Any]:
        group = await app.vector_ops.gaps.get(group_id)
        return await whole_gap_document(app.vector_ops, group)

    found = with_app(work)
    if json:
        print_json(found)
        return
    print_hanging("", found["label"], "bold")
    print_hanging("", f"{_size(found)} {found['state']}")
    for question in found["questions"]:
        mark = "answered" if question["answered_at"] else "        "
        print_hanging(f"{question['created_at'][:10]}  {mark}  ", question["question"])
    for scenario in found["nearest"]:
        print_hanging(f"{scenario['relevance']:.2f}  ", f"{scenario['name']} ({scenario['id']})")
    if found["note"]:
        print_hanging("", found["note"])
    if found["outcome"]:
        _print_outcome(found["outcome"])


@gaps.command()
def draft(group_id: GroupArgument, json: Annotated[bool, JsonOption] = False) -> None:
    """Store a draft that is prefilled from a group's questions; you write the advice."""

    async def work(app: App) -> dict[str, Any]:
        return draft_document(await draft_scenario(app.vector_ops, group_id, app.drafter))

    stored = with_app(work)
    if json:
        print_json(stored)
        return
    worded = stored["drafted_by"]
    out.print(f"The draft is scenario {stored['scenario_id']}.")
    out.print(
        f"Its situation was worded by {worded}: read it."
        if worded
        else "Its situation is the questions themselves: word it."
    )
    print_hanging(
        "", f"Then: staffroom scenario edit {stored['scenario_id']} --set status=published"
    )


@gaps.command()
def check(group_id: GroupArgument, json: Annotated[bool, JsonOption] = False) -> None:
    """Ask a group's questions again, without keeping anything."""

    async def work(app: App) -> dict[str, Any]:
        group = await app.vector_ops.gaps.get(group_id)
        checked = await check_group(app.vector_ops, group)
        return check_document(group, checked, app.vector_ops.threshold)

    found = with_app(work)
    if json:
        print_json(found)
        return
    for question in found["items"]:
        place = "  - " if question["rank"] is None else f"{question['rank']:>3} "
        nearness = "    " if question["relevance"] is None else f"{question['relevance']:.2f}"
        mark = "answered" if question["answered"] else "not     "
        print_hanging(f"{mark} {place} {nearness}  ", question["question"])
    out.print(f"{found['answered']} of {found['asked']} questions are answered.")


def _print_outcome(outcome: dict[str, Any]) -> None:
    out.print(
        f"Published: {outcome['answered']} of {outcome['asked']} questions answered, "
        f"{len(outcome['golden'])} golden."
    )
    gate = outcome["gate"]
    if gate is None:
        out.print("The gate did not run.")
    elif not gate["questions"]:
        out.print("There was no golden question yet that could have fallen.")
    elif gate["passed"]:
        out.print(f"The gate passed on {gate['questions']} golden questions.")
    else:
        out.print(f"The gate failed on {gate['questions']} golden questions:")
        for lost in gate["lost"]:
            print_hanging("  ", lost["question"] or lost["golden_id"])
        print_hanging("", f"To undo: {outcome['undo']}")


def _size(group: dict[str, Any]) -> str:
    days = " to ".join(dict.fromkeys((group["first"][:10], group["last"][:10])))
    return f"{group['size']} question{'' if group['size'] == 1 else 's'}, {days}."


def _state(given: str) -> GapState:
    for state in STATES:
        if given == state:
            known: GapState = state
            return known
    raise InputError(f"there is no state {given!r}; choose {', '.join(STATES)}.")
