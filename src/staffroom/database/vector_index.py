"""The index on a model's vectors: it stands, except while a large load fills a small table.

To enter a row into a standing index takes longer than to store it. Building the index afterwards
takes a quarter of that, in memory and on several cores. Searches compare every vector meanwhile:
slower, and nothing is missed.
"""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from psycopg import sql

from staffroom.database.connection import Connection, Database
from staffroom.database.generations import Generation, create_vector_index
from staffroom.database.statements import statement

_log = logging.getLogger(__name__)

LARGE_LOAD: Final = 5_000
"""Rows from which on building the index afterwards is worth a moment without writers."""

SMALL_BYTES: Final = 16 * 2**20
"""A table of vectors whose index nobody misses: two thousand scenarios with ten questions each,
which are compared whole anyway, or twenty thousand without any, compared in 30 ms."""

_LOCK_SECONDS: Final = 2
"""How long searches may have to wait, at most, because the index is to be dropped."""


@asynccontextmanager
async def built_afterwards(
    database: Database, generation: Generation, rows: int
) -> AsyncIterator[None]:
    """So many rows are stored inside. Many for a small table find no vector index, which is built
    afterwards.

    A load that is killed or given up leaves none: it is built when Staffroom is next started.
    """
    if rows < LARGE_LOAD:
        yield
        return
    if await _is_dropped(database, generation):
        _log.info("the vector index is built when %d rows are stored", rows)
    try:
        yield
    except Exception:
        await build_vector_index(database, generation)
        raise
    await build_vector_index(database, generation)


async def drop_vector_index(database: Database, generation: Generation) -> None:
    """The generation has no vector index."""
    async with database.owner_transaction() as connection:
        await _drop(connection, generation)


async def build_vector_index(database: Database, generation: Generation) -> float:
    """The generation has its vector index. Returns the seconds that it took to make it; writers
    wait for as long."""
    started = time.perf_counter()
    async with database.owner_transaction() as connection:
        if not await _stands(connection, generation):
            connection.add_notice_handler(_tell)
            key = {"name": generation.vectors_index}
            await connection.execute(statement("lock_vector_index"), key)
            # Another process may have made it meanwhile.
            if not await _stands(connection, generation):
                await create_vector_index(connection, generation)
    return time.perf_counter() - started


async def _is_dropped(database: Database, generation: Generation) -> bool:
    """The table was small, and has no vector index any more."""
    async with database.owner_transaction() as connection:
        if not await _is_locked(connection, generation):
            return False
        table = {"name": generation.vectors_table}
        cursor = await connection.execute(statement("table_bytes"), table)
        row = await cursor.fetchone()
        assert row is not None
        if row["bytes"] > SMALL_BYTES:
            return False
        await _drop(connection, generation)
        return True


async def _is_locked(connection: Connection, generation: Generation) -> bool:
    """Nobody else uses the vectors until the transaction ends, unless somebody does for longer than
    others can wait."""
    table = sql.Identifier("staffroom", generation.vectors_table)
    await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'".encode())
    try:
        async with connection.transaction():
            await connection.execute(
                sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table)
            )
    except psycopg.errors.LockNotAvailable:
        return False
    return True


async def _drop(connection: Connection, generation: Generation) -> None:
    name = sql.Identifier("staffroom", generation.vectors_index)
    await connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(name))


async def _stands(connection: Connection, generation: Generation) -> bool:
    name = {"name": generation.vectors_index}
    cursor = await connection.execute(statement("index_stands"), name)
    row = await cursor.fetchone()
    return bool(row and row["stands"])


def _tell(said: psycopg.errors.Diagnostic) -> None:
    """What the server says while it builds: that the index does not fit its memory."""
    _log.warning("building the vector index: %s. %s", said.message_primary, said.message_hint or "")
