"""An edit embeds and indexes what is new of a scenario's text, and nothing else."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from staffroom.config import DEFAULT_TENANT
from staffroom.database.connection import Database
from staffroom.database.vector_ops import VectorOperations
from staffroom.scenario import embedded_text, scenario_from
from staffroom.types import Filters, Role, Vectors
from tests.fakes import WordEmbedder

BELL = "Why do they stay away after the bell?"
NOISE = "How do I get them quiet?"
GATE = "Who waits at the gate?"
ROW: dict[str, Any] = {
    "id": "late",
    "name": "Late pupils",
    "description": "Pupils arrive after the bell.",
    "expected_response": "Greet them.",
    "example_questions": [BELL, NOISE],
    "status": "draft",
}


async def table_of(database: Database) -> str:
    async with database.read(DEFAULT_TENANT) as connection:
        cursor = await connection.execute("SELECT vectors_table FROM staffroom.generations")
        (row,) = await cursor.fetchall()
    return str(row["vectors_table"])


async def indexed(database: Database) -> list[dict[str, Any]]:
    """Where the rows of vectors and words stand, and what they hold."""
    table = await table_of(database)
    async with database.read(DEFAULT_TENANT) as connection:
        cursor = await connection.execute(
            "SELECT v.ctid::text AS vector_at, w.ctid::text AS words_at, v.revision, w.language, "
            f"v.examples FROM staffroom.{table} AS v JOIN staffroom.scenario_words AS w "
            "USING (tenant_id, scenario_id) ORDER BY v.scenario_id"
        )
        rows = await cursor.fetchall()
    return [{**row, "examples": [vector.to_list() for vector in row["examples"]]} for row in rows]


async def stored(vector_ops: VectorOperations, embedder: WordEmbedder, **fields: Any) -> UUID:
    """The scenario is stored and nothing is counted as embedded yet."""
    scenario_id = (await vector_ops.put_scenario(ROW | fields)).scenario_id
    embedder.embedded.clear()
    return scenario_id


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "published"},
        {"tags": ["bell"], "category": "attendance", "grade_bands": ["post-16"]},
        {"expected_response": "Greet them by name.", "evidence_note": "Two trials."},
        {"review_by": "2031-01-31", "contributor": "Ana"},
    ],
)
async def test_an_edit_of_anything_but_the_text_embeds_nothing_and_moves_no_row(
    vector_ops: VectorOperations,
    database: Database,
    embedder: WordEmbedder,
    changes: dict[str, Any],
) -> None:
    scenario_id = await stored(vector_ops, embedder)
    before = await indexed(database)

    assert (await vector_ops.update_scenario(scenario_id, changes)).revision == 2
    again = await vector_ops.update_scenario(scenario_id, {"setting": "classroom"})

    assert again.revision == 3
    assert embedder.embedded == []
    assert await indexed(database) == before
    assert await vector_ops.embed_missing() == 0


async def test_a_scenario_that_was_published_without_embedding_is_found(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    scenario_id = await stored(vector_ops, embedder)
    assert await vector_ops.find_similar_scenarios(BELL, threshold=0) == []

    await vector_ops.update_scenario(scenario_id, {"status": "published"})

    found = await vector_ops.find_similar_scenarios(BELL, threshold=0)
    assert [(match.scenario.id, match.scenario.revision) for match in found] == [(scenario_id, 2)]


async def test_an_import_of_other_statuses_embeds_nothing(
    vector_ops: VectorOperations, database: Database, embedder: WordEmbedder
) -> None:
    rows = [{**ROW, "id": f"late {number}", "tags": [str(number)]} for number in range(3)]
    await vector_ops.batch_store_content(rows)
    embedder.embedded.clear()
    before = await indexed(database)

    changed = [{**row, "status": "published"} for row in rows[:2]]
    new = {**ROW, "id": "new", "tags": ["new"]}
    report = await vector_ops.batch_store_content([*changed, rows[2], new])

    assert (report["stored"], report["unchanged"]) == (3, 1)
    assert embedder.embedded == [embedded_text(scenario_from(ROW)), BELL, NOISE]
    assert (await indexed(database))[:3] == before


async def test_one_new_example_question_is_embedded_and_the_others_are_carried_over(
    vector_ops: VectorOperations, database: Database, embedder: WordEmbedder
) -> None:
    scenario_id = await stored(vector_ops, embedder)
    (before,) = await indexed(database)

    edited = await vector_ops.update_scenario(
        scenario_id, {"example_questions": [NOISE, GATE, BELL]}
    )

    assert embedder.embedded == [embedded_text(edited.content), GATE]
    (after,) = await indexed(database)
    assert (before["revision"], after["revision"]) == (1, 2)
    assert [after["examples"][2], after["examples"][0]] == before["examples"]
    gate = (await embedder.embed([GATE], "query"))[0]
    assert np.allclose(after["examples"][1], gate, atol=1e-3)


async def test_another_name_leaves_the_example_questions_as_they_are(
    vector_ops: VectorOperations, database: Database, embedder: WordEmbedder
) -> None:
    scenario_id = await stored(vector_ops, embedder)
    (before,) = await indexed(database)

    edited = await vector_ops.update_scenario(scenario_id, {"name": "Pupils who come late"})

    assert embedder.embedded == [embedded_text(edited.content)]
    assert (await indexed(database))[0]["examples"] == before["examples"]


async def test_another_language_writes_the_words_anew_and_embeds_nothing(
    vector_ops: VectorOperations, database: Database, embedder: WordEmbedder
) -> None:
    scenario_id = await stored(vector_ops, embedder)

    await vector_ops.update_scenario(scenario_id, {"language": "fr"})

    assert embedder.embedded == []
    assert [row["language"] for row in await indexed(database)] == ["fr"]
    assert await vector_ops.embed_missing() == 0


async def test_the_text_of_an_older_revision_is_embedded_when_it_comes_back(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    scenario_id = await stored(vector_ops, embedder)
    await vector_ops.update_scenario(scenario_id, {"description": "Snow blocks the road."})
    embedder.embedded.clear()

    await vector_ops.update_scenario(scenario_id, {"description": ROW["description"]})

    assert embedder.embedded == [embedded_text(scenario_from(ROW))]


async def test_another_model_embeds_what_was_only_retagged_and_the_first_has_it_still(
    database: Database, vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    scenario_id = await stored(vector_ops, embedder)
    await vector_ops.update_scenario(scenario_id, {"status": "published"})
    other = WordEmbedder("other words", 32)
    others = VectorOperations(database, other, author="tester")

    assert await others.embed_missing() == 1
    assert other.embedded == [embedded_text(scenario_from(ROW)), BELL, NOISE]
    await others.update_scenario(scenario_id, {"tags": ["bell"]})
    assert await vector_ops.embed_missing() == 0
    await others.update_scenario(scenario_id, {"name": "Late again"})

    embedder.embedded.clear()
    assert await vector_ops.embed_missing() == 1
    assert embedder.embedded[1:] == [BELL, NOISE]


async def test_words_that_are_missing_are_counted_without_embedding(
    vector_ops: VectorOperations, database: Database, embedder: WordEmbedder
) -> None:
    scenario_id = await stored(vector_ops, embedder, status="published")
    async with database.transaction(DEFAULT_TENANT) as connection:
        for table in ("scenario_words", "postings", "vocabulary", "word_statistics"):
            await connection.execute(f"DELETE FROM staffroom.{table}")

    assert await vector_ops.embed_missing() == 1

    assert embedder.embedded == []
    found = await vector_ops.find_similar_scenarios("bell", threshold=0, mode="words")
    assert [match.scenario.id for match in found] == [scenario_id]


async def test_example_questions_of_a_ready_embedding_are_embedded_with_the_next_new_text(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    ready = await embedder.embed([embedded_text(scenario_from(ROW))], "passage")
    await vector_ops.batch_store_content([ROW], ready)
    embedder.embedded.clear()

    await vector_ops.batch_store_content([{**ROW, "status": "published"}])
    assert embedder.embedded == []
    await vector_ops.batch_store_content([{**ROW, "example_questions": [BELL]}])

    assert embedder.embedded[1:] == [BELL]


class Held(WordEmbedder):
    """Embeds when it is let go on, and says when it began."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        self.began.set()
        await self.may_go_on.wait()
        return await super().embed(texts, role)


async def test_a_batch_that_meets_another_text_than_it_was_compared_with_is_made_anew(
    vector_ops: VectorOperations, database: Database, embedder: WordEmbedder
) -> None:
    await stored(vector_ops, embedder)
    held = Held()
    slow = VectorOperations(database, held, author="slow")
    batch = [{**ROW, "status": "published"}, {**ROW, "id": "new", "tags": ["new"]}]
    storing = asyncio.create_task(slow.batch_store_content(batch))
    await held.began.wait()
    await vector_ops.batch_store_content([{**ROW, "name": "Late in the snow"}])
    held.may_go_on.set()

    report = await storing

    assert report["stored"] == 2
    filters = Filters(statuses=("published",))
    (match,) = await vector_ops.find_similar_scenarios(BELL, threshold=0, filters=filters)
    assert (match.scenario.revision, match.scenario.name) == (3, "Late pupils")
    rows = await indexed(database)
    assert [row["revision"] for row in rows] == [3, 1]
    assert rows[0]["examples"] == rows[1]["examples"]
