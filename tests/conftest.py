"""One PostgreSQL server for all tests; a database cloned from a migrated template for each.

No test may reach anything off this machine: a socket that tries is an error.
"""

import asyncio
import ipaddress
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from staffroom.app import App
from staffroom.config import PREFIX, Settings, load_settings
from staffroom.database.connection import Database
from staffroom.database.embedded import EmbeddedServer
from staffroom.database.vector_ops import VectorOperations
from tests.fakes import WordEmbedder

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


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches them, but where the models lie."""
    for name in list(os.environ):
        if name.startswith(PREFIX) and name != "STAFFROOM_MODELS":
            monkeypatch.delenv(name)


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
    yield server.start()
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
def database_url(server: str, template: str) -> str:
    """A database of the test's own."""
    return _create_database(server, f"test_{next(_numbers)}", template)


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


def _create_database(server: str, name: str, template: str) -> str:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    parts = conninfo_to_dict(server)
    return f"postgresql://{parts['user']}@/{name}?host={parts['host']}"
