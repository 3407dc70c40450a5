"""What a draft would be in the library: beside which scenarios, and found by which questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np
from pgvector import HalfVector

from staffroom.database.connection import Database
from staffroom.database.library import Library
from staffroom.database.statements import statement
from staffroom.retrieval.calibration import Uncalibrated
from staffroom.types import STATUSES, Status, Vector

PLACES: Final = 20
"""Matches that a teacher may see: a draft behind them has no place."""

NEWEST_QUESTIONS: Final = 20_000
"""Questions that are compared with a draft: what teachers ask now, in bounded time."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A scenario and the cosine of its vector and another."""

    id: UUID
    name: str
    status: Status
    similarity: float


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question that a teacher asked, with its embedding."""

    question: str
    embedding: Vector


@dataclass(frozen=True, slots=True)
class Place:
    """Where a draft would stand among a question's matches, counted from 1; None if far behind.

    `best` is the scenario that comes first of all others, with its relevance.
    """

    relevance: float
    rank: int | None
    best: Neighbour | None
    best_relevance: float


class Drafts:
    """Compares drafts with one tenant's library and questions."""

    def __init__(self, database: Database, library: Library, tenant_id: UUID) -> None:
        self._database = database
        self._library = library
        self._tenant_id = tenant_id

    async def neighbours(
        self,
        embedding: Vector,
        *,
        but: UUID | None,
        limit: int,
        statuses: Sequence[Status] = STATUSES,
    ) -> list[Neighbour]:
        """The scenarios nearest to the embedding, nearest first, but for that one."""
        generation = await self._library.generation()
        parameters = {
            "tenant_id": self._tenant_id,
            "embedding": HalfVector(embedding),
            "statuses": list(statuses),
            "but": but,
            "limit": limit,
        }
        async with self._database.read(self._tenant_id) as connection:
            cursor = await connection.execute(
                statement("like_draft", generation.vectors_table), parameters
            )
            return [Neighbour(**row) for row in await cursor.fetchall()]

    async def asked(self, embedding: Vector, limit: int) -> list[AskedQuestion]:
        """The questions of teachers that are nearest to the draft's embedding, nearest first."""
        generation = await self._library.generation()
        parameters = {
            "tenant_id": self._tenant_id,
            "generation_id": generation.id,
            "embedding": HalfVector(embedding),
            "newest": NEWEST_QUESTIONS,
            "limit": limit,
        }
        async with self._database.read(self._tenant_id) as connection:
            cursor = await connection.execute(statement("asked_like_draft"), parameters)
            rows = await cursor.fetchall()
        return [
            AskedQuestion(row["question"], row["embedding"].to_numpy().astype(np.float32))
            for row in rows
        ]

    async def place(self, question: Vector, draft: Vector, *, but: UUID | None) -> Place:
        """Where the draft would stand among the published matches of a question."""
        others = await self.neighbours(question, but=but, limit=PLACES, statuses=("published",))
        own = float(question @ draft)
        ahead = sum(other.similarity > own for other in others)
        cosines = [other.similarity for other in others]
        cosines.insert(ahead, own)
        calibration = (await self._library.generation()).calibration or Uncalibrated()
        relevances = calibration.relevances(cosines)
        best = others[0] if others else None
        return Place(
            relevance=relevances.pop(ahead),
            rank=ahead + 1 if ahead < PLACES else None,
            best=best,
            best_relevance=relevances[0] if best else 0.0,
        )
