"""Two ways to a scenario become one order: from their parts alone, whatever else is found."""

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staffroom.database.search import Candidates, ranked
from staffroom.retrieval.calibration import Calibration, Reading, Uncalibrated
from staffroom.retrieval.fusion import NEAR_IDENTICAL, combined, diverse, reciprocal_ranks
from staffroom.types import Mode

READING = Reading(5.0, 6.0, -4.0)
FITTED = Calibration(dict.fromkeys(get_args(Mode), READING), {"": 1.0, "es": 0.5})
PARTS = st.lists(
    st.tuples(st.uuids(), st.floats(-1, 1), st.floats(0, 1), st.sampled_from(["en", "es", ""])),
    unique_by=lambda part: part[0],
    max_size=12,
)


def candidates(parts: list[Any]) -> Candidates:
    return Candidates(
        [part[0] for part in parts],
        np.array([part[1] for part in parts], np.float64),
        np.array([part[2] for part in parts], np.float64),
        [part[3] for part in parts],
    )


def listed(calibration: Calibration | Uncalibrated, parts: list[Any], mode: Mode) -> list[Any]:
    found = candidates(parts)
    order, relevances = ranked(calibration, found, mode)
    return [
        (found.ids[place], relevance) for place, relevance in zip(order, relevances, strict=True)
    ]


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("calibration", [FITTED, Uncalibrated()])
@given(parts=PARTS, data=st.data())
def test_the_list_does_not_depend_on_the_order_in_which_its_parts_came(
    calibration: Calibration | Uncalibrated, mode: Mode, parts: list[Any], data: Any
) -> None:
    shuffled = data.draw(st.permutations(parts))
    first, again = listed(calibration, parts, mode), listed(calibration, shuffled, mode)

    assert [own for own, _ in first] == [own for own, _ in again]
    assert [relevance for _, relevance in first] == pytest.approx([r for _, r in again])
    relevances = [relevance for _, relevance in first]
    assert relevances == sorted(relevances, reverse=True)
    assert all(0 <= relevance <= 1 for relevance in relevances)


@given(parts=PARTS.filter(lambda parts: len(parts) > 1))
def test_the_order_of_two_is_their_own_whatever_else_is_found(parts: list[Any]) -> None:
    whole = [own for own, _ in listed(FITTED, parts, "hybrid")]
    alone = [own for own, _ in listed(FITTED, parts[:2], "hybrid")]

    assert [own for own in whole if own in alone] == alone


@given(PARTS, st.floats(0.01, 0.5))
def test_more_of_either_never_makes_it_worse(parts: list[Any], more: float) -> None:
    for place, (own, similarity, share, language) in enumerate(parts):
        before = [other for other, _ in listed(FITTED, parts, "hybrid")].index(own)
        for raised in ((similarity + more, share), (similarity, share + more)):
            changed = [*parts[:place], (own, *raised, language), *parts[place + 1 :]]
            after = [other for other, _ in listed(FITTED, changed, "hybrid")].index(own)
            assert after <= before


def test_words_count_as_much_as_was_fitted_for_the_language() -> None:
    cosines, shares = np.array([0.2, 0.2, 0.2]), np.array([0.4, 0.4, 0.4])

    found = combined(cosines, shares, ["en", "es", "pl"], "hybrid", {"": 1.0, "es": 0.5})

    assert found == pytest.approx([0.6, 0.4, 0.6])
    assert combined(cosines, shares, ["en"] * 3, "meaning", {"": 1.0}) is cosines
    assert combined(cosines, shares, ["en"] * 3, "words", {"": 1.0}) is shares


def test_ranks_are_those_of_cormack_and_others_and_equal_scores_share_a_place() -> None:
    found = reciprocal_ranks(np.array([0.9, 0.5, 0.5, -0.1]), np.array([0.0, 0.8, 0.0, 0.7]))

    assert found == pytest.approx([1 / 61, 1 / 62 + 1 / 61, 1 / 62, 1 / 62])


def test_where_nothing_was_fitted_being_found_in_both_ways_comes_first() -> None:
    parts = [("a", 0.9, 0.0, ""), ("b", 0.8, 0.6, ""), ("c", 0.0, 0.7, "")]

    found = listed(Uncalibrated(), parts, "hybrid")

    assert [own for own, _ in found] == ["b", "a", "c"]
    assert [relevance for _, relevance in found] == pytest.approx([0.9, 0.8, 0.8])


def unit(*angles: float) -> Any:
    return np.array([[np.cos(angle), np.sin(angle)] for angle in angles], np.float32)


def test_what_was_told_already_gives_way_to_something_else() -> None:
    same, other, far = 0.0, 1.0, 2.0

    assert diverse(unit(same, same, other, far), 3) == [0, 2, 3]
    assert diverse(unit(same, other, same, other), 3) == [0, 1, 2]
    assert diverse(unit(same, same, same), 2) == [0, 1]
    assert diverse(unit(same, np.arccos(NEAR_IDENTICAL) + 0.01), 1) == [0]
    assert diverse(unit(), 5) == []


@given(st.lists(st.floats(0, 6), max_size=12), st.integers(1, 12))
def test_the_list_stays_full_in_order_and_begins_with_the_best(
    angles: list[float], limit: int
) -> None:
    found = diverse(unit(*angles).reshape(-1, 2), limit)

    assert len(found) == min(limit, len(angles))
    assert found == sorted(set(found))
    assert not angles or found[0] == 0
