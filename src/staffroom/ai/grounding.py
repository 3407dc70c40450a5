"""Is a sentence backed by the advice it was written from? If not, what does the advice say?

A sentence passes only if it is one of the advice's own, word for word. Anything else that is
clearly about a sentence of the advice is replaced by that sentence; the rest is dropped. So
what is shown is vetted, whoever wrote it, and a writer only chooses and orders. A judge, if one
is configured, may let a sentence pass that says the same in other words.
"""

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np

from staffroom.ai.advice import Evidence, evidence
from staffroom.ai.support import Support, support
from staffroom.ai.words import Wording
from staffroom.errors import EmbedderUnavailable
from staffroom.monitoring.logs import cause
from staffroom.text import mend
from staffroom.types import Array, Embedder, Match, Sentence, Vectors

LEAST_WORDS: Final = 3
"""Telling words below which a sentence that is no quotation says too little to be checked."""

REPLACED_MEANING: Final = 0.6
"""Cosine from which on a sentence is about that sentence of the advice and is replaced by it."""

JUDGED_MEANING: Final = 0.3
"""Cosine from which on a judge is asked: less is about something else."""

JUDGING_SECONDS: Final = 10.0
"""What a judge may take of one answer, all sentences together."""

_MARK: Final = re.compile(r"\[(\d{1,2})(?:\s?,\s?\d{1,2})*\]")
_MARKUP: Final = re.compile(r"[*_`#]+")

_log = logging.getLogger(__name__)

Verdict = Literal["passed", "replaced"]


class Judge(Protocol):
    """Reads advice and a sentence, and says whether the one says the other."""

    @property
    def name(self) -> str: ...

    async def backs(self, advice: str, sentence: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Checked:
    """A sentence that may be shown, and where in the advice of all matches it stands."""

    sentence: Sentence
    place: int
    verdict: Verdict


class Grounding:
    """Checks the sentences of one answer against the advice of its matches."""

    def __init__(
        self, matches: Sequence[Match], embedder: Embedder, judge: Judge | None = None
    ) -> None:
        self._matches = matches
        self._embedder = embedder
        self._judge = judge
        self._judging_seconds = JUDGING_SECONDS
        self._evidence = evidence(matches)
        self._vectors: Vectors | None = None

    async def check(self, text: str) -> Checked | None:
        """The sentence with its citation and support, or the vetted one, or None.

        A mark such as [2] at the end names the match that is looked at first.
        """
        marks = _MARK.findall(text)
        plain = _MARKUP.sub("", _MARK.sub(" ", text))
        sentence = Wording(" ".join(mend(plain).split()))
        for place in self._in_cited_order(marks):
            part = self._evidence[place]
            if sentence.tokens == part.wording.tokens:
                return Checked(part.quoted(), place, "passed")
        if not self._evidence or len(sentence.telling) < LEAST_WORDS:
            return None
        try:
            cosines = await self._cosines(sentence.text)
        except EmbedderUnavailable as error:
            _log.warning("a sentence is dropped that cannot be compared: %s", cause(error))
            return None
        return await self._compared(sentence, cosines)

    def _in_cited_order(self, marks: Sequence[str]) -> list[int]:
        cited = {
            self._matches[int(mark) - 1].scenario.id
            for mark in marks
            if 0 < int(mark) <= len(self._matches)
        }
        places = range(len(self._evidence))
        return sorted(places, key=lambda n: self._evidence[n].match.scenario.id not in cited)

    async def _compared(self, sentence: Wording, cosines: Array) -> Checked | None:
        found = support(sentence, [part.wording for part in self._evidence], cosines)
        best = self._evidence[found.best]
        if await self._is_backed(sentence, best, found):
            said = Sentence(
                sentence.text, (best.match.scenario.id,), round(found.score, 3), best.step
            )
            return Checked(said, found.best, "passed")
        if found.meaning < REPLACED_MEANING:
            return None
        return Checked(best.quoted(), found.best, "replaced")

    async def _is_backed(self, sentence: Wording, best: Evidence, found: Support) -> bool:
        """A judge, if there is one, finds the sentence in the advice, and no word denies it."""
        if self._judge is None or found.meaning < JUDGED_MEANING or self._judging_seconds <= 0:
            return False
        advice = best.match.scenario.content.advice
        if not sentence.numbers <= Wording(advice).numbers or _denies(sentence, best.wording):
            return False
        began = time.monotonic()
        try:
            return await self._judge.backs(advice, sentence.text)
        finally:
            self._judging_seconds -= time.monotonic() - began

    async def _cosines(self, text: str) -> Array:
        if self._vectors is None:
            self._vectors = await self._embedder.embed(
                [part.text for part in self._evidence], "passage"
            )
        vector = (await self._embedder.embed([text], "passage"))[0]
        cosines: Array = (self._vectors @ vector).astype(np.float64)
        return cosines


def _denies(sentence: Wording, part: Wording) -> bool:
    """One says "not" where the other does not, or has the opposite of a word of it."""
    return bool(sentence.negations) != bool(part.negations) or sentence.opposes(part) > 0
