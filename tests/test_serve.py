"""`staffroom serve`, as an operator starts and stops it."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from staffroom.config import Settings
from staffroom.database.connection import CONNECTIONS, Database
from staffroom.database.vector_ops import VectorOperations
from staffroom.embedding.generator import EmbeddingGenerator
from tests.openai_server import OpenAIServer, says
from tests.scrapes import strangers, told

NOISE = {
    "name": "Noisy class",
    "description": "The whole class talks at once and nobody listens.",
    "expected_response": "1. Wait for real silence.\n2. Thank the pupils who are ready.\n"
    "3. Start again with one small task.",
}
LOUD = "my whole class talks at once, nobody listens"
KEY = "a key of sixteen characters or more"


@pytest.fixture
def environment(settings: Settings, models: Path) -> dict[str, str]:
    assert settings.database_url
    return {
        **os.environ,
        "STAFFROOM_DATABASE_URL": settings.database_url.get_secret_value(),
        "STAFFROOM_HOME": str(settings.home),
        "STAFFROOM_MODELS": str(models),
        "STAFFROOM_STARTER_LIBRARY": "false",
    }


@pytest.fixture
async def library(settings: Settings) -> None:
    """A library with one scenario, which a question finds."""
    database = Database(settings)
    embedder = EmbeddingGenerator(settings)
    await VectorOperations(database, embedder).batch_process([NOISE])
    await embedder.close()
    await database.close()


async def start(environment: dict[str, str], *options: str) -> tuple[Process, str]:
    """A server on a free port, and its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "staffroom.cli", "serve", "--port", "0", *options),
        env=environment,
        stderr=PIPE,
    )
    assert process.stderr
    line = (await asyncio.wait_for(process.stderr.readline(), 60)).decode()
    found = re.search(r"Staffroom is at (http://\S+?),?\s", line)
    assert found, line
    return process, found.group(1)


@asynccontextmanager
async def serve(environment: dict[str, str], *options: str) -> AsyncIterator[tuple[Process, str]]:
    """As `start`; the server is gone afterwards, whatever happens."""
    process, address = await start(environment, *options)
    try:
        yield process, address
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), 60)


async def refused(environment: dict[str, str], *options: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "staffroom.cli", "serve", *options), env=environment, stderr=PIPE
    )
    _, told = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode
    return process.returncode, " ".join(told.decode().split())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_server_answers_until_it_is_told_to_stop(
    environment: dict[str, str], number: signal.Signals
) -> None:
    async with serve(environment) as (process, address), httpx.AsyncClient() as client:
        ready = await client.get(f"{address}/readyz")
        process.send_signal(number)
        code = await asyncio.wait_for(process.wait(), 30)

        assert ready.json()["status"] == "ready"
        assert code == 0
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{address}/healthz")


async def test_an_answer_that_is_under_way_is_finished_before_the_server_stops(
    environment: dict[str, str], library: None
) -> None:
    pieces = (
        "Wait for real silence. ",
        1.0,
        "Thank the pupils who are ready. ",
        1.0,
        "Start again",
    )
    async with OpenAIServer(says(*pieces, " with one small task.")).serving() as model:
        environment |= {
            "STAFFROOM_WRITER": "openai:some-model",
            "STAFFROOM_OPENAI_BASE_URL": model.url,
            "STAFFROOM_OPENAI_API_KEY": "x",
        }
        async with serve(environment) as (process, address), httpx.AsyncClient() as client:
            events: list[str] = []
            async with client.stream(
                "POST",
                f"{address}/api/v1/ask",
                json={"question": LOUD},
                headers={"Accept": "text/event-stream"},
                timeout=30,
            ) as response:
                async for line in response.aiter_lines():
                    if line == "event: sentence" and "event: sentence" not in events:
                        process.terminate()
                    events.append(line)
            code = await asyncio.wait_for(process.wait(), 30)

    answer = json.loads(events[events.index("event: answer") + 1].removeprefix("data: "))
    assert len(answer["sentences"]) == 3
    assert answer["interaction_id"]
    assert code == 0


async def test_several_processes_answer_and_one_that_is_killed_is_replaced(
    environment: dict[str, str], library: None
) -> None:
    async with serve(environment, "--workers", "2") as (process, address):

        async def worker() -> int:
            """The process that answers a new connection."""
            async with httpx.AsyncClient(timeout=60) as client:
                return int((await client.get(f"{address}/healthz")).json()["process"])

        async def both() -> set[int]:
            found = {await worker()}
            while len(found) < 2:
                found.add(await worker())
            return found

        before = await asyncio.wait_for(both(), 60)
        os.kill(min(before), signal.SIGKILL)
        async with asyncio.timeout(60):
            while min(before) in await both():  # noqa: ASYNC110 - nobody tells us
                await asyncio.sleep(0.1)
        async with httpx.AsyncClient(timeout=60) as client:
            for _ in range(4):
                found = await client.post(f"{address}/api/v1/search", json={"query": LOUD})
                assert found.json()["matches"]
            counted = (await client.get(f"{address}/metrics")).text
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) in {0, 128 + signal.SIGTERM}

    assert list(strangers(counted)) == []
    assert told(counted, "vector_search_seconds_count") == 4
    searches = {"route": "/api/v1/search", "method": "POST"}
    assert told(counted, "http_requests_total", **searches, status="2xx") == 4
    # What gauges say is said of those that live, and what the database says is said once.
    assert told(counted, "server_processes") == 2
    assert told(counted, "database_pool_limit") == 2 * CONNECTIONS
    assert told(counted, "database_up") == 1
    assert told(counted, "database_live_rows", table="interactions") == 0


async def test_other_machines_are_let_in_with_a_key_only(environment: dict[str, str]) -> None:
    code, told = await refused(environment, "--host", "0.0.0.0")
    async with (
        serve(environment | {"STAFFROOM_API_KEY": KEY}, "--host", "0.0.0.0") as (_, shown),
        httpx.AsyncClient() as client,
    ):
        address = shown.replace("0.0.0.0", "127.0.0.1")
        without = await client.get(f"{address}/api/v1/scenarios")
        with_key = await client.get(
            f"{address}/api/v1/scenarios", headers={"Authorization": f"Bearer {KEY}"}
        )

    assert code == 78
    assert "STAFFROOM_API_KEY" in told
    assert (without.status_code, with_key.status_code) == (401, 200)


async def test_a_key_that_is_too_short_to_keep_anybody_out_is_refused(
    environment: dict[str, str],
) -> None:
    code, told = await refused(environment | {"STAFFROOM_API_KEY": "secret"})

    assert code == 78
    assert "STAFFROOM_API_KEY" in told
    assert "secret" not in told.replace("STAFFROOM_API_KEY", "")


async def test_a_port_that_is_taken_is_named_with_what_to_do(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, told = await refused(environment, "--port", str(port))

    assert code == 75
    assert f"cannot listen on 127.0.0.1 port {port}" in told
    assert "--port" in told


@pytest.mark.slow
async def test_more_than_it_can_carry_is_refused_quickly_and_the_rest_is_answered(
    environment: dict[str, str], library: None
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "staffroom.cli", "bench", "serve", "--seconds", "1", "--json"),
        env=environment,
        stdout=PIPE,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 100)
    report = json.loads(printed)
    calm, *_, crowded = report["steps"]

    assert process.returncode == 0
    assert [rate["clients"] for rate in report["rates"]] == [1, 16]
    for rate in report["rates"]:
        low, high = rate["spread"]
        assert 0 < low <= rate["ratio"] <= high < 10
        assert rate["served_p50_ms"] <= rate["served_p95_ms"]
    assert 0 < report["ready_s"] < 60
    assert 50 < report["idle_mb"] < 450
    assert (calm["share"], calm["failed"], calm["refused_per_s"]) == (0.5, 0, 0)
    assert (crowded["share"], crowded["failed"]) == (3, 0)
    assert crowded["refused_per_s"] > 0
    assert crowded["answered_per_s"] > report["served_per_s"] / 3
    assert report["recovered_after_s"] < 10
