"""Chance: what could be it, and what could not."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staffroom.evaluation.significance import (
    PERMUTATIONS,
    bootstrap_interval,
    randomisation_test,
)

LEAST = 1 / (PERMUTATIONS + 1)

DIFFERENCES = st.lists(st.floats(-1, 1, allow_subnormal=False).map(lambda value: round(value, 4)))


def exact(differences: list[float]) -> float:
    """The p-value over every way to give the differences signs."""
    observed = abs(sum(differences)) - 1e-9
    signs = list(product((-1, 1), repeat=len(differences)))
    sums = [abs(sum(s * d for s, d in zip(each, differences, strict=True))) for each in signs]
    return sum(each >= observed for each in sums) / len(signs)


def test_of_identical_runs_chance_explains_all() -> None:
    assert randomisation_test([0.0] * 50) == 1
    assert randomisation_test([]) == 1


def test_a_constant_shift_has_the_least_p() -> None:
    assert randomisation_test([0.01] * 40) == pytest.approx(LEAST)
    assert randomisation_test([-0.01] * 40) == pytest.approx(LEAST)


def test_gains_and_losses_of_one_size_are_chance() -> None:
    assert randomisation_test([0.3, -0.3] * 20) == 1


@pytest.mark.parametrize(
    "differences",
    [
        [0.1, 0.2, -0.05, 0.4, 0.3, 0.0, 0.12],
        [0.5] * 5,
        [0.9, -0.1, 0.2, -0.3, 0.05, 0.01, 0.6, 0.4],
    ],
)
def test_p_is_near_that_of_all_signs(differences: list[float]) -> None:
    assert randomisation_test(differences) == pytest.approx(exact(differences), abs=0.015)


@given(DIFFERENCES, st.randoms(use_true_random=False))
def test_the_order_of_questions_changes_nothing(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis gives a Random

    assert randomisation_test(values, 200) == randomisation_test(shuffled, 200)
    assert bootstrap_interval(values, samples=100) == bootstrap_interval(shuffled, samples=100)


@given(DIFFERENCES)
def test_which_of_both_is_first_changes_nothing(values: list[float]) -> None:
    p = randomisation_test(values, 200)

    assert p == randomisation_test([-value for value in values], 200)
    assert 1 / 201 <= p <= 1


def test_the_interval_holds_the_mean_and_narrows_with_questions() -> None:
    values = list(np.random.default_rng(1).uniform(0, 1, 400))
    low, high = bootstrap_interval(values)
    few = bootstrap_interval(values[:40])

    assert low < np.mean(values) < high
    assert high - low < 0.06 < few[1] - few[0]
    assert high - low == pytest.approx(2 * 1.96 * np.std(values) / 20, rel=0.1)


def test_the_interval_of_one_value_is_that_value() -> None:
    assert bootstrap_interval([0.4] * 7) == pytest.approx((0.4, 0.4))
    assert bootstrap_interval([]) == (0, 0)
