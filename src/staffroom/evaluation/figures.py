"""A run in figures: measures of its rankings, and what becomes of them at the threshold. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, Final, NotRequired, TypedDict

import numpy as np

from staffroom.evaluation.golden_search import GOLDEN, Polarity, polarity
from staffroom.evaluation.measures import MEASURES, Measure
from staffroom.evaluation.runs import DEPTH, REPORTING, Asked, Found, Ranking, Run
from staffroom.types import Mode

SHOWN: Final = 10
"""Matches of a question that the threshold and the promised relevance are judged on."""

Measures = TypedDict("Measures", {"ndcg@10": float, "recall@100": float, "mrr@10": float})


class Percentiles(TypedDict):
    """The middle of some values, and what nineteen in twenty of them stay below."""

    p50: float
    p95: float


Details = TypedDict(
    "Details",
    {
        "recall@5": float,
        "precision_at_threshold": float | None,
        "recall_at_threshold": float,
        "abstained": float,
        "under_returned": int,
        "milliseconds": Percentiles,
    },
)
"""`precision_at_threshold` and `recall_at_threshold` are those of the matches above the threshold
among the first ten, nothing if there are none; `abstained` is the share of the questions without
such a match; `under_returned` counts those that got fewer rows than there are, up to the limit."""


class Evaluation(TypedDict):
    """What `staffroom eval` prints. Of golden questions, the figures of the reporting part; `parts`
    has them of each part."""

    meaning: NotRequired[Measures]
    words: NotRequired[Measures]
    hybrid: NotRequired[Measures]
    documents: int
    queries: int
    data_set: str
    split: str
    model: str
    threshold: float
    details: dict[str, Details]
    embedding_milliseconds: Percentiles
    polarity: NotRequired[dict[str, Polarity]]
    parts: NotRequired[dict[str, dict[str, Any]]]


def evaluation(run: Run) -> Evaluation:
    """The figures of a run."""
    parts = {split: _of_split(run, split) for split in run.splits}
    first = next(iter(parts.values()))
    if len(parts) > 1 or run.splits == [REPORTING]:
        return {**first, "parts": {split: {**part} for split, part in parts.items()}}
    return first


def _of_split(run: Run, split: str) -> Evaluation:
    questions = run.of_split(split)
    measured: dict[Any, Measures] = {
        mode: _measures(found, questions) for mode, found in run.modes.items()
    }
    rest = Evaluation(
        documents=run.documents,
        queries=len(questions),
        data_set=run.data_set,
        split=split,
        model=run.model,
        threshold=run.threshold,
        details={mode: _details(run, found, questions) for mode, found in run.modes.items()},
        embedding_milliseconds=percentiles(run.embedding[name] for name in questions),
    )
    if run.data_set == GOLDEN and run.probes:
        rest["polarity"] = {mode: polarity(found, split) for mode, found in run.modes.items()}
    whole: Evaluation = {**measured, **rest}  # type: ignore[typeddict-item] # keys are modes
    return whole


def per_question(
    found: Found, questions: Mapping[str, Asked], measure: Measure
) -> dict[str, float]:
    """The measure of each question's ranking."""
    return {
        name: measure([document for document, _ in found.rankings[name]], asked.grades)
        for name, asked in questions.items()
    }


def _measures(found: Found, questions: Mapping[str, Asked]) -> Measures:
    def mean(name: str) -> float:
        return fmean(per_question(found, questions, MEASURES[name]).values())

    return {
        "ndcg@10": mean("ndcg@10"), "recall@100": mean("recall@100"), "mrr@10": mean("mrr@10")
    }  # fmt: skip


def _details(run: Run, found: Found, questions: Mapping[str, Asked]) -> Details:
    passing = Passing(found, questions)
    least = min(DEPTH, run.documents)
    return {
        "recall@5": fmean(per_question(found, questions, MEASURES["recall@5"]).values()),
        "precision_at_threshold": passing.precision(run.threshold),
        "recall_at_threshold": passing.recall(run.threshold),
        "abstained": passing.abstained(run.threshold),
        "under_returned": sum(len(found.rankings[name]) < least for name in questions),
        "milliseconds": percentiles(found.milliseconds[name] for name in questions),
    }


def percentiles(values: Iterable[float]) -> Percentiles:
    """The 50th and 95th percentile of the values."""
    p50, p95 = np.quantile(list(values), [0.5, 0.95])
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3)}


class Passing:
    """What one mode's promises come to: the first matches of each question, and which are right."""

    def __init__(self, found: Found, questions: Mapping[str, Asked]) -> None:
        shown = {name: found.rankings[name][:SHOWN] for name in questions}
        self.relevances, self.right = _judged(shown, questions)
        self._best = [max((each for _, each in rows), default=-1.0) for rows in shown.values()]
        self._wanted = sum(
            min(SHOWN, sum(grade > 0 for grade in asked.grades.values()))
            for asked in questions.values()
        )

    def precision(self, threshold: float) -> float | None:
        """Share of the matches at or above the threshold that are right, if there are any."""
        passed = self.right[self.relevances >= threshold]
        return float(passed.mean()) if len(passed) else None

    def recall(self, threshold: float) -> float:
        """Right matches at or above the threshold, of the right ones that could be shown."""
        passed = self.right[self.relevances >= threshold]
        return float(passed.sum()) / self._wanted if self._wanted else 0.0

    def abstained(self, threshold: float) -> float:
        """Share of the questions without a match at or above the threshold."""
        return fmean(best < threshold for best in self._best)

    def reliability(self, bins: int = 10) -> list[tuple[float, float, int]]:
        """For each stretch of relevance that occurs: its mean, the share that was right, and how
        many matches it has."""
        numbers = np.minimum((self.relevances * bins).astype(int), bins - 1)
        return [
            (
                float(self.relevances[numbers == number].mean()),
                float(self.right[numbers == number].mean()),
                int((numbers == number).sum()),
            )
            for number in range(bins)
            if (numbers == number).any()
        ]


def _judged(
    shown: Mapping[str, Ranking], questions: Mapping[str, Asked]
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.bool_]]]:
    rows: Sequence[tuple[float, bool]] = [
        (relevance, questions[name].grades.get(document, 0) > 0)
        for name, ranking in shown.items()
        for document, relevance in ranking
    ]
    relevances = np.array([relevance for relevance, _ in rows], np.float64)
    return relevances, np.array([right for _, right in rows], np.bool_)


def measured(run: Run, mode: Mode, split: str) -> Mapping[str, Sequence[float]]:
    """Every measure of every question of the split, by measure."""
    questions = run.of_split(split)
    return {
        name: list(per_question(run.modes[mode], questions, measure).values())
        for name, measure in MEASURES.items()
    }
