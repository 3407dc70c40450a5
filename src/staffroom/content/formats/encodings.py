"""Bytes become text: which encoding a file has, and what in it is none."""

import codecs
import re
from pathlib import Path
from typing import IO, Final

from staffroom.errors import InputError

ENCODINGS: Final = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1250", "cp1251", "cp1252", "cp1253",
    "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp437", "cp850", "iso8859-1", "iso8859-2",
    "iso8859-3", "iso8859-4", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-9",
    "iso8859-10", "iso8859-13", "iso8859-14", "iso8859-15", "iso8859-16", "koi8-r", "koi8-u",
    "mac-roman", "mac-latin2", "shift_jis", "cp932", "euc_jp", "gb18030", "big5", "euc_kr",
)  # fmt: skip
"""Those that tables for people come in."""

SAMPLE: Final = 1 << 20
"""Bytes at the beginning of a file by which its encoding is told."""

NUL_SHARE: Final = 0.3
"""How many of every second bytes are NUL in UTF-16 of European languages, at the least."""

SPOILT: Final = re.compile("[\udc80-\udcff]")
"""What becomes of bytes that are no text in the encoding."""

_BYTES: Final = "staffroom.bytes"
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no text stay what they are, marked, in any encoding."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    spoilt = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + max(byte, 0x80)) for byte in spoilt), error.end


codecs.register_error(_BYTES, _mark)


def encoding_named(name: str) -> str:
    """The encoding that is called so. Raises: InputError."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        found = ""
    for known in ENCODINGS:
        if found == codecs.lookup(known).name:
            return known
    raise InputError(f"there is no encoding {name[:50]!r}; choose one of {', '.join(ENCODINGS)}.")


def detect(path: Path) -> tuple[str, bool]:
    """The encoding of the file, and whether it is no more than a guess.

    UTF-8 with damage in it is still UTF-8; text that is nowhere UTF-8 is what Windows wrote.
    """
    with path.open("rb") as file:
        sample = file.read(SAMPLE)
    for bom, encoding in _BOMS:
        if sample.startswith(bom):
            return encoding, False
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = sample[offset::2]
        if half.count(0) > NUL_SHARE * len(half) and 0 not in sample[1 - offset :: 2]:
            return encoding, False
    text = sample.decode("utf-8", "surrogateescape")
    whole = text[:-4]  # the sample may end within a character
    if not SPOILT.search(whole) or re.search("[^\x00-\x7f\udc80-\udcff]", whole):
        return "utf-8", False
    return "cp1252", True


def bom_size(path: Path) -> int:
    """The bytes of the mark that the file begins with, which is no text."""
    with path.open("rb") as file:
        beginning = file.read(4)
    return next((len(bom) for bom, _ in _BOMS if beginning.startswith(bom)), 0)


def open_text(path: Path, encoding: str, newline: str = "") -> IO[str]:
    """The file as text; bytes that are none are marked, and spoil their own row and no other."""
    if encoding == "utf-8":
        return path.open(encoding="utf-8-sig", errors="surrogateescape", newline=newline)
    return path.open(encoding=encoding, errors=_BYTES, newline=newline)


def width(text: str, encoding: str) -> int:
    """How many bytes of the file the text was, or about so many."""
    if encoding == "utf-8":
        return len(text.encode(errors="surrogateescape"))
    plain = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(encoding, encoding)
    return len(text.encode(plain, "replace"))


def readable(text: str) -> str:
    """Spoilt text as Windows would read it, for a person to mend."""
    return SPOILT.sub(
        lambda found: bytes([ord(found[0]) - 0xDC00]).decode("cp1252", "replace"), text
    )
