"""Differences between revisions: complete, readable, and found in bounded time."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staffroom.api.page.differences import Line, compare_texts, field_changes
from staffroom.scenario import row_from
from staffroom.types import Metadata, ScenarioContent

SHORT_TEXTS = st.text(alphabet=st.sampled_from("ab .\n"), max_size=40)


def shown(before: str, after: str) -> list[str]:
    """The lines with [-removed-] and {+added+} parts."""
    marks = {"same": "{}", "removed": "[-{}-]", "added": "{{+{}+}}"}
    return [
        "".join(marks[piece.kind].format(piece.text) for piece in line.pieces)
        or f"… {line.skipped or line.further}"
        for line in compare_texts(before, after)
    ]


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("Wait for silence.", "Wait for real silence.", ["Wait for {+real +}silence."]),
        ("Ask one pupil to begin.", "Ask a pupil to begin.", ["Ask [-one-]{+a+} pupil to begin."]),
        ("A noisy class", "Cold rooms", ["[-A noisy class-]{+Cold rooms+}"]),
        ("", "New.", ["{+New.+}"]),
        ("Old.", "", ["[-Old.-]"]),
        ("Don't shout.", "Don’t shout at all.", ["[-Don't shout-]{+Don’t shout at all+}."]),
        (
            "Three tables chat. Nobody is rude. You wait.",
            "Three tables chat. You wait.",
            ["Three tables chat. [-Nobody is rude. -]You wait."],
        ),
        (
            "1. Stop here.\n2. Wait there.",
            "1. Stop here.\n1. Ask them.\n2. Wait there.",
            ["1. Stop here.", "{+1. Ask them.+}", "2. Wait there."],
        ),
        (
            "the first is kept\nall of this is gone\nthe last is kept",
            "the first is kept\nsome\nother lines\nthe last is kept",
            [
                "the first is kept",
                "[-all of this is gone-]",
                "{+some+}",
                "{+other lines+}",
                "the last is kept",
            ],
        ),
        (
            "a b c d e\n1\n2\n3\n4\nf g h i j",
            "a b c d x\n1\n2\n3\n4\nf g h i j",
            ["a b c d [-e-]{+x+}", "1", "… 4"],
        ),
    ],
)
def test_a_difference_reads_as_somebody_would_mark_it(
    before: str, after: str, lines: list[str]
) -> None:
    assert shown(before, after) == lines


def test_words_between_two_changes_are_kept_apart_only_if_there_are_some() -> None:
    assert shown("go up now to it please", "run up then to it please") == [
        "[-go up now-]{+run up then+} to it please"
    ]


@given(SHORT_TEXTS, SHORT_TEXTS)
def test_nothing_is_lost_but_what_is_said_to_be_left_out(before: str, after: str) -> None:
    lines = compare_texts(before, after)

    def words(kinds: set[str]) -> str:
        pieces = (piece for line in lines for piece in line.pieces)
        return "".join("".join(p.text.split()) for p in pieces if p.kind in kinds)

    if not any(line.skipped for line in lines):
        assert words({"same", "removed"}) == "".join(before.split())
        assert words({"same", "added"}) == "".join(after.split())


def test_a_long_unchanged_stretch_is_left_out() -> None:
    stretch = "word " * 1000

    (line,) = compare_texts(f"Begin here. {stretch}End.", f"Begin here now. {stretch}End.")

    assert line.pieces[-1].text.endswith("End.")
    assert " […] " in line.pieces[-1].text
    assert sum(len(piece.text) for piece in line.pieces) < 500


LETTERS = random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=25_000)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (" ".join(LETTERS), " ".join(reversed(LETTERS))),
        ("\n".join(LETTERS), "\n".join(reversed(LETTERS))),
        ("a " * 25_000, "a b " * 12_500),
        ("a\n" * 25_000, "b\na\n" * 12_500),
        ("x" * 50_000, "x" * 49_999),
        (" " * 50_000, " " * 49_999 + "x"),
    ],
)
def test_the_longest_texts_take_bounded_time_and_space(before: str, after: str) -> None:
    started = time.perf_counter()

    lines = compare_texts(before, after)

    assert time.perf_counter() - started < 5
    assert len(lines) <= 501
    assert lines == [*lines[:500], *(Line(further=line.further) for line in lines[500:])]


def test_each_kind_of_field_has_its_kind_of_difference() -> None:
    before = ScenarioContent(
        name="Noise",
        description="The class talks.",
        example_questions=("One?", "Two?"),
        metadata=Metadata(category="routines", tags=("a", "b"), subjects=("art", "maths")),
    )
    after = ScenarioContent(
        name="Noise",
        description="The class sings.",
        example_questions=("One?", "Three?"),
        metadata=Metadata(category="", tags=("b", "a"), subjects=("art",)),
    )

    text, questions, category, subjects, tags = field_changes(row_from(before), row_from(after))

    assert (text.name, text.kind) == ("description", "text")
    assert (questions.removed, questions.added) == (("Two?",), ("Three?",))
    assert (category.name, category.before, category.after) == ("category", "routines", "")
    assert (subjects.removed, subjects.added) == (("maths",), ())
    assert (tags.name, tags.removed, tags.added) == ("tags", (), ())
    assert field_changes(row_from(after), row_from(after)) == []
