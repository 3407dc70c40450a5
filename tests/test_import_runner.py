"""Imports in the background: killed, stopped, doubled, and exact all the same."""

import asyncio
import io
import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from staffroom.content.formats import Reading
from staffroom.content.import_runner import (
    MAX_ATTEMPTS,
    MAX_REFUSED,
    RETRY_SECONDS,
    ImportRunner,
)
from staffroom.database.connection import Database
from staffroom.database.imports import ImportRecord, ImportState
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import ConfigError, ConflictError, EmbedderUnavailable, NotFoundError
from staffroom.types import Role, Vectors
from tests.fakes import WordEmbedder

BATCH = 4
ROWS = [{"id": str(number), "text": f"Situation {number}"} for number in range(12)]
BAD = {"id": "bad", "name": "Nothing in it"}
OTHER_TENANT = UUID("00000000-0000-7000-8000-000000000002")


class GatedEmbedder(WordEmbedder):
    """Stops before it embeds a text, until the gate is opened."""

    def __init__(self, before: str) -> None:
        super().__init__()
        self._before = before
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()

    async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        if any(self._before in text for text in texts):
            self.reached.set()
            await self.gate.wait()
        return await super().embed(texts, role)


class BrokenEmbedder(WordEmbedder):
    """Works until it meets a text, and then raises."""

    def __init__(self, before: str, error: Exception) -> None:
        super().__init__()
        self._before = before
        self._error = error

    async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        if any(self._before in text for text in texts):
            raise self._error
        return await super().embed(texts, role)


def new_runner(
    database: Database, folder: Path, embedder: WordEmbedder | None = None
) -> ImportRunner:
    vector_ops = VectorOperations(database, embedder or WordEmbedder())
    return ImportRunner(vector_ops, folder, batch_size=BATCH)


async def uploaded(
    runner: ImportRunner, rows: Sequence[Any] = ROWS, *, dry_run: bool = False
) -> UUID:
    file = io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())

    async def read(size: int) -> bytes:
        return file.read(size)

    upload = await runner.receive("a.jsonl", read)
    return (await runner.accept(upload, Reading(), dry_run=dry_run)).id


async def ended(vector_ops: VectorOperations, import_id: UUID) -> ImportRecord:
    async with asyncio.timeout(30):
        while True:
            record = await vector_ops.imports.get(import_id)
            if record.has_ended:
                return record
            await asyncio.sleep(0.01)


async def reached(
    vector_ops: VectorOperations, import_id: UUID, state: ImportState
) -> ImportRecord:
    """The import in that state, with the reason."""
    async with asyncio.timeout(30):
        while True:
            record = await vector_ops.imports.get(import_id)
            if record.state == state and record.stopped:
                return record
            await asyncio.sleep(0.01)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def age(database: Database, vector_ops: VectorOperations, change: str) -> None:
    async with database.transaction(vector_ops.tenant_id) as connection:
        await connection.execute(f"UPDATE staffroom.imports SET {change}")


@asynccontextmanager
async def killed_at_the_gate(runner: ImportRunner, embedder: GatedEmbedder) -> AsyncIterator[None]:
    """The runner works until its embedder is at the gate, and is killed after the block."""
    lane = asyncio.create_task(runner._run_lane(asyncio.Event(), dry_run=False))
    await embedder.reached.wait()
    yield
    lane.cancel()
    await asyncio.gather(lane, return_exceptions=True)


async def test_an_import_that_was_killed_is_taken_up_again_with_exact_counts(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    gated = GatedEmbedder(before="Situation 9")
    first, second = new_runner(database, tmp_path, gated), new_runner(database, tmp_path)
    import_id = await uploaded(first, [BAD, *ROWS])
    async with killed_at_the_gate(first, gated):
        pass
    assert 0 < len(await vector_ops.list_scenarios()) < len(ROWS)

    async with second.running():
        await asyncio.sleep(0.3)
        assert (await vector_ops.imports.get(import_id)).state == "running"
    await age(database, vector_ops, "heartbeat_at = now() - interval '31 seconds'")
    async with second.running():
        record = await ended(vector_ops, import_id)

    assert (record.state, record.read) == ("done", 13)
    assert (record.new, record.changed, record.unchanged, record.failed) == (12, 0, 0, 1)
    assert [refused.row for refused in await vector_ops.imports.refused(import_id)] == [1]
    assert [effect.row for effect in record.effects] == [1]
    names = [scenario.name for scenario in await vector_ops.list_scenarios()]
    assert names == [row["text"] for row in ROWS]
    assert files(tmp_path) == []


async def test_a_runner_that_wakes_up_too_late_stores_and_counts_nothing(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    gated = GatedEmbedder(before="Situation 5")
    late, other = new_runner(database, tmp_path, gated), new_runner(database, tmp_path)
    import_id = await uploaded(late)
    async with killed_at_the_gate(late, gated):
        await age(database, vector_ops, "heartbeat_at = now() - interval '31 seconds'")
        async with other.running():
            await ended(vector_ops, import_id)
        gated.gate.set()
        await asyncio.sleep(0.2)

    record = await vector_ops.imports.get(import_id)
    assert (record.state, record.read, record.new) == ("done", 12, 12)
    assert len(await vector_ops.list_scenarios()) == len(ROWS)


async def test_two_runners_share_the_imports_and_double_none(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    embedders = [WordEmbedder(), WordEmbedder()]
    first, second = (new_runner(database, tmp_path, embedder) for embedder in embedders)
    uploads = [[{"text": f"File {n}, row {row}"} for row in range(10)] for n in range(8)]
    ids = [await uploaded(first, rows) for rows in uploads]

    async with first.running(), second.running():
        records = [await ended(vector_ops, import_id) for import_id in ids]

    assert [(record.read, record.new) for record in records] == [(10, 10)] * 8
    texts = [text for embedder in embedders for text in embedder.embedded]
    assert len(texts) == len(set(texts)) == 80


async def test_a_server_that_stops_finishes_its_batch_and_leaves_the_rest_to_the_next(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    gated = GatedEmbedder(before="Situation 5")
    runner = new_runner(database, tmp_path, gated)
    import_id = await uploaded(runner)
    async with runner.running():
        await gated.reached.wait()
        asyncio.get_running_loop().call_later(0.1, gated.gate.set)

    assert (await vector_ops.imports.get(import_id)).state == "waiting"
    assert len(await vector_ops.list_scenarios()) == 2 * BATCH
    async with new_runner(database, tmp_path).running():
        record = await ended(vector_ops, import_id)
    assert (record.state, record.read, record.new, record.unchanged) == ("done", 12, 12, 0)


async def test_a_dry_run_does_not_wait_for_an_import(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    gated = GatedEmbedder(before="Situation 5")
    runner = new_runner(database, tmp_path, gated)
    async with runner.running():
        import_id = await uploaded(runner)
        await gated.reached.wait()

        record = await ended(vector_ops, await uploaded(runner, dry_run=True))

        assert (record.state, record.new, record.unchanged) == ("done", 8, 4)
        gated.gate.set()
        assert (await ended(vector_ops, import_id)).new == 12


async def test_an_import_that_loses_its_model_waits_and_goes_on_when_it_is_back(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    broken = BrokenEmbedder("Situation 5", EmbedderUnavailable("the model is gone"))
    import_id = await uploaded(new_runner(database, tmp_path, broken))

    async with new_runner(database, tmp_path, broken).running():
        record = await reached(vector_ops, import_id, "waiting")

    assert record.stopped == "the model is gone"
    assert record.retry_at
    assert (record.new, record.failed) == (4, 0)
    async with new_runner(database, tmp_path).running():
        await asyncio.sleep(0.1)
        assert (await vector_ops.imports.get(import_id)).state == "waiting"
    await age(database, vector_ops, "retry_at = now()")
    async with new_runner(database, tmp_path).running():
        record = await ended(vector_ops, import_id)

    assert (record.state, record.stopped) == ("done", "")
    assert (record.read, record.new, record.failed) == (12, 12, 0)


async def test_an_import_whose_model_stays_away_fails_at_last(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    broken = BrokenEmbedder("Situation 5", EmbedderUnavailable("the model is gone"))
    runner = new_runner(database, tmp_path, broken)
    import_id = await uploaded(runner)
    await age(database, vector_ops, f"tries = {len(RETRY_SECONDS)}, rows_done = 4")

    async with runner.running():
        record = await ended(vector_ops, import_id)

    assert (record.state, record.stopped) == ("failed", "the model is gone")
    assert record.failed == 0
    assert files(tmp_path) == []


async def test_what_a_person_edits_while_an_import_is_down_stays_and_nothing_counts_twice(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    gated = GatedEmbedder(before="Situation 9")
    import_id = await uploaded(first := new_runner(database, tmp_path, gated), [BAD, *ROWS])
    async with killed_at_the_gate(first, gated):
        pass
    edited = (await vector_ops.list_scenarios())[0]
    await vector_ops.update_scenario(edited.id, {"expected_response": "Wait for silence."})
    await age(database, vector_ops, "heartbeat_at = now() - interval '31 seconds'")

    embedder = WordEmbedder()
    async with new_runner(database, tmp_path, embedder).running():
        record = await ended(vector_ops, import_id)

    assert (record.read, record.new, record.changed, record.failed) == (13, 12, 0, 1)
    kept = await vector_ops.get_scenario(edited.id)
    assert kept.content.expected_response == "Wait for silence."
    # Rows that were done with cost the model nothing.
    assert not any("Situation 0" in text for text in embedder.embedded)


async def test_an_import_is_paused_at_once_and_goes_on_where_it_was(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    gated = GatedEmbedder(before="Situation 5")
    runner = new_runner(database, tmp_path, gated)
    import_id = await uploaded(runner)
    async with runner.running():
        await gated.reached.wait()
        paused = await runner.ask(import_id, "pause")
        gated.gate.set()
        await asyncio.sleep(0.2)

        assert paused.state == (await vector_ops.imports.get(import_id)).state == "paused"
        assert len(await vector_ops.list_scenarios()) == 4
        assert (await runner.ask(import_id, "pause")).state == "paused"

        await runner.ask(import_id, "run")
        record = await ended(vector_ops, import_id)

    assert (record.state, record.read, record.new, record.unchanged) == ("done", 12, 12, 0)
    assert files(tmp_path) == []


async def test_an_import_that_is_cancelled_keeps_what_it_stored_and_loses_its_file(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    gated = GatedEmbedder(before="Situation 5")
    runner = new_runner(database, tmp_path, gated)
    import_id, waiting = await uploaded(runner), await uploaded(runner)
    async with runner.running():
        await gated.reached.wait()
        assert (await runner.ask(waiting, "cancel")).state == "cancelled"
        record = await runner.ask(import_id, "cancel")
        gated.gate.set()
        await asyncio.sleep(0.2)

    assert (record.state, record.has_ended, record.new) == ("cancelled", True, 4)
    assert len(await vector_ops.list_scenarios()) == 4
    assert files(tmp_path) == []
    assert (await runner.ask(import_id, "cancel")).state == "cancelled"
    with pytest.raises(ConflictError, match="has ended: it is cancelled"):
        await runner.ask(import_id, "run")


async def test_rows_that_repeat_others_are_counted_by_themselves(
    vector_ops: VectorOperations, tmp_path: Path, database: Database
) -> None:
    runner = new_runner(database, tmp_path)
    await vector_ops.batch_store_content(ROWS[:3])
    import_id = await uploaded(runner, [*ROWS[:6], ROWS[4], BAD])

    async with runner.running():
        record = await ended(vector_ops, import_id)

    assert (record.new, record.unchanged, record.duplicate, record.failed) == (3, 3, 1, 1)
    assert record.read == 8


async def test_a_defect_ends_its_import_and_no_other(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    runner = new_runner(database, tmp_path, BrokenEmbedder("Situation 5", ZeroDivisionError()))
    bad, good = await uploaded(runner), await uploaded(runner, ROWS[:2])

    async with runner.running():
        assert "Staffroom made a mistake" in (await ended(vector_ops, bad)).stopped
        assert (await ended(vector_ops, good)).state == "done"


async def test_a_file_that_kills_every_runner_is_given_up(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    runner = new_runner(database, tmp_path)
    import_id = await uploaded(runner)
    await age(database, vector_ops, f"attempts = {MAX_ATTEMPTS}")

    async with runner.running():
        record = await ended(vector_ops, import_id)

    assert record.state == "failed"
    assert "killed 5 times" in record.stopped


async def test_a_file_of_nothing_but_errors_is_not_read_to_its_end(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    runner = ImportRunner(vector_ops, tmp_path, batch_size=10_000)
    import_id = await uploaded(runner, [1] * (MAX_REFUSED + 20_000))

    async with runner.running():
        record = await ended(vector_ops, import_id)

    assert (record.state, record.failed) == ("failed", MAX_REFUSED)
    assert "the rest was not read" in record.stopped
    assert len(record.effects) == 200


async def test_an_import_whose_file_is_gone_fails_after_a_day(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    runner = new_runner(database, tmp_path)
    lost, waiting = await uploaded(runner), await uploaded(runner)
    for path in files(tmp_path):
        path.unlink()
    async with runner.running():
        await asyncio.sleep(0.1)
        assert (await vector_ops.imports.get(lost)).state == "waiting"
    await age(
        database, vector_ops, f"created_at = now() - interval '2 days' WHERE import_id = '{lost}'"
    )

    async with new_runner(database, tmp_path).running():
        record = await ended(vector_ops, lost)

    assert record.state == "failed"
    assert "Upload it again" in record.stopped
    assert (await vector_ops.imports.get(waiting)).state == "waiting"


async def test_what_killed_uploads_left_behind_is_removed(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    runner = new_runner(database, tmp_path)
    waiting = await uploaded(runner)
    (kept,) = files(tmp_path)
    old = time.time() - 7200
    names = (f"{OTHER_TENANT}.part", f"{OTHER_TENANT}.csv")
    for name in names:
        (kept.parent / name).write_text("half")
        os.utime(kept.parent / name, (old, old))
    fresh = kept.parent / f"{UUID(int=7)}.part"
    fresh.write_text("still coming")

    async with runner.running():
        await ended(vector_ops, waiting)

    assert files(tmp_path) == [fresh]


async def test_a_tenant_sees_and_runs_no_import_of_another(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    runner = new_runner(database, tmp_path)
    import_id = await uploaded(runner)
    foreign = vector_ops.for_tenant(OTHER_TENANT)

    assert await foreign.imports.page() == []
    assert await foreign.imports.refused(import_id) == []
    assert await foreign.imports.claim([import_id], dry_run=False) is None
    with pytest.raises(NotFoundError):
        await foreign.imports.get(import_id)
    async with ImportRunner(foreign, tmp_path).running():
        await asyncio.sleep(0.2)
    assert (await vector_ops.imports.get(import_id)).state == "waiting"


async def test_a_home_that_cannot_be_written_to_is_named(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    runner = new_runner(database, tmp_path / "file")

    with pytest.raises(ConfigError, match="STAFFROOM_HOME"):
        await uploaded(runner)
