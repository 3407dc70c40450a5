"""The starter library: original, readable, of one form, and free of names and sources."""

import re
from collections import Counter
from typing import Any

import pytest

from staffroom.ai.sentences import split_sentences
from staffroom.content.starter import starter_rows
from staffroom.scenario import row_from, scenario_from

ROWS = starter_rows()

CATEGORIES = {
    "assessment-feedback", "attendance", "bullying", "disruption", "engagement", "gifted",
    "group-work", "homework", "inclusion", "language-learners", "parents-carers",
    "relationships-conflict", "routines-transitions", "safeguarding", "substitute-teaching",
    "teacher-wellbeing", "technology-ai",
}  # fmt: skip

GRADE_BANDS = {
    "early-years", "lower-primary", "upper-primary", "lower-secondary", "upper-secondary",
    "post-16",
}  # fmt: skip

SETTINGS = {
    "classroom", "online", "playground", "corridor", "whole-school", "home-contact", "trip",
    "workshop-or-lab",
}  # fmt: skip

MAX_READING_GRADE = 9.0
"""Of the advice: about what a pupil of 14 reads with ease."""

FIRST_NAMES = [
    "Aisha", "Ahmed", "Alice", "Amir", "Anna", "Ben", "Carlos", "Chen", "Chloe", "Daniel",
    "David", "Ella", "Emily", "Emma", "Fatima", "George", "Hannah", "Harry", "Isla", "Jack",
    "Jamal", "James", "Jamila", "Jessica", "John", "Kofi", "Lena", "Liam", "Lucas", "Lucy",
    "Maria", "Maya", "Mohammed", "Mia", "Noah", "Olivia", "Oliver", "Omar", "Peter", "Priya",
    "Rosa", "Sam", "Sarah", "Sofia", "Thomas", "Tom", "Yusuf", "Zara",
]  # fmt: skip


def advice_parts(row: dict[str, Any]) -> tuple[list[str], str]:
    steps, _, avoid = row["expected_response"].partition("\n\n")
    return steps.split("\n"), avoid


def reading_grade(text: str) -> float:
    """School grade that a text takes to read.

    Source: Flesch-Kincaid grade level (Kincaid et al. 1975), syllables counted as vowel groups.
    """
    sentences = split_sentences(text)
    words = re.findall(r"[A-Za-z']+", text)
    syllables = sum(
        max(1, len(re.findall(r"[aeiouy]+", re.sub(r"e$", "", word.lower())))) for word in words
    )
    return 0.39 * len(words) / len(sentences) + 11.8 * syllables / len(words) - 15.59


def words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def test_there_are_enough_in_every_category() -> None:
    counts = Counter(row["category"] for row in ROWS)

    assert len(ROWS) >= 150
    assert set(counts) == CATEGORIES
    assert min(counts.values()) >= 8


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_scenario_has_the_form_that_answers_need(row: dict[str, Any]) -> None:
    steps, avoid = advice_parts(row)

    unjudged = {"evidence_strength": None, "worked_with": ""}
    assert row_from(scenario_from(row)) == unjudged | row
    assert re.fullmatch(rf"starter/{row['category']}-\d\d", row["id"])
    assert 3 <= len(steps) <= 8
    assert [step.partition(" ")[0] for step in steps] == [f"{n + 1}." for n in range(len(steps))]
    assert all(10 <= len(step.split()) - 1 <= 45 for step in steps)
    assert avoid.startswith("Avoid: ")
    assert 40 <= len(row["description"].split()) <= 110
    assert 4 <= len(row["example_questions"]) <= 12
    assert set(row["grade_bands"]) <= GRADE_BANDS
    assert row["grade_bands"]
    assert row["setting"] in SETTINGS
    assert 3 <= len(row["tags"]) <= 6
    assert row["evidence_note"]
    assert row["status"] == "published"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_advice_is_easy_to_read(row: dict[str, Any]) -> None:
    assert reading_grade(row["expected_response"]) <= MAX_READING_GRADE


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_no_person_and_no_source_is_named(row: dict[str, Any]) -> None:
    text = " ".join(
        [row["name"], row["description"], row["expected_response"], row["evidence_note"]]
    )

    assert not re.search(rf"\b(?:{'|'.join(FIRST_NAMES)})\b", text)
    assert not re.search(r"https?:|www\.|%|\bet al\b|\b(?:19|20)\d\d\b", text)


def test_no_text_appears_twice() -> None:
    for texts in (
        [row["id"] for row in ROWS],
        [row["name"].lower() for row in ROWS],
        [step.partition(" ")[2].lower() for row in ROWS for step in advice_parts(row)[0]],
        [question.lower() for row in ROWS for question in row["example_questions"]],
    ):
        assert [text for text, count in Counter(texts).items() if count > 1] == []


def test_no_two_situations_are_nearly_the_same() -> None:
    described = [(row["id"], words_of(row["description"])) for row in ROWS]
    for number, (one, words) in enumerate(described):
        for other, others in described[number + 1 :]:
            assert len(words & others) / len(words | others) < 0.5, (one, other)


def test_what_concerns_a_child_at_risk_ends_with_the_safeguarding_lead() -> None:
    for row in ROWS:
        if row["category"] == "safeguarding":
            text = row["expected_response"] + row["description"]
            assert re.search("safeguarding lead|head teacher|most senior", text), row["id"]
