"""A database of the first schema is brought to the second, with everything that was in it."""

from collections.abc import AsyncIterator
from importlib.resources import files
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from staffroom.config import Settings
from staffroom.database.connection import Database
from staffroom.database.interactions import Interactions
from staffroom.database.migrate import migrations
from staffroom.errors import ConfigError, NotFoundError
from staffroom.types import Interaction, Sentence, Turn

OURS = UUID(int=1)
THEIRS = UUID(int=2)
GENERATION = UUID(int=3)
WRITTEN, QUOTED, ABSTAINED, FOREIGN = (UUID(int=number) for number in range(10, 14))

TENANT = "INSERT INTO staffroom.tenants (tenant_id, name) VALUES (%s, 'School')"
MODEL = (
    "INSERT INTO staffroom.generations (generation_id, model, dimensions, vectors_table) "
    "VALUES (%s, 'words', 2, 'vectors_00000000000000000000000000000000')"
)
INTERACTION = (
    "INSERT INTO staffroom.interactions (tenant_id, interaction_id, question, generation_id, "
    "question_embedding, answer, sentences, writer, abstained, threshold, best_relevance) "
    "VALUES (%s, %s, %s, %s, '[1, 0]', 'Wait.', "
    '\'[{"text": "Wait.", "citations": [], "support": 1.0}]\', %s, %s, 0.5, 0.25)'
)
FEEDBACK = (
    "INSERT INTO staffroom.feedback (tenant_id, feedback_id, interaction_id, helpful, comment) "
    "VALUES (%s, %s, %s, %s, %s)"
)

_numbers = count(1)


@pytest.fixture
def url(server: str) -> str:
    """A database as the first version left it, with exchanges of two tenants."""
    name = f"of_version_1_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = f"postgresql://postgres@/{name}?host={connection.info.host}"
    bootstrap = (files("staffroom.database") / "bootstrap.sql").read_text("utf-8")
    first = migrations()[0]
    with psycopg.connect(url) as connection:
        connection.execute(sql.SQL(bootstrap))
        connection.execute(sql.SQL(first.text))
        connection.execute(
            "INSERT INTO staffroom.schema_migrations (number, name) VALUES (1, %s)", [first.name]
        )
        connection.execute("RESET ROLE")
        connection.execute(MODEL, [GENERATION])
        for tenant in (OURS, THEIRS):
            connection.execute(TENANT, [tenant])
        for tenant, identifier, question, writer, abstained in (
            (OURS, WRITTEN, "How?", "llama:SmolLM2-135M-Instruct", False),
            (OURS, QUOTED, "Why?", "extractive", False),
            (OURS, ABSTAINED, "Zebra?", "none", True),
            (THEIRS, FOREIGN, "Who?", "none", True),
        ):
            values = [tenant, identifier, question, GENERATION, writer, abstained]
            connection.execute(INTERACTION, values)
        connection.execute(FEEDBACK, [OURS, UUID(int=20), WRITTEN, True, "Calm at last."])
        connection.execute(FEEDBACK, [OURS, UUID(int=21), WRITTEN, False, ""])
        connection.execute(FEEDBACK, [THEIRS, UUID(int=22), FOREIGN, False, "No."])
    return url


@pytest.fixture
async def migrated(url: str) -> AsyncIterator[Database]:
    database = Database(Settings(database_url=url))
    await database.open()
    yield database
    await database.close()


async def rows(database: Database, tenant: UUID, text: str) -> list[dict[str, Any]]:
    async with database.transaction(tenant) as connection:
        cursor = await connection.execute(text)
        return await cursor.fetchall()


async def test_the_schema_is_the_newest_and_is_left_alone_afterwards(migrated: Database) -> None:
    assert (await migrated.describe()).schema == migrations()[-1].number
    await migrated.close()
    await migrated.open()

    applied = await rows(migrated, OURS, "SELECT name FROM staffroom.schema_migrations ORDER BY 1")
    assert [row["name"] for row in applied] == [migration.name for migration in migrations()]


@pytest.mark.parametrize(
    ("identifier", "outcome", "question"),
    [(WRITTEN, "written", "How?"), (QUOTED, "quoted", "Why?"), (ABSTAINED, "abstained", "Zebra?")],
)
async def test_an_old_exchange_reads_like_a_new_one(
    migrated: Database, identifier: UUID, outcome: str, question: str
) -> None:
    kept = await Interactions(migrated, OURS).get(identifier)

    assert (kept.outcome, kept.abstained) == (outcome, outcome == "abstained")
    assert kept.question == kept.asked == question
    assert kept.conversation_id == identifier
    assert (kept.answer, kept.sentences) == ("Wait.", (Sentence("Wait.", (), 1.0),))
    assert (kept.threshold, kept.best_relevance) == (0.5, 0.25)
    assert_has_nothing_that_is_new(kept)


def assert_has_nothing_that_is_new(kept: Interaction) -> None:
    assert (kept.more, kept.prompt_version, kept.library_version, kept.timings) == ((), "", 0, {})


async def test_an_old_exchange_can_be_continued_and_an_old_abstention_is_a_gap(
    migrated: Database,
) -> None:
    interactions = Interactions(migrated, OURS)

    assert await interactions.conversation(QUOTED) == (
        QUOTED,
        [Turn("Why?", "Why?", ("Wait.",))],
    )
    assert [gap.question for gap in await interactions.gaps()] == ["Zebra?"]


async def test_old_feedback_has_a_verdict_and_new_feedback_joins_it(migrated: Database) -> None:
    interactions = Interactions(migrated, OURS)

    await interactions.add_feedback(WRITTEN, "worked", reason="too_long")

    kept = (await interactions.get(WRITTEN)).feedback
    assert [(said.verdict, said.reason, said.comment, said.scenario_id) for said in kept] == [
        ("helpful", "", "Calm at last.", None),
        ("not_helpful", "", "", None),
        ("worked", "too_long", "", None),
    ]


@pytest.mark.parametrize("table", ["interactions", "feedback"])
async def test_the_tables_are_closed_to_other_tenants_again(migrated: Database, table: str) -> None:
    protection = await rows(
        migrated,
        OURS,
        "SELECT relrowsecurity AS enabled, relforcerowsecurity AS forced FROM pg_class "
        f"WHERE oid = 'staffroom.{table}'::regclass",
    )
    seen = {
        tenant: await rows(migrated, tenant, f"SELECT DISTINCT tenant_id FROM staffroom.{table}")
        for tenant in (OURS, THEIRS)
    }
    async with migrated.owner_transaction() as connection:
        cursor = await connection.execute(f"SELECT count(*) AS n FROM staffroom.{table}")
        seen_by_owner = await cursor.fetchone()

    assert protection == [{"enabled": True, "forced": True}]
    assert seen == {tenant: [{"tenant_id": tenant}] for tenant in (OURS, THEIRS)}
    assert seen_by_owner == {"n": 0}
    with pytest.raises(NotFoundError):
        await Interactions(migrated, OURS).get(FOREIGN)


async def test_a_tenant_counts_its_changes_from_nought_and_may_change_nothing_else_of_itself(
    migrated: Database,
) -> None:
    assert await rows(migrated, OURS, "SELECT library_version FROM staffroom.tenants") == [
        {"library_version": 0}
    ]
    await rows(
        migrated, OURS, "UPDATE staffroom.tenants SET library_version = 1 RETURNING tenant_id"
    )
    with pytest.raises(ConfigError, match="permission denied"):
        await rows(migrated, OURS, "UPDATE staffroom.tenants SET name = 'x' RETURNING tenant_id")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("UPDATE staffroom.interactions SET outcome = 'invented' RETURNING 1", "outcome_check"),
        ("UPDATE staffroom.interactions SET asked = NULL RETURNING 1", "asked"),
        ("UPDATE staffroom.feedback SET verdict = 'great' RETURNING 1", "verdict_check"),
        ("UPDATE staffroom.feedback SET comment = repeat('x', 2001) RETURNING 1", "comment_check"),
    ],
)
async def test_the_new_columns_take_nothing_that_means_nothing(
    migrated: Database, text: str, words: str
) -> None:
    with pytest.raises(psycopg.IntegrityError, match=words):
        await rows(migrated, OURS, text)
