"""One PostgreSQL server for all tests; a database cloned from a migrated template for each.

No test may reach anything off this machine: a socket that tries is an error.
"""

import asyncio
import ipaddress
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from psycopg.conninfo import conninfo_to_dict

from staffroom.app import App, open_app
from staffroom.config import PREFIX, Settings, load_settings
from staffroom.database.connection import Database
from staffroom.database.embedded import EmbeddedServer
from staffroom.database.vector_ops import VectorOperations
from tests.browser import Watch, reading, running_browser
from tests.fakes import WordEmbedder
from tests.serving import Served, serving

_numbers = count(1)


def _refuse_outside(event: str, arguments: tuple[object, ...]) -> None:
    if event != "socket.connect":
        return
    connection, address = arguments
    assert isinstance(connection, socket.socket)
    if connection.family in {socket.AF_INET, socket.AF_INET6} and isinstance(address, tuple):
        host = str(address[0])
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise AssertionError(f"a test tried to reach {host}")


sys.addaudithook(_refuse_outside)


# A shell that runs the tests in the background lets them, and what they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in the browser share its event loop, which lives as long as it does."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()) and item.get_closest_marker("asyncio"):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches them, but where the models lie."""
    for name in list(os.environ):
        if name.startswith(PREFIX) and name != "STAFFROOM_MODELS":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command that a test runs in this process sets up logs for that test alone."""
    loggers = [logging.getLogger(name) for name in ("", "uvicorn", "staffroom")]
    kept = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in kept:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of the real models, which scripts/setup filled."""
    return load_settings().models


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home whose path is short enough for a socket; a server left in it is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="sr-"))
    yield folder
    if (folder / "postgres").exists():
        EmbeddedServer(folder).stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a running server, for a login that may do everything."""
    folder = Path(tempfile.mkdtemp(prefix="sr-"))
    server = EmbeddedServer(folder)
    address = server.start()
    _forgo_durability(address)
    yield address
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """The name of a migrated database without content."""
    url = _create_database(server, "template_staffroom", "template1")

    async def migrate() -> None:
        database = Database(Settings(database_url=url))
        await database.open()
        await database.close()

    asyncio.run(migrate())
    return "template_staffroom"


@pytest.fixture
def database_url(server: str, template: str) -> Iterator[str]:
    """A database of the test's own."""
    with _own_database(server, template) as url:
        yield url


@pytest.fixture
def settings(database_url: str, home: Path, models: Path) -> Settings:
    """An installation with an empty library that quotes instead of writing."""
    return Settings(
        database_url=database_url,
        home=home,
        models=models,
        writer="extractive",
        starter_library=False,
    )


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings)
    yield database
    await database.close()


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def vector_ops(database: Database, embedder: WordEmbedder) -> VectorOperations:
    """Operations on an empty library, with an embedder that knows words but no meanings."""
    return VectorOperations(database, embedder, author="tester")


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    """A whole installation, with the real embedding model."""
    app = App(settings)
    yield app
    await app.close()


@pytest.fixture(scope="session")
def shared_home() -> Iterator[Path]:
    """The home of the installations that all tests share."""
    with tempfile.TemporaryDirectory(prefix="sr-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def starter_template(server: str, template: str, models: Path, shared_home: Path) -> str:
    """The name of a database whose library is the starter library, embedded and calibrated."""
    url = _create_database(server, "starter_staffroom", template)

    async def prepare() -> None:
        async with open_app(_installation(url, models, shared_home)):
            pass

    asyncio.run(prepare())
    return "starter_staffroom"


@pytest.fixture(scope="session")
def library_settings(
    server: str, starter_template: str, models: Path, shared_home: Path
) -> Settings:
    """An installation with the starter library, for all tests: leave its scenarios alone."""
    url = _create_database(server, "library", starter_template)
    return _installation(url, models, shared_home)


@pytest.fixture(scope="session")
def library_server(library_settings: Settings) -> Iterator[Served]:
    """A server with the starter library, for all tests: read, ask, but leave scenarios alone."""
    with serving(library_settings) as served:
        yield served


@pytest.fixture
def own_library_server(
    server: str, starter_template: str, models: Path, home: Path
) -> Iterator[Served]:
    """A server with the starter library, which the test may change as it likes."""
    with (
        _own_database(server, starter_template) as url,
        serving(_installation(url, models, home)) as served,
    ):
        yield served


@pytest.fixture
def live_server(settings: Settings) -> Iterator[Served]:
    """A server with an empty library of the test's own."""
    with serving(settings) as served:
        yield served


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium without a window. Without one the test is skipped; in CI it fails."""
    async with running_browser() as browser:
        yield browser


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Served:
    """The server that pages are opened on: the one that the test names, or the shared one."""
    for name in ("live_server", "own_library_server"):
        if name in request.fixturenames:
            served = request.getfixturevalue(name)
            assert isinstance(served, Served)
            return served
    served = request.getfixturevalue("library_server")
    assert isinstance(served, Served)
    return served


@pytest.fixture
def watch(site: Served) -> Watch:
    """What the test's pages must not show; `watch.expect("404 GET /x")` is for what they may."""
    return Watch(site.url)


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(
    browser: Browser, site: Served, watch: Watch
) -> AsyncIterator[Callable[..., Awaitable[Page]]]:
    """Opens further readers, each with a profile of their own; options as of `reading`."""
    async with AsyncExitStack() as stack:

        async def opened(**options: Any) -> Page:
            return await stack.enter_async_context(reading(browser, site.url, watch, **options))

        yield opened
    watch.check()


@pytest_asyncio.fixture(loop_scope="session")
async def page(open_page: Callable[..., Awaitable[Page]]) -> Page:
    """A reader with a fresh profile and a wide screen, on the test's server."""
    return await open_page()


def _installation(url: str, models: Path, home: Path) -> Settings:
    return Settings(database_url=url, models=models, home=home, writer="extractive")


def _forgo_durability(server: str) -> None:
    """What tests store need not outlive the machine: half of a clone was waiting for the disk."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def _own_database(server: str, template: str) -> Iterator[str]:
    """A database that is dropped after use: what is gone soon is never written to the disk."""
    name = f"test_{next(_numbers)}"
    yield _create_database(server, name, template)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _create_database(server: str, name: str, template: str) -> str:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    parts = conninfo_to_dict(server)
    return f"postgresql://{parts['user']}@/{name}?host={parts['host']}"
