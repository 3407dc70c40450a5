"""How well the vector index finds what is near, and how far it has to be walked for that.

A walk that keeps 100 candidates finds nearly all neighbours among 100,000 scenarios, and too few
among a million; and a graph of neighbours decays with many deletes and edits. A few questions are
therefore walked and compared with every vector as well, after they have been answered.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Set
from typing import Any, Final
from uuid import UUID

import psycopg

from staffroom.database.connection import Database
from staffroom.database.generations import Generation
from staffroom.database.statements import statement
from staffroom.errors import StaffroomError
from staffroom.monitoring.metrics import INDEX_RECALL

EVERY: Final = 200
"""One question in so many is asked again."""

EVERY_AT_FIRST: Final = 5
"""As EVERY, until something is known of the present width."""

RESTS: Final = 100
"""Between two samples lies so many times what the last one took, once something is known: comparing
every vector of a large library keeps all cores busy for seconds."""

NEAREST: Final = 10
REMEMBERED: Final = 20

STEPS: Final = (100, 200, 400, 800)
"""The candidates that a walk may keep (hnsw.ef_search)."""

LEAST: Final = 10
"""Samples before anything follows from them."""

WANTED_RECALL: Final = 0.99
"""Below this a walk keeps more."""

LEAST_RECALL: Final = 0.95
"""Below this at the last step the index wants to be built anew."""

_log = logging.getLogger(__name__)


class RecallCanary:
    """Measures the recall of one generation's index, one sampled question at a time, and widens the
    walk where it is too low."""

    def __init__(
        self,
        database: Database,
        generation: Generation,
        every: int = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._generation = generation
        self._every = every
        self._clock = clock
        self._rests_until = float("-inf")
        self._asked = 0
        self._step = 0
        self._running: asyncio.Task[None] | None = None
        self._recalls: deque[float] = deque(maxlen=REMEMBERED)

    @property
    def ef_search(self) -> int:
        """The candidates that a walk keeps."""
        return STEPS[self._step]

    def consider(self, tenant_id: UUID, parameters: Mapping[str, Any], given: Set[str]) -> None:
        """The question is measured afterwards, if it is in the sample and no other one is."""
        self._asked += 1
        is_known = len(self._recalls) >= LEAST
        every = self._every if is_known else min(self._every, EVERY_AT_FIRST)
        busy = self._running is not None and not self._running.done()
        busy |= is_known and self._clock() < self._rests_until
        if not busy and self._asked % every == 0:
            self._running = asyncio.create_task(self._measure(tenant_id, parameters, given))

    async def settled(self) -> None:
        """Nothing is being measured."""
        if self._running:
            await self._running

    async def _measure(
        self, tenant_id: UUID, parameters: Mapping[str, Any], given: Set[str]
    ) -> None:
        async def near(name: str) -> list[float]:
            query = statement(name, self._generation.vectors_table, given=given)
            rows = await self._database.fetch(
                tenant_id, query, {**parameters, "limit": NEAREST}, ef_search=self.ef_search
            )
            return [row["similarity"] for row in rows]

        started = self._clock()
        try:
            exact, walked = await near("nearest_exactly"), await near("nearest_walking")
        except (StaffroomError, psycopg.Error):
            return
        finally:
            ended = self._clock()
            self._rests_until = ended + RESTS * (ended - started)
        if exact:
            # By similarity, so that a tie with the last one is no miss.
            found = sum(similarity >= exact[-1] for similarity in walked)
            self._learn(min(1.0, found / len(exact)))

    def _learn(self, recall: float) -> None:
        INDEX_RECALL.observe(recall)
        self._recalls.append(recall)
        mean = sum(self._recalls) / len(self._recalls)
        if len(self._recalls) >= LEAST and mean < WANTED_RECALL and self.ef_search < STEPS[-1]:
            self._step += 1
            self._recalls.clear()
            _log.info(
                "the vector index finds %.1f %% of the nearest scenarios: walks keep %d candidates",
                100 * mean,
                self.ef_search,
            )
        elif len(self._recalls) == REMEMBERED and mean < LEAST_RECALL:
            self._recalls.clear()
            _log.warning(
                "the vector index finds %.0f %% of the nearest scenarios: run "
                "REINDEX INDEX CONCURRENTLY staffroom.%s",
                100 * mean,
                self._generation.vectors_index,
            )
