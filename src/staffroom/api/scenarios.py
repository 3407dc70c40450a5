"""Scenarios: listed, read, written, changed and removed, each change on what it was made on."""

import re
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse

from staffroom.api.author import Author
from staffroom.api.content_type import require_json
from staffroom.api.context import Staffroom
from staffroom.api.description import problems
from staffroom.api.idempotency import Once
from staffroom.api.paging import (
    Cursor,
    DayCursor,
    Limit,
    day_cursor_after,
    page_document,
    read_cursor,
    read_day_cursor,
)
from staffroom.api.problems import Problem
from staffroom.api.schemas import (
    AuthorGiven,
    DuePage,
    FacetsOut,
    RestoreIn,
    RevisionsOut,
    ScenarioIn,
    ScenarioOut,
    ScenarioPage,
    ScenarioPatch,
    Value,
)
from staffroom.app import App
from staffroom.documents import revision_documents, scenario_document
from staffroom.evaluation.learning import update_scenario
from staffroom.types import STATUSES, Filters, Scenario, Status

router = APIRouter(
    prefix="/api/v1/scenarios", tags=["scenarios"], dependencies=[Depends(require_json)]
)

IfMatch = Annotated[str | None, Header(include_in_schema=False)]
_TAG = r'(?:W/)?"[0-9]{1,9}"'
_IF_MATCH = re.compile(rf"\*|{_TAG}(?: *, *{_TAG})*")
_CONDITION: dict[str, Any] = {
    "parameters": [
        {
            "name": "If-Match",
            "in": "header",
            "required": True,
            "description": 'The ETag of what the change was made on, such as "3", or *.',
            "schema": {"type": "string", "pattern": f"^({_IF_MATCH.pattern})$"},
        }
    ]
}
"""Without it the answer is 428, which says more than that a parameter is missing."""

_ETAG = re.compile(r'"([0-9]{1,9})"')
_ETAG_HEADER = {"ETag": {"description": "Its revision.", "schema": {"type": "string"}}}
_CHANGES = problems(404, 409, 412, 422, 428)


async def _filters(
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


@router.get("", response_model=ScenarioPage, responses=problems(422))
async def list_scenarios(
    app: Staffroom, filters: ListFilters, limit: Limit = 50, cursor: Cursor = None
) -> JSONResponse:
    """List the library, oldest first."""
    await app.vector_ops.catalogue.check_filters(filters)
    page = await app.vector_ops.catalogue.page(filters, limit + 1, read_cursor(cursor))
    return JSONResponse(page_document(page, limit, scenario_document))


@router.post(
    "",
    response_model=ScenarioOut,
    status_code=201,
    responses={
        **problems(409, 422),
        201: {
            "description": "It is new.",
            "headers": {
                **_ETAG_HEADER,
                "Location": {"description": "Where it is.", "schema": {"type": "string"}},
            },
        },
        200: {
            "model": ScenarioOut,
            "description": "It was there already, and is as the request says now.",
        },
    },
)
async def add_scenario(body: ScenarioIn, app: Staffroom, once: Once, claimed: Author) -> Response:
    """Store a scenario: embedded, searchable at once if it is published.

    With the source id of one that is there it may bring any status, as an import may.
    """

    async def stored() -> Response:
        kept = await app.vector_ops.put_scenario(
            body.fields(), reason=body.reason, author=body.author or claimed
        )
        scenario = await app.vector_ops.get_scenario(kept.scenario_id)
        is_new = kept.changed and scenario.revision == 1
        headers = {"Location": f"/api/v1/scenarios/{scenario.id}"}
        return _scenario_response(scenario, 201 if is_new else 200, headers)

    return await once.respond(stored)


@router.get("/facets", response_model=FacetsOut, responses=problems(422))
async def facets(app: Staffroom, filters: ListFilters) -> JSONResponse:
    """Count the values that the library can be filtered by."""
    await app.vector_ops.catalogue.check_filters(filters)
    found = await app.vector_ops.catalogue.facets(filters)
    return JSONResponse(
        {
            facet: [{"value": entry.value, "count": entry.count} for entry in values]
            for facet, values in found.items()
        }
    )


@router.get("/due", response_model=DuePage, responses=problems(422))
async def due(
    app: Staffroom,
    days: Annotated[
        int, Query(ge=-1, le=36_500, description="From now; -1 leaves what is past its date.")
    ] = 30,
    undated: Annotated[
        bool, Query(description="In place of them, what has no review date, oldest first.")
    ] = False,
    limit: Limit = 50,
    cursor: DayCursor = None,
) -> JSONResponse:
    """List what is to be reviewed, the most overdue first. What is retired waits for no review."""
    catalogue = app.vector_ops.catalogue
    day, last = read_day_cursor(cursor) or (None, None)
    if undated:
        found = await catalogue.undated(limit + 1, last)
    else:
        found = await catalogue.due(days, limit + 1, (day, last) if day and last else None)
    document = page_document(found, limit, scenario_document)
    if document["next_cursor"]:
        end = found[limit - 1]
        document["next_cursor"] = day_cursor_after(end.content.metadata.review_by, end.id)
    return JSONResponse({**document, "counts": asdict(await catalogue.due_counts())})


@router.get(
    "/{scenario_id:uuid}",
    response_model=ScenarioOut,
    responses={
        **problems(404, 422),
        200: {"description": "As it is now.", "headers": _ETAG_HEADER},
        304: {"description": "It is as the ETag says.", "headers": _ETAG_HEADER},
    },
)
async def get_scenario(
    scenario_id: UUID, app: Staffroom, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Read a scenario as it is now."""
    scenario = await app.vector_ops.get_scenario(scenario_id)
    if if_none_match and (
        if_none_match.strip() == "*" or scenario.revision in _revisions(if_none_match)
    ):
        return Response(status_code=304, headers={"ETag": _etag(scenario)})
    return _scenario_response(scenario)


@router.patch(
    "/{scenario_id:uuid}",
    response_model=ScenarioOut,
    responses={**_CHANGES, 200: {"description": "As it is now.", "headers": _ETAG_HEADER}},
    openapi_extra=_CONDITION,
)
async def change_scenario(
    scenario_id: UUID,
    body: ScenarioPatch,
    app: Staffroom,
    once: Once,
    claimed: Author,
    if_match: IfMatch = None,
) -> Response:
    """Change the named fields; what it was before stays in its history.

    A status that cannot follow the one it has is 409, which names those that can.
    """
    revisions = _expected(if_match)

    async def changed() -> Response:
        expected = await _one_of(revisions, app, scenario_id)
        scenario = await update_scenario(
            app.vector_ops,
            scenario_id,
            body.fields(),
            reason=body.reason,
            author=body.author or claimed,
            expected_revision=expected,
        )
        return _scenario_response(scenario)

    return await once.respond(changed)


@router.delete("/{scenario_id:uuid}", status_code=204, responses=_CHANGES, openapi_extra=_CONDITION)
async def delete_scenario(
    scenario_id: UUID,
    app: Staffroom,
    once: Once,
    claimed: Author,
    author: Annotated[AuthorGiven, Query()] = "",
    if_match: IfMatch = None,
) -> Response:
    """Remove a scenario, its history and its vectors for good. To take it out of use, retire it."""
    revisions = _expected(if_match)

    async def deleted() -> Response:
        expected = await _one_of(revisions, app, scenario_id)
        await app.vector_ops.delete_scenario(
            scenario_id, author=author or claimed, expected_revision=expected
        )
        return Response(status_code=204)

    return await once.respond(deleted)


@router.post(
    "/{scenario_id:uuid}/restore",
    response_model=ScenarioOut,
    responses={**_CHANGES, 200: {"description": "As it is now.", "headers": _ETAG_HEADER}},
    openapi_extra=_CONDITION,
)
async def restore_scenario(
    scenario_id: UUID,
    body: RestoreIn,
    app: Staffroom,
    once: Once,
    claimed: Author,
    if_match: IfMatch = None,
) -> Response:
    """Say again what a revision said, as a new one on top. The status stays as it is."""
    revisions = _expected(if_match)

    async def restored() -> Response:
        expected = await _one_of(revisions, app, scenario_id)
        scenario = await app.content.restore(
            scenario_id,
            body.revision,
            reason=body.reason,
            author=body.author or claimed,
            expected_revision=expected,
        )
        return _scenario_response(scenario)

    return await once.respond(restored)


@router.get(
    "/{scenario_id:uuid}/revisions", response_model=RevisionsOut, responses=problems(404, 422)
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


def _expected(if_match: str | None) -> set[int] | None:
    """The revisions that a change may be made on; None for any. Raises: Problem, 428 or 422."""
    if not if_match:
        raise Problem(
            428,
            'Say what the change was made on: send the scenario\'s ETag as If-Match, such as "3".',
        )
    if not _IF_MATCH.fullmatch(if_match):
        raise Problem(
            422,
            f'If-Match is {if_match[:100]!r}; send the ETag of the scenario, such as "3", or *.',
            name="invalid-input",
            field="If-Match",
        )
    return None if if_match == "*" else _revisions(if_match)


async def _one_of(revisions: set[int] | None, app: App, scenario_id: UUID) -> int | None:
    """The revision that the scenario has to have still when it is changed; None for any."""
    if revisions is None or len(revisions) == 1:
        return next(iter(revisions)) if revisions else None
    current = (await app.vector_ops.get_scenario(scenario_id)).revision
    return current if current in revisions else max(revisions)
