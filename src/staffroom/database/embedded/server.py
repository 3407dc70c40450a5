"""The PostgreSQL that travels along: started when somebody needs it, stopped by the last one.

Every process that uses the server holds a shared lock on one file. Who leaves and
then gets that lock for itself was the last, and stops the server. The operating
system frees the lock of a process that was killed, so that the next one to come and
leave stops the server instead. A second lock makes starting and stopping one at a
time. A forked child is no user until it calls `start` itself.

A server that dies is brought back by the next `start`, of whoever calls it.
Linux and macOS only: other systems name a server with STAFFROOM_DATABASE_URL.
"""

import atexit
import errno
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

from staffroom.database.embedded.data_folder import (
    SUPERUSER,
    Installation,
    Layout,
    adopt_data,
    create_data,
    failure,
    has_data,
    make_home,
    remove_unfinished,
)
from staffroom.database.embedded.file_lock import FileLock, open_private
from staffroom.database.embedded.postmaster import PORT, Postmaster
from staffroom.database.embedded.service_account import (
    Account,
    account_for,
    account_name,
    let_through,
)
from staffroom.errors import ConfigError, DatabaseUnavailable, StaffroomError

DATABASE: Final = "staffroom"

START_SECONDS: Final = 60.0
"""Long enough to recover from a crash in the middle of a large import."""

MOST_LAUNCHES: Final = 3
"""How often a server is started that somebody kills while it starts."""

STOP_SECONDS: Final = 30.0
LEAVE_SECONDS: Final = 10.0
QUIT_SECONDS: Final = 10.0
GRACE_SECONDS: Final = 1.0
SERVE_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 10
NOT_NOW: Final = "57P"
"""What PostgreSQL's codes begin with while it starts or stops."""

POLL_SECONDS: Final = 0.005

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What there is to know about the server without changing anything.

    `version` is that of the installed programs, None if they are missing; `kept` is
    whether the server stays when nobody uses it.
    """

    running: bool
    kept: bool
    data: Path
    log: Path
    pid: int | None
    socket_directory: Path | None
    version: str | None


class EmbeddedServer:
    """The database server of one home, shared by everything that names that home.

    Blocking: call it in a thread. Safe to use from several threads and processes.
    """

    def __init__(self, home: Path, *, start_seconds: float = START_SECONDS) -> None:
        self._layout = Layout.of(home)
        self._start_seconds = start_seconds
        self._postmaster = Postmaster(self._layout)
        self._claim = FileLock(self._layout.users_lock)

    def start(self, *, keep: bool = False) -> str:
        """The server runs and this process counts as a user of it. Returns how to reach it.

        Called again it makes sure of that, and brings back a server that died. With
        `keep` the server stays until `stop`, whoever leaves.

        Raises: DatabaseUnavailable, ConfigError.
        """
        with _explained(self._layout):
            make_home(self._layout)
            with self._transition() as transition:
                is_new = not self._claim.held
                if is_new:
                    self._make_claim()
                try:
                    dsn = self._bring_up(transition)
                except Exception:
                    if is_new:
                        self._give_up_claim()
                    raise
                if keep:
                    os.close(open_private(self._layout.keep, os.O_RDONLY))
                return dsn

    def release(self) -> None:
        """This process uses the server no more; if nobody else does, the server stops.

        Raises: DatabaseUnavailable if somebody starts or stops it all the time.
        """
        if not self._claim.held:
            return
        with _explained(self._layout):
            if not self._layout.folder.exists():
                self._give_up_claim()
                return
            with self._transition():
                self._give_up_claim()
                everybody = FileLock(self._layout.users_lock)
                if everybody.take():
                    try:
                        self._leave_as_last()
                    finally:
                        everybody.free()

    def stop(self) -> bool:
        """Nobody has the server any more, in use or not. Returns whether it ran.

        Raises: DatabaseUnavailable if it does not end.
        """
        with _explained(self._layout):
            if not self._layout.folder.exists():
                return False
            with self._transition():
                self._layout.keep.unlink(missing_ok=True)
                if not self._postmaster.alive():
                    return False
                self._stop_somehow()
                return True

    def status(self) -> ServerStatus:
        """What is known of the server. Starts nothing and waits for nobody.

        Raises: ConfigError if the home is closed to us.
        """
        with _explained(self._layout):
            running = self._postmaster.alive()
            noted = self._postmaster.pid_file() if running else None
            return ServerStatus(
                running=running,
                kept=self._layout.keep.exists(),
                data=self._layout.data,
                log=self._layout.log,
                pid=noted.pid if noted else None,
                socket_directory=noted.socket_directory if noted else None,
                version=_installed_version(),
            )

    def _bring_up(self, transition: FileLock) -> str:
        """How to reach our database, once the server takes connections."""
        begin = time.monotonic()
        launches = 0
        while (waited := time.monotonic() - begin) < self._start_seconds:
            if not self._postmaster.alive():
                if launches == MOST_LAUNCHES or (launches and self._postmaster.gave_up()):
                    raise self._postmaster.failure("PostgreSQL did not start")
                self._launch(transition)
                launches += 1
                begin = time.monotonic()
            elif address := self._postmaster.address():
                try:
                    return self._database(address)
                except psycopg.Error as error:
                    self._excuse(error, waited)
            elif waited > GRACE_SECONDS:
                self._mend()
            time.sleep(POLL_SECONDS)
        raise self._postmaster.failure(
            f"PostgreSQL did not come up within {self._start_seconds:g} s. After a crash it may "
            "still be mending its files: try again in a minute"
        )

    def _excuse(self, error: psycopg.Error, waited: float) -> None:
        """A closed door is forgiven for a while: a killed server looks ready until it is gone."""
        at_the_door = error.sqlstate is None or error.sqlstate.startswith(NOT_NOW)
        if not at_the_door or waited > SERVE_SECONDS:
            fact = f"PostgreSQL runs in {self._layout.data} but does not serve"
            raise failure(self._layout, fact, str(error)) from error

    def _launch(self, transition: FileLock) -> None:
        layout = self._layout
        installation = Installation.find()
        account = account_for(layout.data, layout.home)
        let_through(account, layout.data)
        installation.open_to(account)
        remove_unfinished(layout)
        if not has_data(layout, installation.version(account)):
            create_data(layout, account, installation, transition.descriptor)
            log.info("database_created", extra={"data": str(layout.data)})
        adopt_data(layout, account)
        self._postmaster.launch(account, installation)
        log.info("database_started", extra={"data": str(layout.data), "account": str(account)})

    def _mend(self) -> None:
        """What keeps the server from coming up by itself is out of the way."""
        if self._postmaster.unreachable():
            log.warning("database_socket_lost", extra={"data": str(self._layout.data)})
            self._postmaster.stop(wait_seconds=STOP_SECONDS)
        else:
            self._postmaster.end_leftovers()

    def _database(self, address: Path) -> str:
        """How to reach our database, which exists."""
        server = make_conninfo("", host=str(address), port=PORT, user=SUPERUSER)
        first = make_conninfo(server, dbname="postgres", connect_timeout=CONNECT_SECONDS)
        with psycopg.connect(first, autocommit=True) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, (DATABASE,)).fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")
        return make_conninfo(server, dbname=DATABASE)

    def _stop_somehow(self) -> None:
        if not (
            self._postmaster.stop(wait_seconds=STOP_SECONDS)
            or self._postmaster.stop(wait_seconds=QUIT_SECONDS, at_once=True)
        ):
            raise self._postmaster.failure(
                "PostgreSQL does not stop. If it is that of another container, stop it there; "
                "else end its processes"
            )
        log.info("database_stopped", extra={"data": str(self._layout.data)})

    def _leave_as_last(self) -> None:
        if self._layout.keep.exists() or not self._postmaster.alive():
            return
        if self._postmaster.stop(wait_seconds=LEAVE_SECONDS):
            log.info("database_stopped", extra={"data": str(self._layout.data)})
        else:
            log.warning("database_stops_slowly", extra={"data": str(self._layout.data)})

    def _make_claim(self) -> None:
        if not self._claim.take(shared=True):
            raise DatabaseUnavailable(
                f"{self._layout.users_lock} is locked by a program that is not Staffroom. "
                "End that program, then try again."
            )
        atexit.register(self._release_at_exit)

    def _give_up_claim(self) -> None:
        atexit.unregister(self._release_at_exit)
        self._claim.free()

    def _release_at_exit(self) -> None:
        try:
            self.release()
        except StaffroomError as error:
            log.warning("database_not_released", extra={"reason": str(error)})

    @contextmanager
    def _transition(self) -> Iterator[FileLock]:
        """Nobody else starts or stops this server meanwhile."""
        lock = FileLock(self._layout.transition_lock)
        if not lock.take(wait_seconds=self._start_seconds):
            raise DatabaseUnavailable(
                f"another process has been starting or stopping the database in "
                f"{self._layout.folder} for {self._start_seconds:g} s. Try again later."
            )
        try:
            yield lock
        finally:
            lock.free()


def _installed_version() -> str | None:
    try:
        return Installation.find().version(Account(os.geteuid(), os.getegid(), ""))
    except ConfigError:
        return None


@contextmanager
def _explained(layout: Layout) -> Iterator[None]:
    """What the operating system refused is an error that names the next step."""
    try:
        yield
    except OSError as error:
        raise _explain(error, layout) from error


def _explain(error: OSError, layout: Layout) -> StaffroomError:
    path = error.filename or layout.folder
    fact = f"the database cannot be kept in {layout.home}: {path}: {error.strerror}"
    elsewhere = "choose another folder with STAFFROOM_HOME."
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return DatabaseUnavailable(f"{fact}. Make room on that disk, then try again.")
        case errno.EROFS:
            return ConfigError(f"{fact}. Make the disk writable, or {elsewhere}")
        case errno.EACCES | errno.EPERM:
            return ConfigError(
                f"{fact} for {account_name(os.geteuid())}. {_owned(layout.home)} "
                f"Run Staffroom as that account, or {elsewhere}"
            )
        case errno.EEXIST | errno.ENOTDIR:
            return ConfigError(f"{fact}. Move that file away, or {elsewhere}")
        case errno.ENOLCK | errno.EOPNOTSUPP:
            return ConfigError(f"{fact}. A local disk is needed: {elsewhere}")
        case _:
            return ConfigError(f"{fact}. Mend that, or {elsewhere}")


def _owned(path: Path) -> str:
    """Whose the innermost folder is that we may look at."""
    for folder in (path, *path.parents):
        try:
            return f"{folder} belongs to {account_name(folder.stat().st_uid)}."
        except OSError:
            continue
    return ""
