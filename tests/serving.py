"""A real server on loopback, in a thread with an event loop of its own.

It serves tests of any loop, and tests without one, over HTTP as everybody else is served.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import uvicorn
import uvloop
from starlette.types import ASGIApp

from staffroom.api.server import create_api
from staffroom.app import App, open_app
from staffroom.config import Settings

START_SECONDS = 60.0
STOP_SECONDS = 30.0
GRACE_SECONDS = 2
"""For requests that are still running when the server is stopped."""

T = TypeVar("T")
Site = Callable[[], AbstractAsyncContextManager[tuple[ASGIApp, App | None]]]
"""Opens what is served within the server's loop, and closes it there."""


@dataclass(frozen=True)
class Served:
    """A running server: `url` is its origin, without a slash at the end."""

    url: str
    loop: asyncio.AbstractEventLoop
    installation: App | None = None

    @property
    def app(self) -> App:
        """The installation that is served; it belongs to the server's loop, so use `run`."""
        assert self.installation is not None
        return self.installation

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work returns, done in the loop of the server: `served.run(served.app...)`."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(START_SECONDS)


@contextmanager
def serving(settings: Settings) -> Iterator[Served]:
    """The whole product with these settings is served; afterwards nothing of it is left."""

    @asynccontextmanager
    async def site() -> AsyncIterator[tuple[ASGIApp, App | None]]:
        async with open_app(settings) as app:
            yield create_api(app), app

    with _in_a_thread(site) as served:
        yield served


@contextmanager
def serving_asgi(asgi: ASGIApp) -> Iterator[Served]:
    """Any application is served; afterwards nothing of it is left."""

    @asynccontextmanager
    async def site() -> AsyncIterator[tuple[ASGIApp, App | None]]:
        yield asgi, None

    with _in_a_thread(site) as served:
        yield served


class _Server(uvicorn.Server):
    """Says when it listens, and ends no process when it cannot."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit as error:
            raise RuntimeError("the application did not start; the log says why") from error
        self._listening()


@contextmanager
def _in_a_thread(site: Site) -> Iterator[Served]:
    begun = threading.Event()
    running: list[tuple[_Server, Served]] = []
    failures: list[BaseException] = []

    async def serve() -> None:
        async with site() as (asgi, installation):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                config = uvicorn.Config(
                    asgi,
                    log_config=None,
                    access_log=False,
                    lifespan="on",
                    server_header=False,
                    timeout_graceful_shutdown=GRACE_SECONDS,
                )
                server = _Server(config, begun.set)
                url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                running.append((server, Served(url, asyncio.get_running_loop(), installation)))
                await server.serve([listener])

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            failures.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=work, name="server")
    thread.start()
    try:
        assert begun.wait(START_SECONDS), f"the server did not listen within {START_SECONDS:g} s"
        if not failures:
            yield running[0][1]
    finally:
        for server, _ in running:
            server.should_exit = True
        thread.join(STOP_SECONDS)
    assert not thread.is_alive(), f"the server did not stop within {STOP_SECONDS:g} s"
    if failures:
        raise failures[0]
