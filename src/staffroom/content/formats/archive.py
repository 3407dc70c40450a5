"""ZIP archives: the files in them, one after the other, each as if it stood alone.

Nothing is written under a name that an archive tells: a file in it is unpacked into a nameless
temporary one, of which no more is written than is allowed.
"""

import errno
import re
import stat
import tempfile
import zipfile
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from staffroom.content.formats.markdown import MARKDOWN
from staffroom.content.formats.packed import DAMAGE, is_packed_to_burst, open_archive
from staffroom.content.formats.rows import FileRow, RowFile, Source, wrong
from staffroom.content.manifest import MANIFEST, read_manifest
from staffroom.errors import InvalidScenario, UnavailableError, UnreadableFile

MAX_UNPACKED: Final = 2_000_000_000
"""Bytes, of all files of an archive together."""

MAX_BEGINNING: Final = 20_000_000
"""Bytes of a file that are unpacked to look into it: of text, more than enough."""

_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CHUNK: Final = 1 << 20
_JUNK: Final = {"__MACOSX", "Thumbs.db", "desktop.ini"}

Opener = Callable[[Path, str, Source], RowFile]
"""Opens a file of an archive: where it was unpacked, what it is called there."""


def open_zip(source: Source, opener: Opener, suffixes: tuple[str, ...]) -> RowFile:
    """The rows of all files of an archive. Raises: UnreadableFile if none can be imported."""
    try:
        with open_archive(source.path, source.shown) as archive:
            parts = [part for part in archive.infolist() if not _is_passed_over(part)]
            is_backup = MANIFEST in archive.namelist() and read_manifest(archive) is not None
    except DAMAGE as error:
        raise source.refused(
            f"is not a ZIP archive that can be read: {error}.", "no_zip"
        ) from error
    if is_backup:
        raise source.refused(
            "is a backup of a library, with its history. `staffroom restore FILE` puts it back "
            "into an empty library; to import its scenarios alone, unpack scenarios.jsonl.",
            "backup",
        )
    refusals = [_refusal(part, suffixes) for part in parts]
    if all(refusals):
        why = f": {_shown(parts[0])} {refusals[0].reason}" if refusals and refusals[0] else ""
        raise source.refused(f"holds no file that can be imported{why}.", "no_files")
    total = sum(part.compress_size for part in parts)
    rows = _rows(source, parts, opener, suffixes)
    return RowFile(source.name, rows, total, "bytes", reading=source.reading)


def unpacked_files(
    source: Source, opener: Opener, suffixes: tuple[str, ...]
) -> Generator[RowFile, None, None]:
    """The beginnings of the files that can be read, for whoever looks into an archive."""
    with zipfile.ZipFile(source.path) as archive, tempfile.TemporaryDirectory() as folder:
        for part in archive.infolist():
            if not _is_passed_over(part) and not _refusal(part, suffixes):
                path = Path(folder) / f"part{PurePosixPath(part.filename).suffix.lower()}"
                try:
                    with archive.open(part) as packed:
                        path.write_bytes(packed.read(MAX_BEGINNING))
                    yield opener(path, part.filename, source)
                except (UnreadableFile, OSError, *DAMAGE):
                    continue


def _rows(
    source: Source, parts: list[zipfile.ZipInfo], opener: Opener, suffixes: tuple[str, ...]
) -> Generator[FileRow, None, None]:
    number = packed = unpacked = 0
    with zipfile.ZipFile(source.path) as archive, tempfile.TemporaryDirectory() as folder:
        for part in parts:
            path = Path(folder) / f"part{PurePosixPath(part.filename).suffix.lower()}"
            refusal = _refusal(part, suffixes)
            try:
                if not refusal:
                    unpacked += _unpack(archive, part, path, MAX_UNPACKED - unpacked)
                    opened = opener(path, part.filename, source)
                    with closing(opened.rows):
                        for row in opened.rows:
                            number += 1
                            yield _placed(row, part, number, packed, opened.total)
            except _Burst as error:
                raise source.refused(
                    f"cannot be unpacked: {_shown(part)} {error}.", "bursts", file=_shown(part)
                ) from error
            except UnreadableFile as error:
                values = {**error.values, "error": str(error)}
                refusal = wrong(error.code, "{error}", **values)
            except DAMAGE as error:
                refusal = wrong("damaged", "is damaged: {error}", error=str(error))
            except OSError as error:
                if error.errno in _NO_ROOM:
                    raise UnavailableError(
                        f"{source.shown} cannot be unpacked: {error.strerror}. Make room on the "
                        "disk that holds temporary files."
                    ) from error
                refusal = wrong("damaged", "is damaged: {error}", error=str(error.strerror))
            packed += part.compress_size
            path.unlink(missing_ok=True)
            if refusal:
                number += 1
                yield FileRow(number, packed, error=refusal, part=_shown(part))


def _placed(row: FileRow, part: zipfile.ZipInfo, number: int, before: int, total: int) -> FileRow:
    share = min(1.0, row.position / total) if total else 0.0
    is_one = PurePosixPath(part.filename).suffix.lower() in MARKDOWN
    return replace(
        row,
        number=number,
        position=before + int(part.compress_size * share),
        part=_shown(part),
        part_row=0 if is_one else row.number,
    )


class _Burst(Exception):
    """More comes out of the archive than is let out."""


def _unpack(archive: zipfile.ZipFile, part: zipfile.ZipInfo, path: Path, limit: int) -> int:
    """The file's bytes are at the path. Returns how many; raises _Burst beyond the limit."""
    written = 0
    with archive.open(part) as packed, path.open("wb") as file:
        while chunk := packed.read(_CHUNK):
            written += len(chunk)
            if written > limit:
                raise _Burst(f"brings it over {MAX_UNPACKED:,} bytes; split the archive")
            if is_packed_to_burst(written, part.compress_size):
                raise _Burst(f"is packed into {part.compress_size:,} bytes, as no text is")
            file.write(chunk)
    return written


def _is_passed_over(part: zipfile.ZipInfo) -> bool:
    """Folders, and what file managers leave."""
    names = re.split(r"[/\\]", part.filename)
    hidden = (name.startswith(".") and name not in {".", ".."} for name in names)
    return part.is_dir() or any(hidden) or bool(_JUNK & {*names})


def _refusal(part: zipfile.ZipInfo, suffixes: tuple[str, ...]) -> InvalidScenario | None:
    """Why a file of the archive is not read; None if it is."""
    name = part.filename
    suffix = PurePosixPath(name).suffix.lower()
    if stat.S_ISLNK(part.external_attr >> 16):
        return wrong("link", "is a link, not a file; put the file itself into the archive")
    leads_out = re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name)
    if leads_out or "\0" in part.orig_filename:
        return wrong("leads_out", "has a name that leads out of the archive; pack the folder anew")
    if part.flag_bits & 1:
        return wrong("encrypted", "is encrypted; pack it without a password")
    if suffix == ".zip":
        return wrong("nested", "is an archive in an archive; unpack it first")
    if suffix in suffixes:
        return None
    reason = "is of no known kind; what can be read ends in {kinds}"
    return wrong("no_kind", reason, kinds=", ".join(suffixes))


def _shown(part: zipfile.ZipInfo) -> str:
    return part.filename[:200]
