"""Lists page by page: an opaque cursor that stays right while rows are added and removed."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
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


class Listed(Protocol):
    """What is listed in the order of its ids."""

    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=Listed)


def cursor_after(last: UUID) -> str:
    """The cursor of what follows that item."""
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def read_cursor(cursor: str | None) -> UUID | None:
    """The id of the last item that the caller has. Raises: InputError."""
    if cursor is None:
        return None
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise InputError(
            f"cursor is {cursor!r}, which no page gave out. Begin without a cursor."
        ) from error


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
