"""`serve`: the page and the API, until it is told to stop."""

import asyncio
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from staffroom.app import App
from staffroom.cli.leaving import begin_closing
from staffroom.cli.output import err, print_error, progress_bars
from staffroom.cli.run import exit_code
from staffroom.config import PREFIX, Settings, is_loopback, load_settings
from staffroom.errors import ConfigError, StaffroomError, UnavailableError
from staffroom.monitoring.logs import set_up_logs

serving = typer.Typer()

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
        _serve(settings, listener)


def _serve(settings: Settings, listener: socket.socket) -> None:
    address = _address(settings.host, listener.getsockname()[1])
    if settings.workers == 1:
        _run(_served(settings, listener, lambda: _tell(address, "  (Ctrl-C stops it)")))
        return
    # No other command should wait for what only this one needs.
    from staffroom.api.serving import serve_with_workers  # noqa: PLC0415

    code = serve_with_workers(
        partial(_work, settings, listener),
        settings.workers,
        lambda: _tell(address, f", with {settings.workers} processes"),
    )
    raise typer.Exit(code)


def _work(settings: Settings, listener: socket.socket, reports: Connection) -> None:
    """What a worker process does."""
    set_up_logs(settings.log_level, settings.log_format)  # a process that is no fork has none
    try:
        _run(_served(settings, listener, reports))
    except StaffroomError as error:
        print_error(str(error))
        sys.exit(exit_code(error))


async def _served(
    settings: Settings, listener: socket.socket, told: Callable[[], None] | Connection
) -> None:
    """The installation was made ready, served, and closed again."""
    # No other command should wait for what only this one needs.
    from staffroom.api import serving  # noqa: PLC0415

    app = App(settings)
    try:
        with progress_bars() as progress:
            await app.start(progress)
        if isinstance(told, Connection):
            await serving.serve_watched(app, listener, told)
        else:
            await serving.serve_here(app, listener, told)
    finally:
        begin_closing()
        await app.close()


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(work)


def _tell(address: str, how: str) -> None:
    err.print(f"Staffroom is at {address}{how}")


class Beside(NamedTuple):
    """A server process of the same installation, and the seconds until it could answer."""

    host: str
    port: int
    process: int
    ready_seconds: float

    def megabytes(self) -> float | None:
        """The memory that it has, where that can be told."""
        with suppress(OSError):
            status = Path(f"/proc/{self.process}/status").read_text("ascii")
            return int(status.partition("VmRSS:")[2].split()[0]) / 1024
        return None


@asynccontextmanager
async def served_beside() -> AsyncIterator[Beside]:
    """A server process of the same installation on a free port of this machine, without a key."""
    command = (sys.executable, "-m", "staffroom.cli", "serve", "--host", "127.0.0.1", "--port", "0")
    environment = {key: value for key, value in os.environ.items() if key != f"{PREFIX}API_KEY"}
    environment |= {f"{PREFIX}WORKERS": "1"}
    started = time.perf_counter()
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
        ready = time.perf_counter() - started
        yield Beside(found[1].decode(), int(found[2]), process.pid, ready)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family)
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
