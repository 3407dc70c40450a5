"""A question's journey: found, answered, stored; continued, repeated, refused."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from uuid import UUID

import pytest

from staffroom.ai.llm_service import LLMService
from staffroom.cache.answer_cache import AnswerCache
from staffroom.database.connection import CONNECTIONS
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError, NotFoundError, Overloaded
from staffroom.flows import process_teacher_query, stream_teacher_query
from staffroom.types import Answer, SearchResult, Sentence
from tests.fakes import ScriptedWriter, WordEmbedder

NOISE = {
    "id": "noise",
    "name": "Noisy class",
    "description": "The whole class talks loud after lunch.",
    "expected_response": "1. Wait for real silence.\n2. Thank the ready pupils.\n3. Start again.\n"
    "4. Change two seats.\n5. Write down when it began.\n6. Ring home after three weeks.",
}
QUESTION = "My class talks loud after lunch, what can I do?"


class Journey:
    """Asks with the same writer, library and cache."""

    def __init__(self, vector_ops: VectorOperations, writer: ScriptedWriter) -> None:
        self.embedder = WordEmbedder()
        self.vector_ops = vector_ops
        self.writer = writer
        self.service = LLMService(writer, vector_ops, self.embedder, answers_at_once=2)
        self.answers = AnswerCache()

    async def ask(self, question: str, conversation_id: UUID | None = None) -> Answer:
        return await process_teacher_query(
            question,
            embedder=self.embedder,
            vector_ops=self.vector_ops,
            llm_service=self.service,
            answers=self.answers,
            conversation_id=conversation_id,
        )


@pytest.fixture
async def journey(vector_ops: VectorOperations) -> Journey:
    await vector_ops.batch_process([NOISE])
    return Journey(
        vector_ops,
        ScriptedWriter("Wait for real silence. Thank the ready pupils. Start again. Change two "),
    )


async def test_an_answer_is_stored_with_what_it_took(journey: Journey) -> None:
    answer = await journey.ask(QUESTION)
    assert answer.interaction_id
    kept = await journey.vector_ops.get_interaction(answer.interaction_id)

    assert kept.answer == answer.text
    assert [s.step for s in kept.sentences] == [1, 2, 3]
    assert sorted(kept.timings, key=lambda name: kept.timings[name]) == [
        "embedded_ms",
        "found_ms",
        "first_sentence_ms",
        "answered_ms",
    ]
    assert kept.library_version == 1
    assert kept.conversation_id == answer.conversation_id == answer.interaction_id


async def test_parts_come_in_order_and_a_reader_may_leave(journey: Journey) -> None:
    stream = stream_teacher_query(
        QUESTION,
        embedder=journey.embedder,
        vector_ops=journey.vector_ops,
        llm_service=journey.service,
    )
    async with aclosing(stream):
        first, second = await anext(stream), await anext(stream)

    assert isinstance(first, SearchResult)
    assert isinstance(second, Sentence)
    assert journey.writer.closed
    with journey.service.admission():
        pass


async def test_the_same_question_is_answered_from_memory_and_stored_again(
    journey: Journey,
) -> None:
    first = await journey.ask(QUESTION)
    said = journey.writer.said
    second = await journey.ask(QUESTION.upper())

    assert journey.writer.said == said
    assert second.text == first.text
    assert second.sentences == first.sentences
    assert second.interaction_id != first.interaction_id
    assert second.interaction_id
    kept = await journey.vector_ops.get_interaction(second.interaction_id)
    assert (kept.question, kept.outcome) == (QUESTION.upper(), "written")


async def test_a_changed_library_is_asked_again(journey: Journey) -> None:
    await journey.ask(QUESTION)
    said = journey.writer.said

    await journey.vector_ops.batch_process([{"id": "late", "text": "Pupils come late."}])
    await journey.ask(QUESTION)

    assert journey.writer.said == 2 * said


async def test_a_further_question_goes_on_with_the_conversation(journey: Journey) -> None:
    first = await journey.ask(QUESTION)
    second = await journey.ask("And if it keeps happening?", conversation_id=first.conversation_id)
    third = await journey.ask("and then?", conversation_id=first.conversation_id)

    assert [s.step for s in second.sentences] == [4, 5, 6]
    assert second.conversation_id == first.conversation_id
    assert second.interaction_id
    kept = await journey.vector_ops.get_interaction(second.interaction_id)
    assert kept.question == "And if it keeps happening?"
    assert kept.asked == f"{QUESTION} And if it keeps happening?"
    assert third.sentences
    assert len(journey.answers) == 1


async def test_a_conversation_belongs_to_its_tenant_and_has_to_exist(journey: Journey) -> None:
    first = await journey.ask(QUESTION)
    other = Journey(journey.vector_ops.for_tenant(UUID(int=9)), ScriptedWriter())

    with pytest.raises(NotFoundError, match="no conversation"):
        await other.ask("and then?", conversation_id=first.conversation_id)


async def test_a_question_that_nothing_fits_is_kept_as_a_gap(journey: Journey) -> None:
    strict = VectorOperations(journey.vector_ops._database, journey.embedder, threshold=0.9)

    answer = await process_teacher_query(
        "Zebra xylophone quartz?",
        embedder=journey.embedder,
        vector_ops=strict,
        llm_service=journey.service,
    )

    assert answer.abstained
    assert [match.scenario.name for match in answer.related] == ["Noisy class"]
    (gap,) = await journey.vector_ops.interactions.gaps()
    assert gap.question == "Zebra xylophone quartz?"
    assert gap.threshold == pytest.approx(0.9)


async def test_too_many_questions_at_once_are_refused_and_the_others_answered(
    journey: Journey,
) -> None:
    asked = [journey.ask(f"{QUESTION} {number}") for number in range(3)]

    results = await asyncio.gather(*asked, return_exceptions=True)

    refused = [result for result in results if isinstance(result, Overloaded)]
    assert len(refused) == 1
    assert refused[0].retry_after > 0
    assert (await journey.ask(QUESTION)).sentences


async def test_an_empty_question_is_refused_before_anything_is_done(journey: Journey) -> None:
    with pytest.raises(InputError, match="empty"):
        await journey.ask("  ")

    assert journey.writer.said == 0


async def test_readers_who_pause_hold_no_database_connection(vector_ops: VectorOperations) -> None:
    await vector_ops.batch_process([NOISE])
    embedder = WordEmbedder()
    writer = ScriptedWriter("Wait for real silence. Thank the ready pupils. ", "Start again. ")
    service = LLMService(writer, vector_ops, embedder, answers_at_once=2 * CONNECTIONS)
    async with AsyncExitStack() as readers:
        for number in range(2 * CONNECTIONS):
            stream = stream_teacher_query(
                f"{QUESTION} {number}",
                embedder=embedder,
                vector_ops=vector_ops,
                llm_service=service,
            )
            await readers.enter_async_context(aclosing(stream))
            await anext(stream)
            assert isinstance(await anext(stream), Sentence)

        assert await vector_ops.find_similar_scenarios(QUESTION, threshold=0.0)
