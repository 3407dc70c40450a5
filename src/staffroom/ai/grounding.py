"""Is a sentence backed by the advice it was written from? Pure.

A sentence counts as backed when all of its telling words stand in one sentence of one
scenario, and both say "not" or neither does. That lets a model select and shorten, and
stops it from adding a word and from turning advice into its opposite.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from staffroom.ai.sentences import split_sentences
from staffroom.types import Match, Sentence

MINIMUM_SUPPORT: Final = 1.0
"""Share of a sentence's telling words that its evidence has to contain.

At 0.8 "ring you by one o'clock tomorrow" passed as "by one o'clock tomorrow morning".
"""

MINIMUM_WORDS: Final = 3

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_NEGATIONS: Final = frozenset(
    {"not", "no", "never", "avoid", "without", "nobody", "nothing", "neither", "nor", "cannot"}
)
_EMPTY_WORDS: Final = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "do", "does", "for",
    "from", "has", "have", "if", "in", "is", "it", "its", "of", "on", "or", "so", "than", "that",
    "the", "their", "them", "then", "there", "they", "this", "to", "was", "when", "which", "while",
    "will", "with", "you", "your",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence of a scenario's advice: its words, and whether it says "not"."""

    match: Match
    words: frozenset[str]
    negative: bool


def evidence(matches: Sequence[Match]) -> list[Evidence]:
    """Every sentence of the matches' advice that an answer may rest on."""
    return [
        Evidence(match, frozenset(words), _is_negative(words))
        for match in matches
        for text in split_sentences(match.scenario.content.advice)
        if (words := _words(text))
    ]


def checked(text: str, advice: Sequence[Evidence]) -> Sentence | None:
    """The sentence with its citation and support, or None if nothing backs it."""
    words = _words(text)
    if len(words) < MINIMUM_WORDS:
        return None
    support, best = max(
        ((_support(words, sentence), sentence) for sentence in advice),
        key=lambda pair: pair[0],
        default=(0.0, None),
    )
    if best is None or support < MINIMUM_SUPPORT:
        return None
    return Sentence(text, (best.match.scenario.id,), round(support, 3))


def _support(words: Sequence[str], sentence: Evidence) -> float:
    telling = [word for word in words if word not in _EMPTY_WORDS] or list(words)
    if _is_negative(words) != sentence.negative:
        return 0.0
    return sum(word in sentence.words for word in telling) / len(telling)


def _is_negative(words: Sequence[str]) -> bool:
    return any(word in _NEGATIONS or word.endswith(("n't", "n’t")) for word in words)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
