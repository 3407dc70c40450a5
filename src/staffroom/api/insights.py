"""What the questions of a period say of the library."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from staffroom.api.context import Staffroom
from staffroom.api.description import problems
from staffroom.api.insight_schemas import InsightsOut
from staffroom.database.insights import (
    MAX_DAYS,
    AskedGap,
    InsightReport,
    Stages,
    Tally,
    Timing,
)

DEFAULT_DAYS: Final = 30
MOST_GROUPS: Final = 100
MOST_QUESTIONS: Final = 50

router = APIRouter(prefix="/api/v1/insights", tags=["insights"])

Days = Annotated[
    int, Query(ge=1, le=MAX_DAYS, description="The period: so many days, today being the last.")
]


@router.get("", response_model=InsightsOut, responses=problems(422))
async def get_insights(app: Staffroom, days: Days = DEFAULT_DAYS) -> JSONResponse:
    """Read what was asked, what was missing, what served, and how long it took."""
    return JSONResponse(insights_document(await app.vector_ops.insights.report(days)))


def insights_document(report: InsightReport) -> dict[str, Any]:
    """The report as JSON."""
    return {
        "days": len(report.days),
        "questions": [
            {"date": day.isoformat(), "answered": tally.answered, "abstained": tally.abstained}
            for day, tally in report.days.items()
        ],
        "outcomes": dict(report.total.outcomes),
        "gaps": [_gap_document(group) for group in report.gaps[:MOST_GROUPS]],
        "gap_groups": len(report.gaps),
        "scenarios": [_named(asdict(use)) for use in report.scenarios],
        "never_used": [_named(asdict(scenario)) for scenario in report.unused],
        "never_used_total": report.unused_total,
        "latency": [
            {"date": day.isoformat(), **_rounded(tally.timing)}
            for day, tally in report.days.items()
        ],
        "stages": [
            {"date": day.isoformat(), **_rounded(tally.stages)}
            for day, tally in report.days.items()
        ],
        "cache": [_cache_document(day, tally) for day, tally in report.days.items()],
    }


def _gap_document(group: AskedGap) -> dict[str, Any]:
    return {
        "id": str(group.id),
        "state": group.state,
        "label": group.label,
        "words": list(group.words),
        "size": len(group.questions),
        "first": group.first.isoformat(),
        "last": group.last.isoformat(),
        "questions": [
            {
                "interaction_id": str(asked.interaction_id),
                "question": asked.question,
                "created_at": asked.created_at.isoformat(),
                "kind": asked.kind,
            }
            for asked in group.questions[:MOST_QUESTIONS]
        ],
    }


def _named(document: Mapping[str, Any]) -> dict[str, Any]:
    return {**document, "id": str(document["id"])}


def _rounded(times: Timing | Stages) -> dict[str, float | None]:
    return {
        name: None if value is None else round(value, 2) for name, value in asdict(times).items()
    }


def _cache_document(day: date, tally: Tally) -> dict[str, Any]:
    return {"date": day.isoformat(), "answers": tally.timed, "from_cache": tally.from_cache}
