"""A grade or a subject by any of its names, and the grades beside it."""

from datetime import date
from typing import Any

import pytest

from staffroom.content.starter import starter_rows
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError
from staffroom.retrieval.aliases import _names, grade_names, subject_names, widened
from staffroom.types import Filters

ROWS = [
    {"id": "young", "text": "Late", "grades": ["early-years"], "subjects": ["maths"]},
    {"id": "middle", "text": "Late", "grades": ["upper-primary"], "review_by": "2027-05-31"},
    {"id": "old", "text": "Late", "grades": ["lower-secondary"], "subjects": ["mathematics"]},
    {"id": "odd", "text": "Late", "grades": ["Jahrgang 7"], "review_by": "2026-12-01"},
]


@pytest.mark.parametrize(
    ("given", "bands"),
    [
        ("Year 5", ["upper-primary"]),
        ("y5", ["upper-primary"]),
        ("Yr. 05", ["upper-primary"]),
        ("4th grade", ["upper-primary"]),
        ("Grade 12", ["post-16"]),
        ("KS2", ["upper-primary"]),
        ("key-stage 3", ["lower-secondary"]),
        ("Sixth Form", ["post-16"]),
        ("Elementary", ["lower-primary", "upper-primary"]),
        ("upper-primary", []),
        ("Jahrgang 7", []),
        ("year 99", []),
    ],
)
def test_a_grade_belongs_to_its_bands(given: str, bands: list[str]) -> None:
    assert grade_names(given) == (given, *bands)


def test_a_subject_goes_by_its_other_names() -> None:
    assert set(subject_names("Math")) == {"Math", "mathematics", "maths", "math", "numeracy"}
    assert subject_names("alchemy") == ("alchemy",)


def test_the_names_are_those_of_the_starter_library_and_each_is_found() -> None:
    names = _names()
    used = {band for row in starter_rows() for band in row["grade_bands"]}

    assert used == set(names["grade_bands"])
    for grade, bands in names["grades"].items():
        assert set(bands) <= used, grade
        assert grade_names(grade)[1:] == tuple(bands), grade


def test_grades_beside_the_wanted_ones_are_admitted_when_that_is_asked_for() -> None:
    strict = widened(Filters(grade_bands=("KS2",)))
    wide = widened(Filters(grade_bands=("KS2",), neighbouring_grades=True))

    assert strict.grade_bands == ("KS2", "upper-primary")
    assert set(wide.grade_bands) == {"KS2", "lower-primary", "upper-primary", "lower-secondary"}
    assert widened(wide).grade_bands != ()
    assert widened(Filters()) == Filters()


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"grade_bands": ("Year 6",)}, {"middle"}),
        ({"grade_bands": ("Year 6",), "neighbouring_grades": True}, {"middle", "old"}),
        ({"grade_bands": ("Jahrgang 7",)}, {"odd"}),
        ({"subjects": ("numeracy",)}, {"young", "old"}),
        ({"review_until": date(2026, 12, 31)}, {"odd"}),
        ({"review_from": date(2027, 1, 1)}, {"middle"}),
        ({"review_from": date(2026, 1, 1), "review_until": date(2027, 12, 31)}, {"middle", "odd"}),
    ],
)
async def test_a_search_and_a_list_are_filtered_by_them(
    vector_ops: VectorOperations, filters: dict[str, Any], found: set[str]
) -> None:
    await vector_ops.batch_process(ROWS)
    wanted = Filters(**filters)

    await vector_ops.catalogue.check_filters(wanted)
    matches = await vector_ops.find_similar_scenarios("late", 10, 0.0, wanted)
    listed = await vector_ops.list_scenarios(wanted)

    assert {match.scenario.content.source_id for match in matches} == found
    assert {scenario.content.source_id for scenario in listed} == found


async def test_a_grade_that_no_scenario_has_is_named_as_it_was_given(
    vector_ops: VectorOperations,
) -> None:
    await vector_ops.batch_process(ROWS)

    with pytest.raises(InputError, match="grade_bands: nothing has 'Year 12'"):
        await vector_ops.catalogue.check_filters(Filters(grade_bands=("Year 6", "Year 12")))
