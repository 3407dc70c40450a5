"""An answer as text: numbered where it has steps, cited throughout, and read again as it was."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from staffroom.api.prose import UNCERTAIN, Prose, said_in
from staffroom.types import Answer, Match, Scenario, ScenarioContent, SearchResult, Sentence

NOISE, GATE = UUID(int=1), UUID(int=2)


def match(scenario_id: UUID, name: str, relevance: float = 0.8) -> Match:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    content = ScenarioContent(name=name, description=name)
    return Match(
        Scenario(id=scenario_id, revision=1, content=content, created_at=now, updated_at=now),
        relevance,
    )


MATCHES = (match(NOISE, "Noise"), match(GATE, "Gate"))


def answer(*sentences: Sentence, best: float | None = 0.8, text: str = "") -> Answer:
    return Answer(
        text=text,
        sentences=sentences,
        outcome="written" if sentences else "abstained",
        matches=MATCHES if sentences else (),
        related=() if sentences else MATCHES[1:],
        threshold=0.05,
        best_relevance=best,
        writer="test",
    )


def written(given: Answer) -> Prose:
    found = SearchResult(given.matches, given.threshold, given.best_relevance)
    prose = Prose(found, lambda scenario_id: f"at/{scenario_id.int}")
    prose.whole(given)
    return prose


def test_steps_are_numbered_and_sources_named_once() -> None:
    prose = written(
        answer(
            Sentence("Wait.", (GATE,), 1.0, 4),
            Sentence("Thank them.", (GATE,), 1.0, 4),
            Sentence("Ring home.", (NOISE, GATE), 1.0, 1),
            Sentence("Then rest.", (NOISE,), 1.0),
            Sentence("And write.", (NOISE,), 1.0),
        )
    )

    assert prose.text == (
        "1. Wait. [1] Thank them. [1]\n2. Ring home. [2][1]\n\nThen rest. [2] And write. [2]"
        "\n\nSources:\n- [1] Gate: at/2\n- [2] Noise: at/1"
    )
    marked = [(prose.text[mark.start : mark.end], mark.match.scenario.name) for mark in prose.marks]
    assert marked == [
        ("[1]", "Gate"),
        ("[1]", "Gate"),
        ("[2]", "Noise"),
        ("[1]", "Gate"),
        ("[2]", "Noise"),
        ("[2]", "Noise"),
    ]


@pytest.mark.parametrize("best", [0.8, 0.1])
def test_the_sentences_are_read_again_as_they_were(best: float) -> None:
    sentences = ("Wait.", "Say [calmly] 3. things.", "In 2. form.", "Ring home, please")
    text = written(
        answer(
            Sentence(sentences[0], (NOISE,), 1.0, 1),
            Sentence(sentences[1], (NOISE, GATE), 1.0, 1),
            Sentence(sentences[2], (NOISE,), 1.0, 2),
            Sentence(sentences[3], (GATE,), 1.0),
            best=best,
        )
    ).text

    assert said_in(text) == sentences
    assert text.startswith(UNCERTAIN) is (best < 0.3)


def test_an_abstention_names_what_may_be_related_and_says_nothing_vetted() -> None:
    text = written(answer(text="Nothing fits.", best=0.01)).text

    assert text == "Nothing fits.\n\nPerhaps related:\n- Gate: at/2"
    assert said_in(text) == ()


@pytest.mark.parametrize("text", ["", "Hello!", "1. A list\n2. of others", "[1]"])
def test_what_others_said_holds_no_sentence_of_ours(text: str) -> None:
    assert said_in(text) == ()
