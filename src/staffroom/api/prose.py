"""An answer as plain text with numbered citations, for programs that show a text and no more.

`Prose` writes it sentence by sentence; `said_in` reads the sentences out of it again, because such
programs send back what was said.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from staffroom.scenario_life import overdue_mark
from staffroom.types import Answer, Match, SearchResult, Sentence, is_uncertain

UNCERTAIN: Final = (
    "This may be about another situation than yours: nothing in the library is very close."
)

_SOURCES: Final = "\n\nSources:"
_RELATED: Final = "\n\nPerhaps related:"
_NUMBER: Final = re.compile(r"^\d+\. ")
_MARKS: Final = re.compile(r"\s*(?:\[\d+\])+\s*")


@dataclass(frozen=True, slots=True)
class Mark:
    """A citation: `text[start:end]` is its number in brackets."""

    start: int
    end: int
    match: Match


class Prose:
    """The text of an answer while it is being written. Each call returns what it added."""

    def __init__(self, found: SearchResult, address: Callable[[UUID], str]) -> None:
        self._found = found
        self._address = address
        self._matches = {match.scenario.id: match for match in found.matches}
        self._numbers: dict[UUID, int] = {}
        self._step: object = None
        self._steps = 0
        self._has_sentence = False
        self.text = ""
        self.marks: list[Mark] = []

    def begin(self) -> str:
        """A word of caution, where one is due."""
        cautious = self._found.matches and is_uncertain(self._found.best_relevance)
        return self._added(UNCERTAIN + "\n\n") if cautious else ""

    def add(self, sentence: Sentence) -> str:
        """The sentence, with its step's number before and its citations behind it."""
        piece = f"{self._lead(sentence)}{sentence.text} "
        for citation in sentence.citations:
            mark = f"[{self._numbers.setdefault(citation, len(self._numbers) + 1)}]"
            start = len(self.text) + len(piece)
            piece += mark
            self.marks.append(Mark(start, start + len(mark), self._matches[citation]))
        self._has_sentence = True
        return self._added(piece)

    def end(self, answer: Answer) -> str:
        """The sources; or why there is no answer, and what may be related."""
        if not answer.abstained:
            cited = (self._matches[cited] for cited in self._numbers)
            lines = (f"[{n}] {self._named(match)}" for n, match in enumerate(cited, 1))
            return self._added(_list(_SOURCES, lines))
        return self._added(answer.text + _list(_RELATED, map(self._named, answer.related)))

    def whole(self, answer: Answer) -> str:
        """All of it at once."""
        self.begin()
        for sentence in answer.sentences:
            self.add(sentence)
        self.end(answer)
        return self.text

    def _added(self, piece: str) -> str:
        self.text += piece
        return piece

    def _lead(self, sentence: Sentence) -> str:
        before, self._step = self._step, _step(sentence)
        if self._step is None:
            return "\n\n" if before else " " if self._has_sentence else ""
        if self._step == before:
            return " "
        self._steps += 1
        return ("\n" if self._has_sentence else "") + f"{self._steps}. "

    def _named(self, match: Match) -> str:
        name = f"{match.scenario.name}{overdue_mark(match.scenario.content.metadata)}"
        return f"{name}: {self._address(match.scenario.id)}"


def said_in(text: str) -> tuple[str, ...]:
    """The sentences that a text of `Prose` has, as far as nobody changed it."""
    lines = text.partition(_SOURCES)[0].splitlines()
    parts = (part for line in lines for part in _cited(_NUMBER.sub("", line)))
    return tuple(filter(None, parts))


def _cited(line: str) -> Sequence[str]:
    """What stands before a citation; what follows the last one is no sentence."""
    return _MARKS.split(line)[:-1]


def _list(heading: str, items: Iterable[str]) -> str:
    lines = "".join(f"\n- {item}" for item in items)
    return heading + lines if lines else ""


def _step(sentence: Sentence) -> object:
    return None if sentence.step is None else (sentence.citations, sentence.step)
