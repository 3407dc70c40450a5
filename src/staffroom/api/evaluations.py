"""Evaluations: how good the search is on the golden questions, now and in earlier runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from staffroom.api.content_type import require_json
from staffroom.api.context import Staffroom
from staffroom.api.description import problems
from staffroom.api.golden_schemas import EvaluationIn, EvaluationPage, EvaluationRunOut
from staffroom.api.idempotency import Once
from staffroom.api.paging import Cursor, Limit, page_document, read_cursor
from staffroom.app import App
from staffroom.database.evaluations import EvaluationRecord
from staffroom.errors import Overloaded
from staffroom.evaluation.own import MODES, OwnEvaluation, evaluate_own
from staffroom.types import Mode

DIGITS: Final = 4
RETRY_SECONDS: Final = 30.0

router = APIRouter(
    prefix="/api/v1/evaluations", tags=["golden"], dependencies=[Depends(require_json)]
)


@dataclass(frozen=True, slots=True)
class Run:
    """An evaluation, and where it is kept; nowhere if there was nothing to ask."""

    found: OwnEvaluation
    record: EvaluationRecord | None
    library_version: int
    model: str


@router.get("", response_model=EvaluationPage, responses=problems(422))
async def list_evaluations(
    app: Staffroom, limit: Limit = 50, cursor: Cursor = None
) -> JSONResponse:
    """List the runs with their figures, newest first."""
    page = await app.vector_ops.golden.evaluations.page(limit + 1, read_cursor(cursor))
    return JSONResponse(page_document(page, limit, evaluation_document))


@router.post(
    "",
    response_model=EvaluationRunOut,
    status_code=201,
    responses={
        **problems(409, 422),
        201: {"description": "It ran and is kept."},
        200: {"model": EvaluationRunOut, "description": "There are no golden questions to ask."},
    },
)
async def evaluate(body: EvaluationIn, request: Request, app: Staffroom, once: Once) -> Response:
    """Ask the library every golden question, and keep how well it found the right scenarios.

    This takes a second or two for a hundred questions, up to a minute for a thousand.
    """

    async def ran() -> Response:
        run = await run_evaluation(request, app, body.modes)
        return JSONResponse(_run_document(run), 201 if run.record else 200)

    return await once.respond(ran)


async def run_evaluation(request: Request, app: App, modes: Sequence[Mode] = MODES) -> Run:
    """The golden questions were asked, and the figures are kept if there were any.

    Raises: Overloaded if this process evaluates already.
    """
    state = request.app.state
    if getattr(state, "is_evaluating", False):
        raise Overloaded(
            "an evaluation is running already. Try again when it is done.", RETRY_SECONDS
        )
    state.is_evaluating = True
    try:
        version = await app.vector_ops.library_version()
        found = await evaluate_own(app.vector_ops, modes)
        record = await _keep(app, found, version) if found.questions else None
        return Run(found, record, version, app.cache.model)
    finally:
        state.is_evaluating = False


async def _keep(app: App, found: OwnEvaluation, version: int) -> EvaluationRecord:
    return await app.vector_ops.golden.evaluations.add(
        {"threshold": found.threshold, "modes": _measures(found.measures)},
        {question.golden_id: question.ranks for question in found.questions},
        library_version=version,
        model=app.cache.model,
    )


def evaluation_document(record: EvaluationRecord) -> dict[str, Any]:
    """A run as JSON."""
    return {
        "id": str(record.id),
        "created_at": record.created_at.isoformat(),
        "questions": record.questions,
        "threshold": record.figures["threshold"],
        "library_version": record.library_version,
        "model": record.model,
        "modes": record.figures["modes"],
    }


def _run_document(run: Run) -> dict[str, Any]:
    return {
        "id": run.record and str(run.record.id),
        "created_at": run.record and run.record.created_at.isoformat(),
        "questions": len(run.found.questions),
        "unusable": run.found.unusable,
        "threshold": run.found.threshold,
        "library_version": run.library_version,
        "model": run.model,
        "modes": _measures(run.found.measures),
        "items": [
            {
                "golden_id": str(question.golden_id),
                "question": question.question,
                "ranks": question.ranks,
            }
            for question in run.found.questions
        ],
    }


def _measures(measures: Mapping[Mode, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    return {
        mode: {name: round(value, DIGITS) for name, value in found.items()}
        for mode, found in measures.items()
    }
