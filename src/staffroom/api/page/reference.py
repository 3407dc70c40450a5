"""The API's description (OpenAPI) as what /docs shows: operations by subject. Pure."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from staffroom.api.page.shapes import Field, Schemas, field, fields_of, resolved

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
KEY_VARIABLE: Final = "STAFFROOM_API_KEY"

_UNTOLD: Final = "Successful Response"
"""What the framework says of a response that nobody described."""

_PLACE: Final = re.compile(r"\{(\w+)\}")
_ID: Final = re.compile(r'"(\w+_id)": "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"')
"""An id in a body: that of the example belongs to no library."""
_SAMPLES: Final = {"If-Match": '"3"'}
"""Values of parameters whose form a name in capitals would not show."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a request may carry besides its body, and where."""

    place: str
    field: Field


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries: its type, its fields, and an example if there is one."""

    media_type: str
    description: str
    fields: tuple[Field, ...]
    example: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request may be answered with."""

    status: int
    phrase: str
    description: str
    media_types: tuple[str, ...]
    fields: tuple[Field, ...]
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that the API does. `id` is its place on the page."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    needs_key: bool
    parameters: tuple[Parameter, ...]
    body: Body | None
    answers: tuple[Answer, ...]
    problems: tuple[Answer, ...]
    command: str
    events_command: str


@dataclass(frozen=True, slots=True)
class Group:
    """The operations on one subject."""

    id: str
    tag: str
    operations: tuple[Operation, ...]


def groups(document: Mapping[str, Any], base: str) -> tuple[Group, ...]:
    """Every operation of the description, by its first tag, in the description's order.

    `base` is the address of this server, for the examples.
    """
    schemas = document.get("components", {}).get("schemas", {})
    found: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            name = next(iter(described.get("tags", ())), "other")
            told = _operation(method.upper(), path, described, schemas, base)
            found.setdefault(name, []).append(told)
    return tuple(
        Group(f"about-{_slug(name)}", name, tuple(operations)) for name, operations in found.items()
    )


def _operation(
    method: str, path: str, described: Mapping[str, Any], schemas: Schemas, base: str
) -> Operation:
    parameters = tuple(_parameter(given, schemas) for given in described.get("parameters", ()))
    body = _body(described["requestBody"], schemas) if "requestBody" in described else None
    answers = [
        _answer(int(status), told, schemas) for status, told in described["responses"].items()
    ]
    answers.sort(key=lambda answer: answer.status)
    needs_key = "security" in described
    command = _Command(method, base + path, parameters, body, needs_key)
    is_streamed = any(EVENTS in answer.media_types for answer in answers)
    return Operation(
        id=_slug(f"{method} {path}"),
        method=method,
        path=path,
        summary=described.get("summary", "").capitalize(),
        description=described.get("description", ""),
        needs_key=needs_key,
        parameters=parameters,
        body=body,
        answers=tuple(a for a in answers if a.status < HTTPStatus.BAD_REQUEST),
        problems=tuple(a for a in answers if a.status >= HTTPStatus.BAD_REQUEST),
        command=command.text(),
        events_command=command.text(as_events=True) if is_streamed else "",
    )


def _parameter(given: Mapping[str, Any], schemas: Schemas) -> Parameter:
    schema = {"description": given.get("description", ""), **given["schema"]}
    name = given["name"].title() if given["in"] == "header" else given["name"]
    told = field(name, schema, schemas, required=given.get("required", False))
    return Parameter(given["in"], told)


def _body(given: Mapping[str, Any], schemas: Schemas) -> Body:
    media_type, content = next(iter(given["content"].items()))
    schema = resolved(content["schema"], schemas)
    examples = schema.get("examples", ())
    return Body(
        media_type=media_type,
        description=schema.get("description", ""),
        fields=fields_of(schema, schemas),
        example=json.dumps(examples[0], ensure_ascii=False, indent=2) if examples else "",
    )


def _answer(status: int, given: Mapping[str, Any], schemas: Schemas) -> Answer:
    content = given.get("content", {})
    schema = resolved(content.get(JSON, {}).get("schema", {}), schemas)
    told = given["description"]
    return Answer(
        status=status,
        phrase=HTTPStatus(status).phrase,
        description=schema.get("description", "") if told == _UNTOLD else told,
        media_types=tuple(content),
        fields=fields_of(schema, schemas),
        headers=tuple(
            (name, header.get("description", ""))
            for name, header in given.get("headers", {}).items()
        ),
    )


@dataclass(frozen=True, slots=True)
class _Command:
    """A request as one may type it; what has to be filled in is in capitals."""

    method: str
    url: str
    parameters: tuple[Parameter, ...]
    body: Body | None
    needs_key: bool

    def text(self, *, as_events: bool = False) -> str:
        words = ["curl", "-N"] if as_events else ["curl"]
        if self.method != ("POST" if self.body else "GET"):
            words += ["-X", self.method]
        words.append(shlex.quote(_PLACE.sub(_to_fill_in, self.url)))
        parts = [" ".join(words)]
        if self.needs_key:
            parts.append(f'-H "Authorization: Bearer ${KEY_VARIABLE}"')
        if as_events and not self._has_switch:
            parts.append(f"-H 'Accept: {EVENTS}'")
        parts += [f"-H {shlex.quote(header)}" for header in self._headers()]
        parts += self._content(as_events)
        return " \\\n  ".join(parts)

    @property
    def _has_switch(self) -> bool:
        """A field of the body, not a header, asks for events."""
        return self.body is not None and any(part.name == "stream" for part in self.body.fields)

    def _headers(self) -> Iterator[str]:
        for parameter in self.parameters:
            name = parameter.field.name
            if parameter.place == "header" and parameter.field.required:
                yield f"{name}: {_SAMPLES.get(name, name.upper())}"
        if self.body and self.body.media_type == JSON:
            yield f"Content-Type: {JSON}"

    def _content(self, as_events: bool) -> Iterator[str]:
        if not self.body:
            return
        if self.body.media_type == JSON:
            content = json.loads(self.body.example or "{}")
            if as_events and self._has_switch:
                content["stream"] = True
            told = _ID.sub(_id_to_fill_in, json.dumps(content, ensure_ascii=False))
            yield f"-d {shlex.quote(told)}"
            return
        for part in self.body.fields:
            if part.required:
                yield f"-F {part.name}={'@FILE' if part.type == 'file' else part.name.upper()}"


def _to_fill_in(name: re.Match[str]) -> str:
    return name[1].upper()


def _id_to_fill_in(found: re.Match[str]) -> str:
    return f'"{found[1]}": "{found[1].upper()}"'


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
