"""What the database and its pool say of themselves, for those who watch them.

What is in the database is read at a scrape, by whichever process answers it, and is told once
however many processes there are. What a pool counts is each process's own, and adds up.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg

from staffroom.database.connection import Database
from staffroom.database.statements import statement
from staffroom.errors import StaffroomError
from staffroom.monitoring.instruments import Family
from staffroom.monitoring.metrics import (
    DATABASE_SIZE,
    DATABASE_UP,
    DEAD_ROWS,
    IMPORT_AGE,
    IMPORT_QUEUE,
    LIBRARY_VERSION,
    LIVE_ROWS,
    POOL_CONNECTIONS,
    POOL_FAILURES,
    POOL_LIMIT,
    POOL_QUEUED,
    POOL_REQUESTS,
    POOL_WAIT,
    POOL_WAITING,
    TABLES,
)

KEPT_SECONDS: Final = 5.0
"""How long what was read is told again: however often they are scraped, a process asks no more."""

PATIENCE_SECONDS: Final = 2.0
"""How long a scrape waits for the database, which may have better things to do, or be gone."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was read, and the versions of what answered; unknown ones are empty."""

    families: Sequence[Family]
    postgresql: str = ""
    pgvector: str = ""
    schema: str = ""


class DatabaseFigures:
    """The figures of one database, and of the queue and the library of one tenant."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._reading = asyncio.Lock()
        self._read_at = -KEPT_SECONDS
        self._figures = Figures(())
        self._pool: Mapping[str, int] = {}

    async def read(self) -> Figures:
        """What the database says, at most five seconds old. One that does not answer costs a scrape
        what it says, and no more."""
        async with self._reading:
            if time.monotonic() - self._read_at >= KEPT_SECONDS:
                self._figures = await self._ask()
                self._read_at = time.monotonic()
            return self._figures

    def look_at_pool(self) -> None:
        """What the pool counts and holds is told as it is now."""
        found = self._database.pool_figures()
        if not found:
            return
        idle = found.get("pool_available", 0)
        POOL_CONNECTIONS.labels("idle").set(idle)
        POOL_CONNECTIONS.labels("used").set(max(0, found.get("pool_size", 0) - idle))
        POOL_LIMIT.set(found.get("pool_max", 0))
        POOL_WAITING.set(found.get("requests_waiting", 0))
        # A pool that was opened anew counts from nought.
        is_new = found.get("requests_num", 0) < self._pool.get("requests_num", 0)
        before = {} if is_new else self._pool
        for counter, name, unit in _COUNTED:
            counter.inc(max(0, found.get(name, 0) - before.get(name, 0)) * unit)
        self._pool = found

    async def _ask(self) -> Figures:
        known = self._figures
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                parameters = {"tenant_id": self._tenant_id}
                (row,) = await self._database.fetch(
                    self._tenant_id, statement("figures"), parameters
                )
        except (StaffroomError, psycopg.Error, TimeoutError):
            down = (DATABASE_UP.family({(): 0}),)
            return Figures(down, known.postgresql, known.pgvector, known.schema)
        return Figures(_families(row), row["postgresql"], row["pgvector"], str(row["schema"]))


_COUNTED: Final = (
    (POOL_REQUESTS, "requests_num", 1),
    (POOL_QUEUED, "requests_queued", 1),
    (POOL_WAIT, "requests_wait_ms", 0.001),
    (POOL_FAILURES, "requests_errors", 1),
)
"""Counters, the pool's names for what they count, and how much of their unit that is."""


def _families(row: Mapping[str, Any]) -> list[Family]:
    imports: Mapping[str, Sequence[float]] = row["imports"] or {}
    live: dict[tuple[str, ...], float] = {(table,): 0 for table in TABLES}
    dead = dict(live)
    for name, (alive, gone) in (row["tables"] or {}).items():
        table = (TABLES.member(name),)
        live[table] += alive
        dead[table] += gone
    return [
        DATABASE_UP.family({(): 1}),
        DATABASE_SIZE.family({(): row["size"]}),
        LIVE_ROWS.family(live),
        DEAD_ROWS.family(dead),
        LIBRARY_VERSION.family({(): row["library"] or 0}),
        IMPORT_QUEUE.family(
            {(state,): imports.get(state, (0, 0))[0] for state in IMPORT_QUEUE.label_sets["state"]}
        ),
        IMPORT_AGE.family(
            {(state,): imports.get(state, (0, 0))[1] for state in IMPORT_AGE.label_sets["state"]}
        ),
    ]
