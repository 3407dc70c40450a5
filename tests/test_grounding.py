"""What is shown is backed by the advice, or is the advice."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest

from staffroom.ai.advice import advice_parts, is_urgent
from staffroom.ai.grounding import Grounding
from staffroom.ai.support import FEATURES, support, support_features
from staffroom.ai.words import Wording, stem
from staffroom.content.starter import starter_rows
from staffroom.errors import EmbedderUnavailable
from staffroom.evaluation.golden import labelled_sentences
from staffroom.types import Match, Role, Scenario, ScenarioContent, Sentence, Vectors
from tests.fakes import WordEmbedder

ADVICE = (
    "1. Wait for real silence before you give the next instruction.\n"
    "2. If it does not work within 3 minutes, speak to the pupil alone.\n"
    "3. Seat the four so that they face away from each other. Tell the class once: "
    '"You choose the groups."\n'
    "4. Ask the parents to ring, then write down what was agreed.\n\n"
    "Avoid: Punishing the whole class. It teaches them that effort does not count."
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def match(number: int, advice: str) -> Match:
    content = ScenarioContent(name=f"S{number}", description="d", expected_response=advice)
    scenario = Scenario(
        id=UUID(int=number), revision=1, content=content, created_at=NOW, updated_at=NOW
    )
    return Match(scenario, 0.9)


MATCHES = [match(1, "1. Something else entirely stands here."), match(2, ADVICE)]


async def check(text: str, matches: Sequence[Match] = MATCHES) -> Sentence | None:
    checked = await Grounding(matches, WordEmbedder()).check(text)
    return None if checked is None else checked.sentence


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("Wait for real silence before you give the next instruction.", 1),
        ("**Wait** for real silence before you give the next instruction. [2]", 1),
        ("If it does not work within 3 minutes, speak to the pupil alone.", 2),
        ("Avoid: Punishing the whole class. It teaches them that effort does not count.", None),
    ],
)
async def test_the_advice_itself_passes_and_is_quoted_with_its_step(
    text: str, step: int | None
) -> None:
    found = await check(text)

    assert found is not None
    assert (found.citations, found.step, found.support) == ((UUID(int=2),), step, 1.0)
    assert found.text in ADVICE


@pytest.mark.parametrize(
    "text",
    [
        "Do not wait for real silence before you give the next instruction.",
        "Wait for real silence after you give the next instruction.",
        "If it does not work within 5 minutes, speak to the pupil alone.",
        "Speak to the pupil alone within 3 minutes if it does not work today.",
        "Seat the four so that they face each other.",
        'Tell the class once: "I choose the groups."',
        "You must wait for real silence before you give the next instruction.",
        "Wait for real silence before you give the next instruction tomorrow morning.",
        "Ask the parents to write down what was agreed, then ring.",
        "Ask the parents to ring, then write down.",
        "Wait for real silence before you give\x00 the next \u202einstruction now.",
    ],
)
async def test_what_was_changed_is_replaced_by_what_the_advice_says(text: str) -> None:
    found = await check(text)

    assert found is not None
    assert found.text != text
    assert found.text in ADVICE
    assert found.support == 1.0


@pytest.mark.parametrize(
    "text", ["Call the police and exclude him.", "Yes.", "", "[1]", "Well done"]
)
async def test_what_the_advice_does_not_speak_of_is_dropped(text: str) -> None:
    assert await check(text) is None


async def test_a_mark_names_the_scenario_that_is_looked_at_first() -> None:
    twins = [match(1, "1. Open the window wide."), match(2, "1. Open the window wide.")]

    cited = [await check(f"Open the window wide.{mark}", twins) for mark in ("", " [2]", " [9]")]

    assert [s and s.citations[0].int for s in cited] == [1, 2, 1]


async def test_without_advice_nothing_is_backed() -> None:
    assert await check("Wait for real silence.", []) is None


def test_a_warning_is_one_piece_and_keeps_its_avoid() -> None:
    parts = list(advice_parts(match(2, ADVICE).scenario.content))

    assert parts[-1] == (
        None,
        "Avoid: Punishing the whole class. It teaches them that effort does not count.",
        True,
    )
    assert [part.step for part in parts] == [1, 2, 3, 3, 4, None]


@pytest.mark.parametrize(
    ("advice", "parts"),
    [
        ("Sit near.\n\nAvoid:\n- Shouting.\n- Leaving.\n\nOffer a tissue.",
         ["Sit near.", "! Avoid: Shouting. Leaving.", "Offer a tissue."]),
        ("Do\n1) Wait.\n2) Ask.\nDon't\n1) Swear back.\n2) Grab.",
         ["1 Wait.", "2 Ask.", "! Don't: Swear back. Grab."]),
        ("DON'T:\n1. Pull.\n2. Shout.\n\nDO:\n1. Call for help.",
         ["! DON'T: Pull. Shout.", "1 Call for help."]),
        ("# Steps\n\n## First\n* Greet.\n* Point.\n\n## Never\n* Lock the door.\n\n## Last\n* Sit.",
         ["1 Greet.", "2 Point.", "! Never: Lock the door.", "3 Sit."]),
        ("- Avoid public talk. It hurts.\n**Avoid** shouting.\n- **Avoid:** haste.\nSit near.",
         ["! Avoid public talk. It hurts.", "! Avoid shouting.", "! Avoid: haste.", "Sit near."]),
        ("What not to do:\nPull.\nShout.", ["! What not to do: Pull. Shout."]),
        ("Things to avoid: Raising your voice. Haste.",
         ["! Things to avoid: Raising your voice. Haste."]),
        ("Step 1: Walk over.\nStep 2. Sit.\n(3) Ask.", ["1 Walk over.", "2 Sit.", "3 Ask."]),
        ("1. Wait.\n1. Ask.\n1. Take it.", ["1 Wait.", "2 Ask.", "3 Take it."]),
        ("2. Wait.\n5. Ask. Sit.", ["2 Wait.", "5 Ask.", "5 Sit."]),
        ("Wait for silence. Avoid eye contact.", ["Wait for silence.", "Avoid eye contact."]),
        ("", ["d"]),
    ],
)  # fmt: skip
def test_advice_is_read_as_its_editors_meant_it(advice: str, parts: list[str]) -> None:
    read = [
        " ".join(filter(None, ("!" if part.warns else "", str(part.step or ""), part.text)))
        for part in advice_parts(match(1, advice).scenario.content)
    ]

    assert read == parts


async def test_no_golden_sentence_that_is_false_passes_and_every_quotation_does() -> None:
    advice = {row["id"]: row["expected_response"] for row in starter_rows()}
    for row in labelled_sentences():
        found = await check(row.sentence, [match(1, advice[row.scenario])])
        shown = found is not None and found.text == row.sentence

        if row.label != "supported":
            assert not shown, row
        elif found is not None:
            assert found.text in advice[row.scenario]
        warning = advice[row.scenario].partition("Avoid:")[2]
        assert shown or row.kind != "verbatim" or row.sentence in warning


async def test_where_a_sentence_stands_and_what_became_of_it_is_known() -> None:
    passed = await Grounding(MATCHES, WordEmbedder()).check(
        "If it does not work within 3 minutes, speak to the pupil alone."
    )
    replaced = await Grounding(MATCHES, WordEmbedder()).check(
        "If it does not work within 9 minutes, speak to the pupil alone."
    )

    assert passed is not None
    assert replaced is not None
    assert (passed.place, passed.verdict) == (2, "passed")
    assert (replaced.place, replaced.verdict) == (2, "replaced")


class NoEmbedder(WordEmbedder):
    """Can no longer be reached."""

    async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        raise EmbedderUnavailable("gone")


async def test_without_an_embedder_quotations_pass_and_the_rest_is_dropped() -> None:
    checks = Grounding(MATCHES, NoEmbedder())

    assert await checks.check("Wait for real silence before you give the next instruction.")
    assert await checks.check("Wait for silence before you give the next instruction.") is None


@pytest.mark.parametrize(
    ("text", "urgent"),
    [
        ("Call an ambulance if he does not wake.", True),
        ("Tell the safeguarding lead today.", True),
        ("Write the task on the board.", False),
    ],
)
def test_what_to_do_in_danger_is_recognised(text: str, urgent: bool) -> None:
    assert is_urgent(text) is urgent


def test_the_support_score_falls_with_every_way_of_saying_something_else() -> None:
    parts = [Wording("Talk to the pupil alone before the lesson for 5 minutes.")]
    cosines = np.array([0.9])

    def score(text: str) -> float:
        return support(Wording(text), parts, cosines).score

    same = score("Talk to the pupil alone before the lesson for 5 minutes.")
    assert score("Talk to the pupil alone before the lesson for 9 minutes.") < same
    assert score("Do not talk to the pupil alone before the lesson for 5 minutes.") < same
    assert score("Talk to the parent alone before the lesson for 5 minutes.") < same
    assert score("Talk to the pupil together before the lesson for 5 minutes.") < same


def test_features_have_their_names_and_the_nearest_part_is_found() -> None:
    parts = [Wording("Open the window."), Wording("Close the door quietly.")]

    features, best = support_features(Wording("Close the door"), parts, np.array([0.1, 0.8]))

    assert len(features) == len(FEATURES)
    assert best == 1


@pytest.mark.parametrize(
    ("text", "other", "count"),
    [
        ("Raise your voice", "Lower your voice", 1),
        ("Speak in private", "Speak in public", 1),
        ("Do it before lunch", "Do it after lunch", 1),
        ("Speak quietly", "Speak quietly", 0),
        ("Praise the class", "Thank the class", 0),
    ],
)
def test_opposites_are_known(text: str, other: str, count: int) -> None:
    assert Wording(text).opposes(Wording(other)) == count


def test_words_keep_their_stem_numbers_and_roles() -> None:
    wording = Wording("Two pupils weren't listening; ask Mum twice, for 1.5 hours.")

    assert wording.numbers == {"2", "2x", "1.5"}
    assert wording.roles == {"pupil", "family"}
    assert wording.negations == 1
    assert stem("listening") == stem("listens") == "listen"
