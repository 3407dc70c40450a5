"""Scenarios that may be one: ranked, for a person to decide."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse

from staffroom.api.content_type import require_json
from staffroom.api.context import Staffroom
from staffroom.api.description import problems
from staffroom.api.idempotency import Once
from staffroom.api.likeness_schemas import DecisionIn, LikenessOut, LikenessPage
from staffroom.api.paging import Limit
from staffroom.content.likeness_documents import likeness_document, next_place, read_place
from staffroom.content.likenesses import compare_some, decide
from staffroom.database.likenesses import NEAR_DUPLICATE, Decision

router = APIRouter(
    prefix="/api/v1/likenesses", tags=["likenesses"], dependencies=[Depends(require_json)]
)

PlaceCursor = Annotated[
    str | None,
    Query(
        alias="cursor",
        pattern=r"^[A-Za-z0-9_-]{48}$",
        description="`next_cursor` of the page before.",
    ),
]


@router.get("", response_model=LikenessPage, responses=problems(422))
async def list_likenesses(
    app: Staffroom,
    decision: Decision = "open",
    scenario_id: Annotated[UUID | None, Query(description="Only pairs of this one.")] = None,
    limit: Limit = 50,
    cursor: PlaceCursor = None,
) -> JSONResponse:
    """List pairs of scenarios that may be one, the most similar first; none is left out.

    What was not compared yet is compared first, for a second at most.
    """
    likenesses = app.vector_ops.likenesses
    after = read_place(cursor)
    compared = await compare_some(likenesses)
    rows = await likenesses.page(limit + 1, after, decision=decision, scenario_id=scenario_id)
    return JSONResponse(
        {
            "items": list(map(likeness_document, rows[:limit])),
            "next_cursor": next_place(rows, limit),
            "compared": compared.done,
            "total": compared.total,
            "near": await likenesses.near(NEAR_DUPLICATE),
        }
    )


@router.post(
    "/{one_id:uuid}/{other_id:uuid}",
    response_model=LikenessOut,
    responses=problems(404, 409, 412, 422),
)
async def decide_likeness(
    one_id: UUID, other_id: UUID, body: DecisionIn, app: Staffroom, once: Once
) -> Response:
    """Decide that both stay, belong together, or are one; or open the pair again.

    A merge is undone by restoring what both scenarios said before.
    """
    seen = {one_id: body.one_revision, other_id: body.other_revision}

    async def decided() -> Response:
        likeness = await decide(
            app.vector_ops,
            one_id,
            other_id,
            body.decision,
            author=app.author,
            keep=body.keep,
            reason=body.reason,
            revisions={which: number for which, number in seen.items() if number},
        )
        return JSONResponse(likeness_document(likeness))

    return await once.respond(decided)
