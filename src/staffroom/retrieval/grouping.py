"""Questions with nearly one meaning, brought together by their embeddings. Pure."""

from typing import Final

import numpy as np

from staffroom.retrieval.calibration import Calibration
from staffroom.retrieval.logistic import log_odds
from staffroom.types import Vectors

SAME_RELEVANCE: Final = 0.3
"""Questions of one group are on average as near to each other as a scenario of this relevance is
to a question. Chosen on the fitting part of paraphrased golden questions, purity before size: below
it topics that only share words run together, above it one topic falls apart."""

SAME_COSINE: Final = 0.44
"""What that comes to with the default model, and what is taken where no model was calibrated."""

Group = tuple[int, ...]
"""Which questions belong together, the most central first."""


def same_cosine(calibration: Calibration | None) -> float:
    """The mean cosine that makes a group, with the model that was calibrated so."""
    reading = calibration.readings["meaning"] if calibration else None
    if reading is None or reading.slope <= 0:
        return SAME_COSINE
    return (log_odds(SAME_RELEVANCE) - reading.bias) / reading.slope


def group_by_meaning(vectors: Vectors, least: float) -> list[Group]:
    """Each question is in one group; two groups are one where the mean cosine between the
    questions of both is at least that.

    Groups come largest first, then by their first question; the same vectors give the same
    groups. Agglomerative with average linkage, along chains of nearest neighbours: time and
    memory grow with the square of the number (2,000 questions: a quarter of a second, 16 MB).
    Shape: vectors (questions, dimensions), rows of unit length.
    """
    parts = _joined(vectors @ vectors.T, least) if len(vectors) else []
    groups = [_central_first(part, vectors) for part in parts]
    return sorted(groups, key=lambda group: (-len(group), min(group)))


def _joined(nearness: Vectors, least: float) -> list[list[int]]:
    """The partition. A cluster that has no neighbour near enough is done: joining others never
    brings them nearer to it. Two that are each other's nearest are joined at once."""
    np.fill_diagonal(nearness, -np.inf)
    members = {number: [number] for number in range(len(nearness))}
    done: list[list[int]] = []
    chain: list[int] = []
    while members:
        if not chain:
            chain.append(next(iter(members)))
        tip = chain[-1]
        nearest = int(np.argmax(nearness[tip]))
        if nearness[tip, nearest] < least:
            done.append(members.pop(chain.pop()))
            _forget(nearness, tip)
        elif len(chain) > 1 and nearness[tip, chain[-2]] >= nearness[tip, nearest]:
            _join(nearness, members, chain.pop(), chain.pop())
        else:
            chain.append(nearest)
    return done


def _join(nearness: Vectors, members: dict[int, list[int]], one: int, other: int) -> None:
    sizes = len(members[one]), len(members[other])
    mean = (sizes[0] * nearness[one] + sizes[1] * nearness[other]) / sum(sizes)
    nearness[one] = nearness[:, one] = mean
    nearness[one, one] = -np.inf
    members[one] += members.pop(other)
    _forget(nearness, other)


def _forget(nearness: Vectors, cluster: int) -> None:
    nearness[cluster] = nearness[:, cluster] = -np.inf


def _central_first(part: list[int], vectors: Vectors) -> Group:
    numbers = np.array(sorted(part))
    own = vectors[numbers]
    nearness = np.round(own @ own.sum(axis=0), 5)
    return tuple(int(number) for number in numbers[np.argsort(-nearness, kind="stable")])
