"""What `bench ingest` measures, and that it leaves nothing behind."""

import math
from typing import Any

import pytest

from staffroom.cli.measure import _print_comparisons
from staffroom.cli.measure import ingest as ingest_command
from staffroom.config import DEFAULT_TENANT
from staffroom.database.connection import Database
from staffroom.database.copying import (
    CopiedTables,
    copied_beside,
    scratch_generation,
)
from staffroom.database.generations import open_generation
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError
from staffroom.evaluation import ingest
from staffroom.evaluation.benchmark import Comparison
from staffroom.evaluation.ingest import bench_ingest
from tests.fakes import WordEmbedder

LEFT = """
    SELECT relname FROM pg_class WHERE relname LIKE 'bench%'
    UNION SELECT name FROM staffroom.tenants WHERE name = 'Benchmark'
    UNION SELECT model FROM staffroom.generations WHERE model LIKE '%benchmark'
"""


async def rows_of(database: Database, query: str) -> list[dict[str, Any]]:
    async with database.owner_transaction() as owner:
        await owner.execute("RESET ROLE")
        return await (await owner.execute(query.encode())).fetchall()


async def test_stored_rows_are_held_against_copy_and_the_embedder(
    database: Database,
    vector_ops: VectorOperations,
    embedder: WordEmbedder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ingest, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(ingest, "QUESTIONS", 10)
    await vector_ops.store_scenario("Kept", "What was there before stays.")

    found = await bench_ingest(database, embedder, ready=300, texts=70)

    bare, index, stored, afterwards, *asked = found[:6]
    imported, *asked_then, memory = found[6:]
    for rates in (bare, stored, imported):
        assert rates["unit"] == "rows/s"
        assert rates["theirs"]
        assert math.isclose(rates["ratio"] or 0, rates["ours"] / rates["theirs"])
        low, high = rates["spread"]
        assert 0 < low <= high
    assert "300 ready rows" in bare["what"]
    assert "70 rows embedded" in imported["what"]
    # COPY writes the same rows without reading, checking or counting anything.
    assert (bare["ratio"] or 0) < 1
    assert index["ours"] > 0
    assert afterwards["ours"] < bare["ours"]
    assert afterwards["theirs"] == stored["ours"]
    for waited in (*asked, *asked_then):
        assert waited["theirs"]
        assert math.isclose(waited["ratio"] or 0, waited["theirs"] / waited["ours"])
    assert memory["ours"] >= (memory["theirs"] or 0) > 0
    assert [kept.content.name for kept in await vector_ops.list_scenarios()] == ["Kept"]
    assert await rows_of(database, LEFT) == []


async def test_a_part_of_which_nothing_is_wanted_is_left_out(
    database: Database, embedder: WordEmbedder
) -> None:
    found = await bench_ingest(database, embedder, ready=0, texts=0)

    assert [row["unit"] for row in found] == ["MB"]


def test_too_few_rows_to_measure_are_refused() -> None:
    with pytest.raises(InputError, match=r"--rows 255 is too few to measure. Give 256 or more"):
        ingest_command(rows=255, texts=0)


def test_how_far_a_ratio_varied_is_printed_behind_it(capsys: pytest.CaptureFixture[str]) -> None:
    rates = Comparison(
        what="Stored", ours=30, theirs=40, unit="rows/s", ratio=0.75, spread=(0.7, 0.812)
    )

    _print_comparisons([rates], json=False)

    assert "0.75 (0.70 to 0.81)" in capsys.readouterr().out


async def test_copy_gets_all_rows_of_every_batch_and_what_a_killed_run_left_is_cleared(
    database: Database, embedder: WordEmbedder
) -> None:
    embedder.model = "apart"
    operations = VectorOperations(database, embedder)
    rows = [{"id": str(n), "description": f"Row number {n} of many"} for n in range(30)]
    await operations.batch_process([{"id": "old", "description": "Of a run that was killed"}])
    left = await open_generation(database, DEFAULT_TENANT, "apart", 64)
    await CopiedTables(database, DEFAULT_TENANT, left).make()
    async with (
        scratch_generation(database, DEFAULT_TENANT, "apart", 64) as generation,
        copied_beside(database, DEFAULT_TENANT, generation) as tables,
    ):
        fresh = VectorOperations(database, embedder)
        for start in (0, 10, 20):
            await fresh.batch_process(rows[start : start + 10])
            assert await tables.copy_new() > 0
        for table in ("scenarios", "scenario_revisions", "scenario_words", "postings"):
            copied = await rows_of(database, f"SELECT count(*) AS n FROM staffroom.bench_{table}")
            assert copied == await rows_of(database, f"SELECT count(*) AS n FROM staffroom.{table}")
        assert await rows_of(database, "SELECT count(*) AS n FROM staffroom.bench_vectors") == [
            {"n": 30}
        ]
    assert await rows_of(database, LEFT) == []
