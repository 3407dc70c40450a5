"""What a grade or a subject is called elsewhere, and which grades lie side by side. Pure.

The names are data: `aliases.json`.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, Final

from staffroom.types import Filters

_FORMS: Final = (
    (re.compile(r"(?:year|yr|y) ?(\d+)"), "year {}"),
    (re.compile(r"(?:grade|gr|g) ?(\d+)|(\d+)(?:st|nd|rd|th) grade"), "grade {}"),
    (re.compile(r"(?:key stage|ks) ?(\d)"), "key stage {}"),
)
"""The ways in which a numbered grade is written."""


def widened(filters: Filters) -> Filters:
    """The same filters with every name that the wanted grades and subjects go by."""
    bands = [band for value in filters.grade_bands for band in grade_names(value)]
    if filters.neighbouring_grades:
        bands += [beside for band in bands for beside in _neighbours(band)]
    subjects = (name for value in filters.subjects for name in subject_names(value))
    return replace(filters, grade_bands=_once(bands), subjects=_once(subjects))


def grade_names(value: str) -> tuple[str, ...]:
    """The grade as it was written, then the grade bands that it belongs to."""
    text = _plain(value)
    for form, name in _FORMS:
        found = form.fullmatch(text)
        if found:
            number = next(group for group in found.groups() if group)
            text = name.format(int(number))
    return _once([value, *_names()["grades"].get(text, [])])


def subject_names(value: str) -> tuple[str, ...]:
    """The subject as it was written, then its other names."""
    text = _plain(value)
    groups = [group for group in _names()["subjects"] if text in group]
    return _once([value, *(name for group in groups for name in group)])


def _neighbours(band: str) -> list[str]:
    bands: list[str] = _names()["grade_bands"]
    if band not in bands:
        return []
    place = bands.index(band)
    return bands[max(0, place - 1) : place + 2]


def _plain(value: str) -> str:
    return re.sub(r"[\s_.-]+", " ", value.casefold()).strip()


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


@cache
def _names() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (files("staffroom.retrieval") / "aliases.json").read_text("utf-8")
    )
    return document
