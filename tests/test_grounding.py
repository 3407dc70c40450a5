"""A sentence is backed by one step of one scenario, or is not shown."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from staffroom.ai.grounding import checked, evidence
from staffroom.types import Match, Scenario, ScenarioContent

ADVICE = (
    "1. Wait for real silence before you give the next instruction.\n"
    "2. If it does not work within 3 minutes, speak to the pupil alone.\n\n"
    "Avoid: Do not punish the whole class."
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def match(number: int, advice: str) -> Match:
    content = ScenarioContent(name="n", description="d", expected_response=advice)
    scenario = Scenario(
        id=UUID(int=number), revision=1, content=content, created_at=NOW, updated_at=NOW
    )
    return Match(scenario, 0.9)


STEPS = evidence([match(1, "1. Something else entirely here."), match(2, ADVICE)])


@pytest.mark.parametrize(
    "sentence",
    [
        "Wait for real silence before you give the next instruction.",
        "Wait for silence before you give the next instruction.",
        "Do not punish the whole class.",
        "If it does not work within 3 minutes, speak to the pupil.",
    ],
)
def test_copied_and_shortened_sentences_pass_and_cite_their_scenario(sentence: str) -> None:
    found = checked(sentence, STEPS)

    assert found is not None
    assert found.citations == (UUID(int=2),)
    assert found.support == 1.0


@pytest.mark.parametrize(
    "sentence",
    [
        "Call the parents and exclude the pupil for a week.",
        "If it does not work within 5 minutes, speak to the pupil alone.",
        "Do not wait for real silence before you give the next instruction.",
        "Never speak to the pupil alone.",
        "Wait for real silence before you give the next instruction tomorrow.",
        "Yes.",
    ],
)
def test_invented_changed_and_reversed_sentences_do_not(sentence: str) -> None:
    assert checked(sentence, STEPS) is None


def test_a_negation_that_was_lost_is_noticed() -> None:
    assert checked("Punish the whole class.", STEPS) is None
