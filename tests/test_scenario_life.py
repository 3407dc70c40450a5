"""Which steps a scenario takes, when it is due, and that what is overdue is told at every door."""

import json
from datetime import date, timedelta
from typing import Any, get_args
from uuid import UUID

import pytest

from staffroom.ai.llm_service import LLMService
from staffroom.api.markdown import matches_markdown, scenario_markdown
from staffroom.api.prose import Prose, said_in
from staffroom.cache.answer_cache import AnswerCache
from staffroom.content.management import ContentManager
from staffroom.database.connection import Database
from staffroom.database.vector_ops import VectorOperations
from staffroom.documents import answer_document, scenario_document, search_document
from staffroom.errors import EditConflict, InvalidScenario, NotFoundError, StepRefused
from staffroom.flows import process_teacher_query
from staffroom.scenario import scenario_from
from staffroom.scenario_life import STEPS, check_step, is_overdue, today
from staffroom.types import Answer, Filters, Metadata, SearchResult, Status
from tests.fakes import ScriptedWriter, WordEmbedder

YESTERDAY = today() - timedelta(1)
STEPS_OF_ADVICE = "1. Wait for real silence.\n2. Thank the ready pupils.\n3. Start again."
LOUD = "My class talks loud after lunch"
NOISE: dict[str, Any] = {
    "id": "noise",
    "name": "Noisy class",
    "description": "The whole class talks loud after lunch.",
    "expected_response": "Wait for real silence.",
    "review_by": YESTERDAY,
}
SAME = {**NOISE, "id": "same", "name": "Talking class", "review_by": today()}


@pytest.fixture
def content(vector_ops: VectorOperations) -> ContentManager:
    return ContentManager(vector_ops)


@pytest.fixture
def holding_back(database: Database, embedder: WordEmbedder) -> VectorOperations:
    """Operations on the same library that leave out what is overdue."""
    return VectorOperations(database, embedder, author="tester", hold_back_overdue=True)


async def stored(vector_ops: VectorOperations, **fields: Any) -> UUID:
    return (await vector_ops.put_scenario(NOISE | fields)).scenario_id


# Steps


@pytest.mark.parametrize("old", get_args(Status))
@pytest.mark.parametrize("new", get_args(Status))
def test_a_step_is_taken_or_refused_with_those_that_there_are(old: Status, new: Status) -> None:
    if new == old or new in STEPS[old]:
        check_step(old, new)
        return
    with pytest.raises(StepRefused) as refused:
        check_step(old, new)
    assert str(refused.value) == (
        f"a scenario that is {old} cannot become {new}. "
        f"From {old} it goes to {' or '.join(STEPS[old])}."
    )


async def test_every_step_of_a_life_is_a_revision_and_an_import_may_leap(
    vector_ops: VectorOperations, content: ContentManager
) -> None:
    scenario_id = await stored(vector_ops, status="draft")
    for status in ("in_review", "published", "retired"):
        await content.move(scenario_id, status, reason=f"to {status}")

    with pytest.raises(StepRefused, match="retired cannot become in_review"):
        await content.move(scenario_id, "in_review")
    await vector_ops.batch_store_content([NOISE | {"status": "in_review"}])

    history = await vector_ops.list_revisions(scenario_id)
    assert [entry.content.metadata.status for entry in history] == [
        *("draft", "in_review", "published", "retired", "in_review")
    ]
    assert [entry.reason for entry in history[1:4]] == [
        *("to in_review", "to published", "to retired")
    ]


async def test_a_draft_is_not_retired(
    vector_ops: VectorOperations, content: ContentManager
) -> None:
    scenario_id = await stored(vector_ops, status="draft")

    with pytest.raises(StepRefused, match="From draft it goes to in_review or published"):
        await content.retire(scenario_id)

    assert (await vector_ops.get_scenario(scenario_id)).revision == 1


# Reviews


@pytest.mark.parametrize(
    ("due", "status", "overdue"),
    [
        (date(2027, 5, 30), "published", True),
        (date(2027, 5, 30), "draft", True),
        (date(2027, 5, 30), "retired", False),
        (date(2027, 5, 31), "published", False),
        (None, "published", False),
    ],
)
def test_a_scenario_is_overdue_from_the_day_after_its_date(
    due: date | None, status: Status, overdue: bool
) -> None:
    metadata = Metadata(review_by=due, status=status)

    assert is_overdue(metadata, date(2027, 5, 31)) is overdue


async def test_what_is_due_comes_by_its_day_and_is_counted(vector_ops: VectorOperations) -> None:
    days = {"b": -1, "a": -400, "today": 0, "soon": 30, "later": 31, "far": 90, "never": 91}
    rows = [
        {"id": name, "text": name, "review_by": today() + timedelta(ahead)}
        for name, ahead in days.items()
    ]
    rows += [{"id": "none", "text": "none"}, {**rows[0], "id": "gone", "status": "retired"}]
    await vector_ops.batch_store_content(rows)
    catalogue = vector_ops.catalogue

    async def due(days: int, **options: Any) -> list[str]:
        found = await catalogue.due(days, **options)
        return [scenario.content.source_id for scenario in found]

    assert await due(-1) == ["a", "b"]
    assert await due(30) == ["a", "b", "today", "soon"]
    assert await due(90, since=today() + timedelta(31)) == ["later", "far"]
    (first,) = await catalogue.due(30, limit=1)
    assert first.content.metadata.review_by
    after = (first.content.metadata.review_by, first.id)
    assert await due(30, after=after, limit=2) == ["b", "today"]
    assert [found.content.source_id for found in await catalogue.undated()] == ["none"]
    counts = await catalogue.due_counts()
    assert (counts.overdue, counts.within_30, counts.within_90, counts.undated) == (2, 2, 2, 1)


async def test_an_empty_library_has_nothing_due(vector_ops: VectorOperations) -> None:
    counts = await vector_ops.catalogue.due_counts()

    assert (counts.overdue, counts.within_30, counts.within_90, counts.undated) == (0, 0, 0, 0)


async def test_a_review_sets_the_next_day_and_is_in_the_history(
    vector_ops: VectorOperations, content: ContentManager
) -> None:
    scenario_id = await stored(vector_ops)
    next_day = today() + timedelta(365)

    reviewed = await content.review(scenario_id, next_day, author="Ana")

    assert reviewed.content.metadata.review_by == next_day
    newest = (await vector_ops.list_revisions(scenario_id))[-1]
    assert (newest.reason, newest.author) == ("reviewed", "Ana")
    for day in (today(), YESTERDAY):
        with pytest.raises(InvalidScenario, match="has to be after today"):
            await content.review(scenario_id, day)
    with pytest.raises(EditConflict, match="at revision 2"):
        await content.review(scenario_id, next_day + timedelta(1), expected_revision=1)


# Restoring


async def test_a_revision_is_said_again_and_the_status_stays(
    vector_ops: VectorOperations, content: ContentManager, embedder: WordEmbedder
) -> None:
    scenario_id = await stored(vector_ops, evidence_strength=4, worked_with="Year 5")
    worse = {"expected_response": "Shout.", "evidence_strength": None, "worked_with": ""}
    await vector_ops.update_scenario(scenario_id, worse)
    await content.retire(scenario_id)
    embedder.embedded.clear()

    restored = await content.restore(scenario_id, 1)

    assert restored.revision == 4
    assert restored.content.metadata.status == "retired"
    assert restored.content.advice == "Wait for real silence."
    assert restored.content.metadata.evidence_strength == 4
    assert restored.content.metadata.worked_with == "Year 5"
    assert embedder.embedded == []
    assert (await vector_ops.list_revisions(scenario_id))[-1].reason == "restored revision 1"
    assert (await content.restore(scenario_id, 4)).revision == 4
    with pytest.raises(NotFoundError, match=r"has no revision 9\. Its newest is 4"):
        await content.restore(scenario_id, 9)
    with pytest.raises(EditConflict, match="at revision 4"):
        await content.restore(scenario_id, 2, expected_revision=3)


async def test_an_edit_without_ground_is_made_on_what_somebody_else_just_saved(
    vector_ops: VectorOperations, database: Database
) -> None:
    scenario_id = await stored(vector_ops)

    class Interrupted(WordEmbedder):
        """Before it embeds for the first time, somebody else saves."""

        async def embed(self, texts: Any, role: Any) -> Any:
            if not self.embedded:
                await vector_ops.update_scenario(scenario_id, {"tags": ["theirs"]})
            return await super().embed(texts, role)

    mine = VectorOperations(database, Interrupted(), author="tester")
    edited = await mine.update_scenario(scenario_id, {"name": "Mine"})

    assert (edited.revision, edited.name) == (3, "Mine")
    assert edited.content.metadata.tags == ("theirs",)


# Authors


async def test_a_change_bears_the_name_that_its_author_gave(
    vector_ops: VectorOperations, database: Database
) -> None:
    stored = await vector_ops.put_scenario(NOISE, author="Ana")
    await vector_ops.update_scenario(stored.scenario_id, {"tags": ["a"]}, author="Bo")
    await vector_ops.update_scenario(stored.scenario_id, {"tags": ["b"]})
    authors = [entry.author for entry in await vector_ops.list_revisions(stored.scenario_id)]
    await vector_ops.delete_scenario(stored.scenario_id, author="Cleo")

    assert authors == ["Ana", "Bo", "tester"]
    async with database.read(vector_ops.tenant_id) as connection:
        cursor = await connection.execute(
            "SELECT actor, action FROM staffroom.audit ORDER BY audit_id"
        )
        audit = [(row["actor"], row["action"]) for row in await cursor.fetchall()]
    store = "scenarios.store"
    assert audit == [
        *(("Ana", store), ("Bo", store), ("tester", store), ("Cleo", "scenario.delete"))
    ]


# What is overdue is told


async def asked(vector_ops: VectorOperations, answers: AnswerCache | None = None) -> Answer:
    embedder = WordEmbedder()
    writer = ScriptedWriter("Wait for real silence. Thank the ready pupils. Start again.")
    service = LLMService(writer, vector_ops, embedder)
    return await process_teacher_query(
        LOUD,
        embedder=embedder,
        vector_ops=vector_ops,
        llm_service=service,
        answers=AnswerCache() if answers is None else answers,
    )


async def test_documents_say_what_is_overdue(vector_ops: VectorOperations) -> None:
    await vector_ops.batch_store_content([NOISE, SAME])

    answer = answer_document(await asked(vector_ops))
    found = search_document(await vector_ops.search(LOUD, threshold=0))

    for document in (answer, found):
        told = {match["source_id"]: match["overdue"] for match in document["matches"]}
        assert told == {"noise": True, "same": False}
    json.dumps(found)
    retired = scenario_from(NOISE | {"status": "retired"})
    assert not is_overdue(retired.metadata)


async def test_texts_say_what_is_overdue(vector_ops: VectorOperations) -> None:
    scenario_id = await stored(vector_ops, evidence_strength=3, worked_with="A class of 30")
    scenario = await vector_ops.get_scenario(scenario_id)
    answer = await asked(vector_ops)
    found = SearchResult(answer.matches, answer.threshold, answer.best_relevance)
    mark = f"(review due since {YESTERDAY})"

    text = Prose(found, str).whole(answer)
    assert text.endswith(f"- [1] Noisy class {mark}: {scenario_id}")
    assert said_in(text) == ("Wait for real silence.",)
    assert mark in matches_markdown(answer.matches)
    page = scenario_markdown(scenario)
    assert f"has been due since {YESTERDAY}" in page
    assert "- Evidence strength: 3 of 5" in page
    assert "- Worked with: A class of 30" in page

    next_year = await ContentManager(vector_ops).review(scenario_id, today() + timedelta(365))
    assert "due since" not in scenario_markdown(next_year)
    assert scenario_document(next_year)["overdue"] is False


async def test_what_is_overdue_is_held_back_from_answers_and_not_from_lists(
    vector_ops: VectorOperations, holding_back: VectorOperations
) -> None:
    await vector_ops.batch_store_content([NOISE, SAME, {**NOISE, "id": "none", "review_by": None}])

    async def sources(library: VectorOperations, **options: Any) -> set[str]:
        result = await library.search(LOUD, 10, 0.0, **options)
        return {match.scenario.content.source_id for match in result.matches}

    assert await sources(vector_ops) == {"noise", "same", "none"}
    for mode in ("hybrid", "meaning", "words"):
        assert await sources(holding_back, mode=mode) == {"same", "none"}
    assert await sources(holding_back, overdue_too=True) == {"noise", "same", "none"}
    answer = await asked(holding_back)
    assert {match.scenario.content.source_id for match in answer.matches} == {"same", "none"}
    assert len(await holding_back.list_scenarios()) == 3
    assert await holding_back.catalogue.count(Filters()) == 3
    other = holding_back.for_tenant(UUID(int=9))
    assert other.scope(None) == Filters(without_overdue_on=today())


async def test_an_answer_that_is_kept_is_one_of_its_day(
    vector_ops: VectorOperations, holding_back: VectorOperations
) -> None:
    advice = {"expected_response": STEPS_OF_ADVICE}
    await vector_ops.batch_store_content([NOISE | advice, SAME | advice])
    answers = AnswerCache()

    unbounded = await asked(vector_ops, answers)
    bounded = await asked(holding_back, answers)

    assert len(answers) == 2
    assert len(unbounded.matches) == 2
    assert [match.scenario.content.source_id for match in bounded.matches] == ["same"]
    assert holding_back.scope(Filters(tags=("a",))) == Filters(
        tags=("a",), without_overdue_on=today()
    )
    assert vector_ops.scope(None) == Filters()
