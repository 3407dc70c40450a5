"""The API reference, rendered from the description that the server gives of itself."""

import json
from typing import Final

from fastapi import APIRouter, Request, Response

from staffroom.api.page.reference import groups
from staffroom.api.page.rendering import render
from staffroom.api.problems import KINDS, Kind, problem_document

router = APIRouter(include_in_schema=False)

_NAMED: Final = (
    Kind(400, "malformed-json"),
    Kind(400, "unsupported-value"),
    Kind(404, "model-not-found"),
    Kind(409, "key-in-use"),
    Kind(422, "key-reused"),
)
"""Problems that single rooms name themselves."""

_UNNAMED: Final = (400, 401, 403, 405, 408, 413, 415, 421, 422, 428, 431, 500)
"""Statuses of problems that have no name but the status's own."""

_SAMPLE: Final = problem_document(
    422,
    "The request is not valid. query: Field required. /docs lists what is expected.",
    name="invalid-input",
    errors=[{"field": "query", "reason": "Field required"}],
    request_id="01a20570-d955-7766-8cfa-2ca93b94c40b",
)


@router.get("/docs")
async def docs_page(request: Request) -> Response:
    """Show what the API does, what each request takes, and what every problem means."""
    base = str(request.base_url).rstrip("/")
    return render(
        request,
        "docs.html",
        base=base,
        groups=groups(request.app.openapi(), base),
        problems=PROBLEMS,
        problem_sample=json.dumps(_SAMPLE, indent=2),
    )


def _unnamed(status: int) -> Kind:
    return Kind(status, problem_document(status, "")["type"].partition("#")[2])


PROBLEMS: Final = tuple(
    sorted(
        {*KINDS.values(), *_NAMED, *map(_unnamed, _UNNAMED)},
        key=lambda kind: (kind.status, kind.name),
    )
)
"""Every kind of problem; the name of each is the fragment of its `type`."""
