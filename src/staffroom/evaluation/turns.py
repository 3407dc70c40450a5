"""Ways of searching in turns, held against what they ought to find."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, TypedDict
from uuid import UUID

import numpy as np

from staffroom.types import Vectors


class Search(TypedDict):
    """How long a way of searching takes, and how many of the nearest it finds."""

    what: str
    p50_ms: float
    p95_ms: float
    recall: float | None
    ef_search: int | None


@dataclass(slots=True)
class Nearest:
    """Of each query the nearest vectors so far, by number."""

    queries: Vectors
    similarities: Vectors
    numbers: np.ndarray[Any, np.dtype[np.int64]]

    @classmethod
    def of(cls, queries: Vectors, limit: int) -> "Nearest":
        """Nothing is near yet; `limit` of each will be kept."""
        shape = (len(queries), limit)
        return cls(queries, np.full(shape, -2, np.float32), np.full(shape, -1, np.int64))

    def add(self, numbers: np.ndarray[Any, np.dtype[np.int64]], vectors: Vectors) -> None:
        """These vectors count too, under their numbers."""
        limit = self.numbers.shape[1]
        similarities = np.hstack([self.similarities, self.queries @ vectors.T])
        shape = (len(self.queries), len(numbers))
        candidates = np.hstack([self.numbers, np.broadcast_to(numbers, shape)])
        best = np.argsort(-similarities, axis=1, kind="stable")[:, :limit]
        self.similarities = np.take_along_axis(similarities, best, 1)
        self.numbers = np.take_along_axis(candidates, best, 1)

    def agreement(self, others: "Nearest") -> float:
        """The share of the others' nearest that are the nearest here."""
        pairs = zip(self.numbers, others.numbers, strict=True)
        return fmean(len(np.intersect1d(own, other)) / len(other) for own, other in pairs)


@dataclass(slots=True)
class Way:
    """A way to search, with what it ought to find and the seconds that it took."""

    what: str
    search: Callable[[int], Awaitable[list[UUID]]]
    nearest: Sequence[set[UUID]] | None = None
    ef_search: int | None = None
    seconds: list[float] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)

    async def take(self, number: int, *, counted: bool) -> None:
        """The question of that number is asked: to see what is found, or how long it takes."""
        started = time.perf_counter()
        found = await self.search(number)
        if counted:
            self.seconds.append(time.perf_counter() - started)
        elif self.nearest is not None:
            wanted = self.nearest[number]
            self.recalls.append(len(wanted.intersection(found)) / len(wanted))

    def told(self) -> Search:
        """What came of it."""
        p50, p95 = (1000 * float(np.quantile(self.seconds, share)) for share in (0.5, 0.95))
        return Search(
            what=self.what,
            p50_ms=p50,
            p95_ms=p95,
            recall=fmean(self.recalls) if self.recalls else None,
            ef_search=self.ef_search,
        )


async def take_turns(ways: Sequence[Way], questions: int, rounds: int) -> None:
    """Each question was asked in every way once for what is found, and so many times for how long
    that takes."""
    for turn in range(rounds + 1):
        for number in range(questions):
            for way in ways:
                await way.take(number, counted=turn > 0)
