"""Many rows in one call: stored in parts, told as one."""

from typing import Any

import numpy as np
import pytest

from staffroom.database import parts
from staffroom.database.batch import Row
from staffroom.database.library import Library
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import DatabaseUnavailable, InputError
from staffroom.types import ScenarioContent
from tests.fakes import WordEmbedder


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROWS_AT_ONCE", 10)


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": str(n), "name": f"Row {n}", "description": f"Of many {n}"} for n in range(count)]


async def ids(vector_ops: VectorOperations) -> list[str]:
    return [scenario.content.source_id for scenario in await vector_ops.list_scenarios()]


async def test_rows_of_all_parts_are_stored_with_their_own_vectors(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    content = rows(35)
    content[4]["description"] = ""
    ready = np.eye(embedder.dimensions, dtype=np.float32)[:35]

    report = await vector_ops.batch_store_content(content, ready)

    assert (report["read"], report["stored"], report["failed"]) == (35, 34, 1)
    for place in (0, 9, 10, 34):
        (found,) = await vector_ops.find_similar_scenarios(ready[place], 1, 0)
        assert found.scenario.content.source_id == str(place)
    assert await ids(vector_ops) == [row["id"] for row in content if row["id"] != "4"]


async def test_rows_are_numbered_through_all_parts_and_known_from_one_to_the_next(
    vector_ops: VectorOperations,
) -> None:
    content = rows(31)
    content[14]["description"] = ""
    content[22] = {**content[3], "id": "again"}
    content[27] = {**content[3], "description": "Another, under the same id"}
    content[30] = content[3]

    report = await vector_ops.batch_process(content)

    assert (report["read"], report["stored"], report["duplicate"]) == (31, 27, 2)
    assert [(error["row"], error["field"]) for error in report["errors"]] == [
        (15, "description"),
        (28, "id"),
    ]


async def test_what_the_database_refuses_of_a_later_part_is_one_row(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    content: list[Row] = [*rows(25)]
    content[17] = ScenarioContent(name="Row", description="Not storable \x00")

    for ready in (np.eye(embedder.dimensions, dtype=np.float32)[:25], None):
        report = await vector_ops.batch_store_content(content, ready)
        assert (report["stored"] + report["unchanged"], report["failed"]) == (24, 1)
        assert [error["row"] for error in report["errors"]] == [18]


async def test_a_part_that_fails_ends_the_call_which_tells_what_is_stored(
    vector_ops: VectorOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = rows(40)
    stored = Library.store_numbered

    async def fails_in_the_third_part(self: Library, given: Any, *rest: Any, **more: Any) -> Any:
        if given[0].row == 21:
            raise DatabaseUnavailable("PostgreSQL does not answer.")
        return await stored(self, given, *rest, **more)

    with monkeypatch.context() as broken:
        broken.setattr(Library, "store_numbered", fails_in_the_third_part)
        with pytest.raises(DatabaseUnavailable, match=r"answer\. The first 20 of 40 rows are"):
            await vector_ops.batch_process(content)

    assert await ids(vector_ops) == [row["id"] for row in content[:20]]
    report = await vector_ops.batch_process(content)
    assert (report["stored"], report["unchanged"]) == (20, 20)
    assert await ids(vector_ops) == [row["id"] for row in content]


async def test_nothing_is_stored_where_a_vector_of_a_later_part_is_wrong(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    ready = np.eye(embedder.dimensions, dtype=np.float32)[:25]
    ready[23] *= 2

    with pytest.raises(InputError, match="embedding 23 has length 2"):
        await vector_ops.batch_store_content(rows(25), ready)

    assert await ids(vector_ops) == []
