"""Lists page by page: an opaque cursor that stays right while rows are added and removed."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query

from staffroom.errors import InputError

MAX_PAGE = 200

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items at most.")]
Cursor = Annotated[
    str | None, Query(max_length=100, description="`next_cursor` of the page before.")
]


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


def page_document(items: Sequence[Any], limit: int, last: UUID | None) -> dict[str, Any]:
    """A page; a full one leads on to the next."""
    more = len(items) == limit and last is not None
    return {"items": list(items), "next_cursor": cursor_after(last) if more and last else None}
