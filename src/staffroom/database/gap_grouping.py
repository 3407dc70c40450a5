"""Questions that come in one after the other, in the groups that all at once would make. Pure.

A question that is near to a group of which somebody made something joins it. Around the others,
the open groups are made anew, near enough to them only: the others stay as they are.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import numpy as np

from staffroom.retrieval.grouping import group_by_meaning
from staffroom.types import Vector, Vectors

AROUND: Final = 0.1
"""How much less near than a group's own an open group may be to a new question, and is made anew
with it. The paraphrased golden questions, one by one, then end in nearly the groups that all at
once make (adjusted Rand index 0.99, 0.92 without it), of 41 questions at most at a time."""

MOST_REGROUPED: Final = 2_000
"""Questions of groups that are made anew at once: a quarter of a second."""

MOST_WORDS: Final = 5


@dataclass(frozen=True, slots=True)
class Middle:
    """A group as a new question sees it: the mean of its questions' vectors."""

    group_id: UUID
    vector: Vector
    size: int
    is_settled: bool


@dataclass(frozen=True, slots=True)
class Nearby:
    """What becomes of new questions: groups that some of them join, by the question's number, and
    the open groups that are made anew with the rest."""

    joined: Mapping[int, UUID] = field(default_factory=dict)
    around: Sequence[UUID] = ()


def look_around(vectors: Vectors, middles: Sequence[Middle], least: float) -> Nearby:
    """Where each new question belongs.

    It joins a settled group if none is nearer and the mean cosine to its questions is at least
    that. Shape: vectors (questions, dimensions), rows of unit length.
    """
    if not (middles and len(vectors)):
        return Nearby()
    nearness = vectors @ np.stack([middle.vector for middle in middles]).T
    joined = {}
    for number, best in enumerate(nearness.argmax(axis=1)):
        if middles[best].is_settled and nearness[number, best] >= least:
            joined[number] = middles[best].group_id
    rest = [number for number in range(len(vectors)) if number not in joined]
    if not rest:
        return Nearby(joined)
    most = nearness[rest].max(axis=0)
    around = []
    room = MOST_REGROUPED
    for place in np.argsort(-most, kind="stable"):
        middle = middles[place]
        if most[place] < least - AROUND:
            break
        if not middle.is_settled and middle.size <= room:
            around.append(middle.group_id)
            room -= middle.size
    return Nearby(joined, around)


def regroup(
    vectors: Vectors, before: Sequence[UUID | None], least: float
) -> list[tuple[UUID | None, tuple[int, ...]]]:
    """The questions in groups, each with the id that it keeps, or None if it is a new group.

    `before` is the group that each question was in. Of those that are parted or brought together,
    the largest part keeps the id, and of equal ones the oldest id is kept.
    """
    groups = group_by_meaning(vectors, least)
    shared = Counter(
        (before[member], number)
        for number, group in enumerate(groups)
        for member in group
        if before[member] is not None
    )
    kept: dict[int, UUID] = {}
    used: set[UUID] = set()
    for (group_id, number), _ in sorted(
        shared.items(), key=lambda entry: (-entry[1], str(entry[0][0]), entry[0][1])
    ):
        if group_id is not None and group_id not in used and number not in kept:
            kept[number] = group_id
            used.add(group_id)
    return [(kept.get(number), group) for number, group in enumerate(groups)]


def telling_words(rows: Iterable[Mapping[str, Any]]) -> dict[UUID, list[str]]:
    """Of each group the words that tell it from the others, the most telling first: a word counts
    by how many of the group's questions have it, and by how rare it is in all groups.

    Each row has the `group_id`, a `stem`, the `word` that it mostly is, and the number of
    `questions` that have it.
    """
    rows = list(rows)
    everywhere: Counter[str] = Counter()
    by_group: defaultdict[UUID, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        everywhere[row["stem"]] += row["questions"]
        by_group[row["group_id"]].append(row)
    mean = sum(everywhere.values()) / max(1, len(by_group))
    told = {}
    for group_id, words in by_group.items():
        weighed = sorted(
            words,
            key=lambda row: (
                -row["questions"] * math.log(1 + mean / everywhere[row["stem"]]),
                row["word"],
            ),
        )
        told[group_id] = [row["word"] for row in weighed[:MOST_WORDS]]
    return told
