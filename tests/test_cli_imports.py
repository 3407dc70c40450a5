"""`imports` and `worker` as people and scripts use them, each command in a process of its own."""

import asyncio
import io
import json
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from staffroom.app import App
from staffroom.config import Settings
from staffroom.content.formats import Reading
from tests.command import Command
from tests.test_cli import NOBODY

T = TypeVar("T")

ROWS = [{"id": str(number), "text": f"A noise in class {number}."} for number in range(3)]
BAD = {"id": "bad", "name": "Nothing in it", "mood": "grey"}


@pytest.fixture
def command(settings: Settings) -> Command:
    return Command.on(settings, STAFFROOM_BATCH_SIZE="20")


def within(settings: Settings, work: Callable[[App], Awaitable[T]]) -> T:
    async def opened() -> T:
        app = App(settings)
        try:
            return await work(app)
        finally:
            await app.close()

    return asyncio.run(opened())


def upload(settings: Settings, rows: Sequence[Any]) -> str:
    """A file waits, as if it had been sent to a server that carries no import out."""
    file = io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())

    async def read(size: int) -> bytes:
        return file.read(size)

    async def work(app: App) -> str:
        received = await app.import_runner.receive("week.jsonl", read)
        try:
            accepted = await app.import_runner.accept(received, Reading(), dry_run=False)
            return str(accepted.id)
        finally:
            received.discard()

    return within(settings, work)


@pytest.mark.slow
def test_an_import_is_looked_after_on_the_command_line(
    command: Command, settings: Settings
) -> None:
    import_id = upload(settings, [*ROWS, BAD])
    assert "paused" in command("imports", "pause", import_id).stdout
    command("worker", "--once")
    assert command.json("imports", "show", import_id)["read"] == 0

    assert command.json("imports", "resume", import_id)["state"] == "waiting"
    command("worker", "--once")

    (listed,) = command.json("imports", "list")
    assert (listed["id"], listed["state"], listed["read"]) == (import_id, "done", 4)
    shown = command("imports", "show", import_id).stdout
    assert "week.jsonl: done" in shown
    assert "4 read, 3 new, 0 changed, 0 unchanged, 0 repeated, 1 refused" in shown
    assert "week.jsonl" in command("imports", "list").stdout


@pytest.mark.slow
def test_what_cannot_be_done_to_an_import_is_told(command: Command, settings: Settings) -> None:
    import_id = upload(settings, ROWS)
    cancelled = command("imports", "cancel", import_id).stdout
    assert "What was stored before that stays" in cancelled

    late = command("imports", "resume", import_id, code=2)
    assert "week.jsonl has ended: it is cancelled" in late.stderr.replace("\n", " ")
    assert NOBODY in command("imports", "show", NOBODY, code=4).stderr


@pytest.mark.slow
def test_a_worker_shows_its_figures_to_prometheus(command: Command, settings: Settings) -> None:
    upload(settings, [*ROWS, BAD])
    with command.started("worker", "--metrics-port", "0") as worker:
        assert worker.stderr
        address = worker.stderr.readline().removeprefix("Figures for Prometheus: ").strip()
        deadline = time.monotonic() + 60
        rows: dict[str, float] = {}
        while sum(rows.values()) < len(ROWS) + 1:
            assert time.monotonic() < deadline, rows
            rows = {
                sample.labels["result"]: sample.value
                for family in text_string_to_metric_families(httpx.get(address).text)
                for sample in family.samples
                if sample.name == "import_rows_total"
            }
            time.sleep(0.1)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0

    assert rows["new"] == len(ROWS)
    assert sum(rows.values()) == len(ROWS) + 1


@pytest.mark.slow
def test_a_port_that_is_taken_is_named(command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        told = command("worker", "--once", "--metrics-port", port, code=78).stderr

    assert f"127.0.0.1, port {port}" in " ".join(told.split())


@pytest.mark.slow
def test_a_worker_that_is_told_to_end_finishes_its_batch_and_leaves_the_rest(
    command: Command, settings: Settings
) -> None:
    rows = [{"text": f"A noise in class {number}."} for number in range(1_000)]
    import_id = upload(settings, rows)

    async def until_begun(app: App) -> None:
        deadline = time.monotonic() + 60
        while not (await app.vector_ops.imports.page())[0].read:
            assert time.monotonic() < deadline, "the worker has not begun"
            await asyncio.sleep(0.02)

    with command.started("worker") as worker:
        assert worker.stderr
        assert "Waiting for imports" in worker.stderr.readline()
        within(settings, until_begun)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0, worker.stderr.read()

    left = command.json("imports", "show", import_id)
    assert left["state"] == "waiting"
    assert 0 < left["read"] < 1_000
    assert left["read"] % 20 == 0
    command("worker", "--once")
    ended = command.json("imports", "show", import_id)
    assert (ended["state"], ended["new"], ended["read"]) == ("done", 1_000, 1_000)
