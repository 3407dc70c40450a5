"""Values as the JSON documents that commands print and other programs read."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from staffroom.scenario import row_from
from staffroom.scenario_life import is_overdue
from staffroom.types import (
    Answer,
    Asked,
    Interaction,
    Match,
    Revision,
    Scenario,
    SearchResult,
    Sentence,
)

DIGITS = 4
"""Decimals of a relevance: more would promise a precision that it does not have."""


def scenario_document(scenario: Scenario) -> dict[str, Any]:
    """A scenario with its id, its editor's id and everything in it, and whether it is overdue."""
    row = row_from(scenario.content)
    return {
        "id": str(scenario.id),
        "source_id": row.pop("id"),
        "revision": scenario.revision,
        **row,
        "overdue": is_overdue(scenario.content.metadata),
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
        "worked": match.worked,
        **document,
    }


def search_document(result: SearchResult) -> dict[str, Any]:
    """What a search found, and by which measure."""
    return {
        "matches": [match_document(match) for match in result.matches],
        "threshold": result.threshold,
        "best_relevance": _rounded(result.best_relevance),
        "related": [match_document(match) for match in result.related],
        "reason": result.emptiness,
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


def revision_documents(history: Sequence[Revision]) -> list[dict[str, Any]]:
    """The history, newest first, with the fields in which each revision differs from the last."""
    documents = []
    before: dict[str, Any] = {}
    for revision in history:
        row = row_from(revision.content)
        del row["id"]
        documents.append(
            {
                "revision": revision.number,
                "author": revision.author,
                "reason": revision.reason,
                "created_at": revision.created_at.isoformat(),
                "changed": [name for name in row if before and row[name] != before[name]],
                **row,
            }
        )
        before = row
    return documents[::-1]


def asked_document(asked: Asked) -> dict[str, Any]:
    """An exchange as a list shows it."""
    return {
        "id": str(asked.id),
        "question": asked.question,
        "outcome": asked.outcome,
        "best_relevance": _rounded(asked.best_relevance),
        "created_at": asked.created_at.isoformat(),
    }


def interaction_document(found: Interaction) -> dict[str, Any]:
    """An exchange as it was stored, with its feedback."""
    return {
        "id": str(found.id),
        "conversation_id": str(found.conversation_id),
        "question": found.question,
        "asked": found.asked,
        "answer": found.answer,
        "sentences": list(map(sentence_document, found.sentences)),
        "more": list(map(sentence_document, found.more)),
        "matches": [
            {
                "id": str(match.scenario_id),
                "revision": match.revision,
                "name": match.name,
                "relevance": round(match.relevance, DIGITS),
            }
            for match in found.matches
        ],
        "outcome": found.outcome,
        "abstained": found.abstained,
        "writer": found.writer,
        "embedding_model": found.embedding_model,
        "prompt_version": found.prompt_version,
        "library_version": found.library_version,
        "timings": dict(found.timings),
        "threshold": found.threshold,
        "best_relevance": _rounded(found.best_relevance),
        "feedback": [
            {
                "id": str(feedback.id),
                "verdict": feedback.verdict,
                "reason": feedback.reason,
                "comment": feedback.comment,
                "scenario_id": _text(feedback.scenario_id),
                "created_at": feedback.created_at.isoformat(),
            }
            for feedback in found.feedback
        ],
        "created_at": found.created_at.isoformat(),
    }


def _text(identifier: UUID | None) -> str | None:
    return None if identifier is None else str(identifier)


def _rounded(relevance: float | None) -> float | None:
    return None if relevance is None else round(relevance, DIGITS)
