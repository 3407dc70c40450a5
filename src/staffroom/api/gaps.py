"""Gap groups: what the library lacks, from the first question to the scenario that answers it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse

from staffroom.api.content_type import require_json
from staffroom.api.context import Staffroom
from staffroom.api.description import problems
from staffroom.api.gap_schemas import (
    GapActionIn,
    GapCheckOut,
    GapDraftOut,
    GapExamplesIn,
    GapPage,
    GapPatch,
    WholeGapOut,
)
from staffroom.api.idempotency import Once
from staffroom.api.paging import Cursor, Limit, page_document, read_cursor
from staffroom.app import App
from staffroom.content.gap_draft import draft_scenario
from staffroom.database.gaps import GapGroup, GapState
from staffroom.evaluation.gap_documents import (
    check_document,
    draft_document,
    gap_document,
    lost_questions,
    whole_gap_document,
)
from staffroom.evaluation.learning import answer_group, check_group, extend_scenario

router = APIRouter(prefix="/api/v1/gaps", tags=["gaps"], dependencies=[Depends(require_json)])


@router.get("", response_model=GapPage, responses=problems(422))
async def list_gaps(
    app: Staffroom,
    state: Annotated[GapState | None, Query(description="Only groups in this state.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> JSONResponse:
    """List the groups of questions that the library failed, newest first."""
    page = await app.vector_ops.gaps.page(limit + 1, read_cursor(cursor), state)
    lost = await lost_questions(app.vector_ops, page)
    return JSONResponse(page_document(page, limit, lambda group: gap_document(group, lost)))


@router.get("/{group_id:uuid}", response_model=WholeGapOut, responses=problems(404, 422))
async def get_gap(group_id: UUID, app: Staffroom) -> JSONResponse:
    """Read a group with its questions and the scenarios that come near it."""
    group = await app.vector_ops.gaps.get(group_id)
    return JSONResponse(await whole_gap_document(app.vector_ops, group))


@router.patch("/{group_id:uuid}", response_model=WholeGapOut, responses=problems(404, 409, 422))
async def change_gap(group_id: UUID, body: GapPatch, app: Staffroom, once: Once) -> Response:
    """Dismiss a group, open it again, call it answered, or keep a note with it."""

    async def changed() -> Response:
        group = await decide(app, group_id, body.state, body.note)
        return JSONResponse(await whole_gap_document(app.vector_ops, group))

    return await once.respond(changed)


async def decide(app: App, group_id: UUID, state: GapState | None, note: str | None) -> GapGroup:
    """The group has that state and that note, where they are given."""
    if state == "answered":
        await answer_group(app.vector_ops, group_id)
    return await app.vector_ops.gaps.change(group_id, state=state, note=note)


@router.post(
    "/{group_id:uuid}/draft",
    response_model=GapDraftOut,
    status_code=201,
    responses={
        **problems(404, 409, 422),
        201: {
            "description": "The draft is in the library.",
            "headers": {"Location": {"description": "Where it is.", "schema": {"type": "string"}}},
        },
    },
)
async def draft_gap(group_id: UUID, body: GapActionIn, app: Staffroom, once: Once) -> Response:
    """Store a draft that is prefilled from the group's questions. The advice is left to a person.

    A capable language model, if one is set as the writer, words the situation within ten seconds.
    """

    async def drafted() -> Response:
        draft = await draft_scenario(app.vector_ops, group_id, app.drafter)
        headers = {"Location": f"/api/v1/scenarios/{draft.scenario_id}"}
        return JSONResponse(draft_document(draft), 201, headers)

    return await once.respond(drafted)


@router.post(
    "/{group_id:uuid}/examples", response_model=WholeGapOut, responses=problems(404, 409, 422)
)
async def extend_gap(group_id: UUID, body: GapExamplesIn, app: Staffroom, once: Once) -> Response:
    """Add questions of the group to a scenario that is there already, as example questions.

    If it is published, the group is closed as after publishing a draft.
    """

    async def extended() -> Response:
        await extend_scenario(app.vector_ops, group_id, body.scenario_id, body.interaction_ids)
        group = await app.vector_ops.gaps.get(group_id)
        return JSONResponse(await whole_gap_document(app.vector_ops, group))

    return await once.respond(extended)


@router.post("/{group_id:uuid}/check", response_model=GapCheckOut, responses=problems(404, 422))
async def check_gap(group_id: UUID, body: GapActionIn, app: Staffroom) -> JSONResponse:
    """Ask the group's questions again, up to 50 of them. Nothing is stored."""
    group = await app.vector_ops.gaps.get(group_id)
    checked = await check_group(app.vector_ops, group)
    return JSONResponse(check_document(group, checked, app.vector_ops.threshold))
