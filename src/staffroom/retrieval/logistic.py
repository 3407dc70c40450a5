"""Logistic regression, as much of it as a calibration needs. Pure."""

import math
import sys
from collections.abc import Callable
from typing import Final

import numpy as np

from staffroom.types import Array

_STEPS: Final = 30
_CONJUGATE_STEPS: Final = 60
_CLOSE: Final = 1e-5
_LARGEST_ODDS: Final = 30.0
_FREE: Final = 1e-9
"""The ridge on the bias, which is not to be held small."""


def sigmoid(odds: Array) -> Array:
    """Log odds as probabilities."""
    probabilities: Array = 1 / (1 + np.exp(-np.clip(odds, -_LARGEST_ODDS, _LARGEST_ODDS)))
    return probabilities


def log_odds(probability: float) -> float:
    """The inverse of `sigmoid`; certainty has large odds, not endless ones."""
    certain = sys.float_info.epsilon
    bounded = min(max(probability, certain), 1 - certain)
    return math.log(bounded / (1 - bounded))


def fit_logistic(
    features: Array, labels: Array, *, ridge: float, weights: Array | None = None
) -> tuple[Array, float]:
    """The coefficients and the bias that make the labels likeliest.

    Newton's method, each step solved by conjugate gradients: thousands of features fit in
    memory and seconds. A step that overshoots is shortened. `ridge` holds the coefficients small.
    Shape: features (samples, features), labels and weights (samples,).
    """
    inputs = np.column_stack([features, np.ones(len(features))])
    sample_weights = np.ones(len(labels)) if weights is None else weights
    penalty = np.full(inputs.shape[1], ridge)
    penalty[-1] = _FREE
    solution = np.zeros(inputs.shape[1])

    def loss(solution: Array) -> float:
        odds = inputs @ solution
        missed = sample_weights @ (np.logaddexp(0, odds) - labels * odds)
        return float(missed + penalty @ solution**2 / 2)

    for _ in range(_STEPS):
        probabilities = sigmoid(inputs @ solution)
        gradient = inputs.T @ (sample_weights * (probabilities - labels)) + penalty * solution
        curvature = sample_weights * probabilities * (1 - probabilities)

        def curved(direction: Array, curvature: Array = curvature) -> Array:
            product: Array = inputs.T @ (curvature * (inputs @ direction)) + penalty * direction
            return product

        step = _solve(curved, gradient)
        least = loss(solution)
        while loss(solution - step) > least and np.abs(step).max() >= _CLOSE:
            step /= 2
        solution -= step
        if np.abs(step).max() < _CLOSE:
            break
    return solution[:-1], float(solution[-1])


def _solve(matrix: Callable[[Array], Array], target: Array) -> Array:
    """The solution of a symmetric positive system that is known by its products."""
    solution = np.zeros_like(target)
    residual = target.copy()
    direction = residual.copy()
    size = residual @ residual
    enough = size * _CLOSE**2
    for _ in range(_CONJUGATE_STEPS):
        if size <= enough:
            break
        product = matrix(direction)
        length = size / (direction @ product)
        solution += length * direction
        residual -= length * product
        smaller = residual @ residual
        direction = residual + (smaller / size) * direction
        size = smaller
    return solution
