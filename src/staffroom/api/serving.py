"""The API behind a listening socket: in this process, or in several."""

import asyncio
import gc
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Final

import uvicorn

from staffroom.api.protocol import LimitedProtocol
from staffroom.api.server import create_api
from staffroom.api.workers import Work, Workers, beat
from staffroom.app import App
from staffroom.monitoring.sharing import share_values

DRAIN_SECONDS: Final = 30
"""How long requests that are under way may take to end after the server was told to stop."""

STOP_SECONDS: Final = DRAIN_SECONDS + 15
"""How long a worker has until it is gone."""

CONNECTIONS: Final = 1_000
"""Open connections, most of them idle; further ones are turned away."""

BACKLOG: Final = 1_024
"""Connections that wait to be accepted."""


async def serve_here(app: App, listener: socket.socket, began: Callable[[], None]) -> None:
    """The installation was served until the process was told to stop."""
    await _Server(app, began).serve(sockets=[listener])


async def serve_watched(app: App, listener: socket.socket, reports: Connection) -> None:
    """As `serve_here`, by a worker: until its watcher is gone, if that comes first."""

    def stop() -> None:
        server.should_exit = True

    beating: set[asyncio.Task[None]] = set()
    server = _Server(app, lambda: beating.add(asyncio.create_task(beat(reports, stop))))
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in beating:
            task.cancel()


def serve_with_workers(work: Work, count: int, began: Callable[[], None]) -> int:
    """So many processes have served until this one was told to stop. The code to end with."""
    with tempfile.TemporaryDirectory(prefix="staffroom-metrics-") as folder:
        share_values(folder)
        return Workers(work, count, began=began, stop_seconds=STOP_SECONDS).run()


class _Server(uvicorn.Server):
    """Says when it serves, ends in order when it is told to, and lets what comes after it close
    the database, too.

    uvicorn's own raises the signal again once it has stopped, which would cut that short.
    """

    def __init__(self, app: App, began: Callable[[], None]) -> None:
        super().__init__(uvicorn.Config(create_api(app), **_OPTIONS))
        self._began = began

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is there by now stays: it need not be looked through again and again.
        gc.collect()
        gc.freeze()
        if self.started:
            self._began()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


_OPTIONS: Final[dict[str, Any]] = {
    "access_log": False,
    "backlog": BACKLOG,
    "http": LimitedProtocol,
    "lifespan": "on",
    "limit_concurrency": CONNECTIONS,
    "log_config": None,
    "server_header": False,
    "timeout_graceful_shutdown": DRAIN_SECONDS,
    "ws": "none",
}
