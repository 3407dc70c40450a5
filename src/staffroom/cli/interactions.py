"""`interaction`: what was asked and answered, and what teachers said of it."""

from typing import Annotated, Any
from uuid import UUID

import typer

from staffroom.app import App
from staffroom.cli.answers import print_hanging
from staffroom.cli.output import JsonOption, out, print_json
from staffroom.cli.run import with_app
from staffroom.database.interactions import REASONS, VERDICTS
from staffroom.documents import DIGITS, interaction_document
from staffroom.types import Gap, Interaction

interaction = typer.Typer(
    no_args_is_help=True, help="Look at past questions and answers, and judge them."
)


@interaction.command()
def show(
    interaction_id: Annotated[UUID, typer.Argument(help="The id that `ask` printed.")],
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Show an exchange as it was stored: question, answer, what it rested on, feedback."""

    async def work(app: App) -> Interaction:
        return await app.vector_ops.get_interaction(interaction_id)

    found = with_app(work)
    if json:
        print_json(interaction_document(found))
        return
    print_hanging("", found.question, "bold")
    print_hanging("", found.answer)
    for match in found.matches:
        print_hanging(f"{match.relevance:.2f}  ", f"{match.name} (revision {match.revision})")
    print_hanging("", f"{found.outcome}, by {found.writer}, {found.created_at:%Y-%m-%d %H:%M}")
    for said in found.feedback:
        print_hanging("", " ".join(filter(None, (said.verdict, said.reason, said.comment))))


@interaction.command()
def gaps(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Questions at most.")] = 100,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """List the questions that the library could not answer, newest first."""

    async def work(app: App) -> list[Gap]:
        return await app.vector_ops.interactions.gaps(limit)

    found = with_app(work)
    if json:
        print_json([_gap_document(gap) for gap in found])
        return
    for gap in found:
        best = "none" if gap.best_relevance is None else f"{gap.best_relevance:.2f}"
        print_hanging("", f"{gap.created_at:%Y-%m-%d}  best {best}  {gap.question}")
    if not found:
        out.print("Every question so far was answered.")


@interaction.command()
def feedback(
    interaction_id: Annotated[UUID, typer.Argument(help="The id that `ask` printed.")],
    verdict: Annotated[str, typer.Argument(help=f"One of {', '.join(VERDICTS)}.")],
    reason: Annotated[str, typer.Option(help=f"One of {', '.join(REASONS)}.")] = "",
    comment: Annotated[str, typer.Option(help="Anything else, in your own words.")] = "",
    scenario: Annotated[
        UUID | None, typer.Option(help="The scenario that is meant, if not the whole answer.")
    ] = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Say whether an answer helped, fitted, or worked when it was tried."""

    async def work(app: App) -> UUID:
        return await app.vector_ops.interactions.add_feedback(
            interaction_id, verdict, reason=reason, comment=comment, scenario_id=scenario
        )

    stored = with_app(work)
    if json:
        print_json({"id": str(stored)})
    else:
        out.print("Thank you. It is kept with the answer.")


def _gap_document(gap: Gap) -> dict[str, Any]:
    return {
        "interaction_id": str(gap.interaction_id),
        "question": gap.question,
        "best_relevance": gap.best_relevance and round(gap.best_relevance, DIGITS),
        "threshold": gap.threshold,
        "created_at": gap.created_at.isoformat(),
    }
