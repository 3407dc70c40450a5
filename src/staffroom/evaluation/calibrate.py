"""A model's scores become relevance: fitted on golden questions, and reported on others."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Final, TypedDict

import numpy as np

from staffroom.config import SIMILARITY_THRESHOLD
from staffroom.content.starter import starter_rows
from staffroom.evaluation.golden import (
    Part,
    golden_questions,
    scope_questions,
    unanswerable_questions,
)
from staffroom.retrieval.calibration import Calibration
from staffroom.retrieval.logistic import fit_logistic, log_odds
from staffroom.retrieval.scope import INSIDE, Scope, fit_scope
from staffroom.scenario import embedded_text, scenario_from
from staffroom.types import Array, Embedder, Progress, ProgressListener, Vectors

DEPTH: Final = 10
"""Matches of each question that are fitted on."""

KEPT: Final = 0.95
"""Share of the questions for the library that its scope has to let through."""

RELEVANCE_RIDGE: Final = 1e-3
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
    """Golden questions and the starter library as one model sees them, answerable ones first."""

    def __init__(self, vectors: Vectors, library: Vectors) -> None:
        self.answerable, self.unanswerable = golden_questions(), unanswerable_questions()
        self.texts = [q.text for q in self.answerable] + [q.text for q in self.unanswerable]
        self.parts = [q.part for q in self.answerable] + [q.part for q in self.unanswerable]
        self.vectors = vectors
        self.cosines: list[Array] = []
        self.relevant: list[Array] = []
        ids = [row["id"] for row in starter_rows()]
        for number, vector in enumerate(vectors.astype(np.float64)):
            scores = library @ vector
            order = np.argsort(-scores, kind="stable")[:DEPTH]
            grades = self.answerable[number].relevant if self.is_answerable(number) else {}
            self.cosines.append(scores[order])
            self.relevant.append(np.array([grades.get(ids[n], 0) > 0 for n in order], np.float64))

    def rows(self, part: Part) -> list[int]:
        """The numbers of the questions of that part."""
        return [number for number, own in enumerate(self.parts) if own == part]

    def is_answerable(self, number: int) -> bool:
        return number < len(self.answerable)


async def calibrate(
    embedder: Embedder, progress: ProgressListener | None = None
) -> tuple[Calibration, CalibrationReport]:
    """What the model's scores mean, and how well that holds."""
    scenarios = list(map(scenario_from, starter_rows()))
    library = await embedder.embed(list(map(embedded_text, scenarios)), "passage")
    golden = [question.text for question in golden_questions()]
    golden += [question.text for question in unanswerable_questions()]
    data = _Data(await embedder.embed(golden, "query"), library)
    examples = [question for scenario in scenarios for question in scenario.example_questions]
    calibration = replace(_fit_relevance(data), scope=await _fit_scope(data, embedder, examples))
    calibration = _weighed(data, calibration)
    if progress:
        progress(Progress("Calibrating relevance for a new model", 1, 1, "rows"))
    return calibration, _report(embedder.model, data, calibration)


def _fit_relevance(data: _Data) -> Calibration:
    rows = data.rows("fit")
    cosines = np.concatenate([data.cosines[row] for row in rows])
    behind = np.concatenate([data.cosines[row][0] - data.cosines[row] for row in rows])
    labels = np.concatenate([data.relevant[row] for row in rows])
    (cosine, distance), bias = fit_logistic(
        np.column_stack([cosines, -behind]), labels, ridge=RELEVANCE_RIDGE
    )
    return Calibration(max(0.0, float(cosine)), max(0.0, float(distance)), bias)


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
    best = {row: calibration.relevances(list(data.cosines[row]))[0] for row in rows}
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
    relevances = {row: np.array(calibration.relevances(list(data.cosines[row]))) for row in rows}
    answered = {row: _is_answered(data, calibration, row, relevances[row]) for row in rows}
    asked = [row for row in rows if data.is_answerable(row)]
    refused = [row for row in rows if not data.is_answerable(row)]
    by_kind: dict[str, list[bool]] = {}
    for row in refused:
        kind = data.unanswerable[row - len(data.answerable)].kind
        by_kind.setdefault(kind, []).append(answered[row])
    promised = np.concatenate([relevances[row] for row in rows])
    held = np.concatenate([data.relevant[row] for row in rows])
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
