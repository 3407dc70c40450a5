"""What reports that advice worked are worth, for everybody to see and for an editor to reset."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from staffroom.api.context import Staffroom
from staffroom.api.description import problems
from staffroom.database.standings import standing_document

router = APIRouter(prefix="/api/v1/scenarios", tags=["scenarios"])

MAX_REASON = 500


class StandingOut(BaseModel):
    """A scenario's standing: how often its advice was reported to have worked."""

    worked: Annotated[int, Field(description="Exchanges with such a report since the last reset.")]
    weight: Annotated[
        float, Field(description="Log odds by which its relevance is raised, 0.15 at most.")
    ]
    reset_at: datetime | None


@router.get(
    "/{scenario_id:uuid}/standing", response_model=StandingOut, responses=problems(404, 422)
)
async def get_standing(scenario_id: UUID, app: Staffroom) -> JSONResponse:
    """Read how often a scenario's advice was reported to have worked, and what that is worth."""
    return JSONResponse(standing_document(await app.vector_ops.standings.get(scenario_id)))


@router.delete(
    "/{scenario_id:uuid}/standing", response_model=StandingOut, responses=problems(404, 422)
)
async def reset_standing(
    scenario_id: UUID,
    app: Staffroom,
    reason: Annotated[str, Query(max_length=MAX_REASON, description="Kept in the audit.")] = "",
) -> JSONResponse:
    """Let what was reported until now no longer count. The reports themselves stay."""
    return JSONResponse(
        standing_document(await app.vector_ops.standings.reset(scenario_id, reason))
    )
