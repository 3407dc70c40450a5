"""Vectors in parts by tenant: the same answers, the same isolation, an index for each part."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from staffroom.config import Settings
from staffroom.database.connection import Database
from staffroom.database.copying import count_rows
from staffroom.database.figures import DatabaseFigures
from staffroom.database.generations import Generation, open_generation
from staffroom.database.search import Searcher, Wanted
from staffroom.database.vector_index import build_vector_index, drop_vector_index
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import ConfigError
from staffroom.evaluation.benchmark import nearby
from staffroom.types import Filters, Vectors
from tests.fakes import WordEmbedder

ROWS = 300
PARTITIONS = 4


@pytest.fixture
async def parted(settings: Settings) -> AsyncIterator[Database]:
    """A database that keeps vectors in four parts."""
    database = Database(settings.model_copy(update={"vector_partitions": PARTITIONS}))
    yield database
    await database.close()


def spread(embedder: WordEmbedder, seed: int) -> Vectors:
    return nearby(np.eye(embedder.dimensions, dtype=np.float32)[:8], ROWS, seed)


async def school(
    database: Database, embedder: WordEmbedder, tenant_id: UUID, vectors: Vectors
) -> VectorOperations:
    """A tenant whose scenarios have these vectors."""
    await database.ensure_tenant(tenant_id)
    operations = VectorOperations(database, embedder, tenant_id=tenant_id)
    rows = [{"id": str(n), "text": f"Scenario {n} of {tenant_id}."} for n in range(len(vectors))]
    await operations.batch_store_content(rows, vectors)
    return operations


async def as_owner(database: Database, query: str) -> list[dict[str, Any]]:
    async with database.owner_transaction() as owner:
        return await (await owner.execute(query.encode())).fetchall()


async def generation_of(database: Database, embedder: WordEmbedder, tenant: UUID) -> Generation:
    return await open_generation(database, tenant, embedder.model, embedder.dimensions)


@pytest.mark.parametrize("exact_limit", [0, 10_000], ids=["by index", "by comparing"])
async def test_each_tenant_finds_its_nearest_and_nobody_elses(
    parted: Database, embedder: WordEmbedder, exact_limit: int
) -> None:
    for seed in range(6):
        tenant, vectors = uuid4(), spread(embedder, seed)
        await school(parted, embedder, tenant, vectors)
        generation = await generation_of(parted, embedder, tenant)
        searcher = Searcher(parted, generation, exact_limit)

        found = await searcher.find(tenant, Wanted("", vectors[7], 1, Filters(), "meaning"))

        (content,) = [match.scenario.content for match in found]
        assert content.source_id == "7"
        assert str(tenant) in content.description


async def test_every_part_has_an_index_and_is_closed_but_through_the_whole(
    parted: Database, embedder: WordEmbedder
) -> None:
    tenant = uuid4()
    await school(parted, embedder, tenant, spread(embedder, 1))
    table = (await generation_of(parted, embedder, tenant)).vectors_table

    parts = await as_owner(
        parted,
        "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS closed, i.definitions, "
        "c.reloptions FROM pg_inherits AS p JOIN pg_class AS c ON c.oid = p.inhrelid "
        "CROSS JOIN LATERAL (SELECT string_agg(indexdef, ' ') AS definitions FROM pg_indexes "
        f"WHERE tablename = c.relname) AS i WHERE p.inhparent = 'staffroom.{table}'::regclass",
    )

    assert len(parts) == PARTITIONS
    for part in parts:
        assert part["closed"]
        assert "hnsw" in part["definitions"]
        assert part["reloptions"] == ["autovacuum_vacuum_scale_factor=0.05"]
        with pytest.raises(ConfigError, match="permission denied"):
            async with parted.transaction(tenant) as connection:
                await connection.execute(f"SELECT 1 FROM staffroom.{part['relname']}".encode())


async def test_a_search_reads_the_part_of_its_tenant_alone(
    parted: Database, embedder: WordEmbedder
) -> None:
    tenant = uuid4()
    await school(parted, embedder, tenant, spread(embedder, 1))
    table = (await generation_of(parted, embedder, tenant)).vectors_table

    async with parted.transaction(tenant) as connection:
        plan = await connection.execute(
            f"EXPLAIN SELECT 1 FROM staffroom.{table} WHERE tenant_id = %s".encode(), [tenant]
        )
        told = " ".join(str(row["QUERY PLAN"]) for row in await plan.fetchall())

    assert sum(f"{table}_{number}" in told for number in range(PARTITIONS)) == 1


async def test_an_erased_tenant_leaves_no_vector_in_any_part(
    parted: Database, embedder: WordEmbedder
) -> None:
    kept, gone = uuid4(), uuid4()
    vectors = spread(embedder, 1)
    operations = await school(parted, embedder, kept, vectors)
    await school(parted, embedder, gone, vectors)

    await parted.erase_tenant(gone)

    table = (await generation_of(parted, embedder, kept)).vectors_table
    async with parted.owner_transaction() as owner:
        await owner.execute("RESET ROLE")
        cursor = await owner.execute(f"SELECT count(*) AS n FROM staffroom.{table}".encode())
        assert await cursor.fetchone() == {"n": ROWS}
    assert len((await operations.search(vectors[0], 5, 0.0, mode="meaning")).matches) == 5


async def test_the_index_of_all_parts_can_be_built_anew(
    parted: Database, embedder: WordEmbedder
) -> None:
    tenant = uuid4()
    await school(parted, embedder, tenant, spread(embedder, 1))
    generation = await generation_of(parted, embedder, tenant)
    count = (
        "SELECT count(*) AS n FROM pg_indexes "
        f"WHERE tablename LIKE '{generation.vectors_table}%' AND indexdef LIKE '%hnsw%'"
    )

    await drop_vector_index(parted, generation)
    assert await as_owner(parted, count) == [{"n": 0}]
    await build_vector_index(parted, generation)

    assert await as_owner(parted, count) == [{"n": PARTITIONS + 1}]


async def test_rows_of_all_parts_are_told_as_those_of_one_table(
    parted: Database, embedder: WordEmbedder
) -> None:
    tenant = uuid4()
    await school(parted, embedder, tenant, spread(embedder, 1))
    generation = await generation_of(parted, embedder, tenant)
    await count_rows(parted, generation)

    told = await DatabaseFigures(parted, tenant).read()

    samples = {
        (family.name, sample.labels.get("table")): sample.value
        for family in told.families
        for sample in family.samples
    }
    assert samples["database_live_rows", "vectors"] == ROWS
