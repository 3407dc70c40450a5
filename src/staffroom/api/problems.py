"""Errors as problem details (RFC 9457): one form for everything that goes wrong over HTTP."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from staffroom.api import openai_errors
from staffroom.errors import (
    ConfigError,
    ConflictError,
    EditConflict,
    InputError,
    InvalidScenario,
    NotFoundError,
    Overloaded,
    StaffroomError,
    StepRefused,
    UnavailableError,
    UnreadableFile,
)
from staffroom.monitoring.metrics import REFUSED

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 5

MOST_ERRORS: Final = 20
"""Wrong fields that a problem names; a body can have any number of them."""

_FIELD_CHARACTERS: Final = 100

_PHRASES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}
"""As RFC 9110 has them: Python's differ from version to version, and /docs is linked by them."""

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_MACHINES: Final = ("/api/", "/v1/", "/mcp", "/metrics", "/healthz", "/readyz", "/openapi.json")
"""Paths that programs call, whatever they accept."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its HTTP status, and its name, which is also its place in /docs."""

    status: int
    name: str


KINDS: Final[Mapping[type[StaffroomError], Kind]] = {
    EditConflict: Kind(412, "edit-conflict"),
    StepRefused: Kind(409, "step-refused"),
    ConflictError: Kind(409, "conflict"),
    InputError: Kind(422, "invalid-input"),
    NotFoundError: Kind(404, "not-found"),
    Overloaded: Kind(503, "overloaded"),
    UnavailableError: Kind(503, "unavailable"),
    ConfigError: Kind(503, "misconfigured"),
}
"""The first family that an error belongs to says what becomes of it."""


class Problem(Exception):
    """Ends a request with a problem that no other room knows of. `field` is what is wrong."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        name: str = "",
        field: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.name = name
        self.errors = [{"field": field, "reason": detail}] if field else []
        self.headers = dict(headers or {})


def problem_document(
    status: int,
    detail: str,
    *,
    name: str = "",
    errors: Sequence[Mapping[str, Any]] = (),
    request_id: str = "",
) -> dict[str, Any]:
    """What happened and the next step; `errors` name the fields that are wrong."""
    phrase = _PHRASES.get(status) or HTTPStatus(status).phrase
    document: dict[str, Any] = {
        "type": f"/docs#{name or phrase.lower().replace(' ', '-')}",
        "title": phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        document["errors"] = list(errors)
    if request_id:
        document["request_id"] = request_id
    return document


def problem_response(
    status: int,
    detail: str,
    *,
    name: str = "",
    errors: Sequence[Mapping[str, Any]] = (),
    request_id: str = "",
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The problem as a response. 503 says when to try again."""
    headers = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("Retry-After", str(RETRY_SECONDS))
    document = problem_document(status, detail, name=name, errors=errors, request_id=request_id)
    return ProblemResponse(document, status, headers)


class ProblemResponse(JSONResponse):
    """A problem in the form that its reader expects, which the path of the request tells."""

    media_type = MEDIA_TYPE

    def __init__(
        self, document: Mapping[str, Any], status: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(document, status, headers)
        self._document = document
        self._extra = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if reads_pages(scope):
            page = scope["app"].state.problem_page(Request(scope), self._document)
            page.headers.update(self._extra)
            await page(scope, receive, send)
            return
        if not scope["path"].startswith(openai_errors.PREFIX):
            await super().__call__(scope, receive, send)
            return
        error = openai_errors.openai_error(self._document)
        status = openai_errors.openai_status(self.status_code)
        await JSONResponse(error, status, self._extra)(scope, receive, send)


def reads_pages(scope: Scope) -> bool:
    """The request came from somebody who reads in a browser, and got as far as the pages."""
    if scope["path"].startswith(_MACHINES) or not hasattr(_state(scope), "problem_page"):
        return False
    return "text/html" in Headers(scope=scope).get("accept", "")


def _state(scope: Scope) -> object:
    return scope["app"].state if "app" in scope else None


def kind_of(error: StaffroomError) -> Kind:
    """The kind of problem that an error is."""
    return next(kind for family, kind in KINDS.items() if isinstance(error, family))


def error_response(error: StaffroomError, request_id: str = "") -> JSONResponse:
    """An error of the product as a problem."""
    kind = kind_of(error)
    errors: list[dict[str, Any]] = []
    if isinstance(error, InvalidScenario):
        errors = [{"field": error.field, "reason": error.reason}]
    elif isinstance(error, UnreadableFile) and error.code:
        told = {"code": error.code, "values": dict(error.values)}
        errors = [{"field": "file", "reason": str(error), **told}]
    headers = {}
    if isinstance(error, Overloaded):
        REFUSED.labels("queue").inc()
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return problem_response(
        kind.status,
        str(error),
        name=kind.name,
        errors=errors,
        request_id=request_id,
        headers=headers,
    )


def validation_errors(error: RequestValidationError) -> list[dict[str, str]]:
    """Which fields of a request are wrong, and why: the first ones, if there are many."""
    return [
        {"field": _field(found["loc"]), "reason": found["msg"]}
        for found in error.errors()[:MOST_ERRORS]
    ]


def register(api: FastAPI) -> None:
    """Every error that leaves a route is answered with a problem."""
    api.add_exception_handler(StaffroomError, _on_error)
    api.add_exception_handler(Problem, _on_problem)
    api.add_exception_handler(RequestValidationError, _on_invalid)
    api.add_exception_handler(HTTPException, _on_http)
    api.add_exception_handler(Exception, _on_defect)


def request_id(request: Request) -> str:
    """The id that the request's log lines and its problem share."""
    return str(request.scope.get("staffroom.request_id", ""))


def defect_response(error: Exception, request_id: str) -> JSONResponse:
    """What nobody foresaw, as a problem that tells nothing of it; the log has it."""
    _log.error("request %s failed", request_id, exc_info=error)
    return problem_response(
        500,
        "Staffroom made a mistake. Nothing of this request was kept half done. Report the "
        "request id to whoever runs it; the log has the cause.",
        request_id=request_id,
    )


async def _on_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StaffroomError)
    return error_response(error, request_id(request))


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return problem_response(
        error.status,
        error.detail,
        name=error.name,
        errors=error.errors,
        request_id=request_id(request),
        headers=error.headers,
    )


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    malformed = next((e for e in error.errors() if e["type"] == "json_invalid"), None)
    if malformed:
        reason = malformed.get("ctx", {}).get("error", malformed["msg"])
        return problem_response(
            400,
            f"The body is not JSON: {reason}, at character {malformed['loc'][-1]}.",
            name="malformed-json",
            request_id=request_id(request),
        )
    errors = validation_errors(error)
    told = "; ".join(f"{e['field'] or 'body'}: {e['reason']}" for e in errors)
    return problem_response(
        422,
        f"The request is not valid. {told}. /docs lists what is expected.",
        name="invalid-input",
        errors=errors,
        request_id=request_id(request),
    )


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ValueError | RecursionError):
        return problem_response(
            400,
            "The body cannot be read. It has to be JSON in UTF-8, with numbers and nesting of a "
            "usual size.",
            name="malformed-json",
            request_id=request_id(request),
        )
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:
        detail = f"{detail}: {request.method} {request.url.path}. /docs lists what there is."
    headers = dict(error.headers or {})
    if "Allow" in headers:
        headers["Allow"] = ", ".join(_allowed(request))
    return problem_response(
        error.status_code, detail, request_id=request_id(request), headers=headers
    )


def _allowed(request: Request) -> list[str]:
    """The methods of a path, which may be those of several routes."""
    scopes = {method: {**request.scope, "method": method} for method in _METHODS}
    scopes["HEAD"] = scopes["GET"]
    routes = request.app.routes
    return [
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in routes)
    ]


def _field(loc: Sequence[str | int]) -> str:
    """The dotted name of a field, not longer than a name is: its sender may have made it up."""
    return ".".join(str(part) for part in loc[1:])[:_FIELD_CHARACTERS]


async def _on_defect(request: Request, error: Exception) -> JSONResponse:
    return defect_response(error, request_id(request))
