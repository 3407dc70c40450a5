"""Is a sentence backed by the advice it was written from? Pure.

A sentence counts as backed when nearly all of its words stand in one step of one
scenario, with the same numbers and the same negations. That lets a model select,
shorten and join, and stops it from adding.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from staffroom.types import Match, Sentence

MINIMUM_SUPPORT: Final = 0.8
"""Share of a sentence's words that its evidence has to contain."""

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
    """A step of a scenario's advice, and its words."""

    match: Match
    words: frozenset[str]


def evidence(matches: Sequence[Match]) -> list[Evidence]:
    """Every step of the matches' advice that a sentence may rest on."""
    return [
        Evidence(match, frozenset(_words(step)))
        for match in matches
        for step in match.scenario.content.advice.splitlines()
        if step.strip()
    ]


def checked(text: str, steps: Sequence[Evidence]) -> Sentence | None:
    """The sentence with its citation and support, or None if no step backs it."""
    words = _words(text)
    if len(words) < MINIMUM_WORDS:
        return None
    support, best = max(
        ((_support(words, step.words), step) for step in steps),
        key=lambda pair: pair[0],
        default=(0.0, None),
    )
    if best is None or support < MINIMUM_SUPPORT:
        return None
    return Sentence(text, (best.match.scenario.id,), round(support, 3))


def _support(words: Sequence[str], step: frozenset[str]) -> float:
    telling = [word for word in words if word not in _EMPTY_WORDS] or list(words)
    if any(word not in step for word in telling if word[0].isdigit() or _is_negation(word)):
        return 0.0
    return sum(word in step for word in telling) / len(telling)


def _is_negation(word: str) -> bool:
    return word in _NEGATIONS or word.endswith(("n't", "n’t"))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
