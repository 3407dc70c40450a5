"""What golden questions and evaluations look like, for requests and the API's description."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from staffroom.api.fields import Number
from staffroom.api.schemas import Question, Request
from staffroom.database.golden import MAX_GRADE, MAX_JUDGED, RIGHT
from staffroom.evaluation.own import MODES
from staffroom.types import Mode, Status, Verdict

_GRADES = "2: the right scenario; 1: a fitting one; 0: one that looks right and is not."
_SCENARIO = "019aa3b2-4f0e-7c1b-9d55-6a2f1f6c0e11"

Grade = Annotated[Annotated[int, Field(ge=0, le=MAX_GRADE), Number], Field(description=_GRADES)]


class JudgementIn(Request):
    """A scenario and how right it is for the question."""

    scenario_id: UUID
    grade: Grade = RIGHT


class GoldenIn(Request):
    """A question whose right scenarios are known; at least one grade is 1 or 2."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "question": "How do I get silence from the whole class?",
                    "relevant": [{"scenario_id": _SCENARIO, "grade": 2}],
                }
            ]
        }
    )

    question: Question
    relevant: Annotated[list[JudgementIn], Field(min_length=1, max_length=MAX_JUDGED)]
    language: Annotated[
        str,
        StringConstraints(pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*)?$", max_length=200),
        Field(description="Without it, that of the scenario with the best grade."),
    ] = ""


class GradeIn(Request):
    """How right a scenario is for a golden question."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"grade": 2}]})

    grade: Grade


class PromoteIn(Request):
    """The scenario that is right for what was asked."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"scenario_id": _SCENARIO}]})

    scenario_id: UUID
    grade: Annotated[
        Annotated[int, Field(ge=1, le=MAX_GRADE), Number],
        Field(description="2: the right scenario; 1: a fitting one."),
    ] = RIGHT


class EvaluationIn(Request):
    """Which ways to search are measured."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"modes": ["hybrid", "meaning", "words"]}]}
    )

    modes: Annotated[
        list[Mode],
        Field(
            default_factory=lambda: list(MODES),
            min_length=1,
            max_length=len(MODES),
            description="All, unless some are named.",
        ),
    ]


class JudgementOut(BaseModel):
    """A scenario and how right it is for the question."""

    scenario_id: UUID
    name: str
    status: Status
    grade: Annotated[int, Field(description=_GRADES)]


class GoldenOut(BaseModel):
    """A golden question. `interaction_id` is where a promoted one was asked, if that is kept."""

    id: UUID
    question: str
    language: str
    source: Literal["written", "promoted"]
    interaction_id: UUID | None
    author: str
    created_at: datetime
    relevant: list[JudgementOut]


class GoldenPage(BaseModel):
    """Golden questions, newest first; the cursor leads to the next page."""

    items: list[GoldenOut]
    next_cursor: str | None


class SuggestionOut(BaseModel):
    """A question and a scenario that teachers found right for it, `times` times."""

    interaction_id: UUID
    question: str
    scenario_id: UUID
    name: str
    verdict: Verdict
    times: int
    created_at: datetime


class SuggestionsOut(BaseModel):
    """What could be golden, newest verdict first."""

    items: list[SuggestionOut]


class MeasuresOut(BaseModel):
    """Means over the questions, by one way to search, conventions as of trec_eval.

    `answered` is the share whose best match reaches the threshold; `found` counts questions with a
    right scenario among the first ten.
    """

    recall: Annotated[float, Field(alias="recall@5")]
    ndcg: Annotated[float, Field(alias="ndcg@10")]
    mrr: Annotated[float, Field(alias="mrr@10")]
    answered: float
    found: int


class FiguresOut(BaseModel):
    """The measures of each way to search that was measured."""

    hybrid: MeasuresOut | None = None
    meaning: MeasuresOut | None = None
    words: MeasuresOut | None = None


class RanksOut(BaseModel):
    """Where the best right scenario stood, counted from 1; null behind the first ten."""

    hybrid: int | None = None
    meaning: int | None = None
    words: int | None = None


class QuestionRanksOut(BaseModel):
    """A golden question and where its right scenario stood in each way to search."""

    golden_id: UUID
    question: str
    ranks: RanksOut


class EvaluationOut(BaseModel):
    """A run. `library_version` grows with every change of the library; `model` embedded it."""

    id: UUID
    created_at: datetime
    questions: int
    threshold: float
    library_version: int
    model: str
    modes: FiguresOut


class EvaluationRunOut(BaseModel):
    """A run with what became of each question. Without golden questions nothing is kept, and `id`
    is null. `unusable` questions were not asked: their right scenarios were deleted."""

    id: UUID | None
    created_at: datetime | None
    questions: int
    unusable: int
    threshold: float
    library_version: int
    model: str
    modes: FiguresOut
    items: list[QuestionRanksOut]


class EvaluationPage(BaseModel):
    """Runs, newest first; the cursor leads to the next page."""

    items: list[EvaluationOut]
    next_cursor: str | None
