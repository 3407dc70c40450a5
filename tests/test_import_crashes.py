"""Imports whose processes are killed at any moment end as if nothing had happened."""

import asyncio
import io
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from staffroom.app import App
from staffroom.config import PREFIX, Settings
from staffroom.content.formats import Reading
from staffroom.database.embedded import EmbeddedServer
from staffroom.errors import UnavailableError
from staffroom.types import Filters

KILLS = 51
ROWS = 600
LATEST = 1.2
"""Seconds after which a process that carries out imports is killed at the latest."""

HEARD = b"Waiting for imports"
READY = b"Staffroom is at"


def edition(number: int) -> list[dict[str, Any]]:
    """The file once more, with something new in every row."""
    return [
        {"id": f"row-{row}", "text": f"Situation {row}, told for the {number}. time."}
        for row in range(ROWS)
    ]


@pytest.fixture
def settings(models: Path, home: Path) -> Settings:
    return Settings(
        home=home, models=models, writer="extractive", starter_library=False, batch_size=32
    )


@contextmanager
def runner(settings: Settings, *command: str, sign: bytes) -> Iterator[subprocess.Popen[bytes]]:
    """A process that carries out imports, ready; it is killed afterwards, if it still lives."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    own = {
        "HOME": settings.home,
        "MODELS": settings.models,
        "WRITER": "extractive",
        "STARTER_LIBRARY": "false",
        "BATCH_SIZE": settings.batch_size,
    }
    environment = others | {f"{PREFIX}{name}": str(value) for name, value in own.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "staffroom.cli", *command],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stderr
    try:
        said = b""
        while sign not in said:
            line = process.stderr.readline()
            said += line
            assert line, said.decode()
        yield process
    finally:
        process.kill()
        process.stderr.close()
        process.wait()


async def upload(app: App, number: int) -> UUID:
    file = io.BytesIO("".join(json.dumps(row) + "\n" for row in edition(number)).encode())

    async def read(size: int) -> bytes:
        return file.read(size)

    received = await app.import_runner.receive("a.jsonl", read)
    return (await app.import_runner.accept(received, Reading(), dry_run=False)).id


async def until_back(app: App, import_id: UUID) -> None:
    """The database answers again; the import's runner is known to be dead."""
    async with asyncio.timeout(60):
        while True:
            with suppress(UnavailableError):
                async with app.database.transaction(app.vector_ops.tenant_id) as connection:
                    await connection.execute(
                        "UPDATE staffroom.imports SET heartbeat_at = now() - interval '1 hour', "
                        "attempts = 0 WHERE import_id = %s",
                        [import_id],
                    )
                return
            await asyncio.sleep(0.05)


async def until_ended(app: App, import_id: UUID) -> None:
    async with asyncio.timeout(120):
        while True:
            if (await app.vector_ops.imports.get(import_id)).has_ended:
                return
            await asyncio.sleep(0.1)


async def check(app: App, import_id: UUID, number: int) -> None:
    """The edition is in the library: counted exactly, once, and found."""
    record = await app.vector_ops.imports.get(import_id)
    new, changed = (ROWS, 0) if number == 1 else (0, ROWS)
    assert (record.state, record.stopped) == ("done", "")
    assert (record.read, record.new, record.changed) == (ROWS, new, changed)
    assert (record.unchanged, record.duplicate, record.failed) == (0, 0, 0)
    stored = await app.vector_ops.list_scenarios(Filters(), 2 * ROWS)
    texts = sorted(scenario.content.description for scenario in stored)
    assert texts == sorted(row["text"] for row in edition(number))
    assert {scenario.revision for scenario in stored} == {number}
    assert await app.vector_ops.embed_missing() == 0
    for row in (0, ROWS // 2, ROWS - 1):
        question = edition(number)[row]["text"]
        for mode in ("meaning", "words", "hybrid"):
            found = await app.vector_ops.search(question, 3, 0.0, mode=mode)
            ids = [match.scenario.content.source_id for match in found.matches]
            assert f"row-{row}" in ids, (mode, question, ids)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_imports_survive_the_death_of_worker_server_and_database(settings: Settings) -> None:
    chance = random.Random(7)
    app = App(settings)
    await app.prepare()
    number = 1
    import_id = await upload(app, number)
    for kill in range(KILLS):
        if (await app.vector_ops.imports.get(import_id)).has_ended:
            await check(app, import_id, number)
            number += 1
            import_id = await upload(app, number)
        is_server = kill % 3 == 1
        command = ("serve", "--port", "0") if is_server else ("worker",)
        with runner(settings, *command, sign=READY if is_server else HEARD) as process:
            await asyncio.sleep(chance.uniform(0, LATEST))
            if kill % 3 == 2:
                pid = EmbeddedServer(settings.home).status().pid
                assert pid
                os.kill(pid, signal.SIGKILL)
                await asyncio.sleep(chance.uniform(0, 0.3))
            process.kill()
        await until_back(app, import_id)

    with runner(settings, "worker", sign=HEARD):
        await until_ended(app, import_id)
    await check(app, import_id, number)
    assert number > 1
    assert [path for path in (settings.home / "uploads").rglob("*") if path.is_file()] == []
    await app.close()
