"""The schema: its version, its rules, and the proof that tenants are kept apart."""

import asyncio
import re

import psycopg
import pytest

from staffroom.config import DEFAULT_TENANT, Settings
from staffroom.database.connection import Database
from staffroom.database.migrate import check_server, migrations
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import ConfigError, DatabaseUnavailable, IsolationBroken, SchemaMismatch


async def run_as_superuser(database: Database, text: str) -> None:
    async with database.owner_transaction() as connection:
        await connection.execute("RESET ROLE")
        await connection.execute(text)


async def refused(settings: Settings, error: type[Exception], words: str) -> None:
    database = Database(settings)
    with pytest.raises(error, match=words):
        await database.open()
    await database.close()


def test_migrations_are_numbered_without_gaps() -> None:
    assert [migration.number for migration in migrations()] == [
        number + 1 for number in range(len(migrations()))
    ]
    assert all(re.fullmatch(r"\d{4}_[a-z_]+", migration.name) for migration in migrations())


async def test_several_programs_may_migrate_an_empty_database_at_once(
    server: str, home: object
) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE fresh")
        host = connection.info.host
    settings = Settings(database_url=f"postgresql://postgres@/fresh?host={host}")
    databases = [Database(settings) for _ in range(4)]

    await asyncio.gather(*(database.open() for database in databases))

    assert (await databases[0].describe()).schema == migrations()[-1].number
    await asyncio.gather(*(database.close() for database in databases))


async def test_an_older_program_refuses_a_newer_schema(
    settings: Settings, database: Database
) -> None:
    await run_as_superuser(
        database, "INSERT INTO staffroom.schema_migrations VALUES (9999, '9999_later')"
    )

    await refused(settings, SchemaMismatch, "version 9999, this program knows")


async def test_a_login_without_rights_is_told_what_to_do(server: str, home: object) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE foreign_ground")
        connection.execute("CREATE ROLE weak LOGIN")
        host = connection.info.host

    url = f"postgresql://weak@/foreign_ground?host={host}"
    await refused(Settings(database_url=url), ConfigError, "STAFFROOM_DATABASE_OWNER_URL")


async def test_a_weak_login_serves_what_an_owner_migrated(
    server: str, settings: Settings, database: Database
) -> None:
    assert settings.database_url
    await database.open()
    await run_as_superuser(
        database,
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'server') THEN "
        "CREATE ROLE server LOGIN IN ROLE staffroom_app; END IF; END $$",
    )
    url = settings.database_url.get_secret_value()
    weak = Database(
        Settings(database_url=url.replace("postgres@", "server@"), database_owner_url=url)
    )

    await weak.ensure_tenant(DEFAULT_TENANT)

    await weak.close()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    url = "postgresql://postgres@127.0.0.1:1/none"
    await refused(Settings(database_url=url), DatabaseUnavailable, "PostgreSQL does not answer")


async def test_an_address_that_is_none_is_refused() -> None:
    await refused(Settings(database_url="not an address"), ConfigError, "STAFFROOM_DATABASE_URL")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("ALTER TABLE staffroom.feedback NO FORCE ROW LEVEL SECURITY", "not forced on feedback"),
        ("ALTER TABLE staffroom.audit DISABLE ROW LEVEL SECURITY", "not forced on audit"),
        (
            "ALTER POLICY own_tenant ON staffroom.tenants USING (true)",
            "visible to another tenant",
        ),
        (
            "CREATE POLICY open_door ON staffroom.audit FOR INSERT WITH CHECK (true)",
            "written for a foreign tenant",
        ),
    ],
)
async def test_nothing_is_served_from_a_database_that_would_mix_tenants(
    settings: Settings, database: Database, damage: str, words: str
) -> None:
    await database.open()
    await run_as_superuser(database, damage)

    await refused(settings, IsolationBroken, words)


async def test_a_mighty_application_role_is_refused(
    settings: Settings, database: Database, server: str
) -> None:
    await database.open()
    await run_as_superuser(database, "ALTER ROLE staffroom_app BYPASSRLS")
    try:
        await refused(settings, IsolationBroken, "may bypass row-level security")
    finally:
        await run_as_superuser(database, "ALTER ROLE staffroom_app NOBYPASSRLS")


async def test_without_a_tenant_no_row_is_visible(
    database: Database, vector_ops: VectorOperations
) -> None:
    await vector_ops.batch_process([{"text": "A situation"}])
    async with database.transaction(DEFAULT_TENANT) as connection:
        await connection.execute("SELECT set_config('staffroom.tenant_id', '', true)")
        for table in ("tenants", "scenarios", "scenario_revisions"):
            cursor = await connection.execute(f"SELECT count(*) AS n FROM staffroom.{table}")
            assert (await cursor.fetchone() or {})["n"] == 0


async def test_nothing_of_a_transaction_stays_on_its_connection(database: Database) -> None:
    async with database.transaction(DEFAULT_TENANT):
        pass
    async with database._connection() as connection:
        cursor = await connection.execute(
            "SELECT current_user AS who, current_setting('staffroom.tenant_id', true) AS tenant"
        )
        assert await cursor.fetchone() in (
            {"who": "postgres", "tenant": ""},
            {"who": "postgres", "tenant": None},
        )


async def test_every_tenant_table_begins_its_key_with_the_tenant(
    database: Database, vector_ops: VectorOperations
) -> None:
    await vector_ops.batch_process([{"text": "A situation"}])
    async with database.transaction(DEFAULT_TENANT) as connection:
        await connection.execute("RESET ROLE")
        cursor = await connection.execute(
            "SELECT c.relname, i.indexrelid::regclass::text AS index, a.attname "
            "FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid "
            "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            "JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] "
            "WHERE n.nspname = 'staffroom' AND i.indisunique "
            "AND c.relname NOT IN ('generations', 'schema_migrations', 'text_search_languages')"
        )
        keys = await cursor.fetchall()
        cursor = await connection.execute(
            "SELECT count(*) AS n FROM pg_class AS c JOIN pg_namespace AS n "
            "ON n.oid = c.relnamespace WHERE n.nspname = 'staffroom' AND c.relkind = 'S'"
        )
        sequences = await cursor.fetchone()

    assert len(keys) >= 10
    assert {key["attname"] for key in keys} == {"tenant_id"}
    assert sequences == {"n": 0}


async def test_the_audit_trail_cannot_be_changed_by_the_application(
    database: Database, vector_ops: VectorOperations
) -> None:
    await vector_ops.batch_process([{"text": "A situation"}])
    for change in ("DELETE FROM staffroom.audit", "UPDATE staffroom.audit SET actor = 'x'"):
        with pytest.raises(ConfigError, match="permission denied"):
            async with database.transaction(DEFAULT_TENANT) as connection:
                await connection.execute(change)


async def test_a_server_that_is_too_old_is_refused(database: Database) -> None:
    class Old:
        """A connection to another server, as far as the check looks at it."""

        class info:  # noqa: N801 - the driver's name
            server_version = 150004

            @staticmethod
            def parameter_status(name: str) -> str:
                return "15.4"

    with pytest.raises(ConfigError, match=r"PostgreSQL 15\.4; Staffroom needs 16"):
        await check_server(Old())  # type: ignore[arg-type] # as far as the check looks at it
