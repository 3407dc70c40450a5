"""The API's description (OpenAPI): what any request may meet is said here, once for all routes."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from staffroom.api import openai_errors
from staffroom.api.access import COOKIE, is_open
from staffroom.api.problems import MEDIA_TYPE

_MEANINGS: Final = {
    400: "The body cannot be read.",
    401: "The API key is missing or wrong.",
    403: "The request comes from a page of another site.",
    404: "There is no such thing.",
    408: "The body stopped coming.",
    409: "The same is there already, or a request with this Idempotency-Key is under way.",
    412: "It is not as the change expects it to be. Read it again.",
    413: "The body is too large.",
    415: "The body is of another type.",
    421: "The host is not one that is served here.",
    422: "Something in the request is wrong; `errors` name the fields.",
    428: "The change does not say what it was made on.",
    503: "Too much is asked at once, or a part does not work. Retry-After says when to try again.",
}
_ANY: Final = (421, 503)
_CHANGING: Final = (403,)
_WITH_BODY: Final = (400, 408, 413, 415)
_KEYED: Final = (401,)
_OPENAI: Final = (400, 404)

_SECURITY: Final = {
    "key": {"type": "http", "scheme": "bearer", "description": "The API key."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "What a browser gets at /sign-in.",
    },
}


class FieldError(BaseModel):
    """A field that is wrong, and why."""

    field: str
    reason: str
    code: Annotated[
        str, Field(description="Which reason it is, as `no_excel`, where that is known.")
    ] = ""
    values: Annotated[
        dict[str, str | int], Field(description="What the reason names, by their code.")
    ] = {}


class ProblemOut(BaseModel):
    """A problem (RFC 9457): what happened, and the next step."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None
    request_id: str | None = None


class OpenAIErrorDetail(BaseModel):
    """What happened; `param` is the part of the request that is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorOut(BaseModel):
    """An error in the form that clients of OpenAI's API expect."""

    error: OpenAIErrorDetail


_REF: Final = "#/components/schemas/{model}"


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, besides those that every route may."""
    return {status: _described(status, ProblemOut, MEDIA_TYPE) for status in statuses}


class DescribedAPI(FastAPI):
    """An application whose description is true of every request: also of those that are refused
    before they reach a route."""

    has_key = False
    """Whoever calls has to show a key."""

    def openapi(self) -> dict[str, Any]:
        """The description, with what the guards answer added to each operation."""
        if self.openapi_schema is None:
            document = super().openapi()
            components = document.setdefault("components", {})
            components.setdefault("schemas", {}).update(_schemas())
            if self.has_key:
                components["securitySchemes"] = _SECURITY
            for path, method, operation in _operations(document):
                self._complete(path, method, operation)
        assert self.openapi_schema is not None
        return self.openapi_schema

    def _complete(self, path: str, method: str, operation: dict[str, Any]) -> None:
        for parameter in operation.get("parameters", ()):
            _name_type(parameter["schema"])
        met = list(_ANY)
        if method in {"post", "put", "patch", "delete"}:
            met += _CHANGING
        if "requestBody" in operation:
            met += _WITH_BODY
        if self.has_key and not is_open(path):
            met += _KEYED
            operation["security"] = [{name: []} for name in _SECURITY]
        model: type[BaseModel] = ProblemOut
        media_type = MEDIA_TYPE
        if path.startswith(openai_errors.PREFIX):
            model, media_type = OpenAIErrorOut, "application/json"
            operation["responses"].pop("422", None)
            met += _OPENAI
        for status in met:
            described = _described(status, model, media_type)
            operation["responses"].setdefault(str(status), described)


def _described(status: int, model: type[BaseModel], media_type: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"description": _MEANINGS[status], "content": {media_type: {"schema": schema}}}


def _schemas() -> dict[str, Any]:
    models = [(ProblemOut, "serialization"), (OpenAIErrorOut, "serialization")]
    _, document = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type]
    schemas: dict[str, Any] = document["$defs"]
    return schemas


def _name_type(schema: dict[str, Any]) -> None:
    """A parameter that may be left out has the type of what is sent, for null cannot be sent."""
    types = [form for form in schema.get("anyOf", ()) if form != {"type": "null"}]
    if len(types) == 1:
        del schema["anyOf"]
        schema.update(types[0])


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation
