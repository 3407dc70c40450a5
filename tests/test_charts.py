"""The marks of a chart lie where its numbers say."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staffroom.charts import (
    MOST_LABELS,
    MOST_STEPS,
    Label,
    Point,
    Scale,
    columns,
    labels,
    line,
    percent,
    scale_for,
    stretch,
)


@pytest.mark.parametrize(
    ("values", "least_step", "ticks"),
    [
        ([], 1, (0, 1)),
        ([0, 0], 1, (0, 1)),
        ([1], 1, (0, 1)),
        ([3, 2], 1, (0, 1, 2, 3)),
        ([5], 1, (0, 2, 4, 6)),
        ([54, 9], 1, (0, 20, 40, 60)),
        ([401], 1, (0, 200, 400, 600)),
        ([1_000], 1, (0, 500, 1_000)),
        ([0.25], 0.1, (0, 0.1, 0.2, 0.3)),
        ([16.0], 0.1, (0, 5, 10, 15, 20)),
    ],
)
def test_an_axis_ends_at_a_round_number(
    values: list[float], least_step: float, ticks: tuple[float, ...]
) -> None:
    assert scale_for(values, least_step).ticks == pytest.approx(ticks)


@given(st.lists(st.floats(0, 1e9)), st.sampled_from([0.1, 1.0]))
def test_every_value_fits_its_axis_in_few_steps(values: list[float], least_step: float) -> None:
    scale = scale_for(values, least_step)

    assert scale.top * (1 + 1e-6) + 1e-6 >= max(values, default=0)
    assert 2 <= len(scale.ticks) <= MOST_STEPS + 1
    assert scale.ticks[0] == 0


def test_a_value_beyond_every_round_number_still_fits() -> None:
    assert scale_for([1e30]).top == 1e30


def test_series_are_stacked_from_the_base_and_nothing_is_drawn_for_nought() -> None:
    bars = columns([{"a": 1, "b": 3}, {"a": 0, "b": 2}], Scale((0, 4)))

    assert [(bar.series, bar.y, bar.height) for bar in bars] == [
        ("a", 75.0, 25.0),
        ("b", 0.0, 75.0),
        ("b", 50.0, 50.0),
    ]
    assert [(bar.x, bar.width) for bar in bars] == [(7.5, 35.0), (7.5, 35.0), (57.5, 35.0)]


def test_no_column_is_drawn_of_nothing() -> None:
    assert columns([], Scale((0, 1))) == []


def test_a_row_is_parted_by_its_shares() -> None:
    bars = stretch({"a": 1, "b": 0, "c": 2}, 4, start=25.0)

    assert [(bar.series, bar.x, bar.width) for bar in bars] == [
        ("a", 25.0, 25.0),
        ("c", 50.0, 50.0),
    ]
    assert stretch({"a": 0}, 0) == []


def test_a_line_is_broken_where_a_value_is_missing() -> None:
    drawn = line([1.0, 2.0, None, 4.0], Scale((0, 4)))

    first, second, last = Point(0, 12.5, 75.0), Point(1, 37.5, 50.0), Point(3, 87.5, 0.0)
    assert drawn.points == (first, second, last)
    assert drawn.segments == ((first, second),)


def test_few_columns_have_a_label_each() -> None:
    assert [label.column for label in labels(7)] == list(range(7))


@given(st.integers(1, 366))
def test_labels_are_few_and_even_and_name_the_last_column(size: int) -> None:
    named = [label.column for label in labels(size)]

    assert named[-1] == size - 1
    assert size <= 8 or len(named) <= MOST_LABELS
    assert len({after - before for before, after in pairwise(named)}) <= 1
    assert not labels(size)[-1].is_minor


def test_every_second_label_gives_way_on_a_narrow_screen() -> None:
    assert labels(3) == [
        Label(0, 16.667, is_minor=False),
        Label(1, 50.0, is_minor=True),
        Label(2, 83.333, is_minor=False),
    ]


def test_of_nothing_there_is_no_part() -> None:
    assert percent(3, 0) == 0
