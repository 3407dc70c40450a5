"""What the tools for models take and give. The descriptions are read by models."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from staffroom.api.fields import Strength
from staffroom.api.markdown import SCHEME
from staffroom.api.schemas import Question, Request, Value
from staffroom.flows import ANSWER_MATCHES, MOST_MATCHES
from staffroom.scenario import MAX_ITEMS, MAX_LENGTH
from staffroom.types import Mode, Outcome

_MOST_FOUND: Final = 50
_RESULTS: Final = 5


class SearchArguments(Request):
    """What to look for."""

    query: Annotated[Question, Field(description="The situation or question, in plain words.")]
    limit: Annotated[int, Field(ge=1, le=_MOST_FOUND, description="Scenarios at most.")] = _RESULTS
    threshold: Annotated[
        float | None,
        Field(ge=0, le=1, description="Least relevance; leave it out for the library's own."),
    ] = None
    category: Annotated[Value | None, Field(description="Only scenarios of this category.")] = None
    grade_band: Annotated[
        Value | None, Field(description="Only scenarios for this grade band, or Year 5, KS2 …")
    ] = None
    mode: Annotated[
        Mode, Field(description="By meaning, by words, or by both; by words finds exact terms.")
    ] = "hybrid"


class AskArguments(Request):
    """A teacher's question."""

    question: Annotated[
        Question, Field(description="The teacher's question, with what they said of the situation.")
    ]
    conversation_id: Annotated[
        UUID | None,
        Field(description="As an earlier answer gave it: the question then continues that one."),
    ] = None
    limit: Annotated[
        int, Field(ge=1, le=MOST_MATCHES, description="Scenarios the answer may rest on.")
    ] = ANSWER_MATCHES


def _id_of(given: Any) -> Any:
    """Models give the address as readily as the id."""
    return given.removeprefix(SCHEME) if isinstance(given, str) else given


class ScenarioArguments(Request):
    """Which scenario."""

    scenario_id: Annotated[
        UUID,
        BeforeValidator(_id_of),
        Field(description="As a search, an answer or a resource gave it."),
    ]


_Title = Annotated[str, StringConstraints(min_length=1, max_length=MAX_LENGTH["name"])]
_Prose = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_LENGTH["description"], pattern=r"\S")
]
_Example = Annotated[str, StringConstraints(max_length=MAX_LENGTH["example_questions"])]


_Words = Annotated[tuple[Value, ...], Field(max_length=MAX_ITEMS)]


class SuggestArguments(Request):
    """A scenario that the library lacks."""

    name: Annotated[_Title, Field(description="The situation in a few words.")]
    description: Annotated[
        _Prose, Field(description="The situation, as a teacher would describe it.")
    ]
    expected_response: Annotated[
        _Prose, Field(description='The advice, best as numbered steps: "1. …" on a line each.')
    ]
    example_questions: Annotated[
        tuple[_Example, ...],
        Field(max_length=MAX_ITEMS, description="Questions that this scenario should answer."),
    ] = ()
    category: Value | Literal[""] = ""
    grade_bands: _Words = ()
    subjects: _Words = ()
    setting: Value | Literal[""] = ""
    tags: _Words = ()
    language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = (
        "en"
    )
    evidence_note: Annotated[
        str,
        StringConstraints(max_length=MAX_LENGTH["evidence_note"]),
        Field(description="What the advice rests on."),
    ] = ""
    evidence_strength: Annotated[
        Strength | None, Field(description="0, nobody has looked, to 5, many careful trials agree.")
    ] = None
    worked_with: Annotated[
        str,
        StringConstraints(max_length=MAX_LENGTH["worked_with"]),
        Field(description="In which context the advice worked."),
    ] = ""
    contributor: Annotated[
        Value | Literal[""], Field(description="Who suggests it; else the program is named.")
    ] = ""


Overdue = Annotated[
    bool, Field(description="Its review date has passed: say so when you give its advice.")
]


class Found(BaseModel):
    """A scenario that fits. get_scenario has its advice."""

    id: UUID
    uri: str
    name: str
    relevance: Annotated[float, Field(description="0 to 1: how likely it fits the question.")]
    description: str
    category: str
    grade_bands: list[str]
    overdue: Overdue


class SearchOutput(BaseModel):
    """What fits, best first; `related` are the closest where nothing did."""

    matches: list[Found]
    related: list[Found]
    threshold: float
    best_relevance: float | None


class CitedSentence(BaseModel):
    """A vetted sentence and the ids of the scenarios that it is from."""

    text: str
    citations: list[UUID]
    step: int | None


class Source(BaseModel):
    """A scenario that the answer rests on."""

    id: UUID
    uri: str
    name: str
    relevance: float
    evidence_note: str
    evidence_strength: int | None
    review_by: str
    overdue: Overdue


class AskOutput(BaseModel):
    """An answer of vetted sentences. If `abstained`, there are none, and `answer` says why."""

    answer: Annotated[str, Field(description="The whole text, with numbered citations.")]
    sentences: list[CitedSentence]
    more: Annotated[
        list[CitedSentence], Field(description="What the same advice says beyond the answer.")
    ]
    sources: list[Source]
    related: Annotated[
        list[Found], Field(description="Perhaps related, where nothing fitted: not an answer.")
    ]
    outcome: Outcome
    abstained: bool
    uncertain: Annotated[
        bool, Field(description="The closest scenario may be about another situation: say so.")
    ]
    conversation_id: UUID | None
    interaction_id: UUID | None


class SuggestOutput(BaseModel):
    """Where the suggestion is kept."""

    id: UUID
    uri: str
    status: Annotated[str, Field(description="draft, until an editor has reviewed it.")]
    contributor: str
