"""The API in this process, as a client sees it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp, Message

from staffroom.api.server import create_api
from staffroom.app import App

BASE = "http://127.0.0.1:8000"


@asynccontextmanager
async def api_client(app: App, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API on that installation, whose server has started."""
    api = create_api(app)
    async with started(api):
        transport = httpx.ASGITransport(api, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
            yield client


@asynccontextmanager
async def listening(api: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application on a real server, in this event loop: it streams, and hears it
    when a reader leaves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(api, log_config=None, lifespan="on", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([listener]))
        while not server.started:
            await asyncio.sleep(0.005)
            assert not running.done(), "the application did not start; the log says why"
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            async with httpx.AsyncClient(base_url=url) as client:
                yield client
        finally:
            server.should_exit = True
            await running


@asynccontextmanager
async def started(api: ASGIApp) -> AsyncIterator[None]:
    """The application between its server's start and stop."""
    told: asyncio.Queue[Message] = asyncio.Queue()
    heard: asyncio.Queue[Message] = asyncio.Queue()

    async def run() -> None:
        await api({"type": "lifespan"}, told.get, heard.put)

    running = asyncio.create_task(run())
    await told.put({"type": "lifespan.startup"})
    message = await heard.get()
    assert message["type"] == "lifespan.startup.complete", message
    try:
        yield
    finally:
        await told.put({"type": "lifespan.shutdown"})
        await running


def events_in(text: str) -> list[tuple[str, Any]]:
    """The server-sent events of a stream, without comments: name and document of each."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found
