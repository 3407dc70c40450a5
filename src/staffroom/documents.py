"""Values as the JSON documents that commands print and other programs read. Pure."""

from typing import Any
from uuid import UUID

from staffroom.scenario import row_from
from staffroom.types import Answer, Match, Scenario, SearchResult, Sentence

DIGITS = 4
"""Decimals of a relevance: more would promise a precision that it does not have."""


def scenario_document(scenario: Scenario) -> dict[str, Any]:
    """A scenario with its id, its editor's id and everything in it."""
    row = row_from(scenario.content)
    return {
        "id": str(scenario.id),
        "source_id": row.pop("id"),
        "revision": scenario.revision,
        **row,
        "created_at": scenario.created_at.isoformat(),
        "updated_at": scenario.updated_at.isoformat(),
    }


def match_document(match: Match) -> dict[str, Any]:
    """A match: its relevance first, then the scenario."""
    document = scenario_document(match.scenario)
    return {
        "id": document.pop("id"),
        "name": document.pop("name"),
        "relevance": round(match.relevance, DIGITS),
        **document,
    }


def search_document(result: SearchResult) -> dict[str, Any]:
    """What a search found, and by which measure."""
    return {
        "matches": [match_document(match) for match in result.matches],
        "threshold": result.threshold,
        "best_relevance": _rounded(result.best_relevance),
        "related": [match_document(match) for match in result.related],
    }


def answer_document(answer: Answer) -> dict[str, Any]:
    """An answer, sentence by sentence with its sources."""
    return {
        "answer": answer.text,
        "sentences": list(map(sentence_document, answer.sentences)),
        "more": list(map(sentence_document, answer.more)),
        "matches": list(map(match_document, answer.matches)),
        "related": list(map(match_document, answer.related)),
        "outcome": answer.outcome,
        "abstained": answer.abstained,
        "uncertain": answer.uncertain,
        "writer": answer.writer,
        "threshold": answer.threshold,
        "best_relevance": _rounded(answer.best_relevance),
        "timings": dict(answer.timings),
        "interaction_id": _text(answer.interaction_id),
        "conversation_id": _text(answer.conversation_id),
    }


def sentence_document(sentence: Sentence) -> dict[str, Any]:
    """A sentence with its citations, and the step of the advice that it comes from."""
    return {
        "text": sentence.text,
        "citations": list(map(str, sentence.citations)),
        "support": sentence.support,
        "step": sentence.step,
    }


def _text(identifier: UUID | None) -> str | None:
    return None if identifier is None else str(identifier)


def _rounded(relevance: float | None) -> float | None:
    return None if relevance is None else round(relevance, DIGITS)
