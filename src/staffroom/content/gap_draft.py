"""A gap group becomes a draft: everything that its questions say already is filled in."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from staffroom.ai.situation import CapableModel, describe_situation
from staffroom.database.gaps import GapGroup, check_free
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import ConflictError, InputError
from staffroom.scenario import MAX_ITEMS, MAX_LENGTH
from staffroom.text import shorten
from staffroom.types import STATUSES, Filters, Match, Scenario

EXAMPLES: Final = 12
"""Questions of the group that the draft begins with as example questions."""

IN_DESCRIPTION: Final = 3
"""Questions that stand for the situation until somebody words it."""

NAME_LENGTH: Final = 100

NEAREST: Final = 5
"""Scenarios that are looked at for what the draft has in common with them."""


@dataclass(frozen=True, slots=True)
class GapDraft:
    """A draft for a gap group, and the model that worded its situation, if one did."""

    scenario_id: UUID
    drafted_by: str


async def draft_scenario(
    vector_ops: VectorOperations, group_id: UUID, model: CapableModel | None = None
) -> GapDraft:
    """A draft is in the library, and the group leads to it. The advice is left to a person.

    Its example questions are those of the group that differ most; category and language are what
    most of the nearest scenarios have. The situation is what the model makes of the questions, or
    else the most central ones themselves: the revision's reason says which.
    Raises: NotFoundError; ConflictError unless the group is open.
    """
    group = await vector_ops.gaps.get(group_id)
    check_free(group.id, group.state, group.scenario_id)
    asked = [question.question for question in await vector_ops.gaps.examples(group_id, EXAMPLES)]
    near = [match.scenario for match in await nearest(vector_ops, group)]
    situation = await describe_situation(model, asked) if model else ""
    drafted_by = model.name if model and situation else ""
    worded = (
        f"situation worded by {drafted_by}, to be read"
        if drafted_by
        else "situation still in the teachers' own words"
    )
    stored = await vector_ops.put_scenario(
        {
            "name": shorten(group.label, NAME_LENGTH),
            "description": situation or "\n".join(asked[:IN_DESCRIPTION]),
            "example_questions": [
                shorten(question, MAX_LENGTH["example_questions"]) for question in asked
            ],
            "category": _most(scenario.content.metadata.category for scenario in near),
            "language": _most(scenario.content.metadata.language for scenario in near),
            "status": "draft",
        },
        reason=f"Drafted for {group.size} questions of teachers; {worded}.",
    )
    await vector_ops.gaps.lead_to(group_id, stored.scenario_id)
    return GapDraft(stored.scenario_id, drafted_by)


async def nearest(vector_ops: VectorOperations, group: GapGroup) -> Sequence[Match]:
    """The scenarios that come nearest to the group's most central question, best first."""
    filters = Filters(statuses=tuple(status for status in STATUSES if status != "retired"))
    return (await vector_ops.search(group.label, NEAREST, 0.0, filters)).matches


def with_examples(scenario: Scenario, questions: Sequence[str]) -> list[str]:
    """The scenario's example questions, and those that are not among them yet.

    Raises: InputError if it has no room for them; ConflictError if it has all of them.
    """
    known = {question.casefold() for question in scenario.content.example_questions}
    new = [
        shorten(question, MAX_LENGTH["example_questions"])
        for question in dict.fromkeys(questions)
        if question.casefold() not in known
    ]
    if not new:
        raise ConflictError(f"scenario {scenario.id} has these example questions already.")
    all_of_them = [*scenario.content.example_questions, *new]
    if len(all_of_them) > MAX_ITEMS:
        raise InputError(
            f"scenario {scenario.id} would have {len(all_of_them)} example questions; "
            f"{MAX_ITEMS} fit. Choose fewer."
        )
    return all_of_them


def _most(values: Iterable[str]) -> str:
    """What most of them are; of equals, the first. Nothing of nothing."""
    found = Counter(values).most_common(1)
    return found[0][0] if found else ""
