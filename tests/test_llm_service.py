"""An answer rests on its matches and on nothing else, whatever the writer does."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from staffroom.ai.llm_service import LLMService
from staffroom.ai.prompt import EVIDENCE_CHARACTERS, build_prompt
from staffroom.errors import ModelMissing
from staffroom.types import Answer, Match, Scenario, ScenarioContent, SearchResult, Sentence
from tests.fakes import BROKEN, ScriptedWriter

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def match(number: int, advice: str, relevance: float = 0.8) -> Match:
    content = ScenarioContent(name=f"S{number}", description="d", expected_response=advice)
    return Match(
        Scenario(id=UUID(int=number), revision=1, content=content, created_at=NOW, updated_at=NOW),
        relevance,
    )


NOISE = match(
    1, "1. Wait for real silence.\n2. Thank the pupils who are ready.\n3. Start the task again."
)
LATE = match(2, "1. Greet late pupils quietly at the door.", 0.5)


class NoFinder:
    """Finds nothing, and says what it was asked."""

    def __init__(self, *matches: Match) -> None:
        self.matches = matches
        self.asked: list[str] = []

    async def search(self, query: str) -> SearchResult:
        self.asked.append(query)
        best = self.matches[0].relevance if self.matches else None
        return SearchResult(self.matches, 0.3, best)


async def answer(writer: ScriptedWriter, *matches: Match) -> Answer:
    return await LLMService(writer, NoFinder()).generate_response("why?", matches)


async def test_backed_sentences_are_shown_with_their_sources() -> None:
    written = await answer(
        ScriptedWriter("1. Wait for real si", "lence.\n2. Greet late pupils at ", "the door."),
        NOISE,
        LATE,
    )

    assert written.text == "Wait for real silence. Greet late pupils at the door."
    assert [s.citations for s in written.sentences] == [(UUID(int=1),), (UUID(int=2),)]
    assert (written.writer, written.abstained) == ("scripted", False)


async def test_invention_is_dropped_and_repetition_said_once() -> None:
    written = await answer(
        ScriptedWriter(
            "Wait for real silence. Give every pupil a prize. Wait for real silence. ",
            "Thank the pupils who are ready.",
        ),
        NOISE,
    )

    assert written.text == "Wait for real silence. Thank the pupils who are ready."


@pytest.mark.parametrize(
    "writer",
    [
        ScriptedWriter("Only nonsense comes out of this model today."),
        ScriptedWriter(),
        ScriptedWriter("Wait for real sil", BROKEN),
        ScriptedWriter(ModelMissing("no file")),
    ],
)
async def test_when_the_writer_fails_the_vetted_advice_is_quoted(writer: ScriptedWriter) -> None:
    written = await answer(writer, NOISE)

    assert written.text == (
        "Wait for real silence. Thank the pupils who are ready. Start the task again."
    )
    assert all(sentence.support == 1.0 for sentence in written.sentences)
    assert written.writer == "extractive"


async def test_a_writer_cut_off_in_the_middle_never_leaves_half_a_sentence() -> None:
    written = await answer(
        ScriptedWriter("Wait for real silence. Thank the pupils who are ready. Start a", BROKEN),
        NOISE,
    )

    assert written.text == "Wait for real silence. Thank the pupils who are ready."
    assert written.writer == "scripted"


async def test_without_a_match_the_answer_says_so_with_figures() -> None:
    service = LLMService(ScriptedWriter("Anything."), NoFinder())

    empty = await service.generate_response("why?")
    distant = await service.generate_response("why?", SearchResult((), 0.35, 0.2))

    assert empty.abstained
    assert "holds no scenario" in empty.text
    assert distant.abstained
    assert "0.20" in distant.text
    assert "0.35" in distant.text


async def test_it_retrieves_only_when_it_is_given_nothing() -> None:
    finder = NoFinder(NOISE)
    service = LLMService(ScriptedWriter(), finder)

    await service.generate_response("first", [LATE])
    assert finder.asked == []
    found = await service.generate_response("second")

    assert finder.asked == ["second"]
    assert found.matches == (NOISE,)


async def test_context_that_is_plain_text_is_the_only_evidence() -> None:
    service = LLMService(ScriptedWriter(), NoFinder(NOISE))

    written = await service.generate_response("why?", "Open a window. Then breathe in slowly.")

    assert "Then breathe in slowly." in written.text
    assert "silence" not in written.text


async def test_sentences_leave_before_the_writer_has_finished() -> None:
    writer = ScriptedWriter("Wait for real silence. T", "hank the pupils who are ready.", "x" * 9)
    stream = LLMService(writer, NoFinder()).stream_response("why?", SearchResult((NOISE,), 0, 0.8))

    first = await anext(stream)

    assert isinstance(first, Sentence)
    assert writer.said == 1
    await stream.aclose()
    assert writer.closed


@pytest.mark.parametrize(
    "piece", ["Wait for real silence. ", "Every pupil gets a prize for that. ", "word " * 20]
)
async def test_a_writer_that_lost_the_thread_or_never_stops_is_stopped(piece: str) -> None:
    writer = ScriptedWriter(*[piece] * 1_000)

    await answer(writer, NOISE)

    assert writer.said < 100
    assert writer.closed


def test_the_prompt_holds_the_question_and_the_advice_within_its_budget() -> None:
    long = match(3, "Long advice. " * 1_000)

    short_prompt = build_prompt("why so loud?", [NOISE, LATE])[-1]["content"]
    long_prompt = build_prompt("why?", [long, NOISE])[-1]["content"]

    assert all(part in short_prompt for part in ("why so loud?", "real silence", "at the door"))
    assert len(long_prompt) < EVIDENCE_CHARACTERS + 200
    assert "real silence" not in long_prompt
