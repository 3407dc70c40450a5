"""A database whose uploads lay in the folder of one server is brought up to date."""

from importlib.resources import files
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from staffroom.config import Settings
from staffroom.database.connection import Database
from staffroom.database.imports import Imports
from staffroom.database.migrate import migrations

SCHOOLS = (UUID(int=1), UUID(int=2))
KEYS = WAITING, RUNNING, PAUSED, DONE = [UUID(int=number) for number in range(10, 14)]


@pytest.fixture(scope="module")
def url(server: str) -> str:
    """A database as the version before left it, with imports of two tenants."""
    last = [known.number for known in migrations() if known.name.endswith("import_files")][-1]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE imports_before_files")
        url = f"postgresql://postgres@/imports_before_files?host={connection.info.host}"
    bootstrap = (files("staffroom.database") / "bootstrap.sql").read_text("utf-8")
    with psycopg.connect(url) as connection:
        connection.execute(sql.SQL(bootstrap))
        for known in migrations()[: last - 1]:
            connection.execute(sql.SQL(known.text))
            connection.execute(
                "INSERT INTO staffroom.schema_migrations (number, name) VALUES (%s, %s)",
                [known.number, known.name],
            )
        connection.execute("RESET ROLE")
        for school in SCHOOLS:
            connection.execute(
                "INSERT INTO staffroom.tenants (tenant_id, name) VALUES (%s, 'School')", [school]
            )
            for key, state in zip(KEYS, ("waiting", "running", "paused", "done"), strict=True):
                connection.execute(
                    "INSERT INTO staffroom.imports (tenant_id, import_id, file_name, suffix, "
                    "dry_run, state, rows_read, rows_new, rows_changed, rows_duplicate, "
                    "rows_failed) "
                    "VALUES (%s, %s, 'a.csv', '.csv', false, %s, 10, 4, 2, 1, 1)",
                    [school, key, state],
                )
    return url


@pytest.mark.parametrize("school", SCHOOLS)
async def test_what_was_under_way_says_what_to_do_and_what_is_done_still_adds_up(
    url: str, school: UUID
) -> None:
    database = Database(Settings(database_url=url))
    imports = Imports(database, school)

    for key in (WAITING, RUNNING, PAUSED):
        record = await imports.get(key)
        assert record.state == "failed"
        assert "Upload the file again" in record.stopped
        assert record.finished_at
    done = await imports.get(DONE)
    await database.close()

    assert (done.state, done.stopped) == ("done", "")
    assert (done.new, done.changed, done.unchanged, done.failed) == (4, 2, 2, 1)
