"""Advice as its parts: steps in their order, sentences, and what it warns of. Pure, English.

Editors write lists in many ways, and what stands under "Don't" must never be read as a step: a
heading that denies takes everything below it along, and a warning is quoted whole or not at all.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

from staffroom.ai.sentences import split_sentences
from staffroom.ai.words import Wording, words
from staffroom.types import Match, ScenarioContent, Sentence

_STEP: Final = re.compile(
    r"^(?:(?:step\s+)?(\d{1,2})\s?[.):]|\((\d{1,2})\)|step\s+(\d{1,2})\b)\s*", re.IGNORECASE
)
_BULLET: Final = re.compile(r"^(?:[-*•–—]|[a-z]\))\s+")  # noqa: RUF001 - dashes of all lengths
_MARKUP: Final = re.compile(r"^#+\s*|\*\*|__|`")
_DENYING: Final = re.compile(r"\b(avoid|never|don[’']?t|do not|not to do|no-nos?)\b", re.IGNORECASE)
_WARNING: Final = re.compile(
    r"^(?:(?:\w+\s+){0,3}avoid(?:\s*:|\s*$)|avoid\b)|^(?:never|don[’']?t|do not)\s*:", re.IGNORECASE
)
_BARE_HEADING: Final = re.compile(
    r"(do|dos|do this|what to do|never|avoid|don[’']?ts?|do not|not to do|what not to do|no-nos?)",
    re.IGNORECASE,
)
_HEADING_WORDS: Final = 6

REMEMBERED: Final = 256
"""Advice whose parts are kept: that of fifty answers."""

_URGENT: Final = re.compile(
    r"\b(ambulance|emergency|first[- ]aid|first-aider|999|112|911|police|in danger|"
    r"immediate(ly)? danger|safeguarding lead)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Evidence:
    """A sentence of the advice, or a whole warning: what is quoted and cited as one."""

    match: Match
    step: int | None
    text: str
    warns: bool
    """It says what not to do, and would mean the contrary without its first words."""

    @cached_property
    def wording(self) -> Wording:
        return Wording(self.text)

    def quoted(self) -> Sentence:
        """The vetted words themselves."""
        return Sentence(self.text, (self.match.scenario.id,), 1.0, self.step)


def evidence(matches: Sequence[Match]) -> list[Evidence]:
    """Everything in the matches' advice that an answer may rest on, in its order."""
    return [
        Evidence(match, part.step, part.text, part.warns)
        for match in matches
        for part in advice_parts(match.scenario.content)
    ]


def is_urgent(text: str) -> bool:
    """The text says what to do when somebody may be in danger; no short answer leaves it out."""
    return _URGENT.search(text) is not None


class Part(NamedTuple):
    """What is quoted and cited as one: the number of its step, and whether it is a warning."""

    step: int | None
    text: str
    warns: bool


def advice_parts(content: ScenarioContent) -> Sequence[Part]:
    """The advice in its order.

    Steps count on where an editor's numbers do not; items of a list are steps. Headings are no
    part of the advice.
    """
    return _parts(content.advice)


@lru_cache(REMEMBERED)
def _parts(advice: str) -> tuple[Part, ...]:
    # An answer reads the advice of its five scenarios more than thirty times.
    return tuple(_read_parts(advice))


def _read_parts(advice: str) -> Iterator[Part]:
    step = 0
    for lines in _blocks(advice):
        if len(lines) > 1 or _WARNING.match(lines[0].text):
            yield Part(None, " ".join(line.text for line in lines), warns=True)
            continue
        (line,) = lines
        if line.is_item:
            step = line.number if line.number and line.number > step else step + 1
        number = step if line.is_item else None
        for text in split_sentences(line.text):
            yield Part(number, text, warns=False)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line without its markup and its number."""

    text: str
    number: int | None
    is_item: bool
    is_heading: bool


def _blocks(advice: str) -> Iterator[list[_Line]]:
    """Lines that belong together: a denying heading with all that stands under it."""
    warning: list[_Line] = []
    gap = False
    for raw in advice.splitlines():
        line = _read(raw)
        if not line.text:
            gap = True
            continue
        if warning and (line.is_heading or (gap and not line.is_item)):
            yield warning
            warning = []
        gap = False
        if warning or (line.is_heading and _DENYING.search(line.text)):
            colon = ":" if line.is_heading and line.text[-1].isalnum() else ""
            warning.append(replace(line, text=line.text + colon))
        elif not line.is_heading:
            yield [line]
    if warning:
        yield warning


def _read(raw: str) -> _Line:
    text = _MARKUP.sub("", raw.strip())
    bullet = _BULLET.match(text)
    text = _MARKUP.sub("", text[bullet.end() :] if bullet else text)
    numbered = _STEP.match(text)
    text = text[numbered.end() :] if numbered else text
    number = int(next(filter(None, numbered.groups()))) if numbered else None
    is_item = bool(bullet or numbered)
    return _Line(text.strip(), number, is_item, _is_heading(raw.strip(), text, is_item=is_item))


def _is_heading(raw: str, text: str, *, is_item: bool) -> bool:
    if raw.startswith("#"):
        return True
    if is_item or not text:
        return False
    if text.endswith(":"):
        return len(words(text)) <= _HEADING_WORDS
    return _BARE_HEADING.fullmatch(text) is not None
