"""Gap groups as the JSON documents that commands print and the API answers with."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from staffroom.content.gap_draft import GapDraft, nearest
from staffroom.database.gaps import GapGroup, GapQuestion
from staffroom.database.golden import MAX_GOLDEN
from staffroom.database.vector_ops import VectorOperations
from staffroom.documents import DIGITS
from staffroom.evaluation.learning import MOST_CHECKED, CheckedQuestion
from staffroom.types import Match


def gap_document(group: GapGroup, lost: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A group. `lost` are the texts of golden questions by id."""
    scenario = group.scenario_id and {
        "id": str(group.scenario_id),
        "name": group.scenario_name,
        "status": group.scenario_status,
    }
    return {
        "id": str(group.id),
        "state": group.state,
        "label": group.label,
        "words": list(group.words),
        "size": group.size,
        "poorly_rated": group.poorly_rated,
        "answered": group.answered,
        "first": group.first.isoformat(),
        "last": group.last.isoformat(),
        "note": group.note,
        "scenario": scenario or None,
        "outcome": group.outcome and _outcome_document(group, group.outcome, lost or {}),
        "created_at": group.created_at.isoformat(),
        "changed_at": group.changed_at.isoformat(),
    }


async def gap_documents(
    vector_ops: VectorOperations, groups: Sequence[GapGroup]
) -> list[dict[str, Any]]:
    """Groups, with the golden questions that were lost in their own words."""
    lost = await lost_questions(vector_ops, groups)
    return [gap_document(group, lost) for group in groups]


async def whole_gap_document(
    vector_ops: VectorOperations, group: GapGroup, limit: int = MOST_CHECKED
) -> dict[str, Any]:
    """A group with its most central questions and the scenarios nearest to it."""
    (document,) = await gap_documents(vector_ops, [group])
    questions = await vector_ops.gaps.questions(group.id, limit)
    return {
        **document,
        "questions": [_member_document(question) for question in questions],
        "nearest": [_near_document(match) for match in await nearest(vector_ops, group)],
    }


def draft_document(draft: GapDraft) -> dict[str, Any]:
    """A draft, and what worded it."""
    return {"scenario_id": str(draft.scenario_id), "drafted_by": draft.drafted_by or None}


def check_document(
    group: GapGroup, checked: Sequence[CheckedQuestion], threshold: float
) -> dict[str, Any]:
    """What asking a group's questions again brought."""
    return {
        "asked": len(checked),
        "answered": sum(found.is_answered for found in checked),
        "size": group.size,
        "threshold": threshold,
        "items": [_checked_document(found) for found in checked],
    }


async def lost_questions(
    vector_ops: VectorOperations, groups: Sequence[GapGroup]
) -> dict[str, str]:
    """The golden questions by id, if any group has lost one."""
    gates = [group.outcome["gate"] for group in groups if group.outcome]
    if not any(gate and gate["lost"] for gate in gates):
        return {}
    golden = await vector_ops.golden.list(MAX_GOLDEN)
    return {str(question.id): question.question for question in golden}


def _outcome_document(
    group: GapGroup, outcome: Mapping[str, Any], lost: Mapping[str, str]
) -> dict[str, Any]:
    gate = outcome["gate"]
    named = gate and {
        **gate,
        "lost": [{**each, "question": lost.get(each["golden_id"])} for each in gate["lost"]],
    }
    return {**outcome, "gate": named, "undo": _undo(group.scenario_id, outcome["revision"])}


def _undo(scenario_id: UUID | None, revision: int) -> str:
    return (
        f"PATCH /api/v1/scenarios/{scenario_id} with the fields of revision {revision - 1}, or "
        f"take it out of use: staffroom scenario retire {scenario_id}"
    )


def _member_document(question: GapQuestion) -> dict[str, Any]:
    return {
        "interaction_id": str(question.interaction_id),
        "question": question.question,
        "created_at": question.created_at.isoformat(),
        "kind": question.kind,
        "answered_at": question.answered_at and question.answered_at.isoformat(),
    }


def _near_document(match: Match) -> dict[str, Any]:
    return {
        "id": str(match.scenario.id),
        "name": match.scenario.name,
        "status": match.scenario.content.metadata.status,
        "relevance": round(match.relevance, DIGITS),
    }


def _checked_document(found: CheckedQuestion) -> dict[str, Any]:
    return {
        "interaction_id": str(found.asked.interaction_id),
        "question": found.asked.question,
        "answered": found.is_answered,
        "rank": found.rank,
        "relevance": None if found.relevance is None else round(found.relevance, DIGITS),
        "best": found.best and _near_document(found.best),
        "reason": found.reason,
    }
