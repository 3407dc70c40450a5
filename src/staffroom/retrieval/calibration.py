"""Calibration: what a model's scores mean, and which questions a library must not answer.

A cosine of 0.5 is much with one model and little with another. Fitted on golden questions,
relevance is the probability that a scenario serves the question, whichever model found it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any, Final, get_args

import numpy as np

from staffroom.retrieval.fusion import ANY_LANGUAGE, combined, reciprocal_ranks
from staffroom.retrieval.logistic import sigmoid
from staffroom.retrieval.scope import Scope, read_scope
from staffroom.types import Array, Mode, OutOfScope, Vector

CERTAIN_RELEVANCE: Final = 0.9
"""From here on a scenario is about the question, whatever it reads like, in any language. None of
the 200 golden questions that must not be answered has a match of 0.85 or more."""

VERSION: Final = 3
"""Counts changes of what is fitted: another version's fit is not read, but made anew."""

WordWeights = tuple[Mapping[str, float], float]
"""What a share of words counts beside a cosine: by the scenario's language, and in the others."""

MOST_BEHIND: Final = 0.3
"""A distance to the best match that tells no more when it grows: a question in the very words of
one scenario does not make the others useless."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The log odds of relevance: `slope` times the score, less `behind` times its distance to the
    best match's, plus `bias`."""

    slope: float
    behind: float
    bias: float

    def relevances(self, scores: Sequence[float]) -> list[float]:
        """Relevance in 0 to 1 of the matches of a question, best first.

        The order stays: a smaller score has a smaller relevance.
        """
        if not scores:
            return []
        values = np.array(scores, np.float64)
        odds = self.slope * values - self.behind * distances(values) + self.bias
        return [float(relevance) for relevance in sigmoid(odds)]


def distances(scores: Array) -> Array:
    """How far scores are behind the first and best one, as far as that tells anything."""
    behind: Array = np.minimum(scores[0] - scores, MOST_BEHIND)
    return behind


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the scores of each mode mean. `words` is how much words count beside meaning, by
    language. Without a scope, every question is one for the library."""

    readings: Mapping[Mode, Reading]
    words: Mapping[str, float]
    scope: Scope | None = None

    def scores(
        self, similarities: Array, shares: Array, languages: Sequence[str], mode: Mode
    ) -> Array:
        """What scenarios are ordered by, in any order."""
        return combined(similarities, shares, languages, mode, self.words)

    def word_weights(self, mode: Mode) -> WordWeights | None:
        """How much the share of words counts in `scores`."""
        return ({}, 1.0) if mode != "hybrid" else (self.words, self.words.get(ANY_LANGUAGE, 0.0))

    def relevances(self, scores: Sequence[float], mode: Mode = "meaning") -> list[float]:
        """Relevance in 0 to 1, for the scores of a question's matches, best first."""
        return self.readings[mode].relevances(scores)

    def reason_against(
        self, question: str, embedding: Vector, best_relevance: float | None
    ) -> OutOfScope | None:
        """Why the library should not answer the question, if there is a reason."""
        if self.scope is None or best_relevance is None or best_relevance >= CERTAIN_RELEVANCE:
            return None
        return self.scope.reason_against(question, embedding, best_relevance)

    @property
    def digest(self) -> str:
        """Differs for every two fits."""
        document = self.document()
        return f"{document['readings']} {document['words']} {self.scope and self.scope.least}"

    def document(self) -> dict[str, Any]:
        """The calibration as JSON."""
        return {
            "version": VERSION,
            "readings": {mode: asdict(reading) for mode, reading in self.readings.items()},
            "words": dict(self.words),
            "scope": self.scope and self.scope.document(),
        }


class Uncalibrated:
    """A model that nothing was fitted for: relevance is the cosine, cut to 0 to 1."""

    def scores(
        self, similarities: Array, shares: Array, languages: Sequence[str], mode: Mode
    ) -> Array:
        """As `combined`, but nobody knows how a cosine compares with a share of words: where both
        count, the places in both orders decide."""
        if mode != "hybrid":
            return combined(similarities, shares, languages, mode, {})
        ranks = reciprocal_ranks(similarities, shares)
        best_first = np.sort(np.maximum(similarities, shares))[::-1]
        scores: Array = best_first[np.searchsorted(np.sort(-ranks), -ranks)]
        return scores

    def word_weights(self, mode: Mode) -> WordWeights | None:
        """As of a calibration; None where no weights lead to `scores`, but places do."""
        return ({}, 1.0) if mode != "hybrid" else None

    def relevances(self, scores: Sequence[float], mode: Mode = "meaning") -> list[float]:
        """The scores, cut."""
        return [min(max(score, 0.0), 1.0) for score in scores]

    def reason_against(
        self, question: str, embedding: Vector, best_relevance: float | None
    ) -> OutOfScope | None:
        """Nothing is known of any question."""
        return None


def read_calibration(document: Mapping[str, Any] | None) -> Calibration | None:
    """The calibration that a document describes, if this version knows its kind."""
    if document is None or document.get("version") != VERSION:
        return None
    scope = document["scope"]
    readings: dict[Mode, Reading] = {
        mode: Reading(**document["readings"][mode]) for mode in get_args(Mode)
    }
    return Calibration(readings, document["words"], scope and read_scope(scope))


def shipped_calibration(model: str) -> Calibration | None:
    """The calibration that ships along, if that model is the default one."""
    text = (files("staffroom.retrieval") / "shipped.json").read_text("utf-8")
    document = json.loads(text)
    return read_calibration(document["calibration"]) if document["model"] == model else None
