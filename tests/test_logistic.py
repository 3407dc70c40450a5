"""Logistic regression: the likeliest coefficients, finite and the same every time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staffroom.retrieval.logistic import fit_logistic, log_odds, sigmoid
from staffroom.types import Array

FINITE = st.floats(-1e6, 1e6)


def drawn(samples: int, features: int, *, seed: int = 0, noise: float = 1.0) -> tuple[Array, Array]:
    """Random features, and labels that depend on them."""
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((samples, features))
    odds = inputs @ random.standard_normal(features) + noise * random.standard_normal(samples)
    return inputs, (odds > 0).astype(np.float64)


def slope(
    inputs: Array, labels: Array, weights: Array, bias: float, *, ridge: float
) -> tuple[Array, float]:
    """Of the loss that a fit is to minimise."""
    missed = sigmoid(inputs @ weights + bias) - labels
    return inputs.T @ missed + ridge * weights, float(missed.sum())


def test_known_coefficients_are_found_again() -> None:
    random = np.random.default_rng(1)
    inputs = random.standard_normal((50_000, 3))
    probabilities = sigmoid(inputs @ np.array([2.0, -1.0, 0.0]) + 0.5)
    labels = (random.random(len(inputs)) < probabilities).astype(np.float64)

    weights, bias = fit_logistic(inputs, labels, ridge=1e-3)

    assert weights == pytest.approx([2.0, -1.0, 0.0], abs=0.06)
    assert bias == pytest.approx(0.5, abs=0.06)


def test_plain_gradient_descent_finds_the_same() -> None:
    inputs, labels = drawn(80, 4)
    weights, bias = np.zeros(4), 0.0
    for _ in range(20_000):
        down, aside = slope(inputs, labels, weights, bias, ridge=1.0)
        weights, bias = weights - 0.01 * down, bias - 0.01 * aside

    fitted, fitted_bias = fit_logistic(inputs, labels, ridge=1.0)

    assert fitted == pytest.approx(weights, abs=1e-3)
    assert fitted_bias == pytest.approx(bias, abs=1e-3)


@given(
    st.integers(0, 1_000),
    st.integers(2, 60),
    st.integers(1, 12),
    st.sampled_from([0.01, 1.0, 100.0]),
    st.sampled_from([1e-3, 0.1, 3.0]),
)
def test_a_fit_ends_where_the_loss_is_level(
    seed: int, samples: int, features: int, scale: float, ridge: float
) -> None:
    inputs, labels = drawn(samples, features, seed=seed)
    inputs *= scale

    weights, bias = fit_logistic(inputs, labels, ridge=ridge)

    down, aside = slope(inputs, labels, weights, bias, ridge=ridge)
    start, _ = slope(inputs, labels, np.zeros(features), 0.0, ridge=ridge)
    assert np.abs(down).max() <= 1e-2 * max(1.0, np.abs(start).max())
    assert abs(aside) <= 1e-2 * samples


@pytest.mark.parametrize(
    ("samples", "features", "seed", "scale"), [(150, 10, 1, 3.0), (200, 25, 14, 6.0)]
)
def test_a_step_that_overshoots_does_not_run_away(
    samples: int, features: int, seed: int, scale: float
) -> None:
    inputs, labels = drawn(samples, features, seed=seed)
    inputs *= scale

    weights, bias = fit_logistic(inputs, labels, ridge=1e-4)

    down, aside = slope(inputs, labels, weights, bias, ridge=1e-4)
    assert np.abs([*weights, bias]).max() < 1_000
    assert np.abs([*down, aside]).max() < 0.1


@pytest.mark.parametrize("ridge", [0.0, 1e-6, 1.0])
def test_labels_that_can_be_told_apart_wholly_give_finite_weights(ridge: float) -> None:
    inputs = np.linspace(-1, 1, 20)[:, np.newaxis]
    labels = (inputs[:, 0] > 0).astype(np.float64)

    weights, bias = fit_logistic(inputs, labels, ridge=ridge)

    assert np.isfinite([*weights, bias]).all()
    assert (((inputs[:, 0] * weights[0] + bias) > 0) == labels).all()


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_that_are_all_the_same_give_a_finite_bias(label: float) -> None:
    inputs, _ = drawn(30, 2)

    weights, bias = fit_logistic(inputs, np.full(30, label), ridge=1.0)

    assert np.isfinite([*weights, bias]).all()
    assert (sigmoid(inputs @ weights + bias) > 0.5).all() == bool(label)


def test_more_features_than_samples_are_fitted() -> None:
    inputs, labels = drawn(20, 500)

    weights, bias = fit_logistic(inputs, labels, ridge=0.1)

    assert weights.shape == (500,)
    assert ((inputs @ weights + bias > 0) == labels).all()


def test_a_weight_of_three_is_a_sample_three_times() -> None:
    inputs, labels = drawn(40, 3)
    counts = np.tile([1, 3], 20)

    weighted = fit_logistic(inputs, labels, ridge=0.5, weights=counts.astype(np.float64))
    repeated = fit_logistic(inputs.repeat(counts, axis=0), labels.repeat(counts), ridge=0.5)

    assert weighted[0] == pytest.approx(repeated[0], abs=1e-5)
    assert weighted[1] == pytest.approx(repeated[1], abs=1e-5)


def test_a_weight_of_nothing_is_no_sample() -> None:
    inputs, labels = drawn(40, 3)
    counted = np.arange(40) < 30

    weighted = fit_logistic(inputs, labels, ridge=0.5, weights=counted.astype(np.float64))
    alone = fit_logistic(inputs[counted], labels[counted], ridge=0.5)

    assert weighted[0] == pytest.approx(alone[0], abs=1e-5)
    assert weighted[1] == pytest.approx(alone[1], abs=1e-5)


def test_a_larger_ridge_holds_the_coefficients_smaller_but_not_the_bias() -> None:
    inputs, labels = drawn(200, 5)
    labels[:150] = 1.0

    loose, _ = fit_logistic(inputs, labels, ridge=1e-3)
    tight, bias = fit_logistic(inputs, labels, ridge=1e6)

    assert np.linalg.norm(tight) < 1e-2 < np.linalg.norm(loose)
    assert sigmoid(np.array([bias]))[0] == pytest.approx(labels.mean(), abs=1e-3)


@given(st.lists(FINITE, min_size=1))
def test_probabilities_are_within_bounds_and_grow_with_the_odds(odds: list[float]) -> None:
    probabilities = sigmoid(np.sort(np.array(odds)))

    assert ((probabilities > 0) & (probabilities < 1)).all()
    assert (np.diff(probabilities) >= 0).all()


@given(st.floats(-20, 20))
def test_log_odds_are_the_inverse(odds: float) -> None:
    assert log_odds(float(sigmoid(np.array(odds)))) == pytest.approx(odds, abs=1e-6)


@given(st.floats(0, 1))
def test_log_odds_of_every_probability_are_finite(probability: float) -> None:
    assert np.isfinite(log_odds(probability))
