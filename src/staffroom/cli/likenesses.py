"""`scenario likenesses` and `scenario decide`: what may be there twice."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from staffroom.app import App
from staffroom.cli.output import JsonOption, err, out, print_json, progress_bars
from staffroom.cli.run import with_app
from staffroom.content.likeness_documents import likeness_document, next_place, read_place
from staffroom.content.likenesses import compare_all, decide
from staffroom.database.likenesses import NEAR_DUPLICATE, Compared, Decision, Likeness

SHOWN = 50


class Verdict(StrEnum):
    """What a person decides of a pair."""

    keep_both = "keep-both"
    link = "link"
    merge = "merge"
    open = "open"


_DECISIONS: dict[Verdict, Decision] = {
    Verdict.keep_both: "keep_both",
    Verdict.link: "linked",
    Verdict.merge: "merged",
    Verdict.open: "open",
}


def register(scenario: typer.Typer) -> None:
    """The commands belong to `staffroom scenario`."""
    scenario.command("likenesses")(likenesses)
    scenario.command("decide")(decide_)


def likenesses(
    decision: Annotated[
        Verdict, typer.Option(help="Pairs of which that was decided; open ones wait.")
    ] = Verdict.open,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Pairs at most.")] = SHOWN,
    after: Annotated[str | None, typer.Option(help="Go on after this cursor.")] = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """List scenarios that may be one, the most similar first."""
    place = read_place(after)

    async def work(app: App) -> tuple[Compared, int, list[Likeness]]:
        kept = app.vector_ops.likenesses
        with progress_bars() as progress:
            compared = await compare_all(kept, progress)
        rows = await kept.page(limit + 1, place, decision=_DECISIONS[decision])
        return compared, await kept.near(NEAR_DUPLICATE), rows

    compared, near, rows = with_app(work)
    cursor = next_place(rows, limit)
    if json:
        print_json(
            {
                "items": [likeness_document(row) for row in rows[:limit]],
                "next_cursor": cursor,
                "compared": compared.done,
                "total": compared.total,
                "near": near,
            }
        )
        return
    _print_pairs(rows[:limit])
    if cursor:
        err.print(Text(f"There are more: --after {cursor}"))


def decide_(
    one: Annotated[UUID, typer.Argument(help="The id of a scenario.")],
    other: Annotated[UUID, typer.Argument(help="The id of the other one.")],
    verdict: Annotated[Verdict, typer.Argument(help="What becomes of the pair.")],
    keep: Annotated[UUID | None, typer.Option(help="Of a merge, the scenario that stays.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Keep two scenarios, link them, or merge one into the other; or open the pair again."""

    async def work(app: App) -> Likeness:
        decision = _DECISIONS[verdict]
        return await decide(
            app.vector_ops, one, other, decision, author=app.author, keep=keep, reason=reason
        )

    decided = with_app(work)
    if json:
        print_json(likeness_document(decided))
    else:
        _print_pairs([decided])


def _print_pairs(rows: list[Likeness]) -> None:
    """The pairs one below the other; where they stop being probably one situation, a line."""
    is_near = True
    for row in rows:
        if is_near and row.similarity < NEAR_DUPLICATE:
            out.print(Text("Probably different situations:", style="dim"))
        is_near = row.similarity >= NEAR_DUPLICATE
        told = "" if row.decision == "open" else f"  {row.decision.replace('_', ' ')}"
        told += f" by {row.decided_by}" if row.decided_by and told else ""
        out.print(Text.assemble((f"{row.similarity:.2f}", "cyan"), told))
        for alike in (row.one, row.other):
            mark = " (kept)" if alike.id == row.kept else ""
            line = Text.assemble("  ", (str(alike.id), "dim"), f"  {alike.name}{mark}")
            out.print(line.append(f"  {alike.status}", style="dim"))
    if not rows:
        out.print("There are no such pairs.")
