"""Pure work on text: what may be stored, and in which form."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from staffroom.errors import InputError

MAX_QUESTION: Final = 4_000
"""Characters of a question. More than a page is not a question."""

NORMALISER_VERSION: Final = 2
"""Counts changes of `clean` and `mend`: text in another form has another embedding."""

_INVISIBLE: Final = re.compile(
    "[\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)
"""Characters that show nothing but can carry hidden instructions or turn the reading direction.

Joiners (U+200C, U+200D) and variation selectors stay: Persian, Hindi and emoji need them.
"""

_UNSTORABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""Control characters and halves of surrogate pairs: damage, not text."""


_MISREAD: Final = {
    code: bytes([code]).decode("cp1252", "ignore") or None for code in range(0x80, 0xA0)
}
"""Control characters that act on terminals, and in prose are Windows-1252 that was read as
Latin-1: what they were meant to be, as browsers show them."""


def clean(text: str) -> str:
    """The text in normal form C, with plain line ends, without invisible characters."""
    text = _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = text.translate(_MISREAD)
    return unicodedata.normalize("NFC", text).strip()


@dataclass(frozen=True, slots=True)
class Damage:
    """A character that cannot be stored: what it is, its number, and its place, counted from 1."""

    what: str
    mark: str
    at: int

    def __str__(self) -> str:
        return f"holds {self.what} ({self.mark}) at character {self.at}; remove it"


def damage(text: str) -> Damage | None:
    """What makes a text impossible to store; None if nothing does."""
    found = _UNSTORABLE.search(text)
    if found is None:
        return None
    code = ord(found.group())
    kind = "half of a surrogate pair" if code >= 0xD800 else "a control character"  # noqa: PLR2004
    return Damage(kind, f"U+{code:04X}", found.start() + 1)


def mend(text: str) -> str:
    """The cleaned text with whatever cannot be stored replaced: a question is never refused."""
    return clean(_UNSTORABLE.sub("\ufffd", text))


def clean_question(question: str) -> str:
    """The question as it is embedded, sent and stored.

    Raises: InputError if it is empty or too long to be a question.
    """
    text = mend(question)
    if not text:
        raise InputError("the question is empty. Ask, for example, how to settle a noisy class.")
    if len(text) > MAX_QUESTION:
        raise InputError(
            f"the question is {len(text):,} characters long; ask in at most {MAX_QUESTION:,}."
        )
    return text


def shorten(text: str, length: int) -> str:
    """At most `length` characters of the first line, cut between words."""
    line = text.split("\n", 1)[0]
    if len(line) <= length:
        return line
    head, _, _ = line[: length - 1].rpartition(" ")
    return (head or line[: length - 1]) + "…"
