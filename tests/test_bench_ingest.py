"""What `bench ingest` measures, and that it leaves nothing behind."""

import math

import pytest

from staffroom.database.connection import Database
from staffroom.database.vector_ops import VectorOperations
from staffroom.evaluation.ingest import bench_ingest
from tests.fakes import WordEmbedder


@pytest.mark.slow
async def test_stored_rows_are_held_against_copy_and_the_embedder(
    database: Database, vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    stored, imported, asked = await bench_ingest(
        database, vector_ops, embedder, ready=300, texts=70
    )

    assert "300 rows" in stored["what"]
    assert stored["unit"] == imported["unit"] == "ms a row"
    for found in (stored, imported, asked):
        assert found["theirs"]
        assert found["ratio"]
        assert found["ours"] > 0
        assert math.isclose(found["ratio"], found["theirs"] / found["ours"])
    # COPY writes the same rows without reading, checking or counting anything.
    assert (stored["ratio"] or 0) < 1
    assert await vector_ops.list_scenarios() == []
    async with database.owner_transaction() as owner:
        cursor = await owner.execute(
            "SELECT relname FROM pg_class WHERE relname LIKE 'bench%' UNION "
            "SELECT name FROM staffroom.tenants WHERE name = 'Benchmark'"
        )
        assert await cursor.fetchall() == []
