"""Lists page by page: an opaque cursor that stays right while rows are added and removed."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Protocol, TypeVar
from uuid import UUID

from fastapi import Query

from staffroom.errors import InputError

MAX_PAGE = 200

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items at most.")]
Cursor = Annotated[
    str | None,
    Query(pattern=r"^[A-Za-z0-9_-]{22}$", description="`next_cursor` of the page before."),
]


DayCursor = Annotated[
    str | None,
    Query(pattern=r"^[A-Za-z0-9_-]{27}$", description="`next_cursor` of the page before."),
]


class Listed(Protocol):
    """What is listed in the order of its ids."""

    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=Listed)


def cursor_after(last: UUID) -> str:
    """The cursor of what follows that item."""
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def day_cursor_after(day: date | None, last: UUID) -> str:
    """The cursor of what follows that item in a list by days; without a day, what has none."""
    number = day.toordinal() if day else 0
    return base64.urlsafe_b64encode(number.to_bytes(4) + last.bytes).decode().rstrip("=")


def read_day_cursor(cursor: str | None) -> tuple[date | None, UUID] | None:
    """The day and the id of the last item that the caller has. Raises: InputError."""
    if cursor is None:
        return None
    raw = _decoded(cursor, 20)
    number = min(int.from_bytes(raw[:4]), date.max.toordinal())
    return date.fromordinal(number) if number else None, UUID(bytes=raw[4:])


def read_cursor(cursor: str | None) -> UUID | None:
    """The id of the last item that the caller has. Raises: InputError."""
    return None if cursor is None else UUID(bytes=_decoded(cursor, 16))


def _decoded(cursor: str, length: int) -> bytes:
    try:
        padding = "=" * (-len(cursor) % 4)
        raw = base64.b64decode(cursor + padding, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != length:
        raise InputError(f"cursor is {cursor!r}, which no page gave out. Begin without a cursor.")
    return raw


def page_document(
    rows: Sequence[Row], limit: int, document: Callable[[Row], Mapping[str, Any]]
) -> dict[str, Any]:
    """A page of `limit` rows; one row beyond them says that there is a next page."""
    shown = rows[:limit]
    more = len(rows) > limit
    return {
        "items": list(map(document, shown)),
        "next_cursor": cursor_after(shown[-1].id) if more else None,
    }
