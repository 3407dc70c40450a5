"""What the API takes and gives about scenarios that may be one."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from staffroom.api.fields import TEXT, Number
from staffroom.api.schemas import Request
from staffroom.database.likenesses import MAX_REASON, Decision
from staffroom.types import Status

_Reason = Annotated[str, StringConstraints(max_length=MAX_REASON, pattern=TEXT)]
_Revision = Annotated[
    Annotated[int, Field(ge=1, lt=2**31), Number] | None,
    Field(description="The revision that was read; if there is a newer one, the answer is 412."),
]


class DecisionIn(Request):
    """What becomes of a pair. keep_both and linked: both stay; open: what was decided before is
    withdrawn; merged: one stays, with the example questions and golden judgements of both, and the
    other is retired."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"decision": "keep_both", "reason": "two age groups"}]}
    )

    decision: Decision
    keep: Annotated[
        UUID | None, Field(description="Of a merge, and only then: which of the two stays.")
    ] = None
    reason: _Reason = ""
    one_revision: _Revision = None
    other_revision: _Revision = None


class AlikeOut(BaseModel):
    """One scenario of a pair, as it is now."""

    id: UUID
    name: str
    status: Status
    revision: int


class LikenessOut(BaseModel):
    """Two scenarios that may be one, and what was decided of them.

    `is_near`: similar enough to be probably one situation. `kept` is the one that a merge kept.
    """

    one: AlikeOut
    other: AlikeOut
    similarity: Annotated[float, Field(description="The cosine of their embeddings.")]
    is_near: bool
    decision: Decision
    kept: UUID | None
    decided_by: str
    reason: str
    decided_at: datetime | None


class LikenessPage(BaseModel):
    """Pairs, the most similar first; the cursor leads to the next page.

    `compared` of `total` scenarios stand beside their nearest others so far; asking again goes on.
    `near` counts the open pairs that are probably one situation.
    """

    items: list[LikenessOut]
    next_cursor: str | None
    compared: int
    total: int
    near: int
