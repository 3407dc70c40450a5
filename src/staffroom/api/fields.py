"""The texts that a scenario consists of, as types: what the product refuses, they refuse too.

Their patterns mean the same in Python, in Rust and in the browser, so that the API's description
tells clients which texts are accepted.
"""

import re
from datetime import date
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, StringConstraints

from staffroom.scenario import MAX_ITEMS, MAX_LENGTH, MAX_LENGTH_OTHERS, MAX_STRENGTH

_CONTROLS: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
_UNSEEN: Final = r"\s\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069"

TEXT: Final = rf"^[^{_CONTROLS}]*$"
"""No control characters, as `text.damage` has it: they are damage, not text."""

VISIBLE: Final = rf"[^{_UNSEEN}]"
"""Something is left of the text when it is cleaned."""

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _written_date(given: Any) -> Any:
    if not isinstance(given, str) or not _DATE.fullmatch(given):
        raise ValueError("write a date as 2027-05-31")
    return given


def _number(given: Any) -> Any:
    if isinstance(given, bool | str):
        raise ValueError("has to be a number")  # noqa: TRY004 - becomes the reason of a problem
    return given


Number = BeforeValidator(_number)
"""Of JSON: 5 and 5.0, but neither "5" nor true."""

Situation = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=MAX_LENGTH["description"],
        pattern=rf"^[^{_CONTROLS}]*{VISIBLE}[^{_CONTROLS}]*$",
    ),
]
Title = Annotated[str, StringConstraints(max_length=MAX_LENGTH["name"], pattern=TEXT)]
Prose = Annotated[str, StringConstraints(max_length=MAX_LENGTH["description"], pattern=TEXT)]
Note = Annotated[str, StringConstraints(max_length=MAX_LENGTH["evidence_note"], pattern=TEXT)]
Context = Annotated[str, StringConstraints(max_length=MAX_LENGTH["worked_with"], pattern=TEXT)]
Strength = Annotated[int, Field(ge=0, le=MAX_STRENGTH), Number]
Word = Annotated[str, StringConstraints(max_length=MAX_LENGTH_OTHERS, pattern=TEXT)]
Words = Annotated[list[Word], Field(max_length=MAX_ITEMS)]
Examples = Annotated[
    list[
        Annotated[str, StringConstraints(max_length=MAX_LENGTH["example_questions"], pattern=TEXT)]
    ],
    Field(max_length=MAX_ITEMS),
]
Date = Annotated[date, BeforeValidator(_written_date)]
