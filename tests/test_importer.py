"""An import: one bad row costs one row, and running it again changes only what changed."""

import json
from pathlib import Path
from typing import Any

import pytest

from staffroom.content.importer import Importer
from staffroom.content.management import ContentManager
from staffroom.database.connection import Database
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import EmbedderUnavailable, UnreadableFile
from staffroom.types import Progress, Role, Vectors
from tests.fakes import WordEmbedder

TRICKY: list[Any] = [
    {"id": "1", "text": "Fine."},
    {"id": "2", "name": "No description"},
    {"id": "3", "text": 5},
    {"id": "4", "text": "long " * 20_000},
    {"id": "5", "text": "NUL \x00 here"},
    {"id": "6", "text": "half \ud83d pair"},
    {"id": "7", "text": "Emoji 👩‍🏫 and שלום are fine."},
    {"id": "1", "text": "The same id, other words."},
    {"id": "1", "text": "Fine."},
    {"id": "10", "text": "Fine as well."},
]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class FailingEmbedder(WordEmbedder):
    """Works until it has embedded a number of texts."""

    def __init__(self, texts: int) -> None:
        super().__init__()
        self.left = texts

    async def embed(self, texts: Any, role: Role) -> Vectors:
        self.left -= len(texts)
        if self.left < 0:
            raise EmbedderUnavailable("the model is gone")
        return await super().embed(texts, role)


@pytest.fixture
def manager(vector_ops: VectorOperations) -> ContentManager:
    return ContentManager(vector_ops, batch_size=4)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
async def test_bad_rows_are_named_and_all_others_stored(
    vector_ops: VectorOperations, tmp_path: Path, batch_size: int
) -> None:
    path = write(tmp_path / "tricky.jsonl", TRICKY)

    report = await Importer(vector_ops, batch_size).import_file(path)

    assert (report["status"], report["read"], report["stored"]) == ("partial", 10, 3)
    assert (report["unchanged"], report["duplicate"], report["failed"]) == (0, 1, 6)
    assert [error["row"] for error in report["errors"]] == [2, 3, 4, 5, 6, 8]
    assert {error["file"] for error in report["errors"]} == {"tricky.jsonl"}
    assert "row 1" in report["errors"][-1]["reason"]


async def test_a_corrected_file_changes_only_what_changed(
    manager: ContentManager, tmp_path: Path
) -> None:
    path = write(tmp_path / "tricky.jsonl", TRICKY)
    await manager.import_files([path])
    write(path, [{"id": str(n), "text": f"Mended {n}."} if n in range(2, 7) else row
                 for n, row in enumerate(TRICKY[:7], start=1)])  # fmt: skip

    report = await manager.import_files([path])

    assert (report["stored"], report["unchanged"], report["failed"]) == (5, 2, 0)


async def test_a_dry_run_tells_the_effect_and_has_none(
    manager: ContentManager, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", TRICKY[:2] + TRICKY[9:])

    rehearsed = await manager.import_files([path], dry_run=True)

    assert await vector_ops.list_scenarios() == []
    assert await manager.import_files([path]) == rehearsed
    assert (await manager.import_files([path], dry_run=True))["stored"] == 0


async def test_an_import_that_loses_its_model_says_so_and_goes_on_from_there(
    database: Database, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", [{"id": str(n), "text": f"Text {n}"} for n in range(10)])
    broken = VectorOperations(database, FailingEmbedder(texts=8))

    report = await Importer(broken, 4).import_file(path)

    assert report.get("stopped") == "the model is gone"
    assert (report["status"], report["errors"]) == ("partial", [])
    assert (report["read"], report["stored"], report["failed"]) == (8, 8, 0)
    whole = VectorOperations(database, WordEmbedder())
    again = await Importer(whole, 4).import_file(path)
    assert (again["stored"], again["unchanged"]) == (2, 8)


async def test_progress_reaches_the_end_of_the_file(
    vector_ops: VectorOperations, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", [{"text": f"Text {n}"} for n in range(7)])
    seen: list[Progress] = []

    await Importer(vector_ops, 3, progress=seen.append).import_file(path)

    size = path.stat().st_size
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    assert (seen[-1].done, seen[-1].total, seen[-1].unit) == (size, size, "bytes")


async def test_a_file_that_cannot_be_read_is_refused_before_anything_is_stored(
    manager: ContentManager, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    good = write(tmp_path / "a.jsonl", TRICKY[:1])
    with pytest.raises(UnreadableFile):
        await manager.import_files([good, tmp_path / "none.jsonl"])

    assert await vector_ops.list_scenarios() == []


async def test_columns_that_mean_nothing_are_told(manager: ContentManager, tmp_path: Path) -> None:
    rows = [{"text": "A.", "colour": "red"}, {"text": "B.", "size": 3, "metadata": {}}]

    report = await manager.import_files([write(tmp_path / "a.jsonl", rows)])

    assert report["ignored"] == ["colour", "size"]
    assert report["stored"] == 2


async def test_an_export_is_what_an_import_reads(
    manager: ContentManager, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    rows = [{"id": str(n), "text": f"Text {n}", "tags": ["a", "b"]} for n in range(5)]
    await manager.import_files([write(tmp_path / "a.jsonl", rows)])

    exported = [row async for row in manager.export()]
    report = await manager.import_files([write(tmp_path / "b.jsonl", exported)])

    assert [row["id"] for row in exported] == ["0", "1", "2", "3", "4"]
    assert (report["stored"], report["unchanged"]) == (0, 5)


async def test_the_guides_answer_to_a_new_scenario(manager: ContentManager) -> None:
    good = await manager.add_teaching_scenario(
        {"name": "Noise", "description": "All talk.", "expected_response": "Wait."}
    )
    bad = await manager.add_teaching_scenario({"name": "Noise"})

    assert good["status"] == "success"
    assert len(good["scenario_id"]) == 36
    assert bad == {
        "status": "error",
        "message": "description: is missing; say what the situation is",
    }


async def test_a_retired_scenario_is_kept_and_not_found(
    manager: ContentManager, vector_ops: VectorOperations
) -> None:
    stored = await vector_ops.store_scenario("Noise", "All talk.")

    await manager.retire(stored, reason="outdated")

    assert await vector_ops.find_similar_scenarios("noise", threshold=0) == []
    assert (await vector_ops.get_scenario(stored)).content.metadata.status == "retired"


async def test_the_starter_library_comes_once(
    manager: ContentManager, vector_ops: VectorOperations
) -> None:
    first = await manager.load_starter_library()
    (scenario,) = await vector_ops.list_scenarios(limit=1)
    await vector_ops.delete_scenario(scenario.id)
    second = await manager.load_starter_library()

    assert (first["stored"], first["failed"]) == (first["read"], 0)
    assert first["read"] >= 150
    assert second["read"] == 0
