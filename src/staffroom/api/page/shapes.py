"""Schemas of the API's description, as fields that can be read one by one. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from staffroom.api.fields import TEXT, VISIBLE

Schema = Mapping[str, Any]
Schemas = Mapping[str, Schema]

_REF: Final = "#/components/schemas/"

_MEANINGS: Final = ((TEXT, ""), (VISIBLE, "not blank"), (r"\S", "not blank"))
"""What patterns that many texts share mean to a reader, nothing for what any text fulfils.
Others are shown as they are."""

_BOUNDS: Final = (
    ("minLength", "maxLength", "character"),
    ("minItems", "maxItems", "item"),
    ("minimum", "maximum", ""),
)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a document: what it may be, and the fields within it."""

    name: str
    type: str
    required: bool
    description: str
    limits: tuple[str, ...]
    pattern: str
    default: str
    fields: tuple["Field", ...]


def resolved(schema: Schema, schemas: Schemas) -> Schema:
    """The schema that a reference names; another is itself."""
    return schemas[schema["$ref"].removeprefix(_REF)] if "$ref" in schema else schema


def fields_of(schema: Schema, schemas: Schemas, within: tuple[str, ...] = ()) -> tuple[Field, ...]:
    """The fields of a document, or of those in a list, in every form that it may have.

    What is within a document of the same kind is not told again: `within` are their titles.
    """
    found: dict[str, Field] = {}
    for form in _forms(schema, schemas):
        title = form.get("title", "")
        if form.get("type") == "array":
            inner = fields_of(form["items"], schemas, within)
            found = {told.name: told for told in inner} | found
        elif title not in within:
            required = form.get("required", ())
            for name, part in form.get("properties", {}).items():
                told = field(name, part, schemas, name in required, (*within, title))
                found[name] = _either(found[name], told) if name in found else told
    return tuple(found.values())


def field(
    name: str,
    schema: Schema,
    schemas: Schemas,
    required: bool = False,
    within: tuple[str, ...] = (),
) -> Field:
    """One field, with those within it."""
    forms = list(_forms(schema, schemas))
    patterns = [form["pattern"] for form in _texts(forms, schemas) if "pattern" in form]
    pattern, meaning = _pattern(patterns[0]) if patterns else ("", "")
    limits = [limit for form in forms for limit in _limits(form)]
    limits += [
        f"each {limit}"
        for form in forms
        if form.get("type") == "array"
        for inner in _forms(form["items"], schemas)
        for limit in _limits(inner)
    ]
    default = schema.get("default")
    return Field(
        name=name,
        type=type_of(schema, schemas),
        required=required,
        description=schema.get("description", ""),
        limits=tuple(dict.fromkeys([*limits, meaning] if meaning else limits)),
        pattern=pattern,
        default="" if default is None else json.dumps(default, ensure_ascii=False),
        fields=fields_of(schema, schemas, within),
    )


def _either(one: Field, other: Field) -> Field:
    """A field that two forms of a document have."""
    types = dict.fromkeys([*one.type.split(" or "), *other.type.split(" or ")])
    return replace(one, type=" or ".join(types), required=one.required and other.required)


def type_of(schema: Schema, schemas: Schemas) -> str:
    """What a value may be, in words."""
    return " or ".join(dict.fromkeys(_type(form, schemas) for form in _forms(schema, schemas)))


def _type(form: Schema, schemas: Schemas) -> str:
    if "const" in form:
        return json.dumps(form["const"])
    if "enum" in form:
        return " or ".join(map(json.dumps, form["enum"]))
    if form.get("type") == "array":
        return f"list of {type_of(form['items'], schemas)}"
    if "contentMediaType" in form:
        return "file"
    named = {"date-time": "time", "date": "date", "uuid": "UUID"}
    return named.get(form.get("format", "")) or str(form.get("type", "anything"))


def _forms(schema: Schema, schemas: Schemas) -> Iterator[Schema]:
    """Each form that a value may have, without references and choices."""
    schema = resolved(schema, schemas)
    choices = schema.get("anyOf") or schema.get("oneOf")
    if not choices:
        yield schema
        return
    for choice in choices:
        yield from _forms(choice, schemas)


def _texts(forms: list[Schema], schemas: Schemas) -> Iterator[Schema]:
    """The forms, and those of what is in lists."""
    for form in forms:
        yield form
        if form.get("type") == "array":
            yield from _forms(form["items"], schemas)


def _limits(form: Schema) -> Iterator[str]:
    for low, high, unit in _BOUNDS:
        least, most = form.get(low), form.get(high)
        if least is None and most is None:
            continue
        if unit and (least, most) == (1, None):
            yield "not empty"
            continue
        words = f"{_number(least)} to {_number(most)}"
        if least is None:
            words = f"up to {_number(most)}"
        elif most is None:
            words = f"at least {_number(least)}"
        yield f"{words} {unit}{'' if most == 1 else 's'}" if unit else words


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.15g}"


def _pattern(pattern: str) -> tuple[str, str]:
    """The pattern if a reader needs it, and what it means if that can be said."""
    for known, meaning in _MEANINGS:
        if pattern == known:
            return "", meaning
    if VISIBLE in pattern and pattern != VISIBLE:
        return "", "not blank"
    return pattern, ""
