"""Two ways to a scenario, by meaning and by words, become one order. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from staffroom.types import Array, Mode, Vectors

RANK_CONSTANT: Final = 60
"""Of reciprocal rank fusion. Source: Cormack, Clarke and Buettcher 2009."""

NEAR_IDENTICAL: Final = 0.95
"""The cosine from which on two scenarios tell a reader the same. Scenarios of the starter library
about one situation, written apart, stay below 0.9."""

ANY_LANGUAGE: Final = ""

EXAMPLES_WEIGHT: Final = 0.3
"""How much a nearer example question counts. From .2 to .4 the golden questions fare alike."""


def best_view(similarities: Array, examples: Array) -> Array:
    """The cosine of a question and a scenario's whole text, raised where one of its example
    questions is nearer.

    What has no example questions, or -1 in their place, stays as it is.
    """
    return similarities + EXAMPLES_WEIGHT * np.maximum(0.0, examples - similarities)


def combined(
    similarities: Array,
    shares: Array,
    languages: Sequence[str],
    mode: Mode,
    words: Mapping[str, float],
) -> Array:
    """The score that a scenario is ordered by: the cosine, the share of the question's words that
    it has (of the highest possible BM25 score), or the sum of both.

    `words` is how much the share counts beside the cosine, by the scenario's language. Each score
    depends on its own two parts alone, so it stays whatever else is found.
    """
    match mode:
        case "meaning":
            return similarities
        case "words":
            return shares
        case "hybrid":
            others = words.get(ANY_LANGUAGE, 0.0)
            return similarities + shares * [words.get(each, others) for each in languages]


def reciprocal_ranks(*legs: Array) -> Array:
    """The sum of one over the place in each order, for scores whose scales are unknown.

    Equal scores share a place; what a leg does not know at all (a score of 0 or less) has none.
    """
    total = np.zeros(len(legs[0]))
    for scores in legs:
        places = np.searchsorted(np.sort(-scores), -scores, side="left") + 1
        total += np.where(scores > 0, 1 / (RANK_CONSTANT + places), 0.0)
    return total


def diverse(vectors: Vectors, limit: int) -> list[int]:
    """The places of the first `limit` rows of which no two are near identical, in their order.

    Where there are too few such, the first of the others fill the list. Shape: vectors
    (rows, dimensions), rows of unit length, best first.
    """
    kept: list[int] = []
    spare: list[int] = []
    for place, vector in enumerate(vectors):
        told = bool(kept) and float((vectors[kept] @ vector).max()) >= NEAR_IDENTICAL
        (spare if told else kept).append(place)
    return sorted([*kept, *spare][:limit])
