"""Scenarios: listed, read, written, changed and removed, each change on what it was made on."""

import re
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse

from staffroom.api.content_type import require_json
from staffroom.api.context import Staffroom
from staffroom.api.idempotency import Once
from staffroom.api.paging import Cursor, Limit, page_document, read_cursor
from staffroom.api.problems import Problem
from staffroom.api.schemas import (
    FacetsOut,
    RevisionsOut,
    ScenarioIn,
    ScenarioOut,
    ScenarioPage,
    ScenarioPatch,
    Value,
    problems,
)
from staffroom.documents import revision_documents, scenario_document
from staffroom.types import STATUSES, Filters, Scenario, Status

router = APIRouter(
    prefix="/api/v1/scenarios", tags=["scenarios"], dependencies=[Depends(require_json)]
)

IfMatch = Annotated[
    str | None, Header(description='The ETag of what the change was made on, such as "3", or *.')
]
_ETAG = re.compile(r'(?:W/)?"(\d{1,9})"')
_CHANGES = problems(400, 404, 409, 412, 413, 415, 422, 428, 503)


def _filters(
    status: Annotated[list[Status] | None, Query(max_length=4)] = None,
    category: Annotated[list[Value] | None, Query(max_length=50)] = None,
    grade_band: Annotated[list[Value] | None, Query(max_length=50)] = None,
    subject: Annotated[list[Value] | None, Query(max_length=50)] = None,
    setting: Annotated[list[Value] | None, Query(max_length=50)] = None,
    tag: Annotated[list[Value] | None, Query(max_length=50)] = None,
    language: Annotated[list[Value] | None, Query(max_length=50)] = None,
) -> Filters:
    return Filters(
        statuses=tuple(status or STATUSES),
        categories=tuple(category or ()),
        grade_bands=tuple(grade_band or ()),
        subjects=tuple(subject or ()),
        settings=tuple(setting or ()),
        tags=tuple(tag or ()),
        languages=tuple(language or ()),
    )


ListFilters = Annotated[Filters, Depends(_filters)]
"""Filters as query parameters, each repeatable. Every status, unless some are named."""


@router.get("", response_model=ScenarioPage, responses=problems(422, 503))
async def list_scenarios(
    app: Staffroom, filters: ListFilters, limit: Limit = 50, cursor: Cursor = None
) -> JSONResponse:
    """List the library, oldest first."""
    await app.vector_ops.catalogue.check_filters(filters)
    page = await app.vector_ops.catalogue.page(filters, limit, read_cursor(cursor))
    last = page[-1].id if page else None
    return JSONResponse(page_document(list(map(scenario_document, page)), limit, last))


@router.post(
    "",
    response_model=ScenarioOut,
    status_code=201,
    responses={
        **problems(400, 409, 413, 415, 422, 503),
        200: {"model": ScenarioOut, "description": "It was there already, in this form."},
    },
)
async def add_scenario(body: ScenarioIn, app: Staffroom, once: Once) -> Response:
    """Store a scenario: embedded, searchable at once if it is published."""

    async def stored() -> Response:
        before = await app.vector_ops.library_version()
        fields: dict[str, Any] = {"name": "", "description": "", **body.fields()}
        scenario_id = await app.vector_ops.store_scenario(**fields, reason=body.reason)
        scenario = await app.vector_ops.get_scenario(scenario_id)
        is_new = await app.vector_ops.library_version() > before
        headers = {"Location": f"/api/v1/scenarios/{scenario_id}"}
        return _scenario_response(scenario, 201 if is_new else 200, headers)

    return await once.respond(stored)


@router.get("/facets", response_model=FacetsOut, responses=problems(422, 503))
async def facets(app: Staffroom, filters: ListFilters) -> JSONResponse:
    """Count the values that the library can be filtered by."""
    found = await app.vector_ops.catalogue.facets(filters)
    return JSONResponse(
        {
            facet: [{"value": entry.value, "count": entry.count} for entry in values]
            for facet, values in found.items()
        }
    )


@router.get(
    "/{scenario_id}",
    response_model=ScenarioOut,
    responses={**problems(404, 422, 503), 304: {"description": "It is as the ETag says."}},
)
async def get_scenario(
    scenario_id: UUID, app: Staffroom, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Read a scenario as it is now."""
    scenario = await app.vector_ops.get_scenario(scenario_id)
    if if_none_match and scenario.revision in _revisions(if_none_match):
        return Response(status_code=304, headers={"ETag": _etag(scenario)})
    return _scenario_response(scenario)


@router.patch("/{scenario_id}", response_model=ScenarioOut, responses=_CHANGES)
async def change_scenario(
    scenario_id: UUID,
    body: ScenarioPatch,
    app: Staffroom,
    once: Once,
    if_match: IfMatch = None,
) -> Response:
    """Change the named fields; what it was before stays in its history."""
    expected = _expected(if_match)

    async def changed() -> Response:
        scenario = await app.vector_ops.update_scenario(
            scenario_id, body.fields(), reason=body.reason, expected_revision=expected
        )
        return _scenario_response(scenario)

    return await once.respond(changed)


@router.delete("/{scenario_id}", status_code=204, responses=_CHANGES)
async def delete_scenario(
    scenario_id: UUID, app: Staffroom, once: Once, if_match: IfMatch = None
) -> Response:
    """Remove a scenario, its history and its vectors for good. To take it out of use, retire it."""
    expected = _expected(if_match)

    async def deleted() -> Response:
        await app.vector_ops.delete_scenario(scenario_id, expected_revision=expected)
        return Response(status_code=204)

    return await once.respond(deleted)


@router.get(
    "/{scenario_id}/revisions", response_model=RevisionsOut, responses=problems(404, 422, 503)
)
async def revisions(scenario_id: UUID, app: Staffroom) -> JSONResponse:
    """Read a scenario's history, newest first, with the fields that each change touched."""
    history = await app.vector_ops.list_revisions(scenario_id)
    return JSONResponse({"items": revision_documents(history)})


def _scenario_response(
    scenario: Scenario, status: int = 200, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(
        scenario_document(scenario), status, {"ETag": _etag(scenario), **(headers or {})}
    )


def _etag(scenario: Scenario) -> str:
    return f'"{scenario.revision}"'


def _revisions(header: str) -> set[int]:
    return {int(number) for number in _ETAG.findall(header)}


def _expected(if_match: str | None) -> int | None:
    """The revision that a change was made on; None for any. Raises: Problem, 428."""
    if if_match is None:
        raise Problem(
            428,
            'Say what the change was made on: send the scenario\'s ETag as If-Match, such as "3".',
        )
    if if_match.strip() == "*":
        return None
    numbers = _revisions(if_match)
    if len(numbers) != 1:
        raise Problem(
            412, f'If-Match is {if_match[:100]!r}; send the ETag of the scenario, such as "3".'
        )
    return numbers.pop()
