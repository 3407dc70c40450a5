"""A mapping from outside becomes a scenario, or says which field is wrong."""

from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staffroom.errors import InvalidScenario
from staffroom.scenario import (
    content_sha256,
    embedded_text,
    metadata_from,
    metadata_row,
    row_from,
    scenario_from,
    source_key,
    unknown_fields,
)

FULL = {
    "id": "s-1",
    "name": "Noise",
    "description": "The class talks.",
    "expected_response": "Wait.",
    "example_questions": ["how to stop noise?"],
    "category": "disruption",
    "grade_bands": ["upper-primary"],
    "subjects": ["any"],
    "setting": "classroom",
    "tags": ["noise", "talk"],
    "language": "en",
    "evidence_note": "Practice.",
    "evidence_strength": 3,
    "contributor": "A team",
    "worked_with": "A class of 30",
    "status": "draft",
    "review_by": "2027-05-31",
}


def test_a_scenario_becomes_the_row_that_it_was_read_from() -> None:
    assert row_from(scenario_from(FULL)) == FULL


def test_the_guides_text_alone_is_a_scenario_named_by_its_beginning() -> None:
    content = scenario_from({"text": "Example scenario"})

    assert (content.name, content.description) == ("Example scenario", "Example scenario")
    assert content.advice == "Example scenario"


def test_other_names_of_fields_and_nested_metadata_are_understood() -> None:
    content = scenario_from(
        {"_id": 7, "Title": "T", "text": "D", "advice": "A", "metadata": {"Category": "c"}}
    )

    assert (content.source_id, content.name, content.advice) == ("7", "T", "A")
    assert content.metadata.category == "c"


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("a | b", ("a", "b")),
        ("a; b;", ("a", "b")),
        ("a\nb, c", ("a", "b, c")),
        (["a", "a"], ("a",)),
    ],
)
def test_lists_may_come_as_text(value: Any, items: tuple[str, ...]) -> None:
    assert scenario_from({"text": "d", "tags": value}).metadata.tags == items


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"description": ""}, "description", "missing"),
        ({"description": None}, "description", "missing"),
        ({"name": 5}, "name", "has to be text, not int (5)"),
        ({"name": "x" * 501}, "name", "501 characters long, 500 are allowed"),
        ({"description": "y" * 100_000}, "description", "100,000 characters"),
        ({"description": "a\x00"}, "description", "U+0000"),
        ({"expected_response": "\ud800"}, "expected_response", "surrogate"),
        ({"tags": [1]}, "tags", "has to be text"),
        ({"tags": {"a": 1}}, "tags", "has to be a list"),
        ({"tags": [str(n) for n in range(51)]}, "tags", "51 items"),
        ({"status": "live"}, "status", "draft, in_review, published, retired"),
        ({"language": "english language"}, "language", "such as en"),
        ({"review_by": "31/05/2027"}, "review_by", "2027-05-31"),
        ({"id": True}, "id", "has to be text, not bool"),
        ({"evidence_strength": 6}, "evidence_strength", "is 6; write a whole number from 0 to 5"),
        ({"evidence_strength": -1}, "evidence_strength", "is -1"),
        ({"evidence_strength": 2.5}, "evidence_strength", "is 2.5"),
        ({"evidence_strength": True}, "evidence_strength", "is True"),
        ({"evidence_strength": "strong"}, "evidence_strength", "is 'strong'"),
        ({"evidence_strength": [3]}, "evidence_strength", "is [3]"),
        ({"worked_with": "x" * 1001}, "worked_with", "1,001 characters long, 1,000 are allowed"),
    ],
)
def test_what_is_wrong_is_named_with_its_field(
    changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidScenario) as caught:
        scenario_from({**FULL, **changes})

    assert caught.value.field == field
    assert words in caught.value.reason


@pytest.mark.parametrize(
    ("given", "strength"), [(0, 0), (3.0, 3), ("4", 4), (" 5 ", 5), ("", None), (None, None)]
)
def test_the_strength_of_evidence_is_a_number_or_nobody_judged_it(
    given: Any, strength: int | None
) -> None:
    content = scenario_from({"text": "d", "evidence_strength": given})

    assert content.metadata.evidence_strength == strength
    assert metadata_from(metadata_row(content.metadata)) == content.metadata


def test_a_typing_error_in_a_field_is_not_silently_dropped() -> None:
    with pytest.raises(InvalidScenario, match="did you mean 'expected_response'"):
        scenario_from({"text": "d", "expectd_response": "a"})


def test_columns_that_mean_nothing_are_known_to_be_ignored() -> None:
    assert unknown_fields(["Name", "text", "colour", "metadata"]) == ["colour"]


def test_content_without_an_id_is_its_own_key() -> None:
    one, other = scenario_from({"text": "a"}), scenario_from({"text": "b"})

    assert source_key(one) == f"sha256:{content_sha256(one).hex()}"
    assert source_key(one) != source_key(other)
    assert source_key(scenario_from({"id": "x", "text": "a"})) == "x"


def test_the_digest_covers_everything_but_the_id() -> None:
    digest = content_sha256(scenario_from(FULL))

    assert content_sha256(scenario_from({**FULL, "id": "other"})) == digest
    others = {"language": "fr", "status": "retired", "review_by": "", "evidence_strength": 0}
    for field in set(FULL) - {"id"}:
        changed = {**FULL, field: others.get(field, "changed")}
        assert content_sha256(scenario_from(changed)) != digest, field


@pytest.mark.parametrize(
    ("row", "digest"),
    [
        (
            {name: FULL[name] for name in FULL if name not in {"evidence_strength", "worked_with"}},
            "0b2735cd4786c1cac1c874db9a5b9884377aa530a5dfd8ba4d1b853e9388b159",
        ),
        (
            {"text": "The class talks."},
            "078d37d81e2f650c869ce1fda9fa64c8bd6ce39083697087484162b85da7b29a",
        ),
    ],
)
def test_a_digest_of_the_first_version_is_still_that_of_the_same_scenario(
    row: dict[str, Any], digest: str
) -> None:
    assert content_sha256(scenario_from(row)).hex() == digest


def test_questions_and_situation_are_embedded_and_advice_is_not() -> None:
    assert embedded_text(scenario_from(FULL)) == "Noise\nThe class talks.\nhow to stop noise?"


def test_metadata_survives_storage() -> None:
    metadata = scenario_from(FULL).metadata

    assert metadata_from(metadata_row(metadata)) == metadata
    assert metadata.review_by == date(2027, 5, 31)


@given(
    st.dictionaries(
        st.sampled_from(list(FULL)) | st.text(max_size=10),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text() | st.integers()),
    )
)
def test_any_mapping_is_a_scenario_or_a_named_error(row: dict[str, Any]) -> None:
    with suppress(InvalidScenario):
        content = scenario_from(row)
        assert scenario_from(row_from(content)) == content
