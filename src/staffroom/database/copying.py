"""What bare COPY needs for the rows that a library has: the least that storing them can take.

COPY is refused where policies apply, so the product cannot use it (docs/decisions/0002).
"""

import time
from contextlib import suppress
from typing import Final
from uuid import UUID

from psycopg import sql

from staffroom.database.connection import Connection, Database
from staffroom.database.generations import Generation

TABLES: Final = ("scenarios", "scenario_revisions", "scenario_words", "postings")
"""The tables that a scenario's rows are in, beside that of its vectors."""


async def copy_seconds(database: Database, tenant_id: UUID, generation: Generation) -> float:
    """The seconds that COPY takes for a tenant's finished rows, into tables of those columns and
    indexes, but without policies. Nothing is kept."""
    tables = (*TABLES, generation.vectors_table)
    contents: dict[str, bytes] = {}
    async with database.transaction(tenant_id) as connection:
        for table in tables:
            contents[table] = await _read_binary(connection, table, tenant_id)
    taken = 0.0
    with suppress(_Undone):
        async with database.owner_transaction() as connection:
            for table, content in contents.items():
                like = sql.SQL(
                    "CREATE TABLE staffroom.{} (LIKE staffroom.{} INCLUDING ALL)"
                ).format(sql.Identifier(f"bench_{table}"), sql.Identifier(table))
                await connection.execute(like)
                started = time.perf_counter()
                await _write_binary(connection, f"bench_{table}", content)
                taken += time.perf_counter() - started
            raise _Undone
    return taken


class _Undone(Exception):
    """What was made for measuring is not kept."""


async def _read_binary(connection: Connection, table: str, tenant_id: UUID) -> bytes:
    query = sql.SQL(
        "COPY (SELECT * FROM staffroom.{} WHERE tenant_id = {}) TO STDOUT (FORMAT binary)"
    ).format(sql.Identifier(table), sql.Literal(tenant_id))
    async with connection.cursor() as cursor, cursor.copy(query) as copy:
        return b"".join([bytes(piece) async for piece in copy])


async def _write_binary(connection: Connection, table: str, content: bytes) -> None:
    query = sql.SQL("COPY staffroom.{} FROM STDIN (FORMAT binary)").format(sql.Identifier(table))
    async with connection.cursor() as cursor, cursor.copy(query) as copy:
        await copy.write(content)
