"""A model's scores become relevance: fitted on golden questions, and reported on others."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Final, TypedDict, get_args

import numpy as np

from staffroom.config import SIMILARITY_THRESHOLD
from staffroom.content.starter import starter_rows
from staffroom.database.search import Candidates
from staffroom.database.vector_ops import VectorOperations
from staffroom.evaluation.golden import (
    Part,
    golden_questions,
    scope_questions,
    unanswerable_questions,
)
from staffroom.retrieval.calibration import Calibration, Reading, distances
from staffroom.retrieval.fusion import ANY_LANGUAGE, combined
from staffroom.retrieval.logistic import fit_logistic, log_odds
from staffroom.retrieval.scope import INSIDE, Scope, fit_scope
from staffroom.scenario import scenario_from
from staffroom.types import Array, Embedder, Mode, Progress, ProgressListener, Vectors

DEPTH: Final = 10
"""Matches of each question that are fitted on."""

KEPT: Final = 0.95
"""Share of the questions for the library that its scope has to let through."""

RELEVANCE_RIDGE: Final = 1e-3
WORD_WEIGHTS: Final = tuple(number / 10 for number in range(21))
AS_GOOD: Final = 0.005
"""What the mean order of the golden questions may lose and count as no worse."""

EXAMPLE_WEIGHT: Final = 0.3
"""Of a scenario's own example question, beside a question that was written to fit a scope on."""

BINS: Final = 10


class CalibrationReport(TypedDict):
    """How well a calibration serves, on questions that it was not fitted on.

    `precision` and `recall` are those of the matches above the threshold among the first ten;
    `reliability` is the mean distance between a promised relevance and the share that holds it.
    """

    model: str
    threshold: float
    questions: int
    answered: float
    unanswerable: int
    unanswerable_answered: float
    answered_by_kind: dict[str, float]
    precision: float
    recall: float
    reliability: float


class _Data:
    """Golden questions and what one model finds for them in the starter library, answerable
    questions first."""

    def __init__(self) -> None:
        self.answerable, self.unanswerable = golden_questions(), unanswerable_questions()
        self.texts = [q.text for q in self.answerable] + [q.text for q in self.unanswerable]
        self.parts = [q.part for q in self.answerable] + [q.part for q in self.unanswerable]
        self.vectors: Vectors = np.zeros((0, 0), np.float32)
        self.found: list[Candidates] = []
        self.grades: list[Array] = []

    async def fill(self, library: VectorOperations, embedder: Embedder) -> None:
        """Every question has been asked of the library."""
        scenarios = await library.list_scenarios(limit=len(starter_rows()))
        sources = {scenario.id: scenario.content.source_id for scenario in scenarios}
        self.vectors = await embedder.embed(self.texts, "query")
        for number, (text, vector) in enumerate(zip(self.texts, self.vectors, strict=True)):
            found = await library.candidates(text, vector)
            judged = self.answerable[number].relevant if self.is_answerable(number) else {}
            self.found.append(found)
            self.grades.append(np.array([judged.get(sources[own], 0) for own in found.ids]))

    def rows(self, part: Part) -> list[int]:
        """The numbers of the questions of that part."""
        return [number for number, own in enumerate(self.parts) if own == part]

    def is_answerable(self, number: int) -> bool:
        return number < len(self.answerable)

    def ranked(self, number: int, mode: Mode, words: Mapping[str, float]) -> tuple[Array, Array]:
        """The scores of a question's first matches, best first, and their grades."""
        found = self.found[number]
        scores = combined(found.similarities, found.shares, found.languages, mode, words)
        order = np.argsort(-scores, kind="stable")[:DEPTH]
        return scores[order], self.grades[number][order]


async def calibrate(
    embedder: Embedder, library: VectorOperations, progress: ProgressListener | None = None
) -> tuple[Calibration, CalibrationReport]:
    """What the model's scores mean, and how well that holds.

    The library is empty; the starter library is in it afterwards.
    """
    rows = starter_rows()
    await library.batch_store_content(rows)
    data = _Data()
    await data.fill(library, embedder)
    words = {ANY_LANGUAGE: _fit_words(data)}
    readings: dict[Mode, Reading] = {
        mode: _fit_reading(data, mode, words) for mode in get_args(Mode)
    }
    examples = [question for row in rows for question in scenario_from(row).example_questions]
    calibration = Calibration(readings, words, await _fit_scope(data, embedder, examples))
    calibration = _weighed(data, calibration)
    if progress:
        progress(Progress("Calibrating relevance for a new model", 1, 1, "rows"))
    return calibration, _report(embedder.model, data, calibration)


def _fit_words(data: _Data) -> float:
    """How much words count beside meaning: of what orders the questions as well as anything, the
    nearest to an even sum. A peak of a few questions would not hold for others."""
    rows = [row for row in data.rows("fit") if data.is_answerable(row)]
    gains = np.array(
        [
            fmean(
                _discounted_gain(data.ranked(row, "hybrid", {ANY_LANGUAGE: weight})[1])
                / _discounted_gain(np.sort(list(data.answerable[row].relevant.values()))[::-1])
                for row in rows
            )
            for weight in WORD_WEIGHTS
        ]
    )
    as_good = np.array(WORD_WEIGHTS)[gains >= gains.max() - AS_GOOD]
    return float(as_good[np.argmin(np.abs(as_good - 1))])


def _discounted_gain(grades: Array) -> float:
    """The gain of matches in their order, later ones counting less."""
    first = grades[:DEPTH]
    return float(first @ (1 / np.log2(np.arange(2, len(first) + 2))))


def _fit_reading(data: _Data, mode: Mode, words: Mapping[str, float]) -> Reading:
    ranked = [data.ranked(row, mode, words) for row in data.rows("fit")]
    ranked = [(scores, grades) for scores, grades in ranked if len(scores)]
    scores = np.concatenate([scores for scores, _ in ranked])
    behind = np.concatenate([distances(scores) for scores, _ in ranked])
    labels = np.concatenate([grades > 0 for _, grades in ranked]).astype(np.float64)
    (slope, distance), bias = fit_logistic(
        np.column_stack([scores, -behind]), labels, ridge=RELEVANCE_RIDGE
    )
    return Reading(max(0.0, float(slope)), max(0.0, float(distance)), bias)


def _relevances(data: _Data, calibration: Calibration, row: int) -> tuple[Array, Array]:
    """What is promised of a question's first matches, and which of them hold it."""
    scores, grades = data.ranked(row, "hybrid", calibration.words)
    return np.array(calibration.relevances(list(scores), "hybrid")), (grades > 0).astype(float)


async def _fit_scope(data: _Data, embedder: Embedder, examples: Sequence[str]) -> Scope:
    """Fitted on questions of its own and on the library's."""
    questions = scope_questions()
    texts = [*examples, *(text for text, _ in questions)]
    scopes = [*(INSIDE for _ in examples), *(scope for _, scope in questions)]
    weights = np.concatenate([np.full(len(examples), EXAMPLE_WEIGHT), np.ones(len(questions))])
    embeddings = await embedder.embed(texts, "query")
    return await asyncio.to_thread(fit_scope, texts, embeddings, scopes, weights)


def _weighed(data: _Data, calibration: Calibration) -> Calibration:
    """The kind of question is weighed against relevance, and the bar is set, on golden ones."""
    scope = calibration.scope
    assert scope is not None
    rows = data.rows("fit")
    best = {row: float(_relevances(data, calibration, row)[0][0]) for row in rows}
    signals = [
        [scope.odds(data.texts[row], data.vectors[row]), log_odds(best[row])] for row in rows
    ]
    labels = [float(data.is_answerable(row)) for row in rows]
    weights, bias = fit_logistic(np.array(signals), np.array(labels), ridge=RELEVANCE_RIDGE)
    weighed = replace(scope, admission=np.array([*weights, bias]))
    wanted = [
        weighed.probability(data.texts[row], data.vectors[row], best[row])
        for row in rows
        if data.is_answerable(row)
    ]
    least = float(np.quantile(wanted, 1 - KEPT))
    return replace(calibration, scope=replace(weighed, least=least))


def _report(model: str, data: _Data, calibration: Calibration) -> CalibrationReport:
    rows = data.rows("report")
    ranked = {row: _relevances(data, calibration, row) for row in rows}
    answered = {row: _is_answered(data, calibration, row, ranked[row][0]) for row in rows}
    asked = [row for row in rows if data.is_answerable(row)]
    refused = [row for row in rows if not data.is_answerable(row)]
    by_kind: dict[str, list[bool]] = {}
    for row in refused:
        kind = data.unanswerable[row - len(data.answerable)].kind
        by_kind.setdefault(kind, []).append(answered[row])
    promised = np.concatenate([relevances for relevances, _ in ranked.values()])
    held = np.concatenate([holds for _, holds in ranked.values()])
    passed = promised >= SIMILARITY_THRESHOLD
    return CalibrationReport(
        model=model,
        threshold=SIMILARITY_THRESHOLD,
        questions=len(asked),
        answered=fmean(answered[row] for row in asked),
        unanswerable=len(refused),
        unanswerable_answered=fmean(answered[row] for row in refused),
        answered_by_kind={kind: fmean(values) for kind, values in sorted(by_kind.items())},
        precision=float(held[passed].mean()) if passed.any() else 0.0,
        recall=float(held[passed].sum() / held.sum()),
        reliability=_distance(promised, held),
    )


def _is_answered(data: _Data, calibration: Calibration, row: int, relevances: Array) -> bool:
    best = float(relevances[0])
    if best < SIMILARITY_THRESHOLD:
        return False
    return calibration.reason_against(data.texts[row], data.vectors[row], best) is None


def _distance(promised: Array, held: Array) -> float:
    """Expected calibration error over bins of equal width.

    Source: Naeini, Cooper and Hauskrecht, 2015.
    """
    bins = np.minimum((promised * BINS).astype(int), BINS - 1)
    return float(
        sum(
            (bins == b).mean() * abs(promised[bins == b].mean() - held[bins == b].mean())
            for b in range(BINS)
            if (bins == b).any()
        )
    )
