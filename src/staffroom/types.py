"""The values that travel between the rooms: frozen, nearly without behaviour.

A scenario is what the library holds; a match is a scenario with its relevance to
a question; an answer is prose that rests on matches, sentence by sentence.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, NotRequired, Protocol, TypedDict, get_args
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
"""Shape (dimensions,), unit length."""

Vectors = NDArray[np.float32]
"""Shape (texts, dimensions), rows of unit length."""

Array = NDArray[np.float64]
"""Numbers to reckon with; its shape is named where it is used."""

Role = Literal["query", "passage"]
"""What a text is embedded as: some models want a different prefix for each."""

Status = Literal["draft", "in_review", "published", "retired"]
"""The life of a scenario; only published ones are found unless asked otherwise."""

STATUSES: tuple[Status, ...] = get_args(Status)

Outcome = Literal["written", "direct", "quoted", "abstained"]
"""How an answer came about.

written: by the writer; direct: the advice of one scenario that the question asks for nearly word
for word; quoted: vetted advice in place of a writer that failed; abstained: nothing fitted.
"""

UNCERTAIN_RELEVANCE = 0.3
"""Relevance below which a scenario is more likely about something else than not."""

OutOfScope = Literal["off_topic", "not_covered", "medical", "legal", "harmful"]
"""Kinds of question that vetted classroom advice must not answer."""


class Embedder(Protocol):
    """Turns texts into vectors that are near when meanings are near."""

    @property
    def model(self) -> str:
        """Identity of weights and recipe: part of every cache key and stored with the vectors."""

    @property
    def dimensions(self) -> int: ...

    async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        """Embed a batch.

        Shape: n texts -> float32 (n, dimensions), rows of unit length; n = 0 gives (0, dimensions).
        Raises: EmbedderUnavailable if the model cannot be used; InputError if a text is empty.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What is known about a scenario besides its text.

    `evidence_strength` is 0 (nobody has looked) to 5 (many careful trials agree), None where nobody
    judged it; `worked_with` says in which context the advice worked.
    """

    category: str = ""
    grade_bands: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    setting: str = ""
    tags: tuple[str, ...] = ()
    language: str = "en"
    evidence_note: str = ""
    evidence_strength: int | None = None
    contributor: str = ""
    worked_with: str = ""
    status: Status = "published"
    review_by: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioContent:
    """A scenario as an editor wrote it, before the library gave it an id.

    `source_id` is the editor's own key: storing the same one again is an edit.
    Without it the content itself is the key, so that storing it twice is once.
    """

    name: str
    description: str
    expected_response: str = ""
    example_questions: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)
    source_id: str = ""

    @property
    def advice(self) -> str:
        """The vetted text that answers rest on."""
        return self.expected_response or self.description


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario as the library holds it. `revision` counts from 1."""

    id: UUID
    revision: int
    content: ScenarioContent
    created_at: datetime
    updated_at: datetime

    @property
    def name(self) -> str:
        return self.content.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A scenario as it was after one change: who made it, when and why."""

    number: int
    content: ScenarioContent
    author: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Match:
    """A scenario and how well it fits a question: relevance in 0 to 1, higher is better.

    `worked` counts the exchanges in which its advice was reported to have worked.
    """

    scenario: Scenario
    relevance: float
    worked: int = 0


Mode = Literal["hybrid", "meaning", "words"]
"""How scenarios are found: by what a question means, by its words, or by both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which scenarios a search or a list may return. An empty field does not restrict.

    Grades and subjects may go by any of their names, and grades may admit those beside them. A
    bound on the review date leaves out what has none; `without_overdue_on` leaves out only what was
    to be reviewed before that day.
    """

    statuses: tuple[Status, ...] = ("published",)
    categories: tuple[str, ...] = ()
    grade_bands: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    neighbouring_grades: bool = False
    review_from: date | None = None
    review_until: date | None = None
    without_overdue_on: date | None = None

    @property
    def narrows(self) -> bool:
        """It leaves out scenarios for what they are, not only for their status."""
        return self != Filters(statuses=self.statuses)


Emptiness = Literal["below_threshold", "no_words", "nothing_there"]
"""Nothing is relevant enough; no scenario has any of the words; none passes the filters."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The matches at or above the threshold, best first.

    `best_relevance` is that of the closest scenario even when it did not pass,
    and None when the library holds nothing that the filters allow. `related` are the
    closest ones where none passed: perhaps related, no ground for an answer. `reason` is
    why matches were set aside that would have passed.
    """

    matches: tuple[Match, ...]
    threshold: float
    best_relevance: float | None
    related: tuple[Match, ...] = ()
    reason: OutOfScope | None = None
    mode: Mode = "hybrid"

    @property
    def emptiness(self) -> Emptiness | OutOfScope | None:
        """Why there are no matches, if there are none."""
        if self.matches:
            return None
        if self.best_relevance is not None:
            return self.reason or "below_threshold"
        return "no_words" if self.mode == "words" else "nothing_there"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer, the scenarios it cites, and how well they back it (0 to 1).

    `step` is the number of the advice's step that it comes from, if that is numbered.
    """

    text: str
    citations: tuple[UUID, ...]
    support: float
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the teacher reads. `len()` and `str()` are those of the text.

    `sentences` are the short answer, `more` is what the same advice says beyond it.
    """

    text: str
    sentences: tuple[Sentence, ...]
    outcome: Outcome
    matches: tuple[Match, ...]
    threshold: float
    best_relevance: float | None
    writer: str
    more: tuple[Sentence, ...] = ()
    related: tuple[Match, ...] = ()
    prompt_version: str = ""
    library_version: int = 0
    timings: Mapping[str, float] = field(default_factory=dict)
    interaction_id: UUID | None = None
    conversation_id: UUID | None = None

    @property
    def abstained(self) -> bool:
        """The library had nothing that fits, so the answer says that and no more."""
        return self.outcome == "abstained"

    @property
    def uncertain(self) -> bool:
        """It may rest on a scenario that is about something else; a reader should be told."""
        return is_uncertain(self.best_relevance) and not self.abstained

    def __len__(self) -> int:
        return len(self.text)

    def __str__(self) -> str:
        return self.text


def is_uncertain(best_relevance: float | None) -> bool:
    """The best match is more likely about something else than not."""
    return best_relevance is not None and best_relevance < UNCERTAIN_RELEVANCE


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier exchange of a conversation. `asked` is the question with what it referred to."""

    question: str
    asked: str
    said: tuple[str, ...]


Verdict = Literal["helpful", "not_helpful", "did_not_fit", "worked"]
"""did_not_fit: the advice was not for this situation; worked: it was tried, and it worked."""

Reason = Literal[
    "", "off_topic", "too_general", "not_for_my_pupils", "wrong", "unsafe", "too_long", "unclear"
]


@dataclass(frozen=True, slots=True)
class UsedMatch:
    """A scenario, in the revision that an answer rested on."""

    scenario_id: UUID
    revision: int
    name: str
    relevance: float


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a teacher said of an answer, or of one scenario that it cites."""

    id: UUID
    verdict: Verdict
    reason: Reason
    comment: str
    scenario_id: UUID | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """An exchange as it was stored. `asked` is what the library was searched for."""

    id: UUID
    conversation_id: UUID
    question: str
    asked: str
    answer: str
    sentences: tuple[Sentence, ...]
    more: tuple[Sentence, ...]
    matches: tuple[UsedMatch, ...]
    outcome: Outcome
    writer: str
    embedding_model: str
    prompt_version: str
    library_version: int
    timings: Mapping[str, float]
    threshold: float | None
    best_relevance: float | None
    feedback: tuple[Feedback, ...]
    created_at: datetime

    @property
    def abstained(self) -> bool:
        return self.outcome == "abstained"


@dataclass(frozen=True, slots=True)
class Asked:
    """An exchange as a list shows it."""

    id: UUID
    question: str
    outcome: Outcome
    best_relevance: float | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """A question that the library could not answer."""

    interaction_id: UUID
    question: str
    best_relevance: float | None
    threshold: float | None
    created_at: datetime


class RowError(TypedDict):
    """Why a row of an import was not stored. `row` is the line or row number in its file."""

    row: int
    field: str
    reason: str
    file: NotRequired[str]


class ImportReport(TypedDict):
    """What an import did. `status`: no row failed, some did, or all did.

    `stopped` says why it ended early; the rows after that were not read. `ignored` are
    columns that mean nothing to Staffroom, `guessed` are files whose encoding was guessed.
    `duplicate` counts rows that repeat another or say the same as another scenario; `duplicates`
    are the first thousand of the latter. `errors` are the first ten thousand of an import.
    """

    status: Literal["success", "partial", "error"]
    read: int
    stored: int
    unchanged: int
    duplicate: int
    failed: int
    errors: list[RowError]
    stopped: NotRequired[str]
    ignored: NotRequired[list[str]]
    duplicates: NotRequired[list[RowError]]
    guessed: NotRequired[list[str]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long task is. `total` is None while nobody knows."""

    task: str
    done: int
    total: int | None
    unit: Literal["bytes", "rows"]


ProgressListener = Callable[[Progress], None]
