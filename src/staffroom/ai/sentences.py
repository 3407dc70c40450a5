"""Text becomes sentences, also while it is still being written. Pure."""

import re
from collections.abc import Iterator
from typing import Final

_CLOSED: Final = r"[.!?…][\"'”’)\]*_]*(?:\s?\[\d[\d, ]*\])*"
"""The end of a sentence, with what closes it: quotation marks, markup, citations such as [2]."""

_END: Final = re.compile(_CLOSED + r"(?=\s+(?!\[\d)[\"'“‘(\[*_]{0,3}[A-Z0-9])|\n")
_NUMBERING: Final = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*•])\s+")
_COMPLETE: Final = re.compile(_CLOSED + "$")


class SentenceStream:
    """Cuts a text that arrives in pieces; a sentence leaves once its successor has begun."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, piece: str) -> list[str]:
        """The sentences that this piece completed."""
        self._rest += piece
        sentences, self._rest = _split(self._rest)
        return sentences

    def finish(self) -> list[str]:
        """The last sentence, if it is whole: a text that was cut off ends before the cut."""
        rest = _NUMBERING.sub("", self._rest).strip()
        self._rest = ""
        return [rest] if _COMPLETE.search(rest) else []


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, without list numbers; an unfinished last one counts as one."""
    sentences, rest = _split(text)
    rest = _NUMBERING.sub("", rest).strip()
    return [*sentences, rest] if rest else sentences


def _split(text: str) -> tuple[list[str], str]:
    """The finished sentences, and what follows the last of them."""
    sentences, start = [], 0
    for end in _ends(text):
        sentence = _NUMBERING.sub("", text[start:end]).strip()
        if not sentence or _is_numbering(text[start:end]):
            continue
        if text[end - 1] != "\n" and _quotation_is_open(sentence):
            continue
        sentences.append(sentence)
        start = end
    return sentences, text[start:]


def _ends(text: str) -> Iterator[int]:
    return (match.end() for match in _END.finditer(text))


def _is_numbering(text: str) -> bool:
    return re.fullmatch(r"\s*\d{1,2}[.)]\s*", text) is not None


def _quotation_is_open(text: str) -> bool:
    return text.count('"') % 2 == 1 or text.count("“") > text.count("”")
