"""Databases that somebody else fills, on the server that Staffroom uses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
from psycopg import AsyncConnection, sql

from staffroom.database.connection import Database
from staffroom.errors import ConfigError


@asynccontextmanager
async def scratch_database(database: Database, name: str) -> AsyncIterator[dict[str, str]]:
    """An empty database of that name with pgvector, by what one connects with; it is dropped
    afterwards, with all that is in it, as one left behind by a killed run is before.

    Raises: ConfigError if the login may not make one.
    """
    place = await _owner(database)
    identity = sql.Identifier(name)
    await _run(place, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identity))
    await _run(place, sql.SQL("CREATE DATABASE {}").format(identity))
    try:
        own = {**place, "dbname": name}
        await _run(own, sql.SQL("CREATE EXTENSION vector"))
        yield own
    finally:
        with suppress(ConfigError):
            await _run(place, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identity))


async def _owner(database: Database) -> dict[str, str]:
    async with database.owner_transaction() as connection:
        info = connection.info
        place = {
            "host": info.host,
            "port": str(info.port),
            "user": info.user,
            "dbname": info.dbname,
        }
        return {**place, "password": info.password} if info.password else place


async def _run(place: dict[str, str], command: sql.SQL | sql.Composed) -> None:
    try:
        async with await AsyncConnection.connect(**place, autocommit=True) as connection:  # type: ignore[arg-type] # a text each
            await connection.execute(command)
    except psycopg.Error as error:
        raise ConfigError(
            f"{place['user']} could not make a database to measure in: {error}. Name a login that "
            "may create databases and the extension vector, or leave STAFFROOM_DATABASE_URL away."
        ) from error
