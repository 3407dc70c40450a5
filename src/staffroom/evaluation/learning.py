"""The learning loop closes: a scenario that was written for a gap group is published.

Its questions are asked again and those that it answers are marked, a few of them become golden
questions, and the golden questions of before are asked before and after: what fell is told. Nothing
is taken back by itself.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from staffroom.content.gap_draft import with_examples
from staffroom.database.gaps import GapGroup, GapQuestion
from staffroom.database.golden import RIGHT, Golden
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import ConflictError, InputError, NotFoundError, UnavailableError
from staffroom.evaluation.own import AT_ONCE, DEPTH, FIRST, OwnEvaluation, evaluate_own
from staffroom.monitoring.logs import cause
from staffroom.types import Match, OutOfScope, Scenario, SearchResult

MOST_CHECKED: Final = 50
"""Questions of a group that are asked again to be looked at, the most central ones."""

MOST_CLOSED: Final = 200
"""Questions of a group that are asked again when its scenario is published, the most central."""

MOST_GOLDEN: Final = 5
"""Questions of a group that become golden, those that differ most."""

GATE_QUESTIONS: Final = 200
"""Golden questions that the gate asks, the newest: on two cores, twice takes four seconds."""

TOLERANCE: Final = 0.02
"""How much lower a mean may be after a scenario was published."""

_MODE: Final = "hybrid"
_GATED: Final = ("recall@5", "ndcg@10")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckedQuestion:
    """A question of a group as the library meets it now.

    With a scenario that the group leads to, `rank` and `relevance` are that scenario's (None behind
    the first ten), and it is answered if an answer rests on it: among the first five, not below the
    threshold. Without one, they are those of the best match. `reason` is why the question must not
    be answered at all, if it must not.
    """

    asked: GapQuestion
    is_answered: bool
    rank: int | None
    relevance: float | None
    best: Match | None
    reason: OutOfScope | None


async def check_group(
    vector_ops: VectorOperations, group: GapGroup, limit: int = MOST_CHECKED
) -> list[CheckedQuestion]:
    """The group's questions, most central first, asked again. Nothing is stored.

    Raises: SearchError.
    """
    free = asyncio.Semaphore(AT_ONCE)

    async def ask(question: GapQuestion) -> CheckedQuestion:
        async with free:
            found = await vector_ops.retrieve(question.question, limit=DEPTH, threshold=0.0)
        return _checked(question, found, group.scenario_id, vector_ops.threshold)

    questions = await vector_ops.gaps.questions(group.id, limit)
    try:
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(ask(question)) for question in questions]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in asked]


async def update_scenario(
    vector_ops: VectorOperations,
    scenario_id: UUID,
    changes: Mapping[str, Any],
    *,
    reason: str = "",
    author: str = "",
    expected_revision: int | None = None,
) -> Scenario:
    """As `VectorOperations.update_scenario`; if that publishes what a gap group waits for, the
    group is closed as far as its questions are answered. A failure of that undoes nothing: the
    group goes on waiting, and the next change of the scenario tries again.
    """

    async def update() -> Scenario:
        return await vector_ops.update_scenario(
            scenario_id,
            changes,
            reason=reason,
            author=author,
            expected_revision=expected_revision,
        )

    waiting = await vector_ops.gaps.led_to(scenario_id)
    if not waiting:
        return await update()
    golden = [
        question for question in await vector_ops.golden.list(GATE_QUESTIONS) if question.is_usable
    ]
    before = None
    try:
        if changes.get("status", waiting[0].scenario_status) == "published":
            before = await evaluate_own(vector_ops, (_MODE,), golden)
    except UnavailableError as error:
        _log.warning("the gate did not run before the change: %s", cause(error))
    scenario = await update()
    if scenario.content.metadata.status == "published":
        try:
            gate = None
            if before is not None:
                gate = compare(before, await evaluate_own(vector_ops, (_MODE,), golden))
            for group in waiting:
                await _close(vector_ops, group, scenario, gate)
        except UnavailableError as error:
            _log.warning("the gap groups of scenario %s stay open: %s", scenario_id, cause(error))
    return scenario


async def extend_scenario(
    vector_ops: VectorOperations,
    group_id: UUID,
    scenario_id: UUID,
    interaction_ids: Sequence[UUID],
) -> Scenario:
    """Those questions of the group are example questions of the scenario too, and the group leads
    to it: a scenario may be there already, and only not be found.

    Raises: NotFoundError; ConflictError; InputError if none of the questions is the group's.
    """
    group = await vector_ops.gaps.get(group_id)
    scenario = await vector_ops.get_scenario(scenario_id)
    chosen = await vector_ops.gaps.examples(group_id, len(interaction_ids), interaction_ids)
    if not chosen:
        raise InputError(f"none of those questions is of group {group_id}. Choose at least one.")
    examples = with_examples(scenario, [question.question for question in chosen])
    if group.scenario_id != scenario_id:
        await vector_ops.gaps.lead_to(group_id, scenario_id)
    return await update_scenario(
        vector_ops,
        scenario_id,
        {"example_questions": examples},
        reason=f"{len(chosen)} questions of teachers that it answers.",
        expected_revision=scenario.revision,
    )


async def answer_group(vector_ops: VectorOperations, group_id: UUID) -> GapGroup:
    """Somebody calls the group answered: questions that its scenario does not answer leave it, to
    be grouped anew. Also for a scenario that was published on another way, by an import for one.

    Raises: NotFoundError; ConflictError if no published scenario answers any of the questions.
    """
    answered: Mapping[UUID, bool] = {}
    group = await vector_ops.gaps.get(group_id)
    if group.state == "drafted" and group.scenario_id and group.scenario_status == "published":
        scenario = await vector_ops.get_scenario(group.scenario_id)
        gate = group.outcome and group.outcome["gate"]
        answered = await _close(vector_ops, group, scenario, gate)
        if not any(answered.values()):
            raise ConflictError(
                f"scenario {group.scenario_id} answers none of the questions of group {group_id}. "
                "Give it some of them as example questions."
            )
    await vector_ops.gaps.change(group_id, state="answered")
    # Not before: a group that is being written takes them back.
    await vector_ops.gaps.release(
        group_id, [asked for asked, is_so in answered.items() if not is_so]
    )
    return await vector_ops.gaps.get(group_id)


def compare(before: OwnEvaluation, after: OwnEvaluation) -> dict[str, Any]:
    """The gate: passed unless a golden question has left the first five, or a mean has fallen by
    more than 0.02. Both asked the same questions."""
    ranks = {question.golden_id: question.ranks[_MODE] for question in after.questions}
    lost = [
        {
            "golden_id": str(question.golden_id),
            "before": question.ranks[_MODE],
            "after": ranks.get(question.golden_id),
        }
        for question in before.questions
        if _is_first(question.ranks[_MODE]) and not _is_first(ranks.get(question.golden_id))
    ]
    figures = {
        name: {
            "before": round(before.measures[_MODE][name], 4),
            "after": round(after.measures[_MODE][name], 4),
        }
        for name in _GATED
        if before.questions
    }
    fell = any(round(value["before"] - value["after"], 4) > TOLERANCE for value in figures.values())
    return {
        "passed": not (lost or fell),
        "questions": len(before.questions),
        "lost": lost,
        "figures": figures,
    }


async def _close(
    vector_ops: VectorOperations,
    group: GapGroup,
    scenario: Scenario,
    gate: Mapping[str, Any] | None,
) -> Mapping[UUID, bool]:
    """What publishing brought is kept with the group. Returns which questions are answered."""
    checked = await check_group(vector_ops, group, MOST_CLOSED)
    answered = {found.asked.interaction_id: found.is_answered for found in checked}
    golden = await _promote(
        vector_ops, group, scenario.id, [asked for asked, is_so in answered.items() if is_so]
    )
    await vector_ops.gaps.settle(
        group,
        answered,
        {
            "at": datetime.now(UTC).isoformat(),
            "revision": scenario.revision,
            "asked": len(checked),
            "answered": sum(answered.values()),
            "golden": [str(question.id) for question in golden],
            "gate": gate,
        },
    )
    return answered


async def _promote(
    vector_ops: VectorOperations, group: GapGroup, scenario_id: UUID, answered: Sequence[UUID]
) -> list[Golden]:
    """A few of the answered questions are golden, as far as there is room."""
    promoted: list[Golden] = []
    for question in await vector_ops.gaps.examples(group.id, MOST_GOLDEN, answered):
        try:
            promoted.append(
                await vector_ops.golden.promote(
                    question.interaction_id, scenario_id, RIGHT, vector_ops.author
                )
            )
        except ConflictError:
            break
        except NotFoundError:
            continue
    return promoted


def _checked(
    question: GapQuestion, found: SearchResult, scenario_id: UUID | None, threshold: float
) -> CheckedQuestion:
    considered = found.matches or found.related
    best = considered[0] if considered else None
    rank: int | None = None
    match = None
    for place, candidate in enumerate(considered, 1):
        if scenario_id in {None, candidate.scenario.id}:
            rank, match = place, candidate
            break
    is_answered = (
        found.reason is None
        and match is not None
        and _is_first(rank)
        and match.relevance >= threshold
    )
    return CheckedQuestion(
        question, is_answered, rank, match.relevance if match else None, best, found.reason
    )


def _is_first(rank: int | None) -> bool:
    return rank is not None and rank <= FIRST
