"""What `bench scale` measures, and that it leaves nothing behind."""

import numpy as np
import pytest

from staffroom.cli.bench_scale import _print_report
from staffroom.database.connection import Database
from staffroom.database.index_kinds import BINARY, FULL, HALF, IndexKind, Walks, indexed
from staffroom.database.vector_ops import VectorOperations
from staffroom.evaluation import scale
from staffroom.evaluation.scale import bench_scale
from staffroom.evaluation.scratch import scratch_tables
from staffroom.evaluation.turns import Nearest
from tests.fakes import WordEmbedder
from tests.test_bench_ingest import LEFT, rows_of


async def test_a_library_is_measured_at_each_size(
    database: Database,
    vector_ops: VectorOperations,
    embedder: WordEmbedder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(scale, "ROUNDS", 1)
    await vector_ops.store_scenario("Kept", "What was there before stays.")

    report = await bench_scale(database, embedder, [400, 200, 400])

    assert [size["rows"] for size in report["sizes"]] == [200, 400]
    for size in report["sizes"]:
        assert size["stored_per_s"] > 0
        assert size["build_s"] > 0
        found = {search["what"]: search for search in size["searches"]}
        assert set(found) == {
            "by meaning",
            "by meaning and words",
            "by meaning, one in 50",
            "by index",
            "by comparing all",
            "the bare statement",
        }
        assert all(0 < each["p50_ms"] <= each["p95_ms"] for each in found.values())
        # Compared whole, so only what is nearly the same as another may be missing.
        assert 0.9 < size["half"] <= 1
        assert (found["by comparing all"]["recall"] or 0) > 0.9
        assert [kind["index"] for kind in size["kinds"]] == [
            "halfvec",
            "vector",
            "binary, compared anew",
        ]
        assert all(kind["megabytes"] > 0 for kind in size["kinds"])
    assert (report["memory_mb"] or 0) > 0
    _print_report(report)
    assert "400 scenarios" in capsys.readouterr().out
    assert [kept.content.name for kept in await vector_ops.list_scenarios()] == ["Kept"]
    assert await rows_of(database, LEFT) == []


def test_the_nearest_of_all_parts_are_those_of_the_whole() -> None:
    random = np.random.default_rng(1)
    queries = random.standard_normal((3, 8)).astype(np.float32)
    vectors = random.standard_normal((100, 8)).astype(np.float32)
    nearest = Nearest.of(queries, 5)

    for start in (0, 3, 40):
        end = {0: 3, 3: 40, 40: 100}[start]
        nearest.add(np.arange(start, end), vectors[start:end])

    whole = np.argsort(-(queries @ vectors.T), axis=1)[:, :5]
    assert (nearest.numbers == whole).all()


@pytest.mark.parametrize("kind", [FULL, BINARY], ids=lambda kind: kind.name)
async def test_another_index_is_walked_while_it_stands(
    database: Database, embedder: WordEmbedder, kind: IndexKind
) -> None:
    async with scratch_tables(database, embedder, None) as scratch:
        vectors = np.eye(embedder.dimensions, dtype=np.float32)[:50]
        rows = [{"id": str(n), "text": f"Scenario number {n}."} for n in range(50)]
        await scratch.library.batch_store_content(rows, vectors)
        tenant_id = scratch.library.tenant_id
        async with (
            indexed(database, scratch.generation, kind) as built,
            database.transaction(tenant_id) as connection,
        ):
            walks = Walks(connection, scratch.generation, kind, tenant_id)
            await walks.keep(100)
            found = await walks.nearest(vectors[3], 1)
            explain = b"EXPLAIN " + walks.query.as_bytes(connection)
            plan = await connection.execute(explain, walks.parameters(vectors[3], 1))
            told = str(await plan.fetchall())
            reference = Walks(connection, scratch.generation, HALF, tenant_id)
            await reference.keep(100)
            assert found == await reference.nearest(vectors[3], 1)
        assert "bench_nearest" in told
        assert built.megabytes > 0

    assert await rows_of(database, LEFT) == []
