"""`serve`: the page and the API, until it is told to stop."""

import asyncio
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any, Final

import typer
import uvicorn
from uvicorn.supervisors import Multiprocess

from staffroom.api.guards import is_loopback
from staffroom.api.server import create_api
from staffroom.app import App
from staffroom.cli.output import err
from staffroom.cli.run import with_app
from staffroom.config import PREFIX, Settings, load_settings
from staffroom.errors import ConfigError, UnavailableError
from staffroom.monitoring.exposition import SHARED_FOLDER

serving = typer.Typer()

DRAIN_SECONDS: Final = 30
"""How long requests that are under way may take to end after the server was told to stop."""

CONNECTIONS: Final = 1_000
"""Open connections, most of them idle; further ones are turned away."""

BACKLOG: Final = 1_024

_ADDRESS: Final = re.compile(rb"Staffroom is at http://([\d.]+):(\d+)")


@serving.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer.")] = None,
) -> None:
    """Serve the page and the API. Ends in good order at Ctrl-C or SIGTERM."""
    given = {"host": host, "port": port, "workers": workers}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    if not is_loopback(settings.host) and settings.api_key is None:
        raise ConfigError(
            f"serving on {settings.host} lets other machines in, and no API key is set. Set "
            f"{PREFIX}API_KEY to a secret of 16 characters or more, or serve on 127.0.0.1."
        )
    with _listening(settings) as listener:
        address = _address(settings.host, listener.getsockname()[1])
        if settings.workers == 1:
            _serve_here(settings, listener, address)
        else:
            _serve_with_workers(settings, listener, address)


def _serve_here(settings: Settings, listener: socket.socket, address: str) -> None:
    async def work(app: App) -> None:
        server = _Server(uvicorn.Config(create_api(app), **_OPTIONS))
        err.print(f"Staffroom is at {address}  (Ctrl-C stops it)")
        await server.serve(sockets=[listener])

    with_app(work, settings, _loop_factory())


def _serve_with_workers(settings: Settings, listener: socket.socket, address: str) -> None:
    """The library is made ready once; then each process opens the installation for itself."""

    async def ready(app: App) -> None:
        """Nothing more: `with_app` has prepared it."""

    with_app(ready, settings)
    with tempfile.TemporaryDirectory(prefix="staffroom-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        for name in ("host", "port", "workers"):
            os.environ[PREFIX + name.upper()] = str(getattr(settings, name))
        config = uvicorn.Config(
            "staffroom.api.server:served", factory=True, workers=settings.workers, **_OPTIONS
        )
        err.print(f"Staffroom is at {address}, with {settings.workers} processes")
        Multiprocess(config, sockets=[listener]).run()


@asynccontextmanager
async def served_beside() -> AsyncIterator[tuple[str, int]]:
    """A server process of the same installation on a free port of this machine, without a key."""
    command = (sys.executable, "-m", "staffroom.cli", "serve", "--host", "127.0.0.1", "--port", "0")
    environment = {key: value for key, value in os.environ.items() if key != f"{PREFIX}API_KEY"}
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr
        said = b""
        while not (found := _ADDRESS.search(said)):
            line = await process.stderr.readline()
            said += line
            if not line:
                raise UnavailableError(f"the server did not start: {said.decode().strip()}")
        yield found[1].decode(), int(found[2])
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


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


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server(
            (settings.host, settings.port), family=family, backlog=BACKLOG
        )
    except OSError as error:
        raise UnavailableError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}. "
            "Choose another with --port, or stop what listens there."
        ) from error
    with listener:
        yield listener


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _loop_factory() -> Any:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not there on Windows

    return uvloop.new_event_loop
