"""Homes of the embedded server for its tests, and other processes that use them."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psutil
import psycopg
import pytest

from staffroom.database.embedded import EmbeddedServer

DEADLINE_SECONDS = 30.0

NOBODY = 65534
"""The id of an ordinary account that every system has."""

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")

in_the_open = pytest.mark.skipif(
    not all(folder.stat().st_mode & 0o001 for folder in Path(sys.prefix).resolve().parents),
    reason="PostgreSQL's programs lie where other accounts may not go",
)

CLIENT = """
import sys
from pathlib import Path
from staffroom.database.embedded import EmbeddedServer
from staffroom.errors import StaffroomError

server = EmbeddedServer(Path(sys.argv[1]))
try:
    print(server.start(), flush=True)
except StaffroomError as error:
    sys.exit(f"{type(error).__name__}: {error}")
sys.stdin.readline()
"""

DROP = """
import os
from staffroom.database import embedded

os.setgroups([])
os.setresgid({uid}, {uid}, {uid})
os.setresuid({uid}, {uid}, {uid})
"""
"""Root becomes another account once all is imported: that account may not get to Python."""


@contextmanager
def made_home() -> Iterator[Path]:
    """A home whose database was made and left in peace."""
    folder = Path(tempfile.mkdtemp(prefix="sr-"))
    server = EmbeddedServer(folder)
    server.start()
    server.release()
    yield folder
    shutil.rmtree(folder)


def copy_home(made: Path, home: Path) -> Path:
    subprocess.run(["cp", "-a", f"{made}/.", str(home)], check=True)
    return home


def client(
    home: Path,
    *,
    code: str = CLIENT,
    uid: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Another process, which uses the server until its standard input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", code if uid is None else DROP.format(uid=uid) + code, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env={**os.environ, **(environment or {})},
    )


def first_line(process: subprocess.Popen[str]) -> str:
    """What a process printed first, once it did."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    return line or process.communicate()[1]


def leave(process: subprocess.Popen[str]) -> str:
    """A process has ended in peace. Returns what it had to complain about."""
    _, complaint = process.communicate(timeout=DEADLINE_SECONDS)
    return complaint.strip()


def failure(
    home: Path,
    *,
    prelude: str = "",
    uid: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """What another process is told that cannot start the server in `home`."""
    process = client(home, code=prelude + CLIENT, uid=uid, environment=environment)
    complaint = leave(process)
    assert process.returncode == 1, complaint
    return complaint


def ask(dsn: str, query: LiteralString) -> object:
    """The first value of the first row."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


def postmaster(home: Path) -> psutil.Process:
    pid = EmbeddedServer(home).status().pid
    assert pid is not None
    return psutil.Process(pid)


def in_front(folder: Path) -> str:
    """A search path for Python's packages on which `folder` comes first."""
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
