"""Golden questions: written, promoted from what teachers asked, judged, and removed."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse

from staffroom.api.content_type import require_json
from staffroom.api.context import Staffroom
from staffroom.api.description import problems
from staffroom.api.golden_schemas import (
    GoldenIn,
    GoldenOut,
    GoldenPage,
    GradeIn,
    JudgementIn,
    PromoteIn,
    SuggestionsOut,
)
from staffroom.api.idempotency import Once
from staffroom.api.paging import Cursor, Limit, page_document, read_cursor
from staffroom.api.problems import Problem
from staffroom.database.golden import Golden, Suggestion

MOST_SUGGESTED: Final = 200

router = APIRouter(prefix="/api/v1", tags=["golden"], dependencies=[Depends(require_json)])


@router.get("/golden", response_model=GoldenPage, responses=problems(422))
async def list_golden(app: Staffroom, limit: Limit = 50, cursor: Cursor = None) -> JSONResponse:
    """List the golden questions, newest first."""
    page = await app.vector_ops.golden.list(limit + 1, read_cursor(cursor))
    return JSONResponse(page_document(page, limit, golden_document))


@router.post(
    "/golden",
    response_model=GoldenOut,
    status_code=201,
    responses={
        **problems(404, 409, 422),
        201: {
            "description": "It is golden.",
            "headers": {"Location": {"description": "Where it is.", "schema": {"type": "string"}}},
        },
    },
)
async def add_golden(body: GoldenIn, app: Staffroom, once: Once) -> Response:
    """Keep a question whose right scenarios are known."""
    grades = _grades(body.relevant)

    async def added() -> Response:
        golden = await app.vector_ops.golden.add(
            body.question, grades, app.author, language=body.language
        )
        headers = {"Location": f"/api/v1/golden/{golden.id}"}
        return JSONResponse(golden_document(golden), 201, headers)

    return await once.respond(added)


@router.get("/golden/suggested", response_model=SuggestionsOut, responses=problems(422))
async def suggested_golden(
    app: Staffroom, limit: Annotated[int, Query(ge=1, le=MOST_SUGGESTED)] = 50
) -> JSONResponse:
    """List what teachers found right and nobody has promoted yet."""
    found = await app.vector_ops.golden.suggested(limit)
    return JSONResponse({"items": list(map(_suggestion_document, found))})


@router.get("/golden/{golden_id:uuid}", response_model=GoldenOut, responses=problems(404, 422))
async def get_golden(golden_id: UUID, app: Staffroom) -> JSONResponse:
    """Read a golden question with what is known of its scenarios."""
    return JSONResponse(golden_document(await app.vector_ops.golden.get(golden_id)))


@router.delete("/golden/{golden_id:uuid}", status_code=204, responses=problems(404, 409, 422))
async def remove_golden(golden_id: UUID, app: Staffroom, once: Once) -> Response:
    """Remove a golden question; runs of evaluations keep their figures."""

    async def removed() -> Response:
        await app.vector_ops.golden.remove(golden_id)
        return Response(status_code=204)

    return await once.respond(removed)


@router.put(
    "/golden/{golden_id:uuid}/judgements/{scenario_id:uuid}",
    response_model=GoldenOut,
    responses=problems(404, 409, 422),
)
async def judge_golden(
    golden_id: UUID, scenario_id: UUID, body: GradeIn, app: Staffroom, once: Once
) -> Response:
    """Say how right a scenario is for a golden question, in place of what was said before."""

    async def judged() -> Response:
        golden = await app.vector_ops.golden.judge(golden_id, scenario_id, body.grade)
        return JSONResponse(golden_document(golden))

    return await once.respond(judged)


@router.post(
    "/interactions/{interaction_id:uuid}/golden",
    response_model=GoldenOut,
    status_code=201,
    responses=problems(404, 409, 422),
)
async def promote_interaction(
    interaction_id: UUID, body: PromoteIn, app: Staffroom, once: Once
) -> Response:
    """Make what was asked golden, with the scenario that is right for it.

    A second right scenario, or the same question asked again, adds to what is golden already.
    """

    async def promoted() -> Response:
        golden = await app.vector_ops.golden.promote(
            interaction_id, body.scenario_id, body.grade, app.author
        )
        return JSONResponse(golden_document(golden), 201)

    return await once.respond(promoted)


def golden_document(golden: Golden) -> dict[str, Any]:
    """A golden question as JSON."""
    return {
        "id": str(golden.id),
        "question": golden.question,
        "language": golden.language,
        "source": golden.source,
        "interaction_id": golden.interaction_id and str(golden.interaction_id),
        "author": golden.author,
        "created_at": golden.created_at.isoformat(),
        "relevant": [
            {**asdict(judgement), "scenario_id": str(judgement.scenario_id)}
            for judgement in golden.relevant
        ],
    }


def _suggestion_document(found: Suggestion) -> dict[str, Any]:
    return {
        **asdict(found),
        "interaction_id": str(found.interaction_id),
        "scenario_id": str(found.scenario_id),
        "created_at": found.created_at.isoformat(),
    }


def _grades(relevant: Sequence[JudgementIn]) -> dict[UUID, int]:
    """Raises: Problem, 422 if a scenario is judged twice."""
    grades = {judgement.scenario_id: judgement.grade for judgement in relevant}
    if len(grades) < len(relevant):
        raise Problem(
            422,
            "A scenario is judged twice in `relevant`. Name each of them once.",
            name="invalid-input",
            field="relevant",
        )
    return grades
