"""Locks that the operating system frees when their holder ends, however it ends.

They are `flock` locks. Those belong to an open file, not to a process, which gives
two things that `lockf` (and so fasteners) does not: two objects in one process
exclude each other, and a child process can hold a lock on after its parent is gone.
"""

import fcntl
import os
import time
from pathlib import Path
from weakref import WeakSet

RETRY_SECONDS = 0.005


def open_private(path: Path, flags: int) -> int:
    """A descriptor of a file that only its owner may open, made if it is missing.

    What root makes belongs to the owner of the folder, who will need it next.
    """
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor


class FileLock:
    """A lock on a file, shared or exclusive. A forked child does not inherit it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    @property
    def descriptor(self) -> int:
        """What a child process has to inherit to hold the lock as well."""
        assert self._descriptor is not None
        return self._descriptor

    def take(self, *, shared: bool = False, wait_seconds: float = 0.0) -> bool:
        """Whether the lock is held now; tried again until the time is over."""
        assert self._descriptor is None
        mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        descriptor = open_private(self._path, os.O_RDWR)
        deadline = time.monotonic() + wait_seconds
        try:
            while not _try_lock(descriptor, mode):
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    return False
                time.sleep(RETRY_SECONDS)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _held.add(self)
        return True

    def free(self) -> None:
        """Nobody holds this lock any more, child processes that inherited it included."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self.hand_over()

    def hand_over(self) -> None:
        """This process holds it no more; children that inherited it still do."""
        if self._descriptor is not None:
            _held.discard(self)
            os.close(self._descriptor)
            self._descriptor = None


def is_locked(path: Path) -> bool:
    """Whether anybody holds the file exclusively. Two who ask do not disturb each other."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, mode)
    except BlockingIOError:
        return False
    return True


_held: WeakSet[FileLock] = WeakSet()


def _disinherit() -> None:
    for lock in list(_held):
        lock.hand_over()


os.register_at_fork(after_in_child=_disinherit)
