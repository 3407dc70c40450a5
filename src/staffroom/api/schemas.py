"""What the API takes and gives, as models: requests are validated by them, responses described."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from staffroom.api.fields import (
    TEXT,
    VISIBLE,
    Context,
    Date,
    Examples,
    Note,
    Number,
    Prose,
    Situation,
    Strength,
    Title,
    Word,
    Words,
)
from staffroom.config import SIMILARITY_THRESHOLD
from staffroom.database.vector_ops import MAX_LIMIT
from staffroom.flows import ANSWER_MATCHES, MOST_MATCHES
from staffroom.scenario import MAX_LENGTH_OTHERS
from staffroom.text import MAX_QUESTION
from staffroom.types import Emptiness, Filters, Mode, Outcome, OutOfScope, Status

MAX_FILTER_VALUES = 50


class Request(BaseModel):
    """A body with an unknown field is refused: a misspelt option must not be ignored."""

    model_config = ConfigDict(extra="forbid")


Question = Annotated[str, StringConstraints(min_length=1, max_length=MAX_QUESTION, pattern=VISIBLE)]
Value = Annotated[str, StringConstraints(min_length=1, max_length=MAX_LENGTH_OTHERS, pattern=TEXT)]
Values = Annotated[list[Value], Field(max_length=MAX_FILTER_VALUES)]


class FiltersIn(Request):
    """Which scenarios may be found. An empty list does not restrict; statuses: published only.

    Grades and subjects may go by any of their names: "Year 5" is upper-primary. A bound on the
    review date leaves out what has none.
    """

    statuses: Annotated[list[Status], Field(min_length=1, max_length=4)] = ["published"]
    categories: Values = []
    grade_bands: Values = []
    subjects: Values = []
    settings: Values = []
    tags: Values = []
    languages: Values = []
    neighbouring_grades: Annotated[
        StrictBool, Field(description="Admit the grade bands beside those that are wanted.")
    ] = False
    review_from: Date | None = None
    review_until: Date | None = None

    def filters(self) -> Filters:
        """The same as a value of the product."""
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in self.model_dump().items()
        }
        return Filters(**given)


class SearchIn(Request):
    """What to look for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"query": "How to handle classroom disruption?", "limit": 3}]
        }
    )

    query: Question
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), Number] = 5
    threshold: Annotated[
        Annotated[float, Field(ge=0, le=1), Number] | None,
        Field(description=f"Least relevance; the setting's {SIMILARITY_THRESHOLD}."),
    ] = None
    mode: Annotated[
        Mode,
        Field(description="By meaning, by words (without the embedding model), or by both."),
    ] = "hybrid"
    filters: FiltersIn | None = None


class AskIn(Request):
    """A teacher's question."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"question": "How to handle classroom disruption?"}]}
    )

    question: Question
    limit: Annotated[
        int,
        Field(ge=1, le=MOST_MATCHES, description="Scenarios the answer may rest on."),
        Number,
    ] = ANSWER_MATCHES
    conversation_id: Annotated[
        UUID | None, Field(description="Any interaction of the conversation that this continues.")
    ] = None
    filters: FiltersIn | None = None
    private: Annotated[
        bool, Field(strict=True, description="Nothing of the exchange is stored.")
    ] = False


ReasonGiven = Annotated[
    str,
    StringConstraints(max_length=1_000, pattern=TEXT),
    Field(description="Why, for the history."),
]
AuthorGiven = Annotated[
    str,
    StringConstraints(max_length=MAX_LENGTH_OTHERS, pattern=TEXT),
    Field(
        description="Who makes the change, for the history: a claim that nothing checks. Else the "
        "name that the page's cookie holds, or the user that the server runs as."
    ),
]


class ScenarioFields(Request):
    """A scenario's fields; those that are not given are left as they are, or empty."""

    name: Title = ""
    description: Annotated[
        Situation, Field(json_schema_extra=lambda schema: schema.pop("default"))
    ] = ""
    expected_response: Prose = ""
    example_questions: Examples = []
    category: Word = ""
    grade_bands: Words = []
    subjects: Words = []
    setting: Word = ""
    tags: Words = []
    language: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=200)
    ] = "en"
    evidence_note: Note = ""
    evidence_strength: Annotated[
        Strength | None,
        Field(description="0, nobody has looked, to 5, many careful trials agree."),
    ] = None
    contributor: Word = ""
    worked_with: Annotated[Context, Field(description="In which context it worked.")] = ""
    status: Status = "published"
    review_by: Date | None = None
    reason: ReasonGiven = ""
    author: AuthorGiven = ""

    def fields(self) -> dict[str, Any]:
        """What was given of the scenario itself."""
        return self.model_dump(exclude={"reason", "author"}, exclude_unset=True, mode="json")


class ScenarioIn(ScenarioFields):
    """A new scenario. With the source id of one that is there, it is an edit of that."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "A pupil falls asleep in lessons",
                    "description": "A pupil falls asleep in every first lesson.",
                    "expected_response": "1. Wake the pupil quietly.\n2. Ask about sleep.",
                    "example_questions": ["What do I do about a pupil who sleeps in class?"],
                    "category": "engagement",
                    "status": "draft",
                }
            ]
        }
    )

    source_id: Title = ""
    description: Situation

    def fields(self) -> dict[str, Any]:
        """What was given of the scenario itself, under the names that files use."""
        fields = super().fields()
        source_id = fields.pop("source_id", "")
        return fields | ({"id": source_id} if source_id else {})


class ScenarioPatch(ScenarioFields):
    """The fields that change, and why."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "published", "reason": "reviewed by the SENCO"}]}
    )


class RestoreIn(Request):
    """The revision that is to be said again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"revision": 1, "reason": "the new one was worse"}]}
    )

    revision: Annotated[int, Field(ge=1, lt=2**31), Number]
    reason: ReasonGiven = ""
    author: AuthorGiven = ""


class ContentOut(BaseModel):
    """What an editor wrote."""

    name: str
    description: str
    expected_response: str
    example_questions: list[str]
    category: str
    grade_bands: list[str]
    subjects: list[str]
    setting: str
    tags: list[str]
    language: str
    evidence_note: str
    evidence_strength: int | None
    contributor: str
    worked_with: str
    status: Status
    review_by: Annotated[str, Field(description="A date, or empty.")]


class ScenarioOut(ContentOut):
    """A scenario as the library holds it."""

    id: UUID
    source_id: str
    revision: int
    overdue: Annotated[
        bool, Field(description="Its review date has passed, and it is not retired: say so.")
    ]
    created_at: datetime
    updated_at: datetime


class MatchOut(ScenarioOut):
    """A scenario and its relevance to the question."""

    relevance: float
    worked: Annotated[
        int, Field(description="Exchanges in which its advice was reported to have worked.")
    ]


class SearchOut(BaseModel):
    """The matches, best first; `related` are the closest where none passed, `reason` says why."""

    matches: list[MatchOut]
    threshold: float
    best_relevance: float | None
    related: list[MatchOut]
    reason: Emptiness | OutOfScope | None


class SentenceOut(BaseModel):
    """A sentence of an answer, with what it rests on."""

    text: str
    citations: list[UUID]
    support: float
    step: int | None


class AnswerOut(BaseModel):
    """An answer, sentence by sentence with its sources."""

    answer: str
    sentences: list[SentenceOut]
    more: list[SentenceOut]
    matches: list[MatchOut]
    related: list[MatchOut]
    outcome: Outcome
    abstained: bool
    uncertain: bool
    writer: str
    threshold: float
    best_relevance: float | None
    timings: dict[str, float]
    interaction_id: UUID | None
    conversation_id: UUID | None


class ScenarioPage(BaseModel):
    """Scenarios, oldest first; the cursor leads to the next page."""

    items: list[ScenarioOut]
    next_cursor: str | None


class DueCountsOut(BaseModel):
    """How many scenarios are past their review date, will be in 30 or in 31 to 90 days, or have
    none. None of them is retired."""

    overdue: int
    within_30: int
    within_90: int
    undated: int


class DuePage(BaseModel):
    """What waits for a review, the most overdue first; the cursor leads to the next page."""

    items: list[ScenarioOut]
    next_cursor: str | None
    counts: DueCountsOut


class RevisionOut(ContentOut):
    """A scenario as it was after one change. `changed` names the fields that differ from before."""

    revision: int
    author: str
    reason: str
    created_at: datetime
    changed: list[str]


class RevisionsOut(BaseModel):
    """A scenario's history, newest first."""

    items: list[RevisionOut]


class FacetValueOut(BaseModel):
    """A value and how many scenarios have it."""

    value: str
    count: int


class FacetsOut(BaseModel):
    """What there is to filter by."""

    category: list[FacetValueOut]
    grade_band: list[FacetValueOut]
    subject: list[FacetValueOut]
    status: list[FacetValueOut]


class Stored(BaseModel):
    """The id of what was stored."""

    id: UUID
