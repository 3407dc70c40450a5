"""What a draft would be in the library: beside which scenarios, and found by which questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np
from pgvector import HalfVector

from staffroom.database.connection import Connection, Database
from staffroom.database.library import Library
from staffroom.database.rows import scenario_from_row
from staffroom.database.search import Wanted, ranked, read_candidates, search_parameters
from staffroom.database.statements import statement
from staffroom.retrieval.calibration import Uncalibrated
from staffroom.scenario import indexed_words
from staffroom.types import STATUSES, Filters, Scenario, ScenarioContent, Status, Vector, Vectors

PLACES: Final = 20
"""Matches that a teacher may see: a draft behind them has no place."""

DRAFT: Final = UUID(int=0)
"""The id of a draft among scenarios: the first, where equal ones are put in order."""

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
    """A question with its embedding."""

    question: str
    embedding: Vector


@dataclass(frozen=True, slots=True)
class Draft:
    """A scenario that is not stored, with the embeddings of its text and of its example questions.
    Shape: examples (questions, dimensions)."""

    content: ScenarioContent
    embedding: Vector
    examples: Vectors


@dataclass(frozen=True, slots=True)
class Place:
    """Where a draft would stand among a question's matches, counted from 1; None if far behind.

    `best` is the scenario that comes first of all others, with its relevance.
    """

    relevance: float
    rank: int | None
    best: Scenario | None
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
        query = statement("like_draft", generation.vectors_table)
        rows = await self._database.fetch(self._tenant_id, query, parameters)
        return [Neighbour(**row) for row in rows]

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
        rows = await self._database.fetch(
            self._tenant_id, statement("asked_like_draft"), parameters
        )
        return [
            AskedQuestion(row["question"], row["embedding"].to_numpy().astype(np.float32))
            for row in rows
        ]

    async def place(self, question: AskedQuestion, draft: Draft, *, but: UUID | None) -> Place:
        """Where the draft would stand among the published matches of a question."""
        generation = await self._library.generation()
        wanted = Wanted(question.question, question.embedding, PLACES, Filters())
        parameters = {
            **search_parameters(self._tenant_id, wanted),
            "draft_id": DRAFT,
            "similarity": float(question.embedding @ draft.embedding),
            "example": max(map(float, draft.examples @ question.embedding), default=None),
            "language": draft.content.metadata.language,
            "body": indexed_words(draft.content),
        }
        async with self._database.read(self._tenant_id) as connection:
            cursor = await connection.execute(
                statement("place_draft", generation.vectors_table), parameters
            )
            rows = [row for row in await cursor.fetchall() if row["scenario_id"] != but]
            found = read_candidates(rows)
            calibration = generation.calibration or Uncalibrated()
            order, relevances = ranked(calibration, found, "hybrid")
            own = [found.ids[place] for place in order].index(DRAFT)
            first = 1 if own == 0 else 0
            other = found.ids[order[first]] if len(order) > 1 else None
            best = await self._scenario(connection, other)
        return Place(
            relevance=relevances[own],
            rank=own + 1 if own < PLACES else None,
            best=best,
            best_relevance=relevances[first] if best else 0.0,
        )

    async def _scenario(self, connection: Connection, scenario_id: UUID | None) -> Scenario | None:
        key = {"tenant_id": self._tenant_id, "scenario_id": scenario_id}
        cursor = await connection.execute(statement("get_scenario"), key)
        row = await cursor.fetchone()
        return scenario_from_row(row) if row else None
