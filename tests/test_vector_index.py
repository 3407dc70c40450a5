"""A large load finds no vector index and leaves one; everything else leaves it alone."""

import asyncio
import logging
from collections.abc import AsyncIterator
from uuid import uuid4

import numpy as np
import pytest
from psycopg import sql

from staffroom.app import open_app
from staffroom.config import DEFAULT_TENANT, Settings
from staffroom.database import library, vector_index
from staffroom.database.connection import Database
from staffroom.database.generations import Generation, open_generation
from staffroom.database.search import Searcher, Wanted
from staffroom.database.statements import statement
from staffroom.database.vector_index import (
    LARGE_LOAD,
    build_vector_index,
    built_afterwards,
    drop_vector_index,
)
from staffroom.database.vector_ops import VectorOperations
from staffroom.evaluation.benchmark import nearby
from staffroom.types import Filters, Vectors
from tests.fakes import WordEmbedder

ROWS = 60
DIMENSIONS = WordEmbedder().dimensions


@pytest.fixture(params=[0, 4], ids=["one table", "in parts"])
async def database(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    database = Database(settings.model_copy(update={"vector_partitions": request.param}))
    yield database
    await database.close()


@pytest.fixture
async def generation(database: Database, embedder: WordEmbedder) -> Generation:
    await database.ensure_tenant(DEFAULT_TENANT)
    return await open_generation(database, DEFAULT_TENANT, embedder.model, DIMENSIONS)


def some_vectors(count: int = ROWS, seed: int = 1) -> Vectors:
    return nearby(np.eye(DIMENSIONS, dtype=np.float32)[:8], count, seed)


async def store(operations: VectorOperations, vectors: Vectors) -> None:
    rows = [{"id": str(n), "text": f"Scenario number {n}."} for n in range(len(vectors))]
    assert (await operations.batch_store_content(rows, vectors))["stored"] == len(vectors)


async def indexes(database: Database, generation: Generation) -> list[str]:
    """Those on the vectors of the table and of its parts."""
    async with database.owner_transaction() as connection:
        cursor = await connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE tablename LIKE %s AND indexdef LIKE '%%hnsw%%' "
            "ORDER BY indexdef",
            [f"{generation.vectors_table}%"],
        )
        return [row["indexdef"] for row in await cursor.fetchall()]


async def test_a_large_load_finds_no_index_and_leaves_it_as_it_was(
    database: Database, generation: Generation, vector_ops: VectorOperations
) -> None:
    before = await indexes(database, generation)
    vectors = some_vectors()

    async with built_afterwards(database, generation, LARGE_LOAD):
        assert await indexes(database, generation) == []
        await store(vector_ops, vectors)
        walked = await nearest_by_walking(database, generation, vectors)

    assert before
    assert await indexes(database, generation) == before
    assert walked == await nearest_by_walking(database, generation, vectors)


async def nearest_by_walking(
    database: Database, generation: Generation, vectors: Vectors
) -> list[str]:
    """Where a library is walked however small it is, the ids of the nearest to the first."""
    searcher = Searcher(database, generation, exact_limit=0)
    wanted = Wanted("", vectors[0], 5, Filters(), "meaning")
    found = await searcher.find(DEFAULT_TENANT, wanted)
    assert len(found) == 5
    return [match.scenario.name for match in found]


async def test_a_small_load_keeps_the_index(database: Database, generation: Generation) -> None:
    async with built_afterwards(database, generation, LARGE_LOAD - 1):
        assert await indexes(database, generation)


async def test_a_table_that_is_not_small_keeps_its_index(
    database: Database,
    generation: Generation,
    vector_ops: VectorOperations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vector_index, "SMALL_BYTES", 0)
    school = vector_ops.for_tenant(uuid4())
    await database.ensure_tenant(school.tenant_id)
    await store(school, some_vectors())

    async with built_afterwards(database, generation, LARGE_LOAD):
        assert await indexes(database, generation)


async def test_an_index_that_is_in_use_is_kept(
    database: Database, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_index, "_LOCK_SECONDS", 0.1)
    name = sql.Identifier("staffroom", generation.vectors_table)
    async with database.transaction(DEFAULT_TENANT) as reader:
        await reader.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(name))

        async with built_afterwards(database, generation, LARGE_LOAD):
            assert await indexes(database, generation)


async def test_after_an_error_the_index_stands(database: Database, generation: Generation) -> None:
    with pytest.raises(RuntimeError, match="the disk is full"):
        async with built_afterwards(database, generation, LARGE_LOAD):
            raise RuntimeError("the disk is full")

    assert await indexes(database, generation)


async def test_a_load_that_is_given_up_waits_for_nothing_and_the_next_start_builds_the_index(
    database: Database, generation: Generation, settings: Settings, vector_ops: VectorOperations
) -> None:
    with pytest.raises(asyncio.CancelledError):
        async with built_afterwards(database, generation, LARGE_LOAD):
            raise asyncio.CancelledError
    assert await indexes(database, generation) == []

    assert await vector_ops.embed_missing() == 0

    assert await indexes(database, generation)


async def test_whoever_opens_staffroom_finds_the_index_standing(settings: Settings) -> None:
    async with open_app(settings) as app:
        generation = await app.vector_ops._library.generation()
        database = app.vector_ops._database
        await drop_vector_index(database, generation)

    async with open_app(settings) as app:
        await app.prepare()
        assert await indexes(app.vector_ops._database, generation)


async def test_two_large_loads_at_once_and_two_builders_leave_one_index(
    database: Database, generation: Generation
) -> None:
    before = await indexes(database, generation)
    async with built_afterwards(database, generation, LARGE_LOAD):
        async with built_afterwards(database, generation, LARGE_LOAD):
            assert await indexes(database, generation) == []
        assert await indexes(database, generation) == before
    await drop_vector_index(database, generation)
    await drop_vector_index(database, generation)

    await asyncio.gather(*(build_vector_index(database, generation) for _ in range(3)))

    assert await indexes(database, generation) == before


@pytest.mark.parametrize("ready", [True, False], ids=["ready vectors", "texts"])
async def test_rows_that_are_many_are_a_large_load(
    database: Database,
    generation: Generation,
    vector_ops: VectorOperations,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    ready: bool,
) -> None:
    monkeypatch.setattr(vector_index, "LARGE_LOAD", ROWS)
    caplog.set_level(logging.INFO, vector_index.__name__)
    rows = [{"id": str(n), "text": f"Scenario number {n}."} for n in range(ROWS)]

    await vector_ops.batch_store_content(rows, some_vectors() if ready else None)

    assert [record.getMessage() for record in caplog.records] == [
        f"the vector index is built when {ROWS} rows are stored"
    ]
    assert await indexes(database, generation)


async def test_a_library_that_gets_another_model_is_a_large_load(
    database: Database,
    vector_ops: VectorOperations,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await store(vector_ops, some_vectors())
    for module in (vector_index, library):
        monkeypatch.setattr(module, "LARGE_LOAD", ROWS)
    caplog.set_level(logging.INFO, vector_index.__name__)
    other = WordEmbedder()
    other.model = "another model"

    assert await VectorOperations(database, other).embed_missing() == ROWS

    (record,) = (each for each in caplog.records if each.name == vector_index.__name__)
    assert str(ROWS) in record.getMessage()
    made = await open_generation(database, DEFAULT_TENANT, other.model, DIMENSIONS)
    assert await indexes(database, made)


async def test_what_is_missing_is_counted_up_to_the_limit(
    database: Database, generation: Generation, vector_ops: VectorOperations
) -> None:
    await store(vector_ops, some_vectors())
    other = await open_generation(database, DEFAULT_TENANT, "another model", DIMENSIONS)

    async def missing(of: Generation, limit: int) -> int:
        query = statement("vectors_missing", of.vectors_table)
        key = {"tenant_id": DEFAULT_TENANT, "limit": limit}
        ((rows,),) = [row.values() for row in await database.fetch(DEFAULT_TENANT, query, key)]
        return int(rows)

    assert await missing(generation, 1_000) == 0
    assert await missing(other, 1_000) == ROWS
    assert await missing(other, 10) == 10


async def test_memory_that_does_not_hold_the_index_is_told(
    database: Database,
    generation: Generation,
    vector_ops: VectorOperations,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with database.owner_transaction() as connection:
        cursor = await connection.execute("SELECT current_database() AS name")
        row = await cursor.fetchone()
        assert row
        await connection.execute("RESET ROLE")
        await connection.execute(
            sql.SQL("ALTER DATABASE {} SET maintenance_work_mem = '64kB'").format(
                sql.Identifier(row["name"])
            )
        )
    await drop_vector_index(database, generation)
    await store(vector_ops, some_vectors(600))

    await build_vector_index(database, generation)

    assert "maintenance_work_mem" in caplog.text
    assert await indexes(database, generation)
