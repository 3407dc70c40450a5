"""OpenAIWriter against a server of our own, alone, guarded, and as the writer of LLMService."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from staffroom.ai.guard import ATTEMPTS, FAILURES_TO_OPEN, Deadlines, GuardedWriter
from staffroom.ai.llm_service import LLMService
from staffroom.ai.openai import REASONING_TOKENS, OpenAIWriter
from staffroom.ai.prompt import ANSWER_TOKENS
from staffroom.errors import WriterUnavailable
from staffroom.types import Answer, Match, Scenario, ScenarioContent, SearchResult
from tests.fakes import WordEmbedder
from tests.openai_server import (
    CUT,
    HANG,
    SILENT,
    OpenAIServer,
    Part,
    Reply,
    event,
    refuses,
    says,
    streams,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = (
    "Wait for real silence.",
    "Thank the pupils who are ready.",
    "Start the task again.",
    "Praise the quiet table first.",
)
DOOR = "Greet late pupils quietly at the door."
PIECES = ("Wait for real si", "lence. Thank the pupils ", "who are ready. Start the task again.")
ERROR_EVENT = {"error": {"message": "out of memory", "type": "server_error", "code": 500}}


def match(number: int, *steps: str) -> Match:
    advice = "\n".join(f"{count}. {step}" for count, step in enumerate(steps, 1))
    content = ScenarioContent(name=f"S{number}", description="d", expected_response=advice)
    scenario = Scenario(
        id=UUID(int=number), revision=1, content=content, created_at=NOW, updated_at=NOW
    )
    return Match(scenario, 0.8)


NOISE = match(1, *STEPS)
LATE = match(2, DOOR)


class NoFinder:
    """Is never asked: every test brings its matches."""

    async def retrieve(self, query: str) -> SearchResult:
        raise AssertionError(query)


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(says(*PIECES)).serving() as server:
        yield server
    await asyncio.sleep(0.01)  # the library's generators are closed by tasks of the loop
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
async def writer(server: OpenAIServer) -> AsyncIterator[OpenAIWriter]:
    writer = OpenAIWriter("some-model", server.url, SecretStr("sk-secret"))
    yield writer
    await writer.close()


def guarded(writer: OpenAIWriter, **deadlines: float) -> GuardedWriter:
    return GuardedWriter(writer, Deadlines(**deadlines), first_pause_seconds=0.001)


async def written(writer: OpenAIWriter | GuardedWriter) -> str:
    async with aclosing(writer.stream("why so loud?", [NOISE, LATE])) as pieces:
        return "".join([piece async for piece in pieces])


async def failure(writer: OpenAIWriter | GuardedWriter) -> WriterUnavailable:
    with pytest.raises(WriterUnavailable) as raised:
        await written(writer)
    assert "sk-secret" not in str(raised.value)
    return raised.value


async def answer(writer: OpenAIWriter | GuardedWriter, *matches: Match) -> Answer:
    service = LLMService(writer, NoFinder(), WordEmbedder())
    return await service.generate_response("why so loud?", matches or (NOISE,))


async def assert_quoted(writer: OpenAIWriter | GuardedWriter) -> Answer:
    """The teacher reads whole vetted sentences all the same, each of them once."""
    found = await answer(writer)
    said = [sentence.text for sentence in found.sentences]
    assert (found.outcome, found.writer) == ("quoted", "extractive")
    assert sorted(said) == sorted(STEPS)
    assert {sentence.citations for sentence in found.sentences} == {(UUID(int=1),)}
    return found


async def test_the_answer_arrives_piece_by_piece(
    server: OpenAIServer, writer: OpenAIWriter
) -> None:
    server.script = [streams(PIECES[0], HANG)]

    async with aclosing(writer.stream("why?", [NOISE])) as pieces:
        assert await anext(pieces) == PIECES[0]


async def test_the_request_holds_address_key_model_question_and_advice(
    server: OpenAIServer, writer: OpenAIWriter
) -> None:
    assert await written(writer) == "".join(PIECES)

    request = server.requests[0]
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer sk-secret"
    assert request.body["model"] == "some-model"
    assert request.body["stream"] is True
    assert request.body["max_tokens"] == ANSWER_TOKENS
    assert request.body["temperature"] == 0
    assert all(part in request.prompt for part in ("why so loud?", *STEPS, DOOR))


async def test_a_server_without_a_key_is_asked_all_the_same(server: OpenAIServer) -> None:
    writer = OpenAIWriter("some-model", server.url, None)

    assert await written(writer) == "".join(PIECES)
    await writer.close()


async def test_what_the_model_wrote_is_the_answer(writer: OpenAIWriter) -> None:
    found = await answer(guarded(writer))

    assert (found.outcome, found.writer) == ("written", "openai:some-model")
    assert [sentence.text for sentence in found.sentences] == list(STEPS[:3])


async def test_marks_are_taken_off_and_say_what_a_sentence_cites(
    server: OpenAIServer, writer: OpenAIWriter
) -> None:
    twin = match(3, STEPS[1])
    server.script = [
        says(f"{STEPS[0][:-1]} [1]. {DOOR} [2]\n{STEPS[1][:-1]} [3", "]. ", f"{STEPS[2]} [1, 2]")
    ]

    found = await answer(guarded(writer), NOISE, LATE, twin)

    assert found.outcome == "written"
    assert [(sentence.text, sentence.citations[0].int) for sentence in found.sentences] == [
        (STEPS[0], 1),
        (DOOR, 2),
        (STEPS[1], 3),
        (STEPS[2], 1),
    ]


async def test_a_refused_connection_is_tried_again_then_advice_is_quoted() -> None:
    writer = OpenAIWriter("some-model", "http://127.0.0.1:1/v1", None)

    error = await failure(guarded(writer))
    await assert_quoted(guarded(writer))

    assert error.temporary
    assert "openai:some-model cannot be used: APIConnectionError" in str(error)
    await writer.close()


@pytest.mark.parametrize(
    "refusal", [refuses(429), refuses(500), refuses(503), streams(ERROR_EVENT), streams(CUT)]
)
@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
async def test_what_fails_before_the_first_words_is_tried_again(
    server: OpenAIServer, writer: OpenAIWriter, refusal: Reply, times: int
) -> None:
    server.script = [refusal] * times

    found = await answer(guarded(writer))

    assert found.outcome == "written"
    assert len(server.requests) == times + 1


@pytest.mark.parametrize("refusal", [refuses(429), refuses(500), streams(), streams(CUT)])
async def test_what_keeps_failing_is_given_up_and_advice_is_quoted(
    server: OpenAIServer, writer: OpenAIWriter, refusal: Reply
) -> None:
    server.script = [refusal] * ATTEMPTS

    await assert_quoted(guarded(writer))

    assert len(server.requests) == ATTEMPTS


async def test_a_short_retry_after_is_waited_for(
    server: OpenAIServer, writer: OpenAIWriter
) -> None:
    server.script = [refuses(429, retry_after="1")]
    loop = asyncio.get_running_loop()
    started = loop.time()

    found = await answer(guarded(writer))

    assert loop.time() - started >= 1
    assert found.outcome == "written"


async def test_a_long_retry_after_is_not_waited_for_and_obeyed(
    server: OpenAIServer, writer: OpenAIWriter
) -> None:
    server.script = [refuses(429, retry_after="20")]
    guard = guarded(writer)

    await assert_quoted(guard)
    error = await failure(guard)

    assert len(server.requests) == 1
    assert error.retry_after == pytest.approx(20, abs=1)


@pytest.mark.parametrize("retry_after", ["soon", "-5", "Wed, 21 Oct 2026 07:28:00 GMT", "²"])
async def test_a_retry_after_that_is_no_number_of_seconds_is_as_none(
    server: OpenAIServer, writer: OpenAIWriter, retry_after: str
) -> None:
    server.script = [refuses(429, retry_after=retry_after)]

    assert (await failure(writer)).retry_after is None


@pytest.mark.parametrize("status", [401, 403, 404, 422])
async def test_a_refusal_is_a_matter_of_the_settings(
    server: OpenAIServer, writer: OpenAIWriter, status: int
) -> None:
    server.script = [refuses(status, "not you")]

    error = await failure(guarded(writer))

    assert not error.temporary
    assert f"refused with status {status}" in str(error)
    assert "not you" in str(error)
    assert "STAFFROOM_OPENAI_BASE_URL and STAFFROOM_OPENAI_API_KEY" in str(error)
    assert len(server.requests) == 1


async def test_after_refusals_the_next_question_is_asked_all_the_same(
    server: OpenAIServer, writer: OpenAIWriter
) -> None:
    server.script = [refuses(401)] * (FAILURES_TO_OPEN + 1)
    guard = guarded(writer)

    for _ in range(FAILURES_TO_OPEN + 1):
        await assert_quoted(guard)

    assert (await answer(guard)).outcome == "written"


async def test_an_advice_too_long_for_the_model_is_quoted(
    server: OpenAIServer, writer: OpenAIWriter
) -> None:
    message = (
        "'max_tokens' is too large: 320. This model's maximum context length is 512 tokens and "
        "your request has 900 input tokens."
    )
    server.script = [refuses(400, message, code="context_length_exceeded")] * 2
    guard = guarded(writer)

    await assert_quoted(guard)
    server.script.clear()
    found = await answer(guard)

    assert found.outcome == "written"
    assert server.requests[-1].body["max_tokens"] == ANSWER_TOKENS
    assert server.requests[-1].body["temperature"] == 0


@pytest.mark.parametrize(
    "message",
    [
        "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "'temperature' does not support 0 with this model.",
    ],
)
async def test_a_server_that_refuses_a_parameter_is_asked_with_the_newer_one_from_then_on(
    server: OpenAIServer, writer: OpenAIWriter, message: str
) -> None:
    server.script = [refuses(400, message)]

    await written(writer)
    await written(writer)

    limits = [
        {name: body[name] for name in body if name not in {"model", "messages", "stream"}}
        for body in (request.body for request in server.requests)
    ]
    newer = {"max_completion_tokens": REASONING_TOKENS}
    assert limits == [{"max_tokens": ANSWER_TOKENS, "temperature": 0}, newer, newer]


async def test_questions_at_once_learn_of_a_refused_parameter_each_for_itself(
    server: OpenAIServer, writer: OpenAIWriter
) -> None:
    refusal = refuses(400, "'temperature' does not support 0")
    server.good = lambda asked: refusal if "temperature" in asked.body else says(*PIECES)

    answers = await asyncio.gather(written(writer), written(writer))

    assert set(answers) == {"".join(PIECES)}


async def test_a_newer_parameter_that_is_refused_as_well_is_not_sent_twice(
    server: OpenAIServer, writer: OpenAIWriter
) -> None:
    server.script = [refuses(400, f"{name} is refused") for name in ("max_tokens", "temperature")]
    await failure(writer)
    server.script = [refuses(400, "max_tokens is refused")]
    await written(writer)
    server.script = [refuses(400, "max_completion_tokens is too large")]
    await failure(writer)

    assert len(server.requests) == 2 + 2 + 1


async def test_another_bad_request_is_not_sent_twice(
    server: OpenAIServer, writer: OpenAIWriter
) -> None:
    server.script = [refuses(400, "no such model")]

    error = await failure(guarded(writer))

    assert not error.temporary
    assert len(server.requests) == 1


TEN_MINUTES = [piece for word in STEPS[0].split() * 100 for piece in (f"{word} ", 0.02)]


@pytest.mark.parametrize(
    ("reply", "deadlines", "what"),
    [
        (SILENT, {"first": 0.4}, "first"),
        (streams(HANG), {"first": 0.4}, "first"),
        (streams(event(""), b": ping\n\n", HANG), {"first": 0.4}, "first"),
        (streams(*PIECES, HANG), {"between": 0.1}, "next"),
        (streams(*TEN_MINUTES), {"between": 5.0, "total": 0.2}, "next"),
    ],
)
async def test_a_server_that_takes_too_long_is_left(
    server: OpenAIServer,
    writer: OpenAIWriter,
    reply: Reply,
    deadlines: dict[str, float],
    what: str,
) -> None:
    server.script = [reply]
    loop = asyncio.get_running_loop()
    started = loop.time()

    error = await failure(guarded(writer, **deadlines))

    assert f"did not send its {what} words in time" in str(error)
    assert ("STAFFROOM_FIRST_WORDS_SECONDS" in str(error)) == (what == "first")
    assert loop.time() - started < 2
    assert len(server.requests) == 1
    async with asyncio.timeout(1):
        await server.hung_up.wait()


@pytest.mark.parametrize(
    ("reply", "deadlines"),
    [
        (SILENT, {"first": 0.4}),
        (streams(*PIECES, HANG), {"between": 0.1}),
        (streams(*TEN_MINUTES), {"between": 5.0, "total": 0.2}),
    ],
)
async def test_the_teacher_reads_advice_however_slow_the_server_is(
    server: OpenAIServer, writer: OpenAIWriter, reply: Reply, deadlines: dict[str, float]
) -> None:
    server.script = [reply]

    await assert_quoted(guarded(writer, **deadlines))


async def test_a_slow_reader_is_not_the_writers_fault(
    server: OpenAIServer, writer: OpenAIWriter
) -> None:
    said = []

    async with aclosing(guarded(writer, between=0.2, total=0.5).stream("why?", [NOISE])) as pieces:
        async for piece in pieces:
            said.append(piece)
            await asyncio.sleep(0.25)

    assert said == list(PIECES)


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3])
async def test_a_stream_cut_in_the_middle_leaves_no_half_sentence(
    server: OpenAIServer, writer: OpenAIWriter, count: int, chunked: bool
) -> None:
    server.script = [streams(*PIECES[:count], CUT, chunked=chunked)]

    await assert_quoted(guarded(writer))

    assert len(server.requests) == 1


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_stream_cut_after_its_end_is_whole(
    server: OpenAIServer, writer: OpenAIWriter, chunked: bool
) -> None:
    server.script = [streams(*PIECES, event(finish_reason="stop"), CUT, chunked=chunked)]

    assert (await answer(guarded(writer))).outcome == "written"


@pytest.mark.parametrize(
    "part",
    [
        b"data: {broken\n\n",
        b'data: {"choices": [{"delta": {"content": "Wait\n\n',
        b"data:\n\ndata: \xff\xfe\n\n",
        b"data: \n\n",
        ERROR_EVENT,
        {"error": "out of memory"},
        b'event: error\ndata: {"error": {"message": "out of memory"}}\n\n',
    ],
)
async def test_a_stream_that_breaks_is_not_heard_further(
    server: OpenAIServer, writer: OpenAIWriter, part: Part
) -> None:
    server.script = [says(*PIECES[:2], part, PIECES[2])]

    await assert_quoted(guarded(writer))

    assert len(server.requests) == 1


def bare(**choice: Any) -> dict[str, Any]:
    return {"choices": [choice]}


@pytest.mark.parametrize(
    "part",
    [
        b": a comment\n\n",
        b"nonsense\n\n",
        b"data: null\n\n",
        b"data: 5\n\n",
        b'data: "words"\n\n',
        b"data: []\n\n",
        {},
        {"choices": []},
        {"choices": None},
        {"choices": [None]},
        {"choices": {}},
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}},
        bare(delta=None),
        bare(delta="words"),
        bare(delta={"content": None}),
        bare(delta={"content": ["words"]}),
        bare(delta={"role": "assistant", "reasoning_content": "Hm."}),
        bare(),
    ],
    ids=str,
)
async def test_events_that_say_nothing_are_passed_over(
    server: OpenAIServer, writer: OpenAIWriter, part: Part
) -> None:
    server.script = [says(part, PIECES[0], part, *PIECES[1:], part)]

    assert await written(writer) == "".join(PIECES)


async def test_events_may_arrive_in_any_pieces(server: OpenAIServer, writer: OpenAIWriter) -> None:
    raw = b"".join(b"data: " + json.dumps(event(piece)).encode() + b"\r\n\r\n" for piece in PIECES)
    server.script = [says(*(raw[start : start + 7] for start in range(0, len(raw), 7)))]

    assert await written(writer) == "".join(PIECES)


@pytest.mark.parametrize(
    "reply",
    [
        says(),
        says(end="length"),
        says("", "  \n"),
        says("I cannot help with that."),
        says(STEPS[0]),
        says(STEPS[0], " Start the ta", end="length"),
        says("<think>", *["Let me see what the teacher wants of me. "] * 200, end="length"),
        Reply(body={"choices": [{"message": {"content": STEPS[0]}, "finish_reason": "stop"}]}),
    ],
)
async def test_an_answer_that_says_too_little_is_filled_up_with_advice(
    server: OpenAIServer, writer: OpenAIWriter, reply: Reply
) -> None:
    server.script = [reply] * ATTEMPTS

    await assert_quoted(guarded(writer))


async def test_an_answer_cut_off_at_its_limit_ends_with_its_last_whole_sentence(
    server: OpenAIServer, writer: OpenAIWriter
) -> None:
    server.script = [says(*PIECES, " Praise the quiet", end="length")]

    found = await answer(guarded(writer))

    assert found.outcome == "written"
    assert [sentence.text for sentence in found.sentences] == list(STEPS[:3])


@pytest.mark.parametrize("pieces", [(), PIECES[:2], PIECES])
async def test_a_filtered_answer_is_advice_and_says_nothing_against_the_server(
    server: OpenAIServer, writer: OpenAIWriter, pieces: tuple[str, ...]
) -> None:
    server.script = [says(*pieces, end="content_filter")] * 4
    guard = guarded(writer)

    for _ in range(4):
        await assert_quoted(guard)
    assert len(server.requests) == 4

    assert (await answer(guard)).outcome == "written"


async def test_leaving_in_the_middle_ends_the_request(
    server: OpenAIServer, writer: OpenAIWriter
) -> None:
    server.script = [streams(f"{STEPS[0]} Thank the pupils", HANG)]
    service = LLMService(guarded(writer), NoFinder(), WordEmbedder())

    async with aclosing(service.stream_response("why?", SearchResult((NOISE,), 0, 0.8))) as stream:
        await anext(stream)
    async with asyncio.timeout(1):
        await server.hung_up.wait()


@pytest.mark.parametrize("reply", [SILENT, streams(HANG), streams(PIECES[0], HANG)])
async def test_a_cancelled_question_ends_the_request(
    server: OpenAIServer, writer: OpenAIWriter, reply: Reply
) -> None:
    server.script = [reply]
    task = asyncio.create_task(answer(guarded(writer)))
    await server.asked.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(1):
        await server.hung_up.wait()


def test_a_writer_serves_one_event_loop_after_another() -> None:
    writer = OpenAIWriter("some-model", "http://127.0.0.1:1/v1", None)

    async def ask() -> str:
        error = await failure(writer)
        await writer.close()
        return str(error)

    assert asyncio.run(ask()) == asyncio.run(ask())
