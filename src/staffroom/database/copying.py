"""What bare COPY needs for rows that a library has: the least that storing them can take.

COPY is refused where policies apply, so the product cannot use it (docs/decisions/0002). Measuring
has a generation of its own, so that no library's vector index takes part.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from psycopg import sql

from staffroom.database.connection import Connection, Database
from staffroom.database.generations import Generation, open_generation
from staffroom.database.statements import statement

TABLES: Final = ("scenarios", "scenario_revisions", "scenario_words", "postings")
"""The tables that a scenario's rows are in, beside that of its vectors."""

_FIRST: Final = UUID(int=0)


@asynccontextmanager
async def scratch_generation(
    database: Database, tenant_id: UUID, model: str, dimensions: int
) -> AsyncIterator[Generation]:
    """A generation under that name, empty, which is gone afterwards."""
    # A measurement that was killed may have left one.
    await _remove(database, await open_generation(database, tenant_id, model, dimensions))
    generation = await open_generation(database, tenant_id, model, dimensions)
    try:
        yield generation
    finally:
        await _remove(database, generation)


async def count_rows(database: Database, generation: Generation) -> None:
    """The planner knows about how many rows the library's tables have, as autovacuum tells it
    within a minute."""
    async with database.owner_transaction() as connection:
        for table in (*TABLES, "word_statistics", "vocabulary", generation.vectors_table):
            name = sql.Identifier("staffroom", table)
            await connection.execute(sql.SQL("ANALYZE {}").format(name))


class CopiedTables:
    """Tables of the same columns and indexes as the library's, filled by COPY alone."""

    def __init__(self, database: Database, tenant_id: UUID, generation: Generation) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._tables = {table: f"bench_{table}" for table in TABLES}
        self._tables[generation.vectors_table] = "bench_vectors"
        self._last = _FIRST

    async def copy_new(self) -> float:
        """The seconds that COPY takes for what the library got since the last call.

        Reading it is not counted.
        """
        contents: dict[str, bytes] = {}
        async with self._database.transaction(self._tenant_id) as connection:
            for table, copied in self._tables.items():
                contents[copied] = await self._read(connection, table)
            newest = await connection.execute(
                statement("newest_scenario"), {"tenant_id": self._tenant_id}
            )
            row = await newest.fetchone()
            assert row is not None
            self._last = row["scenario_id"]
        async with self._database.owner_transaction() as connection:
            started = time.perf_counter()
            for copied, content in contents.items():
                await _write(connection, copied, content)
        return time.perf_counter() - started

    async def make(self) -> None:
        """The tables are there and empty.

        They are committed before anything is in them: rows of a table that is new in the same
        transaction may go unlogged, which those of a library never do. Nobody but the owner has a
        right to them, and they are no tenant's.
        """
        await self.drop()
        async with self._database.owner_transaction() as connection:
            for table, copied in self._tables.items():
                names = {"like": sql.Identifier(table), "copied": sql.Identifier(copied)}
                for command in (
                    "CREATE TABLE staffroom.{copied} (LIKE staffroom.{like} INCLUDING ALL)",
                    "ALTER TABLE staffroom.{copied} RENAME tenant_id TO was_tenant_id",
                ):
                    await connection.execute(sql.SQL(command).format(**names))

    async def drop(self) -> None:
        """The tables are gone, those of a measurement that was killed too."""
        async with self._database.owner_transaction() as connection:
            for copied in self._tables.values():
                name = sql.Identifier("staffroom", copied)
                await connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))

    async def _read(self, connection: Connection, table: str) -> bytes:
        rows = "new_postings" if table == "postings" else "new_rows"
        query = b"COPY (%b) TO STDOUT (FORMAT binary)" % statement(rows, table)
        key = {"tenant_id": self._tenant_id, "after": self._last}
        async with connection.cursor() as cursor, cursor.copy(query, key) as copy:
            content = bytearray()
            async for piece in copy:
                content += piece
            return bytes(content)


@asynccontextmanager
async def copied_beside(
    database: Database, tenant_id: UUID, generation: Generation
) -> AsyncIterator[CopiedTables]:
    """Tables that COPY fills with what the library gets; they are gone afterwards."""
    tables = CopiedTables(database, tenant_id, generation)
    await tables.make()
    try:
        yield tables
    finally:
        await tables.drop()


async def _write(connection: Connection, table: str, content: bytes) -> None:
    query = sql.SQL("COPY staffroom.{} FROM STDIN (FORMAT binary)").format(sql.Identifier(table))
    async with connection.cursor() as cursor, cursor.copy(query) as copy:
        await copy.write(content)


async def _remove(database: Database, generation: Generation) -> None:
    async with database.owner_transaction() as connection:
        table = sql.Identifier("staffroom", generation.vectors_table)
        await connection.execute(sql.SQL("DROP TABLE {}").format(table))
        await connection.execute(statement("remove_generation"), {"generation_id": generation.id})
