"""A mapping from outside becomes a scenario, or says which field is wrong.

This is the one place that knows the names which files, forms and the guide use
for a scenario's fields.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final

from staffroom.errors import InvalidScenario
from staffroom.text import clean, damage, shorten
from staffroom.types import STATUSES, Metadata, ScenarioContent, Status

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("id", "_id", "source_id"),
    "name": ("name", "title"),
    "description": ("description", "situation", "text"),
    "expected_response": ("expected_response", "advice", "response", "answer"),
    "example_questions": ("example_questions", "questions"),
    "category": ("category",),
    "grade_bands": ("grade_bands", "grades", "grade_band", "grade"),
    "subjects": ("subjects", "subject"),
    "setting": ("setting",),
    "tags": ("tags",),
    "language": ("language", "lang"),
    "evidence_note": ("evidence_note", "evidence"),
    "evidence_strength": ("evidence_strength",),
    "contributor": ("contributor", "author"),
    "worked_with": ("worked_with",),
    "status": ("status",),
    "review_by": ("review_by", "review_date"),
}
"""Every field of a scenario, in the order of an export, with the names it may come under."""

LISTS: Final = frozenset({"example_questions", "grade_bands", "subjects", "tags"})

MAX_LENGTH: Final[Mapping[str, int]] = {
    "id": 500,
    "name": 500,
    "description": 50_000,
    "expected_response": 50_000,
    "example_questions": 1_000,
    "evidence_note": 5_000,
    "worked_with": 1_000,
}
"""Characters of a field, or of one item of a list."""

MAX_LENGTH_OTHERS: Final = 200
MAX_ITEMS: Final = 50
MAX_STRENGTH: Final = 5
"""The strongest evidence; 0 is none."""

DERIVED_NAME_LENGTH: Final = 80

REMEMBERED: Final = 2_048
"""Short contents whose digests are kept: those of the batches that are under way."""

SHORT: Final = 10_000
"""Characters of a content that is short."""

_NO_TEXTS: Final = frozenset({*LISTS, "review_by", "evidence_strength"})
_LATER: Final = ("evidence_strength", "worked_with")
_KNOWN: Final = {alias: name for name, aliases in ALIASES.items() for alias in aliases}


def scenario_from(row: Mapping[str, Any]) -> ScenarioContent:
    """The scenario that a row of a file, a form or a call describes.

    Only the description is required; a missing name is its beginning. List fields
    may be lists, or text parted by line ends, "|" or ";".

    Raises: InvalidScenario naming the field and what is wrong with it.
    """
    values = _known_values(row)
    texts = {name: _text(name, values.get(name)) for name in ALIASES if name not in _NO_TEXTS}
    lists = {name: _list(name, values.get(name)) for name in LISTS}
    if not texts["description"]:
        raise InvalidScenario("description", "missing", "is missing; say what the situation is")
    return ScenarioContent(
        name=texts["name"] or shorten(texts["description"], DERIVED_NAME_LENGTH),
        description=texts["description"],
        expected_response=texts["expected_response"],
        example_questions=lists["example_questions"],
        source_id=texts["id"],
        metadata=Metadata(
            category=texts["category"],
            grade_bands=lists["grade_bands"],
            subjects=lists["subjects"],
            setting=texts["setting"],
            tags=lists["tags"],
            language=_language(texts["language"]),
            evidence_note=texts["evidence_note"],
            evidence_strength=_strength(values.get("evidence_strength")),
            contributor=texts["contributor"],
            worked_with=texts["worked_with"],
            status=_status(texts["status"]),
            review_by=_date("review_by", values.get("review_by")),
        ),
    )


def row_from(content: ScenarioContent) -> dict[str, Any]:
    """The row that `scenario_from` turns into this scenario; the form of an export."""
    row: dict[str, Any] = {"id": content.source_id}
    for name in ALIASES:
        if name in _CONTENT_FIELDS:
            row[name] = getattr(content, name)
        elif name in _METADATA_FIELDS:
            row[name] = getattr(content.metadata, name)
    review_by = content.metadata.review_by
    row["review_by"] = review_by.isoformat() if review_by else ""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in row.items()}


def content_sha256(content: ScenarioContent) -> bytes:
    """The digest of everything an editor can change; equal content has an equal digest.

    A field that came later counts only where it says something, so that no scenario of an older
    version changes by it.
    """
    # A row is asked for its digest three to five times on its way into the library.
    is_short = len(content.description) + len(content.expected_response) <= SHORT
    return _remembered_digest(content) if is_short else _digest(content)


def _digest(content: ScenarioContent) -> bytes:
    row = row_from(content)
    del row["id"]
    for name in _LATER:
        if row[name] in {None, ""}:
            del row[name]
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).digest()


_remembered_digest = lru_cache(REMEMBERED)(_digest)


def source_key(content: ScenarioContent) -> str:
    """The key under which the library keeps the scenario: the editor's own, or its content's."""
    return content.source_id or f"sha256:{content_sha256(content).hex()}"


def embedded_text(content: ScenarioContent) -> str:
    """What of a scenario is embedded: what a teacher would describe, not what is advised."""
    return "\n".join((content.name, content.description, *content.example_questions))


def indexed_words(content: ScenarioContent) -> str:
    """The text whose words lead to the scenario: as what is embedded, the name counting twice."""
    return f"{content.name}\n{embedded_text(content)}"


def unknown_fields(names: Iterable[str]) -> list[str]:
    """Those names that are no field of a scenario and will be ignored."""
    return [name for name in names if _normal(name) not in _KNOWN and _normal(name) != "metadata"]


def metadata_from(row: Mapping[str, Any]) -> Metadata:
    """The metadata as it was stored with a revision."""
    values = {name: row[name] for name in _METADATA_FIELDS if name in row}
    for name in LISTS & values.keys():
        values[name] = tuple(values[name])
    values["review_by"] = date.fromisoformat(values["review_by"]) if values["review_by"] else None
    return Metadata(**values)


def metadata_row(metadata: Metadata) -> dict[str, Any]:
    """The metadata in the form that `metadata_from` reads."""
    row = {name: getattr(metadata, name) for name in _METADATA_FIELDS}
    return {**row, "review_by": metadata.review_by and metadata.review_by.isoformat()}


_CONTENT_FIELDS: Final = frozenset(field.name for field in fields(ScenarioContent))
_METADATA_FIELDS: Final = tuple(field.name for field in fields(Metadata))


def _known_values(row: Mapping[str, Any]) -> dict[str, Any]:
    nested = row.get("metadata")
    flat = {**nested, **row} if isinstance(nested, Mapping) else row
    values: dict[str, Any] = {}
    for given, value in flat.items():
        name = _KNOWN.get(_normal(given))
        if name is None:
            _refuse_typing_error(given, flat)
        elif value is not None and value != "" and name not in values:
            values[name] = value
    return values


def _normal(name: str) -> str:
    return re.sub(r"[\s-]+", "_", str(name).strip().lower())


def _refuse_typing_error(given: str, row: Mapping[str, Any]) -> None:
    nearest = difflib.get_close_matches(_normal(given), _KNOWN, n=1, cutoff=0.85)
    if nearest and nearest[0] not in map(_normal, row):
        reason = "is no field of a scenario; did you mean {nearest!r}?"
        raise InvalidScenario(given, "field_misspelt", reason, nearest=nearest[0])


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "id" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        kind = type(value).__name__
        reason = "has to be text, not {kind} ({value})"
        told = shorten(repr(value), 40)
        raise InvalidScenario(name, "no_text", reason, kind=kind, value=told)
    found = damage(value)
    if found:
        raise InvalidScenario(name, "damage", str(found), mark=found.mark, at=found.at)
    text = clean(value)
    longest = MAX_LENGTH.get(name, MAX_LENGTH_OTHERS)
    if len(text) > longest:
        reason = "is {length:,} characters long, {most:,} are allowed; shorten or split it"
        raise InvalidScenario(name, "too_long", reason, length=len(text), most=longest)
    return text


def _list(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = list_items(value)
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        kind = type(value).__name__
        raise InvalidScenario(name, "no_list", "has to be a list of texts, not {kind}", kind=kind)
    items = tuple(dict.fromkeys(text for text in (_text(name, item) for item in value) if text))
    if len(items) > MAX_ITEMS:
        reason = "has {length} items, {most} are allowed"
        raise InvalidScenario(name, "too_many", reason, length=len(items), most=MAX_ITEMS)
    return items


def list_items(text: str) -> list[str]:
    """The items of a list that was written as text: JSON, or parted by line ends, "|" or ";"."""
    if text.startswith("["):
        with suppress(ValueError):
            items = json.loads(text)
            if isinstance(items, list):
                return items
    mark = next((mark for mark in ("\n", "|", ";") if mark in text), "\n")
    return [item.strip() for item in text.split(mark) if item.strip()]


def _language(text: str) -> str:
    if not text:
        return "en"
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", text):
        reason = "is {value!r}; write a code such as en, fr or pt-BR"
        raise InvalidScenario("language", "language", reason, value=text)
    return text


def _status(text: str) -> Status:
    if not text:
        return "published"
    status = text.lower().replace(" ", "_")
    if status not in STATUSES:
        known = ", ".join(STATUSES)
        reason = "is {value!r}; write {known}"
        raise InvalidScenario("status", "status", reason, value=text, known=known)
    return status


def _strength(value: Any) -> int | None:
    if value is None:
        return None
    number = value
    if isinstance(value, str):
        number = int(value) if re.fullmatch(r"[0-9]", value.strip()) else None
    # A spreadsheet has no whole numbers: its 3 is 3.0.
    is_whole = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_whole or number not in range(MAX_STRENGTH + 1):
        reason = "is {value}; write a whole number from 0 to {most}"
        told = repr(value)
        raise InvalidScenario(
            "evidence_strength", "strength", reason, value=told, most=MAX_STRENGTH
        )
    return int(number)


def _date(name: str, value: Any) -> date | None:
    if value is None or isinstance(value, date):
        return value.date() if isinstance(value, datetime) else value
    try:
        return date.fromisoformat(_text(name, value))
    except ValueError as error:
        reason = "is {value}; write a date as 2027-05-31"
        raise InvalidScenario(name, "date", reason, value=repr(value)) from error
