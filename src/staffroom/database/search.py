"""The closest scenarios, and all of them: exact where that is fast, by index where it is not.

A walk through an approximate index can miss neighbours and can return fewer rows
than there are. So a scope that is small is compared whole, and a walk that comes
back short is done again exactly, and counted.
"""

import time
from typing import Any, Final
from uuid import UUID

from pgvector import HalfVector
from psycopg.rows import DictRow

from staffroom.database.connection import Connection, Database
from staffroom.database.generations import Generation
from staffroom.database.rows import filter_parameters, scenario_from_row
from staffroom.database.statements import statement
from staffroom.monitoring.metrics import UNDER_RETURNED
from staffroom.retrieval.calibration import Uncalibrated
from staffroom.types import Filters, Match, OutOfScope, Vector

EXACT_LIMIT: Final = 10_000
"""Scenarios in scope up to which every vector is compared."""

SIZE_SECONDS: Final = 5.0
"""How long a scope is remembered as small or large. Both ways stay correct meanwhile."""

MAX_REMEMBERED: Final = 1_000


def search_parameters(
    tenant_id: UUID, embedding: Vector, limit: int, filters: Filters | None = None
) -> dict[str, Any]:
    """What the statements that search take."""
    return {
        **filter_parameters(tenant_id, filters or Filters()),
        "embedding": HalfVector(embedding),
        "limit": limit,
    }


class Searcher:
    """Finds the nearest scenarios of one generation."""

    def __init__(
        self, database: Database, generation: Generation, exact_limit: int = EXACT_LIMIT
    ) -> None:
        self._exact_limit = exact_limit
        self._database = database
        self._generation = generation
        self._small: dict[tuple[UUID, Filters], tuple[float, bool]] = {}

    async def nearest(
        self, tenant_id: UUID, embedding: Vector, limit: int, filters: Filters
    ) -> list[Match]:
        """The `limit` scenarios nearest to the embedding, or all that there are, nearest first."""
        rows = await self._nearest_rows(tenant_id, embedding, limit, filters)
        calibration = self._generation.calibration or Uncalibrated()
        relevances = calibration.relevances([float(row["similarity"]) for row in rows])
        return [
            Match(scenario_from_row(row), relevance)
            for row, relevance in zip(rows, relevances, strict=True)
        ]

    def reason_against(
        self, question: str, embedding: Vector, best_relevance: float | None
    ) -> OutOfScope | None:
        """Why the library should not answer the question, if there is a reason."""
        calibration = self._generation.calibration or Uncalibrated()
        return calibration.reason_against(question, embedding, best_relevance)

    async def _nearest_rows(
        self, tenant_id: UUID, embedding: Vector, limit: int, filters: Filters
    ) -> list[DictRow]:
        parameters = search_parameters(tenant_id, embedding, limit, filters)
        async with self._database.read(tenant_id) as connection:
            if await self._is_small(connection, (tenant_id, filters), parameters):
                return await self._run(connection, "search_exact", parameters)
            rows = await self._run(connection, "search_nearest", parameters)
            if len(rows) < limit:
                UNDER_RETURNED.inc()
                rows = await self._run(connection, "search_exact", parameters)
            return rows

    async def _is_small(
        self, connection: Connection, scope: tuple[UUID, Filters], parameters: dict[str, Any]
    ) -> bool:
        now = time.monotonic()
        expires, small = self._small.get(scope, (0.0, False))
        if now < expires:
            return small
        cursor = await connection.execute(
            statement("scope_size"), {**parameters, "at_most": self._exact_limit + 1}
        )
        row = await cursor.fetchone()
        small = row is None or row["size"] <= self._exact_limit
        if len(self._small) >= MAX_REMEMBERED:
            self._small.clear()
        self._small[scope] = (now + SIZE_SECONDS, small)
        return small

    async def _run(
        self, connection: Connection, name: str, parameters: dict[str, Any]
    ) -> list[DictRow]:
        query = statement(name, self._generation.vectors_table)
        cursor = await connection.execute(query, parameters)
        return await cursor.fetchall()
