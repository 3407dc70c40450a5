"""Uploaded files: written to disk as they come, kept until their import has ended.

A file lies under the id of its import. What somebody else calls it is never a path here.
"""

import hashlib
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

from staffroom.content.formats import SUFFIXES
from staffroom.content.threads import in_thread
from staffroom.errors import ConfigError, UnavailableError
from staffroom.text import mend

CHUNK: Final = 1 << 20
PART: Final = ".part"
MAX_NAME: Final = 200

ABANDONED_SECONDS: Final = 3600
"""After which a file without an import is one whose upload was killed."""

Reader = Callable[[int], Awaitable[bytes]]
"""The next bytes of an upload, at most so many; none at its end."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has come in whole, and belongs to no import yet."""

    id: UUID
    name: str
    suffix: str
    sha256: bytes
    path: Path

    def discard(self) -> None:
        """The file is gone, unless it was kept."""
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
    """The folder of one tenant's uploaded files. It is made by the first upload."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def receive(self, upload_id: UUID, name: str, read: Reader) -> Upload:
        """The file is on disk, whole, or nothing of it is.

        Raises: ConfigError if the folder cannot be made, UnavailableError if the disk is full.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the folder for uploads, {self._folder}, cannot be made: {error.strerror}. Set "
                "STAFFROOM_HOME to a folder that can be written to."
            ) from error
        path = self._folder / f"{upload_id}{PART}"
        digest = hashlib.sha256()
        try:
            with path.open("wb") as file:
                while chunk := await read(CHUNK):
                    digest.update(chunk)
                    await in_thread(partial(file.write, chunk))
        except OSError as error:
            path.unlink(missing_ok=True)
            raise UnavailableError(
                f"the upload cannot be written: {error.strerror}. Make room on the disk that "
                "holds Staffroom's home, then upload the file again."
            ) from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Upload(upload_id, name, suffix_of(name), digest.digest(), path)

    def keep(self, upload: Upload) -> Path:
        """The file waits for its import, there."""
        return upload.path.rename(self.path(upload.id, upload.suffix))

    def path(self, upload_id: UUID, suffix: str) -> Path:
        """Where a kept file lies."""
        return self._folder / f"{upload_id}{suffix}"

    def ids(self) -> list[UUID]:
        """The imports whose files lie here."""
        return [UUID(path.stem) for path in self._files() if path.suffix != PART]

    def old_ids(self) -> list[UUID]:
        """Those of them that came long ago."""
        return [UUID(path.stem) for path in self._files() if path.suffix != PART and _is_old(path)]

    def remove(self, upload_id: UUID) -> None:
        """The import has ended and its file is gone."""
        for path in self._folder.glob(f"{upload_id}.*"):
            path.unlink(missing_ok=True)

    def remove_abandoned(self) -> None:
        """What was left of uploads that were killed is gone."""
        for path in self._files():
            if path.suffix == PART and _is_old(path):
                path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("????????-*.*"))


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except FileNotFoundError:
        return False
