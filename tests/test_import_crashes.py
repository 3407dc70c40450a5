"""Imports whose worker, server and PostgreSQL are killed at random points, and exact all the same.

Every process is a real one and is ended by SIGKILL. Only the time that a lease takes is shortened:
after each kill the test lets half a minute pass for the database at once.
"""

import asyncio
import io
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, LiteralString, TypeVar, get_args
from uuid import UUID

import psutil
import psycopg
import pytest

from staffroom.app import App
from staffroom.config import Settings
from staffroom.content.formats import Reading
from staffroom.database.embedded import EmbeddedServer
from staffroom.database.imports import ImportRecord
from staffroom.errors import UnavailableError
from staffroom.retrieval.calibration import Calibration
from staffroom.retrieval.calibration import Reading as Relevance
from staffroom.types import Mode
from tests.embedding_checkpoints import WORDS, make_checkpoint

KILLS = 17
"""Of each of the three."""

ROWS = 150
"""Of a file, all new; besides, one repeats another and one is refused."""

EDIT_EVERY = 10
EDITED = "A person wrote this while the import was down."

T = TypeVar("T")


class House:
    """One installation with a server and a worker, each in a process that can be killed."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = Settings(
            home=home,
            embedder=f"local:{make_checkpoint(home / 'tiny')}",
            starter_library=False,
            batch_size=10,
        )
        self.app = App(self.settings)
        self.random = random.Random(20)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.imports: list[UUID] = []
        self.edited: set[UUID] = set()
        self.kills: Counter[str] = Counter()

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {
            "STAFFROOM_HOME": str(self.home),
            "STAFFROOM_EMBEDDER": self.settings.embedder,
            "STAFFROOM_STARTER_LIBRARY": "false",
            "STAFFROOM_BATCH_SIZE": str(self.settings.batch_size),
        }
        with (self.home / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "staffroom.cli", *arguments],
                env={**os.environ, **environment},
                stderr=log,
            )

    def keep_up(self) -> None:
        """Server and worker run; one that was killed, or found no database, is started again."""
        for name, arguments in (("worker", ["worker"]), ("server", ["serve", "--port", "0"])):
            if name not in self.processes or self.processes[name].poll() is not None:
                self.processes[name] = self.start(name, *arguments)

    def is_importing(self, name: str) -> bool:
        """The process is reading an uploaded file."""
        uploads = str(self.home / "uploads")
        with suppress(psutil.Error):
            process = psutil.Process(self.processes[name].pid)
            return any(file.path.startswith(uploads) for file in process.open_files())
        return False

    def kill(self, name: str) -> None:
        if name == "postgresql":
            pid = EmbeddedServer(self.home).status().pid
            assert pid
            os.kill(pid, signal.SIGKILL)
        else:
            self.processes[name].kill()
            self.processes[name].wait()
        self.kills[name] += 1

    async def upload(self) -> None:
        """One more file waits."""
        number = len(self.imports)
        rows: list[Mapping[str, Any]] = [self.row(number, row) for row in range(ROWS)]
        rows.insert(self.random.randrange(ROWS), {"id": "refused", "name": "Nothing in it"})
        rows.append(next(row for row in rows if "text" in row))
        file = io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())

        async def read(size: int) -> bytes:
            return file.read(size)

        upload = await self.app.import_runner.receive("rows.jsonl", read)
        try:
            accepted = await self.app.import_runner.accept(upload, Reading(), dry_run=False)
            self.imports.append(accepted.id)
        finally:
            upload.discard()

    def row(self, file: int, row: int) -> dict[str, str]:
        text = " ".join(self.random.choices(WORDS[7:], k=12))
        return {"id": f"{file}-{row}", "text": f"{text} {file} {row}"}

    async def let_leases_end(self) -> None:
        async with self.app.database.transaction(self.settings.tenant) as connection:
            await connection.execute(
                "UPDATE staffroom.imports SET heartbeat_at = now() - interval '31 seconds' "
                "WHERE state = 'running'"
            )

    async def edit(self) -> None:
        """A person edits a scenario of an import that has not ended."""
        unfinished = [record for record in await self.records() if not record.has_ended]
        numbers = [self.imports.index(record.id) for record in unfinished]
        async with self.app.database.transaction(self.settings.tenant) as connection:
            cursor = await connection.execute(
                "SELECT scenario_id FROM staffroom.scenarios WHERE source_id = ANY(%s)",
                [[f"{number}-{row}" for number in numbers for row in range(ROWS)]],
            )
            found = [row["scenario_id"] for row in await cursor.fetchall()]
        for scenario in found[:1]:
            change = {"expected_response": EDITED}
            await self.app.vector_ops.update_scenario(scenario, change)
            self.edited.add(scenario)

    async def records(self) -> list[ImportRecord]:
        return [await self.app.vector_ops.imports.get(import_id) for import_id in self.imports]

    async def unfinished(self) -> int:
        return sum(not record.has_ended for record in await self.records())

    def ask(self, query: LiteralString) -> list[tuple[Any, ...]]:
        """What the database says to its superuser."""
        with psycopg.connect(EmbeddedServer(self.home).start(), autocommit=True) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []


async def surely(work: Callable[[], Awaitable[T]]) -> T:
    """What the work returns, once the database is back."""
    async with asyncio.timeout(60):
        while True:
            with suppress(UnavailableError):
                return await work()
            await asyncio.sleep(0.1)


async def crash(house: House) -> None:
    """Each is killed so many times, at a random moment of an import; then all imports end."""
    victims = ["worker", "server", "postgresql"] * KILLS
    house.random.shuffle(victims)
    for victim in victims:
        async with asyncio.timeout(60):
            while True:
                house.keep_up()
                while await surely(house.unfinished) < 3:
                    await surely(house.upload)
                names = ["worker", "server"] if victim == "postgresql" else [victim]
                if any(house.is_importing(name) for name in names):
                    break
                await asyncio.sleep(0.02)
        await asyncio.sleep(house.random.uniform(0, 0.25))
        house.kill(victim)
        house.keep_up()
        await surely(house.let_leases_end)
        if house.kills.total() % EDIT_EVERY == 0:
            await surely(house.edit)
    async with asyncio.timeout(120):
        while await surely(house.unfinished):
            house.keep_up()
            await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_fifty_one_kills_leave_every_import_exact(home: Path) -> None:
    house = House(home)
    # Nothing here is about relevance, and fitting it would take as long as twenty kills.
    relevance = Calibration(dict.fromkeys(get_args(Mode), Relevance(1.0, 0.0, 0.0)), {})
    await house.app.vector_ops.calibrate(relevance)
    try:
        await crash(house)
        await check_counts(house)
        check_tables(house)
        check_index(house)
        assert await house.app.vector_ops.embed_missing() == 0
    finally:
        for process in house.processes.values():
            process.terminate()
            process.wait()
        await house.app.close()


async def check_counts(house: House) -> None:
    """Each row of each file was counted once, and every scenario is there, once and whole."""
    assert house.kills == {"worker": KILLS, "server": KILLS, "postgresql": KILLS}
    for record in await house.records():
        assert (record.state, record.stopped, record.read) == ("done", "", ROWS + 2)
        assert (record.new, record.changed, record.unchanged) == (ROWS, 0, 0)
        assert (record.duplicate, record.failed) == (1, 1)
        (refused,) = await house.app.vector_ops.imports.refused(record.id)
        assert refused.field == "description"
    stored = [row async for row in house.app.content.export()]
    expected = {f"{file}-{row}" for file in range(len(house.imports)) for row in range(ROWS)}
    assert len(stored) == len(expected)
    assert {row["id"] for row in stored} == expected
    assert sum(row["expected_response"] == EDITED for row in stored) == len(house.edited) > 0


def check_tables(house: House) -> None:
    """Nothing is half there: revisions, vectors and words belong to each scenario as it is."""
    ((scenarios, revisions, parts),) = house.ask(
        "SELECT (SELECT count(*) FROM staffroom.scenarios), "
        "(SELECT count(*) FROM staffroom.scenario_revisions), "
        "(SELECT count(*) FROM staffroom.import_parts)"
    )
    assert scenarios == len(house.imports) * ROWS
    assert revisions == scenarios + len(house.edited)
    assert parts == 0
    ((counted, whole),) = house.ask(
        "SELECT (SELECT sum(scenarios) FROM staffroom.word_statistics), (SELECT count(*) "
        "FROM staffroom.scenario_words AS w JOIN staffroom.scenarios AS s "
        "USING (tenant_id, scenario_id) WHERE w.revision = s.text_revision)"
    )
    assert counted == whole == scenarios
    house.ask("CREATE EXTENSION amcheck")
    checked = house.ask(
        "SELECT count(bt_index_check(c.oid, true)) FROM pg_class c JOIN pg_am a ON a.oid = c.relam "
        "WHERE a.amname = 'btree' AND c.relnamespace = 'staffroom'::regnamespace"
    )
    assert checked[0][0] > 20


def check_index(house: House) -> None:
    """The vector index finds what comparing all vectors finds."""
    ((table,),) = house.ask("SELECT vectors_table FROM staffroom.generations")
    nearest = f"SELECT scenario_id FROM staffroom.{table} ORDER BY embedding <#> %s LIMIT 10"
    found = Counter[bool]()
    with psycopg.connect(EmbeddedServer(house.home).start()) as connection:
        vectors = connection.execute(
            f"SELECT embedding::text FROM staffroom.{table} ORDER BY random() LIMIT 50"
        ).fetchall()
        connection.execute("SET hnsw.ef_search = 400")
        for (vector,) in vectors:
            connection.execute("SET enable_seqscan = off")
            plan = connection.execute(f"EXPLAIN {nearest}", [vector]).fetchall()
            assert any("nearest_" in line for (line,) in plan)
            walked = connection.execute(nearest, [vector]).fetchall()
            connection.execute("SET enable_seqscan = on; SET enable_indexscan = off")
            exact = connection.execute(nearest, [vector]).fetchall()
            connection.execute("SET enable_indexscan = on")
            found.update(row in exact for row in walked)
    assert found[False] == 0
    assert found[True] == 500
