"""Example questions lead to their scenario one by one, beside its whole text."""

from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from staffroom.config import DEFAULT_TENANT
from staffroom.database.connection import Database
from staffroom.database.vector_ops import VectorOperations
from staffroom.retrieval.fusion import EXAMPLES_WEIGHT, best_view
from staffroom.types import Array
from tests.fakes import WordEmbedder

LONG = " ".join(f"Detail{n} of the situation." for n in range(40))
BELL = "Why do they stay away after the bell?"
ROWS: list[dict[str, Any]] = [
    {
        "id": "short",
        "name": "Late",
        "text": "Some pupils arrive long after the bell, so lessons wait.",
    },
    {"id": "asked", "text": LONG, "questions": ["What of the noise?", BELL]},
    {"id": "long", "text": LONG},
]
COSINES = arrays(np.float64, 5, elements=st.floats(-1, 1))


async def by_meaning(library: VectorOperations, question: str) -> list[str]:
    found = await library.search(question, 3, 0.0, mode="meaning")
    return [match.scenario.content.source_id for match in found.matches]


async def test_a_question_like_an_example_finds_the_scenario_however_long_its_text(
    vector_ops: VectorOperations,
) -> None:
    await vector_ops.batch_store_content(ROWS)

    assert await by_meaning(vector_ops, BELL) == ["asked", "short", "long"]


async def test_a_library_of_an_older_version_has_its_examples_embedded(
    vector_ops: VectorOperations, database: Database
) -> None:
    await vector_ops.batch_store_content(ROWS)
    async with database.read(DEFAULT_TENANT) as connection:
        cursor = await connection.execute("SELECT vectors_table FROM staffroom.generations")
        row = await cursor.fetchone()
    assert row
    migration = files("staffroom.database") / "migrations" / "0007_examples.sql"
    async with database.owner_transaction() as owner:
        await owner.execute(f"ALTER TABLE staffroom.{row['vectors_table']} DROP COLUMN examples")
        await owner.execute(migration.read_text("utf-8"))
    assert await by_meaning(vector_ops, BELL) == ["short", "asked", "long"]

    assert await vector_ops.embed_missing() == 3
    assert await vector_ops.embed_missing() == 0

    assert await by_meaning(vector_ops, BELL) == ["asked", "short", "long"]


async def test_a_ready_embedding_stands_for_the_examples_too(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    vectors = await embedder.embed([row["text"] for row in ROWS], "passage")
    embedder.embedded.clear()

    await vector_ops.batch_store_content(ROWS, vectors)

    assert embedder.embedded == []
    assert await vector_ops.embed_missing() == 0


@given(COSINES, COSINES)
def test_a_nearer_example_raises_a_scenario_and_one_that_is_farther_changes_nothing(
    similarities: Array, examples: Array
) -> None:
    found = best_view(similarities, examples)

    assert (found >= similarities).all()
    assert (found <= np.maximum(similarities, examples) + 1e-12).all()
    assert (found[examples <= similarities] == similarities[examples <= similarities]).all()


def test_an_example_counts_by_its_weight() -> None:
    found = best_view(np.array([0.2, 0.2]), np.array([0.7, -1.0]))

    assert found == pytest.approx([0.2 + EXAMPLES_WEIGHT * 0.5, 0.2])
