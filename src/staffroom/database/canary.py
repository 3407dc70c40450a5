"""Whether the vector index still finds what is near: sampled on questions as they come.

A graph of neighbours decays with many deletes and edits. A few questions are therefore compared
with every vector as well, after they have been answered.
"""

import asyncio
import logging
from collections import deque
from typing import Any, Final
from uuid import UUID

import psycopg

from staffroom.database.connection import Database
from staffroom.database.generations import Generation
from staffroom.database.statements import statement
from staffroom.errors import StaffroomError
from staffroom.monitoring.metrics import INDEX_RECALL
from staffroom.types import Array

EVERY: Final = 200
"""One question in so many is asked again."""

NEAREST: Final = 10
REMEMBERED: Final = 20
LEAST_RECALL: Final = 0.95

_log = logging.getLogger(__name__)


class RecallCanary:
    """Measures the recall of one generation's index, one sampled question at a time."""

    def __init__(self, database: Database, generation: Generation, every: int = EVERY) -> None:
        self._database = database
        self._generation = generation
        self._every = every
        self._asked = 0
        self._running: asyncio.Task[None] | None = None
        self._recalls: deque[float] = deque(maxlen=REMEMBERED)

    def consider(self, tenant_id: UUID, parameters: dict[str, Any], similarities: Array) -> None:
        """The question is measured afterwards, if it is in the sample and no other one is."""
        self._asked += 1
        busy = self._running is not None and not self._running.done()
        if busy or self._asked % self._every:
            return
        self._running = asyncio.create_task(self._measure(tenant_id, parameters, similarities))

    async def settled(self) -> None:
        """Nothing is being measured."""
        if self._running:
            await self._running

    async def _measure(
        self, tenant_id: UUID, parameters: dict[str, Any], similarities: Array
    ) -> None:
        query = statement("nearest_exactly", self._generation.vectors_table)
        try:
            async with self._database.read(tenant_id) as connection:
                cursor = await connection.execute(query, {**parameters, "limit": NEAREST})
                exact = await cursor.fetchall()
        except (StaffroomError, psycopg.Error):
            return
        if not exact:
            return
        # By similarity, so that a tie with the last one is no miss.
        least = exact[-1]["similarity"]
        recall = min(1.0, int((similarities >= least).sum()) / len(exact))
        INDEX_RECALL.observe(recall)
        self._recalls.append(recall)
        mean = sum(self._recalls) / len(self._recalls)
        if len(self._recalls) == REMEMBERED and mean < LEAST_RECALL:
            self._recalls.clear()
            _log.warning(
                "the vector index finds %.0f %% of the nearest scenarios: run "
                "REINDEX INDEX CONCURRENTLY staffroom.nearest_%s",
                100 * mean,
                self._generation.id.hex,
            )
