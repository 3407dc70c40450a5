"""Archives are looked at before they are read: what is packed too small, or too often, is refused.

The sizes that an archive tells are not believed; what is unpacked is counted.
"""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Final

from staffroom.errors import UnreadableFile

MAX_ENTRIES: Final = 10_000
MAX_DIRECTORY: Final = 20_000_000
"""Bytes of an archive's list of contents, which is read whole."""

MAX_PACKED: Final = 200
SMALL_PART: Final = 20_000_000
"""How many times smaller a part may be packed, if it is not small anyway. What people write is
packed to a tenth; a part of one letter to a thousandth, to fill memory or disk."""

DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
    LookupError,
    AttributeError,
    TypeError,
)
"""What the reader of archives raises for a damaged one."""

_END: Final = b"PK\x05\x06"
_END_SIZE: Final = 22
_LARGE_END: Final = 20 + 56
_LOCATOR: Final = b"PK\x06\x07"


def open_archive(path: Path, shown: str) -> zipfile.ZipFile:
    """The archive, whose list of contents is of a size to be read.

    Raises: UnreadableFile, or one of DAMAGE.
    """
    with path.open("rb") as file:
        file.seek(0, 2)
        size = file.tell()
        begin = max(0, size - (1 << 16) - _END_SIZE - _LARGE_END)
        file.seek(begin)
        tail = file.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_SIZE:
        raise zipfile.BadZipFile("it has no list of its contents")
    (listed,) = struct.unpack_from("<L", tail, end + 12)
    if end >= _LARGE_END and tail[end - 20 : end - 16] == _LOCATOR:
        (listed,) = struct.unpack_from("<Q", tail, end - _LARGE_END + 40)
    if listed > MAX_DIRECTORY:
        raise UnreadableFile(_too_many(shown))
    archive = zipfile.ZipFile(path)
    if len(archive.infolist()) > MAX_ENTRIES:
        archive.close()
        raise UnreadableFile(_too_many(shown))
    return archive


def is_packed_to_burst(unpacked: int, packed: int) -> bool:
    """So much in so few bytes is nothing that people wrote."""
    return unpacked > SMALL_PART and unpacked > MAX_PACKED * max(1, packed)


def _too_many(shown: str) -> str:
    return f"{shown} holds more than {MAX_ENTRIES:,} files. Split it into smaller archives."
