"""What the API takes and gives of exchanges: what was asked and answered, what was said of it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from staffroom.api.schemas import Request, SentenceOut
from staffroom.database.interactions import MAX_COMMENT
from staffroom.types import Outcome, Reason, Verdict


class FeedbackIn(Request):
    """What a teacher says of an answer, or of one scenario that it rests on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"verdict": "helpful"}]})

    verdict: Verdict
    reason: Reason = ""
    comment: Annotated[str, StringConstraints(max_length=MAX_COMMENT)] = ""
    scenario_id: UUID | None = None


class AskedOut(BaseModel):
    """An exchange as a list shows it."""

    id: UUID
    question: str
    outcome: Outcome
    best_relevance: float | None
    created_at: datetime


class InteractionPage(BaseModel):
    """Exchanges, newest first; the cursor leads to the next page."""

    items: list[AskedOut]
    next_cursor: str | None


class UsedMatchOut(BaseModel):
    """A scenario, in the revision that an answer rested on."""

    id: UUID
    revision: int
    name: str
    relevance: float


class FeedbackOut(BaseModel):
    """What a teacher said of an answer."""

    id: UUID
    verdict: Verdict
    reason: Reason
    comment: str
    scenario_id: UUID | None
    created_at: datetime


class InteractionOut(BaseModel):
    """An exchange as it was stored."""

    id: UUID
    conversation_id: UUID
    question: str
    asked: str
    answer: str
    sentences: list[SentenceOut]
    more: list[SentenceOut]
    matches: list[UsedMatchOut]
    outcome: Outcome
    abstained: bool
    writer: str
    embedding_model: str
    prompt_version: str
    library_version: int
    timings: dict[str, float]
    threshold: float | None
    best_relevance: float | None
    feedback: list[FeedbackOut]
    created_at: datetime
