"""An answer rests on its matches and on nothing else, whatever the writer does."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

import pytest

from staffroom.ai.llm_service import LLMService
from staffroom.ai.prompt import EVIDENCE_CHARACTERS, Message, answer_prompt, copy_prompt
from staffroom.documents import answer_document
from staffroom.errors import ModelMissing
from staffroom.types import (
    Answer,
    Match,
    OutOfScope,
    Scenario,
    ScenarioContent,
    SearchResult,
    Sentence,
)
from tests.fakes import BROKEN, ScriptedWriter, WordEmbedder

Prompt = Callable[[str, Sequence[Match]], list[Message]]

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
STEPS = ["Wait for real silence.", "Thank the pupils who are ready.", "Start the task again."]
LATE = match(2, "1. Greet late pupils quietly at the door.", 0.5)


class NoFinder:
    """Finds nothing, and says what it was asked."""

    def __init__(self, *matches: Match) -> None:
        self.matches = matches
        self.asked: list[str] = []

    async def retrieve(self, query: str) -> SearchResult:
        self.asked.append(query)
        best = self.matches[0].relevance if self.matches else None
        return SearchResult(self.matches, 0.3, best)


def service(writer: ScriptedWriter, *matches: Match) -> LLMService:
    return LLMService(writer, NoFinder(*matches), WordEmbedder())


async def answer(writer: ScriptedWriter, *matches: Match) -> Answer:
    return await service(writer).generate_response("why?", matches)


async def test_backed_sentences_are_shown_with_their_sources() -> None:
    written = await answer(
        ScriptedWriter(
            "1. Wait for real si", "lence.\n2. Start the task again. 3. Greet late pupils",
            " quietly at the door.",
        ),
        NOISE,
        LATE,
    )  # fmt: skip

    assert written.text == (
        "1. Wait for real silence.\n2. Start the task again.\n3. Greet late pupils quietly at the "
        "door."
    )
    assert [s.citations for s in written.sentences] == [
        (UUID(int=1),),
        (UUID(int=1),),
        (UUID(int=2),),
    ]
    assert [s.step for s in written.sentences] == [1, 3, 1]
    assert (written.writer, written.outcome, written.abstained) == ("scripted", "written", False)
    assert [s.text for s in written.more] == ["Thank the pupils who are ready."]


async def test_invention_is_dropped_and_repetition_said_once() -> None:
    written = await answer(
        ScriptedWriter(
            "Wait for real silence. Give every child a golden prize. Wait for real silence. ",
            "Thank the pupils who are ready. Start the task again.",
        ),
        NOISE,
    )

    assert [s.text for s in written.sentences] == STEPS
    assert written.outcome == "written"


async def test_what_was_said_wrongly_is_shown_as_the_advice_has_it() -> None:
    written = await answer(
        ScriptedWriter("Do not wait for real silence. ", *[f"{step} " for step in STEPS[1:]]),
        NOISE,
    )

    assert [s.text for s in written.sentences] == STEPS


@pytest.mark.parametrize(
    "writer",
    [
        ScriptedWriter("Only nonsense comes out of this model today."),
        ScriptedWriter(),
        ScriptedWriter("Wait for real sil", BROKEN),
        ScriptedWriter("Start the task again. Wait for", BROKEN),
        ScriptedWriter("Thank the pupils who are ready."),
        ScriptedWriter(ModelMissing("no file")),
    ],
)
async def test_when_the_writer_fails_the_vetted_advice_is_quoted(writer: ScriptedWriter) -> None:
    written = await answer(writer, NOISE)

    assert [s.text for s in written.sentences] == STEPS
    assert all(sentence.support == 1.0 for sentence in written.sentences)
    assert (written.writer, written.outcome) == ("extractive", "quoted")


async def test_after_a_break_the_steps_stand_in_the_order_of_the_advice() -> None:
    written = await answer(ScriptedWriter("Start the task again. Tha", BROKEN), NOISE)

    assert [s.step for s in written.sentences] == [1, 2, 3]


async def test_a_writer_that_breaks_off_after_a_full_answer_has_written_it() -> None:
    full = match(1, "\n".join(f"{n}. Do task number {n} with the class." for n in range(1, 8)))
    sentences = [f"Do task number {n} with the class. " for n in range(1, 6)]

    written = await answer(ScriptedWriter(*sentences, "Do", BROKEN), full)

    assert (written.outcome, len(written.sentences)) == ("written", 5)


async def test_a_short_answer_has_five_steps_and_the_rest_is_more() -> None:
    long = match(1, "\n".join(f"{n}. Do task number {n} with the class." for n in range(1, 9)))

    written = await answer(ScriptedWriter(*(f"Do task number {n} with the class. " for n in
                                            range(1, 9))), long)  # fmt: skip

    assert [s.step for s in written.sentences] == [1, 2, 3, 4, 5]
    assert [s.step for s in written.more] == [6, 7, 8]


async def test_what_to_do_in_danger_is_never_left_for_later() -> None:
    steps = [f"{n}. Do task number {n} with the class." for n in range(1, 7)]
    urgent = match(1, "\n".join([*steps, "7. Call an ambulance if anyone is hurt."]))

    written = await answer(ScriptedWriter("Do task number 2 with the class."), urgent)

    assert written.sentences[-1].text == "Call an ambulance if anyone is hurt."
    assert [s.step for s in written.sentences] == [1, 2, 3, 4, 5, 7]


async def test_warnings_follow_the_steps() -> None:
    warned = match(1, "1. Wait for real silence.\nAvoid: Shouting. It teaches them to shout.")

    written = await answer(ScriptedWriter("Avoid: Shouting. It teaches them to shout."), warned)

    assert written.text == "Wait for real silence."
    assert [s.text for s in written.more] == ["Avoid: Shouting. It teaches them to shout."]


async def test_advice_that_only_warns_is_quoted_as_a_whole() -> None:
    warned = match(1, "Avoid: Shouting at the class.")

    written = await answer(ScriptedWriter(), warned)

    assert written.text == "Avoid: Shouting at the class."


async def test_without_a_match_the_answer_says_so_with_figures() -> None:
    silent = service(ScriptedWriter("Anything."))

    empty = await silent.generate_response("why?")
    distant = await silent.generate_response("why?", SearchResult((), 0.35, 0.2, (NOISE,)))

    assert empty.abstained
    assert "holds no scenario" in empty.text
    assert distant.abstained
    assert "0.20" in distant.text
    assert "0.35" in distant.text
    assert distant.related == (NOISE,)
    assert (distant.writer, distant.sentences) == ("none", ())


@pytest.mark.parametrize("reason", get_args(OutOfScope))
async def test_a_question_that_is_not_for_the_library_is_told_whom_to_ask(
    reason: OutOfScope,
) -> None:
    found = SearchResult((), 0.3, 0.4, (NOISE,), reason)

    told = await service(ScriptedWriter()).generate_response("why?", found)

    assert told.abstained
    assert "relevance" not in told.text
    assert len(told.text) > 40


async def test_a_further_answer_goes_on_where_the_last_one_ended() -> None:
    stream = service(ScriptedWriter(*(f"{step} " for step in STEPS))).stream_response(
        "and then?", SearchResult((NOISE, LATE), 0, 0.8), frozenset(STEPS[:2])
    )
    exhausted = service(ScriptedWriter(*(f"{step} " for step in STEPS))).stream_response(
        "and then?", SearchResult((NOISE,), 0, 0.8), frozenset(STEPS)
    )

    first = [part.text async for part in stream if isinstance(part, Sentence)]
    again = [part.text async for part in exhausted if isinstance(part, Sentence)]

    assert first == STEPS[2:]
    assert again == STEPS


async def test_a_question_that_an_editor_foresaw_needs_no_writer() -> None:
    content = replace(
        NOISE.scenario.content, example_questions=("How do I stop my class talking?",)
    )
    foreseen = Match(replace(NOISE.scenario, content=content), 0.9)
    writer = ScriptedWriter("Never heard.")

    direct = await service(writer).generate_response("how do I stop my class talking", [foreseen])
    contrary = await service(writer).generate_response(
        "how do I not stop my class talking", [foreseen]
    )

    assert (direct.outcome, direct.writer) == ("direct", "extractive")
    assert [s.text for s in direct.sentences] == STEPS
    assert contrary.outcome == "quoted"
    assert writer.said == 1


async def test_it_retrieves_only_when_it_is_given_nothing() -> None:
    finder = NoFinder(NOISE)
    own = LLMService(ScriptedWriter(), finder, WordEmbedder())

    await own.generate_response("first", [LATE])
    assert finder.asked == []
    found = await own.generate_response("second")

    assert finder.asked == ["second"]
    assert found.matches == (NOISE,)


async def test_context_that_is_plain_text_is_the_only_evidence() -> None:
    own = service(ScriptedWriter(), NOISE)

    written = await own.generate_response("why?", "Open a window. Then breathe in slowly.")

    assert "Then breathe in slowly." in written.text
    assert "silence" not in written.text


async def test_sentences_leave_before_the_writer_has_finished() -> None:
    writer = ScriptedWriter("Wait for real silence. T", "hank the pupils who are ready.", "x" * 9)
    stream = service(writer).stream_response("why?", SearchResult((NOISE,), 0, 0.8))

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


@pytest.mark.parametrize("prompt", [copy_prompt, answer_prompt])
def test_prompts_hold_the_question_and_the_advice_within_their_budget(prompt: Prompt) -> None:
    long = match(3, "Long advice. " * 2_000)

    short_prompt = prompt("why so loud?", [NOISE, LATE])[-1]["content"]
    long_prompt = prompt("why?", [long, NOISE])[-1]["content"]

    assert "why so loud?" in short_prompt
    assert "real silence" in short_prompt
    assert ("at the door" in short_prompt) is (prompt is answer_prompt)
    assert len(long_prompt) < EVIDENCE_CHARACTERS + 200
    assert "real silence" not in long_prompt


@pytest.mark.parametrize(
    ("matches", "best", "uncertain"),
    [((NOISE,), 0.2, True), ((NOISE,), 0.3, False), ((), 0.2, False), ((), None, False)],
)
async def test_an_answer_from_a_distant_scenario_is_marked_as_uncertain(
    matches: tuple[Match, ...], best: float | None, uncertain: bool
) -> None:
    found = SearchResult(matches, 0.05, best)

    told = await service(ScriptedWriter()).generate_response("why?", found)

    assert told.uncertain is uncertain
    assert answer_document(told)["uncertain"] is uncertain
