"""The golden data: enough of everything, of one form, and nothing that was trained on."""

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from importlib.resources import files

import pytest

from staffroom.ai.advice import advice_parts
from staffroom.content.starter import starter_rows
from staffroom.evaluation.golden import (
    Labelled,
    Polarity,
    Question,
    Unanswerable,
    golden_questions,
    key_steps,
    labelled_sentences,
    polarity_pairs,
    scope_questions,
    unanswerable_questions,
)
from staffroom.retrieval.scope import INSIDE, KINDS
from staffroom.scenario import scenario_from
from staffroom.text import MAX_QUESTION, clean, damage

QUESTIONS = golden_questions()
UNANSWERABLE = unanswerable_questions()
PAIRS = polarity_pairs()
SENTENCES = labelled_sentences()
SCOPES = scope_questions()
STARTER = {row["id"]: row for row in starter_rows()}

Row = Question | Unanswerable | Polarity | Labelled
FILES: dict[str, list[Row]] = {
    "questions": [*QUESTIONS],
    "unanswerable": [*UNANSWERABLE],
    "polarity": [*PAIRS],
    "support": [*SENTENCES],
}
ROWS = [row for rows in FILES.values() for row in rows]

QUESTION_KINDS = {"plain", "indirect", "short", "story", "two-part", "typo", "variety"}
LABEL_OF_KIND = {
    "verbatim": "supported", "shortened": "supported", "paraphrase": "supported",
    "joined": "supported", "reworded-person": "supported", "negation": "contradicted",
    "antonym": "contradicted", "number": "contradicted", "role": "contradicted",
    "modality": "contradicted", "reversed": "contradicted", "avoid-turned": "contradicted",
    "added-detail": "not_covered", "false-step": "not_covered", "other-scenario": "not_covered",
    "overclaim": "not_covered",
}  # fmt: skip

MOST_UNEVEN = 2
"""Rows that one part may have more than the other, of each kind."""

TEACHERS_WORDS = [
    *((row.id, row.text) for row in QUESTIONS),
    *((row.id, row.text) for row in UNANSWERABLE),
    *((row.id, text) for row in PAIRS for text in (row.fits, row.clashes)),
]


def plain(text: str) -> str:
    """The words alone; what has none stays as it is."""
    return " ".join(re.findall(r"\w+", text.casefold())) or text


def twice(texts: Iterable[str]) -> list[str]:
    return [text for text, count in Counter(texts).items() if count > 1]


def test_there_is_enough_of_everything() -> None:
    assert len(QUESTIONS) >= 250
    assert len(UNANSWERABLE) >= 80
    assert len(PAIRS) >= 60
    assert {pair.kind for pair in PAIRS} == {"polarity", "role"}
    assert len(SENTENCES) >= 120


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("questions", {"id", "part", "kind", "text", "relevant"}),
        ("unanswerable", {"id", "part", "kind", "text", "note"}),
        ("polarity", {"id", "part", "kind", "scenario", "fits", "clashes"}),
        ("support", {"id", "part", "kind", "scenario", "sentence", "label"}),
        ("key_steps", {"scenario", "steps"}),
        ("scope", {"text", "scope"}),
    ],
)
def test_every_line_has_the_same_fields_with_something_in_each(name: str, fields: set[str]) -> None:
    text = (files("staffroom.evaluation.golden") / f"{name}.jsonl").read_text("utf-8")

    for number, line in enumerate(text.split("\n")[:-1], 1):
        row = json.loads(line)
        assert row.keys() == fields, number
        assert all(row.values()), number


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("questions", QUESTION_KINDS),
        ("unanswerable", {*KINDS, "nonsense"}),
        ("polarity", {"polarity", "role"}),
        ("support", set(LABEL_OF_KIND)),
    ],
)
def test_both_parts_have_about_as_much_of_every_kind(name: str, kinds: set[str]) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in FILES[name]:
        counts[row.kind][row.part] += 1

    assert set(counts) == kinds
    for kind, parts in counts.items():
        assert set(parts) == {"fit", "report"}, kind
        assert abs(parts["fit"] - parts["report"]) <= MOST_UNEVEN, kind


def test_no_id_is_given_twice() -> None:
    assert twice(row.id for row in ROWS) == []


def test_no_text_is_asked_or_labelled_twice() -> None:
    assert twice(plain(text) for _, text in TEACHERS_WORDS) == []
    assert twice(plain(row.sentence) for row in SENTENCES) == []
    assert twice(text for text, _ in SCOPES) == []


def test_no_question_is_one_that_the_library_or_the_scope_was_made_of() -> None:
    examples = {plain(text) for row in STARTER.values() for text in row["example_questions"]}
    names = {plain(row["name"]) for row in STARTER.values()}
    trained = {plain(text) for text, _ in SCOPES}

    known = examples | names | trained
    assert [name for name, text in TEACHERS_WORDS if plain(text) in known] == []
    assert examples.isdisjoint(trained)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_a_question_is_answered_by_a_scenario_of_the_starter_library(question: Question) -> None:
    assert question.relevant.keys() <= STARTER.keys()
    assert set(question.relevant.values()) <= {1, 2}
    assert 2 in question.relevant.values()


def test_every_scenario_answers_a_question() -> None:
    answering = {name for q in QUESTIONS for name, grade in q.relevant.items() if grade == 2}

    assert STARTER.keys() - answering == set()


def test_pairs_and_sentences_are_about_scenarios_of_the_starter_library() -> None:
    about = {pair.scenario for pair in PAIRS} | {row.scenario for row in SENTENCES}

    assert about - STARTER.keys() == set()


def test_every_scenario_has_three_or_four_key_steps_that_its_advice_has() -> None:
    wanted = key_steps()
    text = (files("staffroom.evaluation.golden") / "key_steps.jsonl").read_text("utf-8")

    assert twice(json.loads(line)["scenario"] for line in text.splitlines()) == []
    assert wanted.keys() == STARTER.keys()
    for name, steps in wanted.items():
        parts = advice_parts(scenario_from(STARTER[name]))
        assert 3 <= len(steps) <= 4, name
        assert steps <= {part.step or 0 for part in parts}, name
        assert steps != {0}, name


def test_every_label_is_there_in_both_parts_and_fits_its_kind() -> None:
    labels = {"supported", "contradicted", "not_covered"}

    assert {(row.part, row.label) for row in SENTENCES} == {
        (part, label) for part in ("fit", "report") for label in labels
    }
    assert [row.id for row in SENTENCES if row.label != LABEL_OF_KIND[row.kind]] == []


def test_what_is_labelled_as_verbatim_stands_in_the_advice() -> None:
    quoted = [row for row in SENTENCES if row.kind == "verbatim"]

    assert quoted
    for row in quoted:
        assert row.sentence in STARTER[row.scenario]["expected_response"], row.id


def test_the_other_sentences_do_not_stand_in_the_advice() -> None:
    for row in SENTENCES:
        if row.kind != "verbatim":
            advice = STARTER[row.scenario]["expected_response"]
            assert plain(row.sentence) not in [plain(part) for part in advice.split("\n")], row.id


def test_scopes_are_those_that_a_question_can_have() -> None:
    counts = Counter(scope for _, scope in SCOPES)

    assert set(counts) == {INSIDE, *KINDS}
    assert min(counts.values()) >= 100


def test_no_text_is_out_of_form() -> None:
    texts = [
        *TEACHERS_WORDS,
        *((row.id, row.sentence) for row in SENTENCES),
        *((f"scope line {number}", text) for number, (text, _) in enumerate(SCOPES, 1)),
    ]
    for name, text in texts:
        assert 0 < len(text) <= MAX_QUESTION, name
        assert damage(text) is None, name
        assert clean(text) == text, name
        assert not any(unicodedata.category(sign) in {"Cc", "Zl", "Zp"} for sign in text), name
