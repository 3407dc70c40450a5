"""How good the search is on a library's own golden questions, in each of its modes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final, TypedDict, get_args
from uuid import UUID

from staffroom.database.golden import MAX_GOLDEN, Golden
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError
from staffroom.evaluation.measures import ndcg, recall, reciprocal_rank
from staffroom.types import Mode, SearchResult

MODES: Final[tuple[Mode, ...]] = get_args(Mode)

DEPTH: Final = 10
"""Scenarios that are looked at for each question."""

FIRST: Final = 5
"""Scenarios that an answer may rest on: the right one should be among them."""

AT_ONCE: Final = 4
"""Searches that run together: teachers go on asking meanwhile."""

OwnMeasures = TypedDict(
    "OwnMeasures",
    {"recall@5": float, "ndcg@10": float, "mrr@10": float, "answered": float, "found": int},
)
"""Means over the questions of one mode. `answered` is the share whose best match reaches the
threshold; `found` counts those with a right scenario among the first ten."""


@dataclass(frozen=True, slots=True)
class QuestionRanks:
    """Where the best right scenario stands by mode, counted from 1; None behind the first ten."""

    golden_id: UUID
    question: str
    ranks: Mapping[Mode, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEvaluation:
    """What the golden questions say of the search. Without any, `measures` are empty.

    `unusable` counts questions that were not asked, because no right scenario is left of them.
    """

    threshold: float
    measures: Mapping[Mode, OwnMeasures] = field(default_factory=dict)
    questions: tuple[QuestionRanks, ...] = ()
    unusable: int = 0


async def evaluate_own(
    vector_ops: VectorOperations,
    modes: Sequence[Mode] = MODES,
    golden: Sequence[Golden] | None = None,
) -> OwnEvaluation:
    """Every golden question was searched for in each mode, or those that are given.

    Raises: InputError for a mode that is none; SearchError if a search fails.
    """
    for mode in modes:
        if mode not in MODES:
            raise InputError(f"the mode is {mode!r}; choose of {', '.join(MODES)}.")
    if golden is None:
        golden = await vector_ops.golden.list(MAX_GOLDEN)
    asked = [question for question in golden if question.is_usable]
    unusable = len(golden) - len(asked)
    if not asked:
        return OwnEvaluation(threshold=vector_ops.threshold, unusable=unusable)
    found = {mode: await _search_all(vector_ops, asked, mode) for mode in dict.fromkeys(modes)}
    return OwnEvaluation(
        threshold=vector_ops.threshold,
        measures={
            mode: _measures(asked, results, vector_ops.threshold) for mode, results in found.items()
        },
        questions=tuple(
            QuestionRanks(
                question.id,
                question.question,
                {mode: _best_rank(question, results[number]) for mode, results in found.items()},
            )
            for number, question in enumerate(asked)
        ),
        unusable=unusable,
    )


async def _search_all(
    vector_ops: VectorOperations, questions: Sequence[Golden], mode: Mode
) -> list[SearchResult]:
    """What each question finds; a failure ends the others."""
    free = asyncio.Semaphore(AT_ONCE)

    async def search(question: str) -> SearchResult:
        async with free:
            return await vector_ops.search(question, DEPTH, 0.0, mode=mode)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(search(question.question)) for question in questions]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def _measures(
    questions: Sequence[Golden], results: Sequence[SearchResult], threshold: float
) -> OwnMeasures:
    judged = [
        (_ranking(result), {str(scenario_id): grade for scenario_id, grade in found.grades.items()})
        for found, result in zip(questions, results, strict=True)
    ]
    ranks = map(_best_rank, questions, results)
    return {
        "recall@5": fmean(recall(ranking, grades, FIRST) for ranking, grades in judged),
        "ndcg@10": fmean(ndcg(ranking, grades, DEPTH) for ranking, grades in judged),
        "mrr@10": fmean(reciprocal_rank(ranking, grades, DEPTH) for ranking, grades in judged),
        "answered": fmean((result.best_relevance or 0.0) >= threshold for result in results),
        "found": sum(rank is not None for rank in ranks),
    }


def _ranking(result: SearchResult) -> list[str]:
    return [str(match.scenario.id) for match in result.matches]


def _best_rank(question: Golden, result: SearchResult) -> int | None:
    grades = question.grades
    for rank, match in enumerate(result.matches, 1):
        if grades.get(match.scenario.id, 0):
            return rank
    return None
