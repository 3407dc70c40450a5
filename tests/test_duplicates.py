"""What an import brings twice: the same content under another id is stored once, and told."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from staffroom.content.importer import MAX_DUPLICATES, Importer
from staffroom.content.management import ContentManager
from staffroom.database.batch import RowEffect, RowReader
from staffroom.database.vector_ops import VectorOperations
from tests.fakes import WordEmbedder

PHONES = {"name": "Phones", "text": "Pupils use phones.", "expected_response": "1. Box."}
LATE = {"name": "Late", "text": "Pupils come late."}


def effects(report: Any) -> list[str]:
    return [told["reason"] for told in report.get("duplicates", [])]


async def size(vector_ops: VectorOperations) -> int:
    return len(await vector_ops.list_scenarios())


@pytest.mark.parametrize("batch_size", [1, 256])
@pytest.mark.parametrize("dry_run", [True, False])
async def test_the_same_content_under_another_id_is_stored_once(
    vector_ops: VectorOperations, batch_size: int, *, dry_run: bool
) -> None:
    """In one batch of a file as well as in two, and told alike by a dry run."""
    rows = [{"id": "a", **PHONES}, {"id": "b", **PHONES}, PHONES, {"id": "late", **LATE}]
    importer = Importer(vector_ops, batch_size=batch_size, dry_run=dry_run)
    report = await importer.import_rows(rows)

    assert (report["read"], report["stored"], report["duplicate"]) == (4, 2, 2)
    assert report["unchanged"] == report["failed"] == 0
    assert dict(importer.counts) == {"new": 2, "duplicate": 2}
    assert [told["row"] for told in report["duplicates"]] == [2, 3]
    if dry_run or batch_size > 1:
        assert effects(report) == ["the same as row 1"] * 2
    else:
        (first, _) = await vector_ops.list_scenarios()
        assert effects(report) == [f"the same as Phones ({first.id})"] * 2
    assert await size(vector_ops) == (0 if dry_run else 2)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_what_the_library_says_already_is_named(
    vector_ops: VectorOperations, *, dry_run: bool
) -> None:
    there = await vector_ops.store_scenario("Phones", PHONES["text"], "1. Box.", id="a")
    importer = Importer(vector_ops, dry_run=dry_run)
    report = await importer.import_rows([{"id": "b", **PHONES}, {"id": "a", **PHONES}])

    assert report["duplicates"] == [
        {"row": 1, "field": "", "reason": f"the same as Phones ({there})", "file": "rows"}
    ]
    assert dict(importer.counts) == {"duplicate": 1, "unchanged": 1}
    assert await size(vector_ops) == 1


async def test_duplicates_are_stored_if_they_are_wanted(vector_ops: VectorOperations) -> None:
    rows = [{"id": "a", **PHONES}, {"id": "b", **PHONES}]
    importer = Importer(vector_ops, keep_duplicates=True)
    report = await importer.import_rows(rows)

    assert (report["stored"], "duplicates" in report) == (2, False)
    assert await size(vector_ops) == 2
    again = await Importer(vector_ops).import_rows(rows)
    assert (again["unchanged"], "duplicates" in again) == (2, False)


async def test_an_edit_may_make_two_alike(vector_ops: VectorOperations) -> None:
    """A row whose id the library has is an edit, and never left out."""
    await Importer(vector_ops).import_rows([{"id": "a", **PHONES}, {"id": "b", **LATE}])
    report = await Importer(vector_ops).import_rows([{"id": "a", **PHONES}, {"id": "b", **PHONES}])

    assert (report["stored"], report["unchanged"]) == (1, 1)
    assert "duplicates" not in report
    assert {s.content.name for s in await vector_ops.list_scenarios()} == {"Phones"}


async def test_another_status_or_advice_is_other_content(vector_ops: VectorOperations) -> None:
    rows = [
        {"id": "a", **PHONES},
        {"id": "b", **PHONES, "status": "draft"},
        {"id": "c", **PHONES, "expected_response": ""},
    ]
    assert (await Importer(vector_ops).import_rows(rows))["stored"] == 3


async def test_ready_vectors_stay_with_their_rows(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    rows = [{"id": "a", **PHONES}, {"id": "b", **PHONES}, {"id": "late", **LATE}]
    vectors = await embedder.embed([f"{row['name']}\n{row['text']}" for row in rows], "passage")
    report = await vector_ops.batch_store_content(rows, vectors)

    assert (report["stored"], report["unchanged"], report["duplicate"]) == (2, 0, 1)
    found = await vector_ops.find_similar_scenarios(vectors[2], 1, 0.0)
    assert found[0].scenario.content.source_id == "late"


async def test_a_row_that_repeats_an_earlier_one_is_told(
    vector_ops: VectorOperations,
) -> None:
    valid, _ = RowReader().read(
        enumerate([{"id": "a", **PHONES}, {"id": "b", **PHONES}, {"id": "late", **LATE}], 1)
    )
    assert [row.same_as for row in valid] == [None, 1, None]
    told = await vector_ops.repeated(valid)
    reason = "the same as row 1"
    assert told == {2: RowEffect(2, "Phones", "duplicate", "", reason, "same_row", {"number": 1})}


async def test_the_report_names_a_thousand_and_counts_all(
    vector_ops: VectorOperations, tmp_path: Path
) -> None:
    await vector_ops.store_scenario("Phones", PHONES["text"], "1. Box.", id="a")
    file = tmp_path / "many.jsonl"
    rows = (json.dumps({"id": f"b{n}", **PHONES}) for n in range(MAX_DUPLICATES + 5))
    file.write_text("\n".join(rows))
    report = await ContentManager(vector_ops, batch_size=400).import_files([file])

    assert len(report["duplicates"]) == MAX_DUPLICATES
    assert report["duplicates"][0]["file"] == "many.jsonl"
    assert report["duplicate"] == MAX_DUPLICATES + 5
    UUID(report["duplicates"][-1]["reason"][-37:-1])
