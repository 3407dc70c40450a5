"""What a draft would be, told before it is stored: its errors, its likes, and who would find it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, Literal
from uuid import UUID

from staffroom.database.drafts import AskedQuestion, Draft, Neighbour, Place
from staffroom.database.likenesses import NEAR_DUPLICATE
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InvalidScenario
from staffroom.scenario import ALIASES, embedded_text, scenario_from
from staffroom.text import clean_question
from staffroom.types import Embedder, ScenarioContent

MAX_DUPLICATES: Final = 5
MAX_EXAMPLES: Final = 12
MAX_ASKED: Final = 5

_PLACEHOLDER: Final = "-"


@dataclass(frozen=True, slots=True)
class PlacedQuestion:
    """A question, and where the draft would stand among its matches."""

    question: str
    source: Literal["example", "asked"]
    place: Place


@dataclass(frozen=True, slots=True)
class Preview:
    """What is wrong with a draft, what it repeats, and which questions would find it."""

    errors: list[InvalidScenario]
    duplicates: list[Neighbour]
    questions: list[PlacedQuestion]


async def preview_draft(
    row: Mapping[str, Any],
    *,
    vector_ops: VectorOperations,
    embedder: Embedder,
    scenario_id: UUID | None = None,
) -> Preview:
    """The draft as it would be in the library. Nothing is stored.

    What is wrong with some fields does not hide what the others say. `scenario_id` is the
    scenario that the draft is an edit of, and is not compared with it.
    """
    content, errors = _read(row)
    text = embedded_text(content).strip()
    if not text:
        return Preview(errors, [], [])
    drafts = vector_ops.drafts
    vectors = await embedder.embed(list(map(clean_question, content.example_questions)), "query")
    draft = Draft(content, (await embedder.embed([text], "passage"))[0], vectors)
    near = await drafts.neighbours(draft.embedding, but=scenario_id, limit=MAX_DUPLICATES)
    duplicates = [other for other in near if other.similarity >= NEAR_DUPLICATE]
    questions: list[PlacedQuestion] = []
    examples = zip(content.example_questions, vectors, strict=True)
    for question, vector in islice(examples, MAX_EXAMPLES):
        place = await drafts.place(AskedQuestion(question, vector), draft, but=scenario_id)
        questions.append(PlacedQuestion(question, "example", place))
    for asked in await drafts.asked(draft.embedding, MAX_ASKED):
        place = await drafts.place(asked, draft, but=scenario_id)
        if place.relevance >= vector_ops.threshold:
            questions.append(PlacedQuestion(asked.question, "asked", place))
    return Preview(errors, duplicates, questions)


def _read(row: Mapping[str, Any]) -> tuple[ScenarioContent, list[InvalidScenario]]:
    """The draft without the fields that are wrong, and what is wrong with them."""
    values = dict(row)
    errors: list[InvalidScenario] = []
    while True:
        try:
            content = scenario_from(values)
        except InvalidScenario as error:
            errors.append(error)
            # A field that is wrong may have come under any of its names.
            for name in (error.field, *ALIASES.get(error.field, ())):
                values.pop(name, None)
            if error.field == "description":
                values["description"] = _PLACEHOLDER
        else:
            break
    if values.get("description") == _PLACEHOLDER:
        name = "" if content.name == _PLACEHOLDER else content.name
        content = replace(content, name=name, description="")
    return content, sorted(errors, key=lambda error: _order(error.field))


def _order(field: str) -> int:
    names = list(ALIASES)
    return names.index(field) if field in names else len(names)
