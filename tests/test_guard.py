"""Around a writer: its deadlines, its repetitions, the breaker; and places in LLMService."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime
from uuid import UUID

import pytest

from staffroom.ai import Writer
from staffroom.ai.guard import (
    ATTEMPTS,
    FAILURES_TO_OPEN,
    LONGEST_OPEN_SECONDS,
    OPEN_SECONDS,
    Breaker,
    Deadlines,
    GuardedWriter,
)
from staffroom.ai.llm_service import ANSWERS_AT_ONCE, RETRY_SECONDS, LLMService
from staffroom.ai.openai import OpenAIWriter
from staffroom.errors import ModelMissing, Overloaded, WriterUnavailable
from staffroom.types import Match, Scenario, ScenarioContent, SearchResult
from tests.fakes import BROKEN, ScriptedWriter, WordEmbedder
from tests.openai_server import HANG, OpenAIServer, refuses, says, streams

Part = str | float | Exception

REFUSED = WriterUnavailable("no", temporary=False)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = [f"Step {name} of the plan comes here." for name in ("one", "two", "three", "four")]
ADVICE = "\n".join(f"{number}. {step}" for number, step in enumerate(STEPS, 1))
PLAN = Match(
    Scenario(
        id=UUID(int=1),
        revision=1,
        content=ScenarioContent(name="Plan", description="d", expected_response=ADVICE),
        created_at=NOW,
        updated_at=NOW,
    ),
    0.8,
)


class Attempts:
    """A writer with a script for each attempt, then one that is fine. A number is a silence."""

    name = "attempts"
    is_queued = False

    def __init__(self, *scripts: Sequence[Part]) -> None:
        self.scripts = list(scripts)
        self.begun = 0
        self.ended = 0
        self.closed = False

    async def stream(self, question: str, matches: Sequence[Match]) -> AsyncGenerator[str, None]:
        self.begun += 1
        try:
            for part in self.scripts.pop(0) if self.scripts else ["fine"]:
                if isinstance(part, Exception):
                    raise part
                if isinstance(part, str):
                    yield part
                else:
                    await asyncio.sleep(part)
        finally:
            self.ended += 1

    async def close(self) -> None:
        self.closed = True


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def guarded(
    writer: Writer, time: Time | None = None, deadlines: Deadlines | None = None
) -> GuardedWriter:
    breaker = Breaker(writer.name, time) if time else None
    return GuardedWriter(writer, deadlines, breaker, first_pause_seconds=0.001)


async def written(writer: Writer) -> list[str]:
    async with aclosing(writer.stream("why?", [PLAN])) as pieces:
        return [piece async for piece in pieces]


async def failure(writer: Writer) -> WriterUnavailable:
    with pytest.raises(WriterUnavailable) as raised:
        await written(writer)
    return raised.value


async def fail(writer: Writer, times: int = FAILURES_TO_OPEN) -> None:
    for _ in range(times):
        await failure(writer)


def broken(times: int) -> list[list[Part]]:
    """Scripts of questions that fail after the first words, one attempt each."""
    return [["half", BROKEN]] * times


async def test_pieces_pass_as_they_are() -> None:
    writer = Attempts(["a", "", "b"])

    assert await written(guarded(writer)) == ["a", "", "b"]
    assert (writer.begun, writer.ended) == (1, 1)


async def test_a_guard_has_its_writers_name_and_closes_it() -> None:
    writer = Attempts()
    guard = guarded(writer)
    await guard.close()

    assert guard.name == "attempts"
    assert writer.closed


@pytest.mark.parametrize("failures", range(1, ATTEMPTS))
async def test_a_failure_before_the_first_words_is_tried_again(failures: int) -> None:
    writer = Attempts(*[[BROKEN]] * failures)

    assert await written(guarded(writer)) == ["fine"]
    assert (writer.begun, writer.ended) == (failures + 1, failures + 1)


@pytest.mark.parametrize(
    ("script", "attempts"),
    [
        ([BROKEN], ATTEMPTS),
        (["", BROKEN], ATTEMPTS),
        (["word", BROKEN], 1),
        ([REFUSED], 1),
        ([WriterUnavailable("later", retry_after=10.0)], 1),
    ],
)
async def test_a_failure_is_not_tried_again_without_end(
    script: Sequence[Part], attempts: int
) -> None:
    writer = Attempts(*[script] * 5)

    await fail(guarded(writer), 1)

    assert (writer.begun, writer.ended) == (attempts, attempts)


async def test_the_pause_is_what_the_server_asks_for() -> None:
    writer = Attempts([WriterUnavailable("later", retry_after=0.15)])
    loop = asyncio.get_running_loop()
    started = loop.time()

    assert await written(guarded(writer)) == ["fine"]
    assert 0.15 <= loop.time() - started < 1


async def test_errors_that_say_nothing_about_the_moment_pass_through() -> None:
    writer = Attempts([ModelMissing("no file")])

    with pytest.raises(ModelMissing):
        await written(guarded(writer))
    assert writer.begun == 1


@pytest.mark.parametrize(
    ("script", "deadlines", "begins", "what"),
    [
        ([600.0], Deadlines(first=0.05), "", "first"),
        (["", 600.0], Deadlines(first=0.05), "", "first"),
        (["a", 600.0], Deadlines(between=0.05), "a", "next"),
        (["a", *[0.06, "b"] * 50], Deadlines(total=0.2), "abbb", "next"),
    ],
)
async def test_a_writer_has_its_time_and_no_more(
    script: Sequence[Part], deadlines: Deadlines, begins: str, what: str
) -> None:
    writer = Attempts(script)
    heard = []

    async def listen() -> None:
        async with aclosing(guarded(writer, deadlines=deadlines).stream("why?", [])) as pieces:
            async for piece in pieces:
                heard.append(piece)  # noqa: PERF401 - what was heard before the error counts

    with pytest.raises(WriterUnavailable, match=f"its {what} words in time"):
        await listen()
    assert begins.startswith("".join(heard))
    assert writer.begun == writer.ended == 1


@pytest.mark.parametrize(
    "attempt", [[0.15, BROKEN], [WriterUnavailable("later", retry_after=0.15)]]
)
async def test_repetitions_and_their_pauses_share_the_time_for_the_first_words(
    attempt: Sequence[Part],
) -> None:
    writer = Attempts(attempt, attempt)

    await failure(guarded(writer, deadlines=Deadlines(first=0.25)))

    assert writer.begun == writer.ended == 2


async def test_the_time_of_the_reader_is_not_counted() -> None:
    writer = Attempts(["a", 0.01, "b", 0.01, "c"])
    guard = guarded(writer, deadlines=Deadlines(first=0.2, between=0.2, total=0.3))
    heard = ""

    async with aclosing(guard.stream("why?", [])) as pieces:
        async for piece in pieces:
            heard += piece
            await asyncio.sleep(0.25)

    assert heard == "abc"


async def test_leaving_ends_the_writers_work_at_once() -> None:
    writer = Attempts(["a", 600.0])
    pieces = guarded(writer).stream("why?", [])

    assert await anext(pieces) == "a"
    await pieces.aclose()
    assert writer.ended == 1


async def test_the_breaker_opens_after_failures_in_a_row_and_answers_at_once(time: Time) -> None:
    writer = Attempts(*broken(FAILURES_TO_OPEN))
    guard = guarded(writer, time)
    await fail(guard)

    error = await failure(guard)

    assert "left alone for 30 s" in str(error)
    assert (error.temporary, error.retry_after) == (False, OPEN_SECONDS)
    assert writer.begun == FAILURES_TO_OPEN


async def test_failures_that_are_not_in_a_row_leave_the_breaker_closed(time: Time) -> None:
    guard = guarded(Attempts(*broken(2), ["fine"], *broken(2)), time)

    await fail(guard, 2)
    assert await written(guard) == ["fine"]
    await fail(guard, 2)
    assert await written(guard) == ["fine"]


async def test_requests_that_were_refused_leave_the_breaker_closed(time: Time) -> None:
    guard = guarded(Attempts(*[[REFUSED]] * 10), time)

    await fail(guard, 10)
    assert await written(guard) == ["fine"]


async def test_one_question_is_the_trial_and_closes_the_breaker(time: Time) -> None:
    writer = Attempts(*broken(FAILURES_TO_OPEN), ["fine", "fine"])
    guard = guarded(writer, time)
    await fail(guard)
    time.now += OPEN_SECONDS

    trial = guard.stream("why?", [])
    assert await anext(trial) == "fine"
    await fail(guard, 2)
    assert [piece async for piece in trial] == ["fine"]

    assert writer.begun == FAILURES_TO_OPEN + 1
    assert await written(guard) == ["fine"]


async def test_a_trial_that_fails_opens_the_breaker_again(time: Time) -> None:
    writer = Attempts(*broken(FAILURES_TO_OPEN + 1))
    guard = guarded(writer, time)
    await fail(guard)
    time.now += OPEN_SECONDS
    await fail(guard, 2)

    assert writer.begun == FAILURES_TO_OPEN + 1
    time.now += OPEN_SECONDS
    assert await written(guard) == ["fine"]


async def test_a_reader_who_leaves_early_has_heard_a_writer_that_works(time: Time) -> None:
    guard = guarded(Attempts(*broken(2), ["fine"] * 9, *broken(2)), time)
    await fail(guard, 2)
    async with aclosing(guard.stream("why?", [])) as pieces:
        await anext(pieces)
    await fail(guard, 2)

    assert await written(guard) == ["fine"]


async def test_a_trial_that_is_heard_in_part_closes_the_breaker(time: Time) -> None:
    guard = guarded(Attempts(*broken(FAILURES_TO_OPEN), ["fine"] * 9, *broken(1)), time)
    await fail(guard)
    time.now += OPEN_SECONDS
    async with aclosing(guard.stream("why?", [])) as pieces:
        await anext(pieces)
    await fail(guard, 1)

    assert await written(guard) == ["fine"]


@pytest.mark.parametrize("script", [[600.0], [REFUSED], [ModelMissing("no file")]])
async def test_after_a_trial_without_a_verdict_the_next_question_is_one(
    time: Time, script: Sequence[Part]
) -> None:
    writer = Attempts(*broken(FAILURES_TO_OPEN), script, *broken(1))
    guard = guarded(writer, time)
    await fail(guard)
    time.now += OPEN_SECONDS

    trial = asyncio.create_task(written(guard))
    await asyncio.sleep(0.01)
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)
    await fail(guard, 2)

    assert writer.begun == writer.ended == FAILURES_TO_OPEN + 2


@pytest.mark.parametrize(
    ("asked", "failures", "seconds"),
    [
        (20.0, 1, 20.0),
        (20.0, FAILURES_TO_OPEN, OPEN_SECONDS),
        (120.0, 1, 120.0),
        (1e9, 1, LONGEST_OPEN_SECONDS),
        (float("inf"), 1, LONGEST_OPEN_SECONDS),
    ],
)
def test_a_server_is_left_alone_as_long_as_it_asks(
    time: Time, asked: float, failures: int, seconds: float
) -> None:
    breaker = Breaker("some", time)

    for _ in range(failures):
        breaker.failed(WriterUnavailable("later", retry_after=asked))

    with pytest.raises(WriterUnavailable) as raised:
        breaker.check()
    assert raised.value.retry_after == seconds
    time.now += seconds
    breaker.check()


def test_a_later_failure_does_not_shorten_what_a_server_asked_for(time: Time) -> None:
    breaker = Breaker("some", time)
    breaker.failed(WriterUnavailable("later", retry_after=120.0))
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(BROKEN)

    time.now += OPEN_SECONDS
    with pytest.raises(WriterUnavailable, match="left alone for 90 s"):
        breaker.check()


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(says(" ".join(STEPS))).serving() as server:
        yield server


async def test_while_the_breaker_is_open_advice_is_quoted_and_no_server_asked(
    server: OpenAIServer, time: Time
) -> None:
    server.script = [refuses(500)] * ATTEMPTS + [streams(STEPS[0], HANG)] * 2
    writer = OpenAIWriter("some-model", server.url, None)
    service = LLMService(guarded(writer, time, Deadlines(between=0.2)), NoFinder(), WordEmbedder())

    async def outcome() -> str:
        answer = await service.generate_response("why?", [PLAN])
        assert [sentence.text for sentence in answer.sentences] == STEPS
        return answer.outcome

    assert [await outcome() for _ in range(FAILURES_TO_OPEN)] == ["quoted"] * FAILURES_TO_OPEN
    asked = len(server.requests)
    assert [await outcome() for _ in range(3)] == ["quoted"] * 3
    assert len(server.requests) == asked == ATTEMPTS + 2

    time.now += OPEN_SECONDS
    assert [await outcome() for _ in range(2)] == ["written"] * 2
    await writer.close()


class NoFinder:
    """Is never asked: every test brings its matches."""

    async def retrieve(self, query: str) -> SearchResult:
        raise AssertionError(query)


def llm_service(answers_at_once: int = ANSWERS_AT_ONCE) -> LLMService:
    return LLMService(ScriptedWriter(), NoFinder(), WordEmbedder(), answers_at_once=answers_at_once)


@pytest.mark.parametrize(("facts", "places"), [({}, ANSWERS_AT_ONCE), ({"answers_at_once": 2}, 2)])
def test_a_question_beyond_the_places_is_refused_and_told_when_to_return(
    facts: dict[str, int], places: int
) -> None:
    service = llm_service(**facts)

    with ExitStack() as stack:
        for _ in range(places):
            stack.enter_context(service.admission())
        with pytest.raises(Overloaded, match=f"{places} questions") as raised, service.admission():
            pytest.fail("there was no place")

    assert raised.value.retry_after == RETRY_SECONDS
    with service.admission():
        pass


@pytest.mark.parametrize("error", [BROKEN, ValueError(), asyncio.CancelledError(), GeneratorExit()])
def test_a_place_is_given_back_after_an_error(error: BaseException) -> None:
    service = llm_service(answers_at_once=1)

    for _ in range(3):
        with pytest.raises(type(error)), service.admission():
            raise error


def test_a_refusal_takes_no_place() -> None:
    service = llm_service(answers_at_once=1)

    with service.admission():
        for _ in range(3):
            with pytest.raises(Overloaded), service.admission():
                pytest.fail("there was no place")
    with service.admission():
        pass


class Busy(Attempts):
    """Says that its turn has come after a while, then writes."""

    is_queued = True

    def __init__(self, wait: float, think: float) -> None:
        super().__init__([wait, "", think, "Words."])


async def test_waiting_for_a_busy_writer_is_neither_thinking_time_nor_a_failure() -> None:
    breaker = Breaker("busy")
    patient = GuardedWriter(Busy(0.0, 0.2), Deadlines(first=0.3), breaker)

    assert "Words." in "".join([piece async for piece in patient.stream("why?", [])])
    for _ in range(FAILURES_TO_OPEN):
        impatient = GuardedWriter(Busy(0.5, 0.0), Deadlines(first=0.05), breaker)
        with pytest.raises(WriterUnavailable, match="busy with other answers"):
            _ = [piece async for piece in impatient.stream("why?", [])]
    assert breaker.check() is False
