"""What gap groups look like, for requests and the API's description."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from staffroom.api.fields import TEXT
from staffroom.api.schemas import Request
from staffroom.database.gaps import MAX_NOTE, GapKind, GapState
from staffroom.evaluation.learning import MOST_CHECKED
from staffroom.types import OutOfScope, Status

_SCENARIO = "019aa3b2-4f0e-7c1b-9d55-6a2f1f6c0e11"
_INTERACTION = "019aa3b2-4f0e-7c1b-9d55-6a2f1f6c0e12"


class GapPatch(Request):
    """What is decided on a group. What is not named stays as it is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"state": "dismissed", "note": "Not for this library."}]}
    )

    state: Annotated[
        GapState | None,
        Field(
            description="`answered` needs a published scenario, and lets questions go that it does "
            "not answer: they are grouped anew. `drafted` comes of a draft alone. `open` and "
            "`dismissed` let the scenario go, which stays in the library."
        ),
    ] = None
    note: Annotated[str, StringConstraints(max_length=MAX_NOTE, pattern=TEXT)] | None = None


class GapActionIn(Request):
    """Nothing has to be said: an empty object."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


class GapExamplesIn(Request):
    """Questions of the group that become example questions of a scenario."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"scenario_id": _SCENARIO, "interaction_ids": [_INTERACTION]}]
        }
    )

    scenario_id: UUID
    interaction_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_CHECKED)]


class GapScenarioOut(BaseModel):
    """The scenario that is to answer a group's questions, or does."""

    id: UUID
    name: str
    status: Status


class GapFigureOut(BaseModel):
    """A mean over the golden questions, before and after."""

    before: float
    after: float


class LostGoldenOut(BaseModel):
    """A golden question whose right scenario has left the first five. Null: behind the first ten.
    `question` is null if it is golden no more."""

    golden_id: UUID
    question: str | None
    before: int | None
    after: int | None


class GateOut(BaseModel):
    """The golden questions of before, asked before and after. Passed unless one was lost, or a mean
    fell by more than 0.02."""

    passed: bool
    questions: int
    figures: dict[str, GapFigureOut]
    lost: list[LostGoldenOut]


class GapOutcomeOut(BaseModel):
    """What publishing the scenario brought: how many of the questions that were asked again it
    answers, which became golden, and the gate (null if it could not run). `undo` says how to take
    the scenario back; nothing is taken back by itself."""

    at: datetime
    revision: int
    asked: int
    answered: int
    golden: list[UUID]
    gate: GateOut | None
    undo: str


class GapOut(BaseModel):
    """Questions of one meaning that the library failed. The label is the most central one; `words`
    tell the group from others."""

    id: UUID
    state: GapState
    label: str
    words: list[str]
    size: int
    poorly_rated: Annotated[int, Field(description="Questions whose answer was found wanting.")]
    answered: Annotated[int, Field(description="Questions that the scenario answers.")]
    first: datetime
    last: datetime
    note: str
    scenario: GapScenarioOut | None
    outcome: GapOutcomeOut | None
    created_at: datetime
    changed_at: datetime


class GapPage(BaseModel):
    """Groups, the newest first; the cursor leads to the next page."""

    items: list[GapOut]
    next_cursor: str | None


class MemberOut(BaseModel):
    """A question of a group, and since when its scenario answers it."""

    interaction_id: UUID
    question: str
    created_at: datetime
    kind: GapKind
    answered_at: datetime | None


class NearScenarioOut(BaseModel):
    """A scenario that comes near the group's most central question."""

    id: UUID
    name: str
    status: Status
    relevance: float


class WholeGapOut(GapOut):
    """A group with up to 50 of its questions, the most central first, and the scenarios nearest to
    the first of them: perhaps one of these only lacks an example question."""

    questions: list[MemberOut]
    nearest: list[NearScenarioOut]


class GapDraftOut(BaseModel):
    """A draft that is in the library. `drafted_by` is the model that worded its situation; null:
    the teachers' own questions stand for it."""

    scenario_id: UUID
    drafted_by: str | None


class CheckedOut(BaseModel):
    """A question asked again. `rank` and `relevance` are those of the group's scenario, or of the
    best match while it has none; null behind the first ten."""

    interaction_id: UUID
    question: str
    answered: bool
    rank: int | None
    relevance: float | None
    best: NearScenarioOut | None
    reason: OutOfScope | None


class GapCheckOut(BaseModel):
    """Up to 50 of a group's questions, asked again. Nothing was stored."""

    asked: int
    answered: int
    size: Annotated[int, Field(description="Questions of the group.")]
    threshold: float
    items: list[CheckedOut]
