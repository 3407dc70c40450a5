"""A database of the seventh schema keeps what it has embedded when the life of scenarios comes."""

from importlib.resources import files
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from staffroom.config import Settings
from staffroom.database.connection import Database
from staffroom.database.migrate import migrations

OURS, THEIRS = UUID(int=1), UUID(int=2)
HEAD = (
    "INSERT INTO staffroom.scenarios (tenant_id, scenario_id, source_id, revision, "
    "content_sha256, status, category, grade_bands, subjects, setting, tags, language) "
    "VALUES (%s, %s, 'late', %s, sha256('late'), 'draft', '', '{}', '{}', '', '{}', 'en')"
)


@pytest.fixture
def url(server: str) -> str:
    """A database as the seventh migration left it, with a scenario of each of two tenants."""
    name = "before_life"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = f"postgresql://postgres@/{name}?host={connection.info.host}"
    bootstrap = (files("staffroom.database") / "bootstrap.sql").read_text("utf-8")
    with psycopg.connect(url) as connection:
        connection.execute(sql.SQL(bootstrap))
        for migration in (found for found in migrations() if found.number < 8):
            connection.execute(sql.SQL(migration.text))
            connection.execute(
                "INSERT INTO staffroom.schema_migrations (number, name) VALUES (%s, %s)",
                [migration.number, migration.name],
            )
        connection.execute("RESET ROLE")
        for tenant, revision in ((OURS, 3), (THEIRS, 5)):
            connection.execute(
                "INSERT INTO staffroom.tenants (tenant_id, name) VALUES (%s, 'School')", [tenant]
            )
            connection.execute(HEAD, [tenant, UUID(int=10), revision])
    return url


async def test_what_was_embedded_counts_as_the_text_of_its_revision(url: str) -> None:
    database = Database(Settings(database_url=url))
    await database.open()
    try:
        for tenant, revision in ((OURS, 3), (THEIRS, 5)):
            async with database.read(tenant) as connection:
                cursor = await connection.execute(
                    "SELECT tenant_id, revision, text_revision FROM staffroom.scenarios"
                )
                assert await cursor.fetchall() == [
                    {"tenant_id": tenant, "revision": revision, "text_revision": revision}
                ]
        with pytest.raises(psycopg.IntegrityError, match="scenarios_check"):
            async with database.transaction(OURS) as connection:
                await connection.execute("UPDATE staffroom.scenarios SET text_revision = 4")
    finally:
        await database.close()
