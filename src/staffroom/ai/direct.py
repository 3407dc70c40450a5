"""Does a question ask for one scenario nearly word for word? Then its advice needs no writer.

Likeness alone cannot tell "let a pupil leave the room" from "do not let a pupil leave the
room": a model places them side by side. So the words decide as well, and in doubt the answer
is no, which costs nothing but a writer's work.
"""

from typing import Final

from staffroom.ai.words import Wording
from staffroom.types import Embedder, Match, SearchResult

LEAST_RELEVANCE: Final = 0.3
LEAST_MARGIN: Final = 0.1
"""How far the second match has to be behind."""

LEAST_LIKENESS: Final = 0.75
"""Cosine between the question and a phrasing that an editor gave the scenario."""

MOST_PHRASINGS: Final = 24


async def asks_for_first(question: str, found: SearchResult, embedder: Embedder) -> bool:
    """The first match may be quoted as it is: the question is one of its own, in other words."""
    first, *others = found.matches
    if first.relevance < LEAST_RELEVANCE or is_close(first, others[:1]):
        return False
    content = first.scenario.content
    phrasings = [content.name, *content.example_questions][:MOST_PHRASINGS]
    wanted = (await embedder.embed([question], "query"))[0]
    vectors = await embedder.embed(phrasings, "query")
    asked = Wording(question)
    return any(
        likeness >= LEAST_LIKENESS and not clashes(asked, Wording(phrasing))
        for phrasing, likeness in zip(phrasings, vectors @ wanted, strict=True)
    )


def is_close(first: Match, others: list[Match]) -> bool:
    """Another match is nearly as relevant as the first."""
    return any(first.relevance - other.relevance < LEAST_MARGIN for other in others)


def clashes(question: Wording, phrasing: Wording) -> bool:
    """One wants the contrary of the other, or somebody else does it."""
    return (
        question.negations != phrasing.negations
        or question.opposes(phrasing) > 0
        or phrasing.opposes(question) > 0
        or _turning(question) != _turning(phrasing)
        or question.roles != phrasing.roles
        or _roles_in_order(question) != _roles_in_order(phrasing)
    )


def _turning(text: Wording) -> frozenset[str]:
    return frozenset(text.guards)


def _roles_in_order(text: Wording) -> list[str]:
    return [role for token in text.tokens for role in Wording(token).roles]
