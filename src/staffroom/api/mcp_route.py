"""`/mcp`, whose machinery is loaded by the first request: most installations have none.

It takes longer to load than all the rest of the API, and as much memory as the model.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Final

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from staffroom.app import App


class LazyManager:
    """Handles requests as the protocol's manager does, which the first of them begins."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._running: asyncio.Task[None] | None = None
        self._begun: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._ending = asyncio.Event()

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        manager = await asyncio.shield(self._begun)
        await manager.handle_request(scope, receive, send)

    async def close(self) -> None:
        """What the manager began has ended."""
        self._ending.set()
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        """One task for the whole life of the manager, whose scopes must not change theirs."""
        try:
            module = await asyncio.to_thread(import_module, "staffroom.api.mcp_server")
            async with module.serving_http(self._app) as manager:
                self._begun.set_result(manager)
                await self._ending.wait()
        except Exception as error:
            if self._begun.done():
                raise
            self._begun.set_exception(error)


@asynccontextmanager
async def serving_mcp(app: App) -> AsyncIterator[LazyManager]:
    """Requests to `/mcp` can be handled."""
    manager = LazyManager(app)
    try:
        yield manager
    finally:
        await manager.close()


class _Endpoint:
    """What `/mcp` leads to: the manager that the server's lifespan opened."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        manager: LazyManager = scope["app"].state.mcp
        await manager.handle_request(scope, receive, send)


# Without sessions there is nothing to listen to and nothing to end: no GET, no DELETE.
route: Final = Route("/mcp", _Endpoint(), methods=["POST"])
