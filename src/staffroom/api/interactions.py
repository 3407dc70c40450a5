"""Past questions and answers, and what teachers say of them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse

from staffroom.api.content_type import require_json
from staffroom.api.context import Staffroom
from staffroom.api.description import problems
from staffroom.api.idempotency import Once
from staffroom.api.interaction_schemas import FeedbackIn, InteractionOut, InteractionPage
from staffroom.api.paging import Cursor, Limit, page_document, read_cursor
from staffroom.api.schemas import Stored
from staffroom.documents import asked_document, interaction_document
from staffroom.types import Outcome

router = APIRouter(
    prefix="/api/v1/interactions", tags=["interactions"], dependencies=[Depends(require_json)]
)


@router.get("", response_model=InteractionPage, responses=problems(422))
async def list_interactions(
    app: Staffroom,
    limit: Limit = 50,
    cursor: Cursor = None,
    outcome: Annotated[Outcome | None, Query(description="abstained lists the gaps.")] = None,
) -> JSONResponse:
    """List what was asked, newest first."""
    page = await app.vector_ops.interactions.page(limit + 1, read_cursor(cursor), outcome)
    return JSONResponse(page_document(page, limit, asked_document))


@router.get("/{interaction_id:uuid}", response_model=InteractionOut, responses=problems(404, 422))
async def get_interaction(interaction_id: UUID, app: Staffroom) -> JSONResponse:
    """Read an exchange as it was stored: also the end of an answer whose connection was lost."""
    return JSONResponse(interaction_document(await app.vector_ops.get_interaction(interaction_id)))


@router.post(
    "/{interaction_id:uuid}/feedback",
    response_model=Stored,
    status_code=201,
    responses=problems(404, 409, 422),
)
async def add_feedback(
    interaction_id: UUID, body: FeedbackIn, app: Staffroom, once: Once
) -> Response:
    """Say whether an answer helped, fitted, or worked when it was tried."""

    async def stored() -> Response:
        feedback_id = await app.vector_ops.interactions.add_feedback(
            interaction_id,
            body.verdict,
            reason=body.reason,
            comment=body.comment,
            scenario_id=body.scenario_id,
        )
        return JSONResponse({"id": str(feedback_id)}, 201)

    return await once.respond(stored)
