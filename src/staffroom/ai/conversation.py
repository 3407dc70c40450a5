"""A question that continues a conversation, understood with what it refers to. Pure, English."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from staffroom.ai.words import words
from staffroom.text import MAX_QUESTION
from staffroom.types import Turn

SHORT_WORDS: Final = 3
"""A question of so few words that names nobody says too little to stand alone."""

_OPENING: Final = re.compile(
    r"^\s*(and|what if|what about|how about|what else|anything else|how long|how often|until when|"
    r"for how long|even if|what then|then what|and then|which of|"
    r"the (?:first|second|third|fourth|last) (?:one|step|point))\b",
    re.IGNORECASE,
)
_WEAK_OPENING: Final = re.compile(r"^\s*(but|or|so|then|also|why|ok|okay|yes|no)\b", re.IGNORECASE)
_COURTESIES: Final = frozenset(
    ("ok", "okay", "thanks", "thank", "you", "great", "cheers", "ta", "perfect", "bye", "hello")
)
_REFERRING: Final = frozenset(
    (
        "it",
        "its",
        "that",
        "this",
        "those",
        "these",
        "they",
        "them",
        "he",
        "him",
        "she",
        "her",
        "his",
    )
)
_NOUNS: Final = frozenset(
    """
    pupil pupils child children student students class boy boys girl girls parent parents teacher
    mother father mum dad kid kids lad colleague lesson homework bullying bullies detention
    phone phones group assembly playground corridor canteen noise
    """.split()  # noqa: SIM905 - one word beside the other reads better
)


@dataclass(frozen=True, slots=True)
class Understood:
    """`asked` is the question with what it refers to; `said` is what was already answered."""

    asked: str
    said: frozenset[str]


def understand(question: str, turns: Sequence[Turn]) -> Understood:
    """The question in its conversation; turns are oldest first.

    One that stands on its own is left as it is, and nothing said before limits its answer.
    """
    if not turns or not continues(question):
        return Understood(question, frozenset())
    start = max((n for n, turn in enumerate(turns) if turn.asked == turn.question), default=0)
    topic = turns[start].asked
    said = frozenset(sentence for turn in turns[start:] for sentence in turn.said)
    room = max(0, MAX_QUESTION - len(question) - 1)
    return Understood(f"{topic[:room]} {question}".strip(), said)


def turns_from(exchanges: Iterable[tuple[str, Sequence[str]]]) -> list[Turn]:
    """The turns of a conversation that somebody else kept: its questions, oldest first, each with
    the sentences that answered it."""
    turns: list[Turn] = []
    for question, said in exchanges:
        turns.append(Turn(question, understand(question, turns).asked, tuple(said)))
    return turns


def continues(question: str) -> bool:
    """The question cannot be understood without the one before it."""
    found = words(question)
    if _COURTESIES.issuperset(found):
        return False
    if _OPENING.match(question):
        return True
    named = next((n for n, word in enumerate(found) if word in _NOUNS), None)
    if named is None and (len(found) <= SHORT_WORDS or _WEAK_OPENING.match(question)):
        return True
    refers = next((n for n, word in enumerate(found) if word in _REFERRING), None)
    return refers is not None and (named is None or refers < named)
