"""The PostgreSQL process of a data folder: found, started, stopped, cleared away.

Whether it lives is asked of a lock, not of a process id: it is started with an open,
locked file, which all of its own processes inherit. The lock is free exactly when the
last of them is gone, also after `kill -9`, for a zombie that nobody reaps, when the
id was given to another program, and across containers. The process id from
postmaster.pid is only used for sending signals, after its working folder has been
looked at.

The socket is closed to other accounts three times: the folder it lies in has mode
0700, so has the socket, and the server asks the kernel who is calling ("peer") and
lets in only its own account and root, as whatever role they name. Nothing listens on
a port.
"""

import contextlib
import hashlib
import logging
import os
import re
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from staffroom.database.embedded.data_folder import Installation, Layout, failure
from staffroom.database.embedded.file_lock import FileLock, is_locked, open_private
from staffroom.database.embedded.server_settings import measure, render, settings_for
from staffroom.database.embedded.service_account import Account, account_name, let_through
from staffroom.errors import ConfigError, DatabaseUnavailable, StaffroomError

PORT: Final = 5432
"""Only part of the socket's name."""

SOCKET_PATH_BYTES: Final = 103 if sys.platform == "darwin" else 107
LOG_BYTES: Final = 4 * 1024 * 1024
READABLE: Final = 0o644
"""For the account that PostgreSQL runs as, which is let into no folder but those above its own."""

POLL_SECONDS: Final = 0.005
PROBE_SECONDS: Final = 1.0
QUIT_SECONDS: Final = 2.0

_MAP: Final = "staffroom"
_PID_LINE, _SOCKET_LINE, _STATUS_LINE = 0, 4, 7

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PidFile:
    """What postmaster.pid says, true or not."""

    pid: int
    socket_directory: Path | None
    ready: bool


class Postmaster:
    """PostgreSQL in one data folder. Who changes anything about it holds the transition lock."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._log_start = 0

    def alive(self) -> bool:
        """Whether any process of the server is left, be it only one that lost its postmaster."""
        return is_locked(self._layout.server_lock) or self.process() is not None

    def process(self) -> psutil.Process | None:
        """The postmaster, if postmaster.pid names a process that works in our data folder."""
        noted = self.pid_file()
        if noted is None:
            return None
        try:
            process = psutil.Process(noted.pid)
            return process if self._is_ours(process) else None
        except psutil.Error:
            return None

    def pid_file(self) -> PidFile | None:
        try:
            lines = (self._layout.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        lines += [""] * (_STATUS_LINE + 1 - len(lines))
        if not lines[_PID_LINE].strip().isdecimal():
            return None
        directory = lines[_SOCKET_LINE].strip()
        return PidFile(
            pid=int(lines[_PID_LINE]),
            socket_directory=Path(directory) if directory else None,
            ready=lines[_STATUS_LINE].strip() == "ready",
        )

    def address(self) -> Path | None:
        """The folder of the socket, once the server takes connections."""
        noted = self.pid_file()
        if noted is None or not noted.ready or noted.socket_directory is None:
            return None
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(PROBE_SECONDS)
            try:
                caller.connect(str(_socket_in(noted.socket_directory)))
            except OSError:
                return None
        return noted.socket_directory

    def launch(self, account: Account, installation: Installation) -> None:
        """The server has been started and goes on by itself; whether it comes up is seen later.

        The shell in between ends at once, so that the server is nobody's child and
        whoever is there for orphans buries it.

        Raises: ConfigError, DatabaseUnavailable.
        """
        directory = self._socket_directory(account)
        self._forget_dead(directory)
        self._write_settings(account, directory)
        lock = FileLock(self._layout.server_lock)
        if not lock.take(wait_seconds=PROBE_SECONDS):
            raise DatabaseUnavailable(
                f"{self._layout.server_lock} is held by another process. Try again."
            )
        output = self._open_log()
        try:
            account.run(
                [
                    *("/bin/sh", "-c", '"$0" "$@" &', installation.program("postgres")),
                    *("-D", str(self._layout.data)),
                    *("-c", f"config_file={self._layout.settings}"),
                ],
                inherit=[lock.descriptor],
                output=output,
            )
        finally:
            lock.hand_over()
            os.close(output)

    def gave_up(self) -> bool:
        """Whether the server that was launched said why it ended. Else it was killed."""
        return re.search("FATAL|PANIC", self._last_words()) is not None

    def failure(self, fact: str) -> StaffroomError:
        """The error for a server that did not come up, with the last lines of its log."""
        return failure(self._layout, fact, self._last_words())

    def end_leftovers(self) -> None:
        """Processes that outlived their postmaster are gone, killed if they do not quit."""
        if self.process() is not None:
            return
        leftovers = list(self._leftovers())
        for process in leftovers:
            _send(process, signal.SIGQUIT)
        _, stubborn = psutil.wait_procs(leftovers, timeout=QUIT_SECONDS)
        for process in stubborn:
            _send(process, signal.SIGKILL)
        if leftovers:
            log.warning("database_leftovers_ended", extra={"processes": len(leftovers)})

    def unreachable(self) -> bool:
        """Whether it works but somebody took its socket away."""
        noted = self.pid_file()
        return (
            noted is not None
            and noted.ready
            and noted.socket_directory is not None
            and not _socket_in(noted.socket_directory).exists()
            and self.process() is not None
        )

    def stop(self, *, wait_seconds: float, at_once: bool = False) -> bool:
        """Whether the server is gone. It finishes its files, or `at_once` leaves that for later."""
        noted = self.pid_file()
        process = self.process()
        if process is None:  # leftovers, or the server of another container: nobody to wait for
            self.end_leftovers()
            wait_seconds = min(wait_seconds, PROBE_SECONDS)
        else:
            _send(process, signal.SIGQUIT if at_once else signal.SIGINT)
        deadline = time.monotonic() + wait_seconds
        while self.alive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        if noted and noted.socket_directory not in (None, self._layout.data):
            with contextlib.suppress(OSError):
                noted.socket_directory.rmdir()
        return True

    def trim_log(self) -> None:
        """The log is short enough, with one older part beside it. The server may be writing."""
        with os.fdopen(open_private(self._layout.log, os.O_RDWR), "rb+") as newer:
            if os.fstat(newer.fileno()).st_size > LOG_BYTES:
                newer.seek(-LOG_BYTES, os.SEEK_END)
                _write(self._layout.older_log, newer.read(LOG_BYTES))
                newer.truncate(0)

    def _last_words(self) -> str:
        """What the log holds since the launch."""
        with os.fdopen(open_private(self._layout.log, os.O_RDONLY), "rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    def _is_ours(self, process: psutil.Process) -> bool:
        """Whether a process works in our data folder, as all of PostgreSQL's do."""
        try:
            directory = process.cwd()
        except psutil.AccessDenied:
            directory = self._ask_as_owner(process.pid)
        try:
            return bool(directory) and self._layout.data.samefile(directory)
        except OSError:
            return False

    def _ask_as_owner(self, pid: int) -> str:
        """The working folder of a process, where even root in a container may not look."""
        owner = self._layout.data.stat()
        if os.geteuid() != 0:
            return ""
        account = Account(owner.st_uid, owner.st_gid, "")
        return account.run(["readlink", f"/proc/{pid}/cwd"]).stdout.rstrip("\n")

    def _leftovers(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                title = process.cmdline()[:1]
                if title and title[0].startswith("postgres:") and self._is_ours(process):
                    yield process

    def _forget_dead(self, directory: Path) -> None:
        """Files of a server that died do not name a process: not one that got its id since."""
        socket_lock = _socket_in(directory).with_name(_socket_in(directory).name + ".lock")
        for path in (self._layout.data / "postmaster.pid", socket_lock):
            with contextlib.suppress(FileNotFoundError):
                first = path.read_text().partition("\n")[0]
                if first.isdecimal() and psutil.pid_exists(int(first)):
                    log.info("stale_pid_file_removed", extra={"file": str(path), "pid": first})
                    path.unlink()

    def _write_settings(self, account: Account, directory: Path) -> None:
        layout = self._layout
        quoted = str(directory).replace('"', '""')
        settings = {
            **settings_for(measure(layout.data)),
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": f'"{quoted}"',
            "unix_socket_permissions": "0700",
            "hba_file": str(layout.access),
            "ident_file": str(layout.names),
            "cluster_name": "staffroom",
        }
        names = sorted({account.name, account_name(0)} - {""})
        for path, text in (
            (layout.settings, render(settings)),
            (layout.access, f"local all all peer map={_MAP}\n"),
            (layout.names, "".join(f'{_MAP} "{name}" all\n' for name in names)),
        ):
            _write(path, os.fsencode(text), READABLE)

    def _open_log(self) -> int:
        self.trim_log()
        output = open_private(self._layout.log, os.O_WRONLY | os.O_APPEND)
        self._log_start = os.fstat(output).st_size
        return output

    def _socket_directory(self, account: Account) -> Path:
        """Where the socket can lie: with the data, or if that path is too long, in a short folder.

        Not in XDG_RUNTIME_DIR, which goes when its user logs out.
        """
        if _can_hold_socket(self._layout.data):
            return self._layout.data
        name = "staffroom-" + hashlib.sha256(os.fsencode(self._layout.data)).hexdigest()[:16]
        for base in dict.fromkeys((tempfile.gettempdir(), "/tmp")):  # noqa: S108 - checked below
            directory = Path(os.path.realpath(base)) / name
            if _can_hold_socket(directory) and directory.parent.is_dir():
                _own_privately(directory, account)
                let_through(account, directory)
                return directory
        raise ConfigError(
            f"{self._layout.home} is too long a path for a socket, and so is "
            f"{tempfile.gettempdir()}. Choose a shorter folder with STAFFROOM_HOME, such as "
            "/var/lib/staffroom."
        )


def _socket_in(directory: Path) -> Path:
    return directory / f".s.PGSQL.{PORT}"


def _can_hold_socket(directory: Path) -> bool:
    """Short enough for the operating system; a comma would make two of it for clients."""
    path = _socket_in(directory)
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES and "," not in str(path)


def _own_privately(directory: Path, account: Account) -> None:
    """The folder is there and the account's alone, although others may write beside it."""
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
        if not account.is_ours:
            os.chown(directory, account.uid, account.gid, follow_symlinks=False)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or found.st_mode & 0o077:
        raise ConfigError(
            f"{directory} should be a private folder of {account}, but is not: it belongs to "
            f"{account_name(found.st_uid)} and has mode {stat.filemode(found.st_mode)}. "
            "Remove it, or choose a shorter folder with STAFFROOM_HOME."
        )


def _write(path: Path, content: bytes, mode: int = 0o600) -> None:
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_TRUNC), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)
