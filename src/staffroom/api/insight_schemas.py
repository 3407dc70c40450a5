"""What the insights of a period look like, for the API's description."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from staffroom.database.gaps import GapKind, GapState


class QuestionsOut(BaseModel):
    """What was asked on one day."""

    date: date
    answered: int
    abstained: int


class OutcomesOut(BaseModel):
    """How the answers of the period came about."""

    written: int
    direct: int
    quoted: int
    abstained: int


class GapQuestionOut(BaseModel):
    """A question that went unanswered, or whose answer was found wanting; one that continued a
    conversation, with what it referred to."""

    interaction_id: UUID
    question: str
    created_at: datetime
    kind: GapKind


class AskedGapOut(BaseModel):
    """What was asked in the period of a gap group that waits for its answer. Up to 50 questions
    are listed, the most central first: it is the label."""

    id: UUID
    state: Annotated[GapState, Field(description="`open`, or `drafted`: it is being written.")]
    label: str
    words: Annotated[list[str], Field(description="What tells the group from others.")]
    size: int
    first: datetime
    last: datetime
    questions: list[GapQuestionOut]


class ScenarioUseOut(BaseModel):
    """A scenario, how many answers cited it, and the verdicts on it or on those answers."""

    id: UUID
    name: str
    used: int
    helpful: int
    not_helpful: int
    did_not_fit: int
    worked: int


class NamedOut(BaseModel):
    """A scenario by its name."""

    id: UUID
    name: str


class LatencyOut(BaseModel):
    """Milliseconds by which half (p50) or 95 % (p95) of a day's answers were complete.

    Null on days without a timed answer.
    """

    date: date
    p50_ms: float | None
    p95_ms: float | None
    first_sentence_p50_ms: float | None


class StagesOut(BaseModel):
    """Milliseconds that a day's answers took on average for embedding the question, for searching
    and for writing; those that were given again left out. Null on days without one."""

    date: date
    embedding_ms: float | None
    search_ms: float | None
    writing_ms: float | None


class CacheOut(BaseModel):
    """A day's timed answers, and how many of them had been given before to the same question."""

    date: date
    answers: int
    from_cache: int


class InsightsOut(BaseModel):
    """What a period says of the library. Lists by day have every day, oldest first, in UTC.

    `gaps` are the largest 100 groups of the newest 2,000 questions that were failed and wait for an
    answer; `gap_groups` counts all such groups. `scenarios` come most used first; `never_used`
    names up to 100 of the `never_used_total` published ones that no answer of the period cited.
    """

    days: Annotated[int, Field(description="How many days, today included.")]
    questions: list[QuestionsOut]
    outcomes: OutcomesOut
    gaps: list[AskedGapOut]
    gap_groups: int
    scenarios: list[ScenarioUseOut]
    never_used: list[NamedOut]
    never_used_total: int
    latency: list[LatencyOut]
    stages: list[StagesOut]
    cache: list[CacheOut]
