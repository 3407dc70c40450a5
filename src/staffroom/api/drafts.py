"""Before and beside the library: a draft as it would be, and everything as a file."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse

from staffroom.api.content_type import require_json
from staffroom.api.context import Staffroom
from staffroom.api.description import problems
from staffroom.api.downloads import described, download
from staffroom.api.import_schemas import DraftIn, PreviewOut
from staffroom.api.scenarios import ListFilters
from staffroom.content.downloads import csv_lines, excel_pieces, json_lines
from staffroom.content.preview import PlacedQuestion, Preview, preview_draft
from staffroom.documents import DIGITS

router = APIRouter(
    prefix="/api/v1/scenarios", tags=["scenarios"], dependencies=[Depends(require_json)]
)


@router.post("/preview", response_model=PreviewOut, responses=problems(422))
async def preview(body: DraftIn, app: Staffroom) -> JSONResponse:
    """Tell what is wrong with a draft, what it repeats, and which questions would find it."""
    found = await preview_draft(
        body.fields(),
        vector_ops=app.vector_ops,
        embedder=app.cache,
        scenario_id=body.scenario_id,
    )
    return JSONResponse(preview_document(found))


@router.get(
    "/export",
    response_class=Response,
    responses={
        **problems(422),
        200: described("The scenarios, as an import reads them.", "csv", "jsonl", "xlsx"),
    },
)
async def export(
    app: Staffroom,
    filters: ListFilters,
    form: Annotated[Literal["jsonl", "csv", "xlsx"], Query(alias="format")] = "jsonl",
) -> Response:
    """Download the library, or what the filters leave of it, in the form that an import reads."""
    await app.vector_ops.catalogue.check_filters(filters)
    rows = app.content.export(filters)
    return await download(_FORMS[form](rows), form, "scenarios")


_FORMS: Final = {"jsonl": json_lines, "csv": csv_lines, "xlsx": excel_pieces}


def preview_document(found: Preview) -> dict[str, Any]:
    """What a draft would be, as JSON."""
    return {
        "errors": [{"field": error.field, "reason": error.reason} for error in found.errors],
        "duplicates": [
            {
                "id": str(other.id),
                "name": other.name,
                "status": other.status,
                "similarity": round(other.similarity, DIGITS),
            }
            for other in found.duplicates
        ],
        "questions": list(map(_question_document, found.questions)),
    }


def _question_document(placed: PlacedQuestion) -> dict[str, Any]:
    place = placed.place
    best = place.best and {
        "id": str(place.best.id),
        "name": place.best.name,
        "relevance": round(place.best_relevance, DIGITS),
    }
    return {
        "question": placed.question,
        "source": placed.source,
        "relevance": round(place.relevance, DIGITS),
        "rank": place.rank,
        "best": best,
    }
