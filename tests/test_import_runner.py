"""Imports in the background: killed, stopped, paused, doubled, and exact all the same."""

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
from staffroom.database.claims import Checkpoint, Claim, ImportState, Wanted
from staffroom.database.connection import Connection, Database
from staffroom.database.imports import ImportRecord
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

    def __init__(self, before: str = "never") -> None:
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
    runner: ImportRunner,
    rows: Sequence[Any] = ROWS,
    reading: Reading | None = None,
    *,
    dry_run: bool = False,
    keep_duplicates: bool = False,
) -> UUID:
    file = io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())

    async def read(size: int) -> bytes:
        return file.read(size)

    upload = await runner.receive("a.jsonl", read)
    try:
        reading = reading or Reading()
        return (
            await runner.accept(upload, reading, dry_run=dry_run, keep_duplicates=keep_duplicates)
        ).id
    finally:
        upload.discard()


async def ended(vector_ops: VectorOperations, import_id: UUID) -> ImportRecord:
    return await becomes(vector_ops, import_id, "done", "failed", "cancelled")


async def becomes(vector_ops: VectorOperations, import_id: UUID, *states: str) -> ImportRecord:
    async with asyncio.timeout(30):
        while True:
            record = await vector_ops.imports.get(import_id)
            if record.state in states:
                return record
            await asyncio.sleep(0.01)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def parts(database: Database, vector_ops: VectorOperations) -> int:
    async with database.transaction(vector_ops.tenant_id) as connection:
        cursor = await connection.execute("SELECT count(*) AS size FROM staffroom.import_parts")
        row = await cursor.fetchone()
    return int(row["size"]) if row else 0


async def age(database: Database, vector_ops: VectorOperations, change: str) -> None:
    async with database.transaction(vector_ops.tenant_id) as connection:
        await connection.execute(f"UPDATE staffroom.imports SET {change}")


async def at_the_gate(
    vector_ops: VectorOperations, import_id: UUID, embedder: GatedEmbedder, read: int
) -> None:
    """The embedder is at the gate, and so many rows before that are stored."""
    await embedder.reached.wait()
    async with asyncio.timeout(30):
        while True:
            if (await vector_ops.imports.get(import_id)).read == read:
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def killed_at_the_gate(
    runner: ImportRunner, import_id: UUID, embedder: GatedEmbedder, read: int = BATCH
) -> AsyncIterator[None]:
    """The runner works until its embedder is at the gate and so many rows are stored, and is
    killed after the block."""
    lane = asyncio.create_task(runner.run_waiting())
    await at_the_gate(runner._vector_ops, import_id, embedder, read)
    yield
    lane.cancel()
    await asyncio.gather(lane, return_exceptions=True)


async def test_an_import_that_was_killed_is_taken_up_again_with_exact_counts(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    gated, after = GatedEmbedder(before="Situation 9"), WordEmbedder()
    first, second = new_runner(database, tmp_path, gated), new_runner(database, tmp_path, after)
    import_id = await uploaded(first, [BAD, *ROWS])
    async with killed_at_the_gate(first, import_id, gated, read=8):
        pass
    assert len(await vector_ops.list_scenarios()) == 7

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
    assert not set(gated.embedded) & set(after.embedded)
    assert files(tmp_path) == []
    assert await parts(database, vector_ops) == 0


async def test_what_a_person_edits_while_an_import_is_down_stays(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    gated = GatedEmbedder(before="Situation 9")
    first, second = new_runner(database, tmp_path, gated), new_runner(database, tmp_path)
    import_id = await uploaded(first)
    async with killed_at_the_gate(first, import_id, gated, read=8):
        pass
    (edited, *_) = await vector_ops.list_scenarios()
    await vector_ops.update_scenario(edited.id, {"expected_response": "A person wrote this."})
    await age(database, vector_ops, "heartbeat_at = now() - interval '31 seconds'")

    async with second.running():
        record = await ended(vector_ops, import_id)

    assert (record.read, record.new, record.changed, record.unchanged) == (12, 12, 0, 0)
    now = await vector_ops.get_scenario(edited.id)
    assert (now.revision, now.content.expected_response) == (2, "A person wrote this.")


async def test_every_row_is_counted_once_under_what_became_of_it(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    await vector_ops.put_scenario(ROWS[0])
    await vector_ops.put_scenario(ROWS[1] | {"name": "Another name"})
    rows = [*ROWS[:3], BAD, ROWS[2], *ROWS[3:6], 5, ROWS[5], {"id": "5", "text": "Other words"}]

    runner = new_runner(database, tmp_path)
    async with runner.running():
        record = await ended(vector_ops, await uploaded(runner, rows))
        rehearsed = await ended(vector_ops, await uploaded(runner, rows, dry_run=True))

    assert (record.new, record.changed, record.unchanged) == (4, 1, 1)
    assert (record.duplicate, record.failed) == (2, 3)
    assert record.read == len(rows) == 11
    assert (rehearsed.new, rehearsed.unchanged, rehearsed.duplicate) == (0, 6, 2)
    assert rehearsed.read == len(rows)


async def test_a_batch_that_the_database_refuses_is_halved_and_each_half_is_a_checkpoint(
    database: Database,
    vector_ops: VectorOperations,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The eighth row cannot be stored, and the runner is killed between the two halves."""
    await vector_ops.put_scenario({"id": "before", "text": "It makes the tables."})
    async with database.owner_transaction() as connection:
        await connection.execute(
            "ALTER TABLE staffroom.scenarios ADD CONSTRAINT odd CHECK (source_id <> '6')"
        )
    gated, keep = GatedEmbedder(), Claim.keep
    kept: list[int] = []

    async def keep_one(claim: Claim, connection: Connection | None, point: Checkpoint) -> None:
        if kept:
            gated.reached.set()
            await gated.gate.wait()
        await keep(claim, connection, point)
        kept.extend(effect.row for effect in point.effects)

    first, second = (new_runner(database, tmp_path) for _ in range(2))
    first._batch_size = second._batch_size = 20
    import_id = await uploaded(first, [*ROWS[:3], BAD, *ROWS[3:], BAD])
    with monkeypatch.context() as patched:
        patched.setattr(Claim, "keep", keep_one)
        async with killed_at_the_gate(first, import_id, gated, read=7):
            halfway = await vector_ops.imports.get(import_id)
    await age(database, vector_ops, "heartbeat_at = now() - interval '31 seconds'")

    async with second.running():
        record = await ended(vector_ops, import_id)

    assert kept == list(range(1, 8))
    assert (halfway.read, halfway.new, halfway.failed) == (7, 6, 1)
    assert (record.read, record.new, record.failed) == (14, 11, 3)
    refused = await vector_ops.imports.refused(import_id)
    assert [row.row for row in refused] == [4, 8, 14]
    assert "odd" in refused[1].reason
    assert len(await vector_ops.list_scenarios()) == 12


async def test_what_repeats_another_scenario_is_counted_once_however_often_it_is_killed(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    """The second runner finds in the library what the first one stored of the same file."""
    await vector_ops.put_scenario({"id": "there", "text": "It is there."})
    same = [{"id": f"again {n}", "text": f"Situation {n}"} for n in range(2)]
    rows = [*ROWS[:2], *same, {"id": "x", "text": "It is there."}, ROWS[0], *ROWS[2:]]
    gated = GatedEmbedder(before="Situation 9")
    import_id = await uploaded(first := new_runner(database, tmp_path, gated), rows)
    async with killed_at_the_gate(first, import_id, gated, read=12):
        halfway = await vector_ops.imports.get(import_id)
    await age(database, vector_ops, "heartbeat_at = now() - interval '31 seconds'")

    await new_runner(database, tmp_path).run_waiting()

    record = await vector_ops.imports.get(import_id)
    assert (halfway.read, halfway.new, halfway.duplicate) == (12, 8, 4)
    assert (record.read, record.new, record.unchanged, record.duplicate) == (16, 12, 0, 4)
    assert [effect.row for effect in record.effects] == [3, 4, 5]
    assert record.effects[0].reason == "the same as row 1"


async def test_a_refused_row_may_have_numbers_that_the_database_does_not_know(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    runner = new_runner(database, tmp_path)
    odd = BAD | {"score": float("nan"), "scores": [{"best": float("inf")}]}
    import_id = await uploaded(runner, [odd, *ROWS])

    await runner.run_waiting()

    record = await vector_ops.imports.get(import_id)
    assert (record.state, record.new, record.failed) == ("done", 12, 1)
    (refused,) = await vector_ops.imports.refused(import_id)
    assert (refused.values["score"], refused.values["scores"]) == ("nan", [{"best": "inf"}])


async def test_a_full_disk_lets_an_import_wait_and_refuses_no_row(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    runner = new_runner(database, tmp_path)
    import_id = await uploaded(runner, [BAD, *ROWS])
    async with database.owner_transaction() as connection:
        await connection.execute(
            "CREATE FUNCTION staffroom.no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'could not extend file: No space left' USING ERRCODE = '53100'; "
            "END $$"
        )
        await connection.execute(
            "CREATE TRIGGER no_space BEFORE INSERT ON staffroom.scenario_revisions FOR EACH ROW "
            "WHEN (NEW.description = 'Situation 5') EXECUTE FUNCTION staffroom.no_space()"
        )

    await runner.run_waiting()

    waiting = await vector_ops.imports.get(import_id)
    assert (waiting.state, waiting.read, waiting.new, waiting.failed) == ("waiting", 4, 3, 1)
    assert "the database's disk is full" in waiting.stopped
    assert waiting.retry_at
    async with database.owner_transaction() as connection:
        await connection.execute("DROP FUNCTION staffroom.no_space CASCADE")
    await age(database, vector_ops, "retry_at = NULL")
    await runner.run_waiting()
    record = await vector_ops.imports.get(import_id)
    assert (record.state, record.read, record.new, record.failed) == ("done", 13, 12, 1)


async def test_the_import_of_a_killed_runner_is_taken_up_when_its_lease_is_over(
    database: Database,
    vector_ops: VectorOperations,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And no sooner: a runner that is slow, and heard of, keeps it."""
    monkeypatch.setattr("staffroom.database.imports.SILENCE_SECONDS", 0.6)
    monkeypatch.setattr("staffroom.content.import_runner.BEAT_SECONDS", 0.05)
    monkeypatch.setattr("staffroom.content.import_runner.LOOK_SECONDS", 0.05)
    gated = GatedEmbedder(before="Situation 5")
    first, second = new_runner(database, tmp_path, gated), new_runner(database, tmp_path)
    import_id = await uploaded(first)

    async with killed_at_the_gate(first, import_id, gated):
        async with second.running():
            await asyncio.sleep(0.9)
        assert (await vector_ops.imports.get(import_id)).state == "running"
    async with second.running():
        record = await ended(vector_ops, import_id)

    assert (record.state, record.read, record.new) == ("done", 12, 12)


async def test_a_runner_that_wakes_up_too_late_stores_and_counts_nothing(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    gated = GatedEmbedder(before="Situation 5")
    late, other = new_runner(database, tmp_path, gated), new_runner(database, tmp_path)
    import_id = await uploaded(late)
    async with killed_at_the_gate(late, import_id, gated):
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
        await at_the_gate(vector_ops, import_id, gated, BATCH)
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
        await at_the_gate(vector_ops, import_id, gated, BATCH)

        record = await ended(vector_ops, await uploaded(runner, dry_run=True))

        assert (record.state, record.new, record.unchanged) == ("done", 8, 4)
        gated.gate.set()
        assert (await ended(vector_ops, import_id)).new == 12


async def test_an_import_that_loses_its_model_waits_and_refuses_no_row_for_that(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    broken = BrokenEmbedder("Situation 5", EmbedderUnavailable("the model is gone"))
    runner = new_runner(database, tmp_path, broken)
    import_id = await uploaded(runner)

    await runner.run_waiting()

    waiting = await vector_ops.imports.get(import_id)
    assert (waiting.state, waiting.stopped) == ("waiting", "the model is gone")
    assert waiting.retry_at
    assert (waiting.read, waiting.new, waiting.failed) == (4, 4, 0)
    async with new_runner(database, tmp_path).running():
        record = await ended(vector_ops, import_id)
    assert (record.state, record.stopped, record.read, record.new) == ("done", "", 12, 12)


async def test_an_import_whose_model_stays_away_is_given_up_in_the_end(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    broken = BrokenEmbedder("Situation 5", EmbedderUnavailable("the model is gone."))
    runner = new_runner(database, tmp_path, broken)
    import_id = await uploaded(runner)

    for _ in range(1 + len(RETRY_SECONDS)):
        assert not (await vector_ops.imports.get(import_id)).has_ended
        await age(database, vector_ops, "retry_at = NULL")
        await runner.run_waiting()

    record = await vector_ops.imports.get(import_id)
    assert (record.state, record.read) == ("failed", 4)
    assert record.stopped == "the model is gone. It was tried 7 times."


async def test_a_paused_import_goes_on_behind_its_last_row(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    gated = GatedEmbedder(before="Situation 5")
    runner = new_runner(database, tmp_path, gated)
    imports, import_id = vector_ops.imports, await uploaded(runner)
    async with runner.running():
        await at_the_gate(vector_ops, import_id, gated, BATCH)
        assert (await imports.ask(import_id, "pause")).state == "running"
        gated.gate.set()
        paused = await becomes(vector_ops, import_id, "paused")
        assert (paused.read, paused.new) == (8, 8)
        assert len(await vector_ops.list_scenarios()) == 8
        assert await imports.claim(dry_run=False) is None
        assert (await imports.ask(import_id, "pause")).state == "paused"

        await imports.ask(import_id, "run")
        record = await ended(vector_ops, import_id)

    assert (record.state, record.read, record.new) == ("done", 12, 12)


async def test_a_cancelled_import_keeps_what_was_stored_and_says_so(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    gated = GatedEmbedder(before="Situation 5")
    runner = new_runner(database, tmp_path, gated)
    imports, import_id = vector_ops.imports, await uploaded(runner)
    async with runner.running():
        await at_the_gate(vector_ops, import_id, gated, BATCH)
        await imports.ask(import_id, "cancel")
        gated.gate.set()
        record = await ended(vector_ops, import_id)

    assert (record.state, record.new) == ("cancelled", 8)
    assert "stays in the library" in record.stopped
    assert record.finished_at
    assert len(await vector_ops.list_scenarios()) == 8
    assert await parts(database, vector_ops) == 0
    assert (await imports.ask(import_id, "cancel")).state == "cancelled"
    with pytest.raises(ConflictError, match=r"a\.jsonl has ended: it is cancelled"):
        await imports.ask(import_id, "run")


@pytest.mark.parametrize(("wanted", "state"), [("pause", "paused"), ("cancel", "cancelled")])
async def test_an_import_that_nobody_runs_obeys_at_once(
    database: Database,
    vector_ops: VectorOperations,
    tmp_path: Path,
    wanted: Wanted,
    state: ImportState,
) -> None:
    gated = GatedEmbedder(before="Situation 5")
    runner = new_runner(database, tmp_path, gated)
    waiting, killed = await uploaded(runner, ROWS[:1]), await uploaded(runner)
    assert (await vector_ops.imports.ask(waiting, wanted)).state == state
    async with killed_at_the_gate(runner, killed, gated):
        pass
    await age(database, vector_ops, "heartbeat_at = now() - interval '31 seconds'")

    record = await vector_ops.imports.ask(killed, wanted)

    assert (record.state, record.read) == (state, 4)
    assert bool(record.stopped) == bool(record.finished_at) == (wanted == "cancel")
    assert await parts(database, vector_ops) == (0 if wanted == "cancel" else 2)


async def test_a_file_that_is_on_its_way_is_not_taken_in_again(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    runner = new_runner(database, tmp_path)

    ids = await asyncio.gather(*(uploaded(runner) for _ in range(4)))
    others = [
        await uploaded(runner, dry_run=True),
        await uploaded(runner, keep_duplicates=True),
        await uploaded(runner, reading=Reading({"text": "description", "id": ""})),
    ]
    assert await uploaded(runner, keep_duplicates=True) == others[1]
    await runner.run_waiting()
    again = await uploaded(runner)

    assert len(set(ids)) == 1
    assert len({ids[0], *others, again}) == 5
    assert files(tmp_path) == []


async def test_a_runner_on_another_machine_has_the_file_in_all_its_parts(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    rows = [{"id": str(n), "text": f"Situation {n} " + "long " * 15_000} for n in range(40)]
    here, there = new_runner(database, tmp_path / "a"), new_runner(database, tmp_path / "b")
    import_id = await uploaded(here, [row | {"text": row["text"][:60_000]} for row in rows])
    assert await parts(database, vector_ops) == 3
    assert files(tmp_path) == []

    await there.run_waiting()

    record = await vector_ops.imports.get(import_id)
    assert (record.state, record.read) == ("done", 40)
    assert record.bytes_done == record.size > 2_000_000
    assert files(tmp_path) == []


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


async def test_a_file_that_is_not_as_it_was_uploaded_is_not_imported(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    runner = new_runner(database, tmp_path)
    import_id = await uploaded(runner)
    async with database.transaction(vector_ops.tenant_id) as connection:
        await connection.execute("DELETE FROM staffroom.import_parts")

    await runner.run_waiting()

    record = await vector_ops.imports.get(import_id)
    assert (record.state, record.read) == ("failed", 0)
    assert "Upload it again" in record.stopped


async def test_what_killed_processes_left_behind_is_removed(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    gated = GatedEmbedder(before="Situation 5")
    runner = new_runner(database, tmp_path, gated)
    import_id = await uploaded(runner)
    async with runner.running():
        await at_the_gate(vector_ops, import_id, gated, BATCH)
        (read,) = files(tmp_path)
        left, fresh = (read.parent / f"{UUID(int=n)}.csv" for n in (7, 8))
        for path in (left, fresh):
            path.write_text("half")
        for path in (read, left):
            os.utime(path, (time.time() - 7200,) * 2)

        other = new_runner(database, tmp_path)
        async with other.running():
            await ended(vector_ops, await uploaded(other, ROWS[:2], dry_run=True))

        assert set(files(tmp_path)) == {read, fresh}
        gated.gate.set()


async def test_a_tenant_sees_and_runs_no_import_of_another(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    runner = new_runner(database, tmp_path)
    import_id = await uploaded(runner)
    foreign = vector_ops.for_tenant(OTHER_TENANT)

    assert await foreign.imports.page() == []
    assert await foreign.imports.refused(import_id) == []
    assert await foreign.imports.claim(dry_run=False) is None
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


async def test_a_machine_that_cannot_write_leaves_the_import_to_another(
    database: Database, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    import_id = await uploaded(new_runner(database, tmp_path / "a"))

    await new_runner(database, tmp_path / "file").run_waiting()

    waiting = await vector_ops.imports.get(import_id)
    assert (waiting.state, waiting.read, waiting.failed) == ("waiting", 0, 0)
    assert "STAFFROOM_HOME" in waiting.stopped
    await vector_ops.imports.ask(import_id, "run")
    await new_runner(database, tmp_path / "a").run_waiting()
    assert (await vector_ops.imports.get(import_id)).state == "done"
