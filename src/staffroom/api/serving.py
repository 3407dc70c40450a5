"""The API behind a listening socket: in this process, or in several."""

import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from uvicorn.supervisors import Multiprocess

from staffroom.api.server import create_api
from staffroom.app import App
from staffroom.config import PREFIX, Settings
from staffroom.monitoring.exposition import SHARED_FOLDER

DRAIN_SECONDS: Final = 30
"""How long requests that are under way may take to end after the server was told to stop."""

CONNECTIONS: Final = 1_000
"""Open connections, most of them idle; further ones are turned away."""

BACKLOG: Final = 1_024
"""Connections that wait to be accepted."""


async def serve_here(app: App, listener: socket.socket) -> None:
    """The installation was served until the process was told to stop."""
    server = _Server(uvicorn.Config(create_api(app), **_OPTIONS))
    await server.serve(sockets=[listener])


def serve_with_workers(settings: Settings, listener: socket.socket) -> None:
    """Several processes, each with the installation that the environment describes, have served."""
    with tempfile.TemporaryDirectory(prefix="staffroom-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        for name in ("host", "port", "workers"):
            os.environ[PREFIX + name.upper()] = str(getattr(settings, name))
        config = uvicorn.Config(
            "staffroom.api.server:served", factory=True, workers=settings.workers, **_OPTIONS
        )
        Multiprocess(config, sockets=[listener]).run()


class _Server(uvicorn.Server):
    """Ends in order when it is told to, and lets what comes after it close the database, too.

    uvicorn's own raises the signal again once it has stopped, which would cut that short.
    """

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
    "lifespan": "on",
    "limit_concurrency": CONNECTIONS,
    "log_config": None,
    "server_header": False,
    "timeout_graceful_shutdown": DRAIN_SECONDS,
}
