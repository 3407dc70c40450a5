"""Which questions a library of vetted advice may answer at all. Pure.

A question about a dose or a contract can lie closer to a scenario than many a question that
the scenario serves. What tells them apart is the kind of question, so that is fitted by
itself: on its embedding, and on its letters, since a model for meanings blurs "mg" and "sue".
"""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

import numpy as np

from staffroom.retrieval.logistic import fit_logistic, log_odds, sigmoid
from staffroom.types import Array, OutOfScope, Vector, Vectors

KINDS: Final[tuple[OutOfScope, ...]] = get_args(OutOfScope)
INSIDE: Final = "in_scope"

RIDGE: Final = 0.2
MEANING_WEIGHT: Final = 1.5
GRAM: Final = 4
HARMFUL: Final = 0.7
"""The probability from which on a question is taken for a request to do harm, unless it is all
but certain that it is one for the library."""
ALL_BUT_CERTAIN: Final = 0.8
BUCKETS: Final = 4_096


@dataclass(frozen=True, slots=True)
class Scope:
    """Whether a question is one for the library, and if not, of which kind it is.

    The kind of question and the relevance of the best match are weighed against each other:
    what lies close enough to a scenario may read like anything.
    A request to do harm can lie close to a scenario about harm, so it is told by itself.
    Shape: inside and harm (dimensions + BUCKETS,), kinds (kinds, dimensions), biases (2 + kinds,)
    of inside, harm and kinds, admission (3,): weights of the kind's log odds and of the
    relevance's, and a bias.
    """

    inside: Array
    harm: Array
    kinds: Array
    biases: Array
    admission: Array
    least: float
    """The probability from which on a question is taken for one for the library."""

    def odds(self, question: str, embedding: Vector) -> float:
        """The log odds that the question reads like one for the library."""
        return self._odds(_features(question, embedding))

    def probability(self, question: str, embedding: Vector, best_relevance: float) -> float:
        """That the library has something to say to the question."""
        return self._probability(_features(question, embedding), best_relevance)

    def reason_against(
        self, question: str, embedding: Vector, best_relevance: float
    ) -> OutOfScope | None:
        """Why the question is none for the library, if it is none."""
        features = _features(question, embedding)
        probability = self._probability(features, best_relevance)
        if probability < self.least:
            return self.kind(embedding)
        odds = self.harm @ features + self.biases[1]
        harms = float(sigmoid(np.array([odds]))[0]) >= HARMFUL
        return "harmful" if harms and probability < ALL_BUT_CERTAIN else None

    def _odds(self, features: Array) -> float:
        return float(self.inside @ features + self.biases[0])

    def _probability(self, features: Array, best_relevance: float) -> float:
        signals = (self._odds(features), log_odds(best_relevance), 1.0)
        return float(sigmoid(self.admission @ np.array(signals)))

    def kind(self, embedding: Vector) -> OutOfScope:
        """The likeliest kind of a question that is none for the library."""
        return KINDS[int(np.argmax(self.kinds @ embedding + self.biases[2:]))]

    def document(self) -> dict[str, Any]:
        """The scope as JSON."""
        return {
            "inside": np.round(self.inside, 3).tolist(),
            "harm": np.round(self.harm, 3).tolist(),
            "kinds": np.round(self.kinds, 2).tolist(),
            "biases": np.round(self.biases, 3).tolist(),
            "admission": self.admission.tolist(),
            "least": self.least,
        }


def read_scope(document: dict[str, Any]) -> Scope:
    """The scope that a document describes."""
    names = ("inside", "harm", "kinds", "biases", "admission")
    inside, harm, kinds, biases, admission = (
        np.array(document[name], np.float64) for name in names
    )
    return Scope(inside, harm, kinds, biases, admission, document["least"])


def fit_scope(
    questions: Sequence[str], embeddings: Vectors, scopes: Sequence[str], weights: Array
) -> Scope:
    """Fitted on questions of which it is known whether, or why not, they are for the library.

    Each scope is INSIDE or one of KINDS. How it is weighed against relevance is left open.
    """
    labels = np.array(scopes)
    features = np.stack(list(map(_features, questions, embeddings)))
    (inside, bias), (harm, harm_bias) = (
        fit_logistic(features, (labels == name).astype(np.float64), ridge=RIDGE, weights=weights)
        for name in (INSIDE, "harmful")
    )
    outside = labels != INSIDE
    meanings = embeddings[outside].astype(np.float64)
    kinds = [
        fit_logistic(meanings, (labels[outside] == kind).astype(np.float64), ridge=RIDGE)
        for kind in KINDS
    ]
    biases = np.array([bias, harm_bias, *(kind_bias for _, kind_bias in kinds)])
    return Scope(inside, harm, np.stack([kind for kind, _ in kinds]), biases, np.zeros(3), 0.0)


def _features(question: str, embedding: Vector) -> Array:
    return np.concatenate([MEANING_WEIGHT * embedding.astype(np.float64), letters(question)])


def letters(text: str) -> Array:
    """How often each group of four letters stands in the text, within words, as a unit vector.

    Shape: (BUCKETS,). Groups share buckets by a checksum that is the same everywhere.
    """
    grams = Counter(
        padded[start : start + GRAM]
        for word in text.casefold().split()
        for padded in [f" {word} "]
        for start in range(max(1, len(padded) - GRAM + 1))
    )
    counts = np.zeros(BUCKETS)
    for gram, count in grams.items():
        counts[zlib.crc32(gram.encode()) % BUCKETS] += count
    present = counts > 0
    counts[present] = 1 + np.log(counts[present])
    length = np.linalg.norm(counts)
    return counts / length if length else counts
