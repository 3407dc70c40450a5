"""The API in this process, as a client sees it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
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
