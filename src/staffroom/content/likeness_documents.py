"""Pairs of likely duplicates as JSON, page by page, for whoever shows them."""

import base64
import struct
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from staffroom.database.likenesses import NEAR_DUPLICATE, Alike, Likeness, Place
from staffroom.documents import DIGITS
from staffroom.errors import InputError

_PLACE: Final = struct.Struct(">f16s16s")


def likeness_document(likeness: Likeness) -> dict[str, Any]:
    """A pair as JSON."""
    return {
        "one": _alike_document(likeness.one),
        "other": _alike_document(likeness.other),
        "similarity": round(likeness.similarity, DIGITS),
        "is_near": likeness.similarity >= NEAR_DUPLICATE,
        "decision": likeness.decision,
        "kept": likeness.kept and str(likeness.kept),
        "decided_by": likeness.decided_by,
        "reason": likeness.reason,
        "decided_at": likeness.decided_at and likeness.decided_at.isoformat(),
    }


def read_place(cursor: str | None) -> Place | None:
    """The pair that the caller has last. Raises: InputError."""
    if cursor is None:
        return None
    try:
        similarity, one, other = _PLACE.unpack(base64.b64decode(cursor, b"-_", validate=True))
    except (ValueError, struct.error) as error:
        raise InputError(
            f"cursor is {cursor!r}, which no page gave out. Begin without a cursor."
        ) from error
    return Place(similarity, UUID(bytes=one), UUID(bytes=other))


def next_place(rows: Sequence[Likeness], limit: int) -> str | None:
    """The cursor behind the last of `limit` rows; one row beyond them says that there is more."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    place = _PLACE.pack(last.similarity, last.one.id.bytes, last.other.id.bytes)
    return base64.urlsafe_b64encode(place).decode()


def _alike_document(alike: Alike) -> dict[str, Any]:
    return {
        "id": str(alike.id),
        "name": alike.name,
        "status": alike.status,
        "revision": alike.revision,
    }
