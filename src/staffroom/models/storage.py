"""Files appear whole, on the disk and as pinned, or not at all."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from staffroom.errors import ModelCorrupt, ModelMissing
from staffroom.models.pinned import ModelFile

_CHUNK_BYTES = 1 << 20
_TEMPORARY_PREFIX = ".fetch-"
_TEMPORARY_LIFE_SECONDS = 24 * 3600.0
"""After this long a temporary folder belongs to a fetch that was killed."""


@contextmanager
def temporary_folder(models: Path) -> Iterator[Path]:
    """A folder beside the models, so that a file moves into place in one step."""
    models.mkdir(parents=True, exist_ok=True)
    for stale in models.glob(f"{_TEMPORARY_PREFIX}*"):
        with suppress(FileNotFoundError):
            if time.time() - stale.stat().st_mtime > _TEMPORARY_LIFE_SECONDS:
                shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_TEMPORARY_PREFIX, dir=models) as temporary:
        yield Path(temporary)


def store(source: IO[bytes], file: ModelFile, target: Path, advance: Callable[[int], None]) -> None:
    """Write a stream to a file, on the disk and with the pinned content.

    Raises: ModelCorrupt if the stream is anything else; reads no further than needed to tell.
    """
    written, sha256 = write(chunks(source), target, advance, limit=file.size)
    if written != file.size or sha256 != file.sha256:
        raise ModelCorrupt(
            f"{file.path} came with {written} bytes and sha256 {sha256}, not "
            f"{file.size} and {file.sha256}. Its source changed or the transfer was tampered with."
        )


def chunks(source: IO[bytes]) -> Iterator[bytes]:
    """A stream's content, in pieces that fit into memory."""
    while chunk := source.read(_CHUNK_BYTES):
        yield chunk


def write(
    content: Iterable[bytes],
    target: Path,
    advance: Callable[[int], None],
    *,
    limit: int | None = None,
) -> tuple[int, str]:
    """Bytes and sha256 of what was written and is on the disk.

    Content beyond the limit is not asked for, but what shows that there is some.
    """
    digest = hashlib.sha256()
    written = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as sink:
        for chunk in content:
            digest.update(chunk)
            sink.write(chunk)
            written += len(chunk)
            advance(written)
            if limit is not None and written > limit:
                break
        sink.flush()
        os.fsync(sink.fileno())
    return written, digest.hexdigest()


def publish(temporary: Path, target: Path) -> None:
    """The file is in its place, in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary.replace(target)


def check_size(path: Path, file: ModelFile, command: str) -> None:
    """Raises: ModelMissing or ModelCorrupt unless a file of the pinned size is there."""
    if not path.is_file():
        raise ModelMissing(f"{path} is missing. Run `{command}`.")
    if path.stat().st_size != file.size:
        raise ModelCorrupt(
            f"{path} has {path.stat().st_size} bytes, not {file.size}. Run `{command}`."
        )


def check_content(path: Path, file: ModelFile, command: str) -> None:
    """Raises: ModelCorrupt unless every byte of the file is as pinned."""
    with path.open("rb") as content:
        actual = hashlib.file_digest(content, "sha256").hexdigest()
    if actual != file.sha256:
        raise ModelCorrupt(f"{path} has sha256 {actual}, not {file.sha256}. Run `{command}`.")
