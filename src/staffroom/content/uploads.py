"""Uploaded files on the disk of this machine: while they come in, and while they are imported.

In between they lie in the database, where every runner finds them. A file here is called by an id;
what somebody else calls it is never a path.
"""

import hashlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final
from uuid import UUID

from staffroom.content.formats import SUFFIXES
from staffroom.content.threads import in_thread
from staffroom.errors import ConfigError, UnavailableError, UnreadableFile
from staffroom.text import mend

CHUNK: Final = 1 << 20
"""Bytes that are handled at once, and those of a part in the database."""

MAX_NAME: Final = 200

ABANDONED_SECONDS: Final = 3600
"""After which a file that no runner reads is one that a killed process left behind."""

Reader = Callable[[int], Awaitable[bytes]]
"""The next bytes of an upload, at most so many; none at its end."""

PartReader = Callable[[int], Awaitable[bytes]]
"""The part of that number; empty behind the last one."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has come in whole."""

    id: UUID
    name: str
    suffix: str
    size: int
    sha256: bytes
    path: Path

    def parts(self) -> Iterator[bytes]:
        """The file, piece by piece."""
        with self.path.open("rb") as file:
            while part := file.read(CHUNK):
                yield part

    def discard(self) -> None:
        """The file is gone."""
        self.path.unlink(missing_ok=True)


def plain_name(given: str) -> str:
    """What people call the file, without the folders that some programs send along."""
    name = mend(re.split(r"[/\\]", given)[-1]).replace("\n", " ")
    return name[-MAX_NAME:] or "upload"


def suffix_of(name: str) -> str:
    """What the file says it is; empty if that is nothing that can be imported."""
    suffix = Path(name).suffix.lower()
    return suffix if suffix in SUFFIXES else ""


class Uploads:
    """The folder of one tenant's files. It is made by the first one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def receive(self, upload_id: UUID, name: str, read: Reader) -> Upload:
        """The file is on disk, whole, or nothing of it is.

        Raises: ConfigError if the folder cannot be made, UnavailableError if the disk is full.
        """
        self._make_folder()
        suffix = suffix_of(name)
        path = self._folder / f"{upload_id}{suffix}"
        try:
            size, sha256 = await self._write(path, read)
        except BaseException:
            _remove(path)
            raise
        return Upload(upload_id, name, suffix, size, sha256, path)

    @asynccontextmanager
    async def spooled(
        self, runner_id: UUID, suffix: str, sha256: bytes, read: PartReader
    ) -> AsyncIterator[Path]:
        """The file that lies in the database, on this disk for as long as the block lasts.

        Raises: UnreadableFile if it is not what was uploaded; ConfigError or UnavailableError if it
            cannot be written.
        """
        self._make_folder()
        path = self._folder / f"{runner_id}{suffix}"
        numbers = count()

        async def following(_: int) -> bytes:
            return await read(next(numbers))

        try:
            if (await self._write(path, following))[1] != sha256:
                raise UnreadableFile(
                    "the file is not in the database as it was uploaded. Upload it again."
                )
            yield path
        finally:
            _remove(path)

    def remove_abandoned(self, runners: Collection[UUID]) -> None:
        """What killed processes left behind is gone."""
        for path in self._folder.glob("????????-*.*"):
            if path.stem not in set(map(str, runners)) and _is_old(path):
                path.unlink(missing_ok=True)

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the folder for uploads, {self._folder}, cannot be made: {error.strerror}. Set "
                "STAFFROOM_HOME to a folder that can be written to."
            ) from error

    async def _write(self, path: Path, read: Reader) -> tuple[int, bytes]:
        """What is read is in the file. Returns its size and SHA-256."""
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("wb") as file:
                while chunk := await read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    await in_thread(partial(file.write, chunk))
        except OSError as error:
            raise UnavailableError(
                f"the file cannot be written: {error.strerror}. Make room on the disk that holds "
                "Staffroom's home, then try again."
            ) from error
        return size, digest.digest()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except FileNotFoundError:
        return False
