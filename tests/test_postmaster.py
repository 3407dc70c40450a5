"""The server's process and files: whom it is not taken for, where its socket lies, what it logs."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from staffroom.database.embedded import EmbeddedServer
from tests.embedded_homes import DEADLINE_SECONDS, ask, copy_home, made_home, postmaster


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    with made_home() as folder:
        yield folder


@pytest.fixture
def born(made: Path, home: Path) -> Path:
    """A home with a database, which nobody uses."""
    return copy_home(made, home)


@pytest.mark.parametrize("file", ["postmaster.pid", ".s.PGSQL.5432.lock"])
def test_a_pid_file_that_names_another_program_is_not_believed(born: Path, file: str):
    data = born / "postgres" / "data"
    owner = data.stat()
    ours = owner.st_uid == os.geteuid()
    stranger = subprocess.Popen(["sleep", "60"], user=None if ours else owner.st_uid)
    (data / file).write_text(f"{stranger.pid}\n{data}\n1\n5432\n{data}\n\n\nready\n")
    os.chown(data / file, owner.st_uid, owner.st_gid)
    server = EmbeddedServer(born)
    seen_running = server.status().running

    dsn = server.start()

    assert not seen_running
    assert ask(dsn, "SELECT 1") == 1
    assert stranger.poll() is None
    server.release()
    stranger.kill()
    stranger.wait()


def test_a_socket_that_was_swept_away_is_put_back(born: Path):
    server = EmbeddedServer(born)
    server.start()
    (born / "postgres" / "data" / ".s.PGSQL.5432").unlink()

    dsn = server.start()

    assert ask(dsn, "SELECT 1") == 1
    server.release()


def test_a_path_too_long_for_a_socket_gets_a_short_private_folder(made: Path, tmp_path: Path):
    home = tmp_path / ("long" * 30)
    home.mkdir()
    server = EmbeddedServer(copy_home(made, home))

    dsn = server.start()

    directory = server.status().socket_directory
    assert ask(dsn, "SELECT 1") == 1
    assert directory is not None
    assert directory.stat().st_mode & 0o777 == 0o700
    server.release()
    assert not directory.exists()


def test_texts_do_not_reach_the_log(born: Path):
    server = EmbeddedServer(born)
    secret = "Why does Kim cry?"
    with closing(psycopg.connect(server.start(), autocommit=True)) as connection:
        connection.execute("CREATE TABLE question (text text PRIMARY KEY)")
        insert = "INSERT INTO question VALUES (%s)"
        connection.execute(insert, (secret,))
        for query in (insert, "SELECT %s::uuid", "SELECT to_tsquery(%s)", "SELECT %s::text + 1"):
            with pytest.raises(psycopg.Error):
                connection.execute(query, (secret,))
        killed = psutil.Process(connection.info.backend_pid)
        connection.pgconn.send_query(f"SELECT '{secret}', pg_sleep(60)".encode())
        killed.kill()

    server.start()
    log = server.status().log.read_text()
    server.release()

    assert "was terminated by signal 9" in log
    assert "Kim" not in log


def test_the_log_cannot_grow_without_end(born: Path):
    server = EmbeddedServer(born)
    log = server.status().log
    with log.open("ab") as file:
        file.truncate(20_000_000)

    server.start()

    assert log.stat().st_size < 10_000
    assert log.with_name("server.log.1").stat().st_size < 5_000_000
    server.release()


def test_the_owner_of_a_home_may_log_in_as_any_role(born: Path):
    server = EmbeddedServer(born)
    dsn = server.start()
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE ROLE reader LOGIN")

    assert ask(make_conninfo(dsn, user="reader"), "SELECT current_user::text") == "reader"

    server.release()


def test_a_server_stopped_at_once_mends_itself(born: Path):
    server = EmbeddedServer(born)
    with psycopg.connect(server.start()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'still here' AS word")

    stopped = server._postmaster.stop(wait_seconds=DEADLINE_SECONDS, at_once=True)

    assert stopped
    assert ask(server.start(), "SELECT word FROM kept") == "still here"
    server.release()


def test_a_server_that_does_not_stop_is_not_called_stopped(born: Path):
    server = EmbeddedServer(born)
    server.start()
    process = postmaster(born)
    process.suspend()

    stopped = server._postmaster.stop(wait_seconds=0.05)

    assert not stopped
    assert server.status().running
    process.resume()
    server.release()
