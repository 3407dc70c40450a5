"""The schema is brought up to this program's version, or the program refuses to run.

Migrations are numbered SQL files, forward-only, applied in one transaction under
an advisory lock: several programs may start at once, and a failure leaves the
schema as it was.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow

from staffroom.errors import ConfigError, SchemaMismatch

MINIMUM_POSTGRESQL: Final = 160000
MINIMUM_PGVECTOR: Final = (0, 8, 4)

_LOCK: Final = 7_236_823_001
"""Any number that other users of the database are unlikely to lock."""


@dataclass(frozen=True, slots=True)
class Migration:
    """A numbered SQL file."""

    number: int
    name: str
    text: str


def migrations() -> list[Migration]:
    """The migrations that this program knows, in their order."""
    folder = files("staffroom.database") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [
        Migration(int(name[:4]), name.removesuffix(".sql"), (folder / name).read_text("utf-8"))
        for name in names
    ]


async def migrate(connection: AsyncConnection[DictRow]) -> list[str]:
    """The schema is the one this program was written for. Returns what was applied.

    Raises: SchemaMismatch if the schema is newer than the program; ConfigError if
        the server is too old or the login lacks the rights to change the schema.
    """
    await check_server(connection)
    found = await schema_version(connection)
    known = migrations()
    if found > known[-1].number:
        raise SchemaMismatch(
            f"the database's schema is version {found}, this program knows {known[-1].number}. "
            "Upgrade Staffroom, or restore a backup made by this version."
        )
    if found == known[-1].number:
        return []
    try:
        return await _apply(connection, known)
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigError(
            f"the database login may not create Staffroom's schema: {error}. Run `staffroom db "
            "migrate` with STAFFROOM_DATABASE_OWNER_URL naming a login that may create roles, "
            "schemas and the extension `vector`."
        ) from error


async def check_server(connection: AsyncConnection[DictRow]) -> None:
    """PostgreSQL and pgvector are new enough to be safe.

    Older pgvector can disclose memory (before 0.8.2), corrupt an index under
    concurrent inserts and vacuum (before 0.8.3) or fail to repair it (before 0.8.4).
    """
    if connection.info.server_version < MINIMUM_POSTGRESQL:
        version = connection.info.parameter_status("server_version")
        raise ConfigError(f"the server runs PostgreSQL {version}; Staffroom needs 16 or newer.")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ConfigError(
            f"the database stores text as {encoding}. Create one with ENCODING 'UTF8' and name it "
            "in STAFFROOM_DATABASE_URL."
        )
    cursor = await connection.execute(
        "SELECT coalesce(e.extversion, a.default_version) AS version "
        "FROM pg_available_extensions AS a LEFT JOIN pg_extension AS e ON e.extname = a.name "
        "WHERE a.name = 'vector'"
    )
    row = await cursor.fetchone()
    wanted = ".".join(map(str, MINIMUM_PGVECTOR))
    if row is None:
        raise ConfigError(
            f"the server does not offer the extension pgvector. Install pgvector {wanted} or newer."
        )
    if _version(row["version"]) < MINIMUM_PGVECTOR:
        raise ConfigError(
            f"the database has pgvector {row['version']}; Staffroom needs {wanted} or newer. "
            "Install it on the server, then run ALTER EXTENSION vector UPDATE in the database."
        )


async def schema_version(connection: AsyncConnection[DictRow]) -> int:
    """The number of the newest migration that was applied; 0 if there is none."""
    cursor = await connection.execute("SELECT to_regclass('staffroom.schema_migrations') AS found")
    row = await cursor.fetchone()
    if row is None or row["found"] is None:
        return 0
    cursor = await connection.execute(
        "SELECT coalesce(max(number), 0) AS number FROM staffroom.schema_migrations"
    )
    row = await cursor.fetchone()
    return int(row["number"]) if row else 0


async def _apply(connection: AsyncConnection[DictRow], known: list[Migration]) -> list[str]:
    bootstrap = (files("staffroom.database") / "bootstrap.sql").read_text("utf-8")
    applied = []
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        await connection.execute(sql.SQL(bootstrap))
        found = await schema_version(connection)
        for migration in known:
            if migration.number <= found:
                continue
            await connection.execute(sql.SQL(migration.text))
            await connection.execute(
                "INSERT INTO staffroom.schema_migrations (number, name) VALUES (%s, %s)",
                [migration.number, migration.name],
            )
            applied.append(migration.name)
    return applied


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
