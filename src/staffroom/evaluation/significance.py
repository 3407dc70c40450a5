"""Whether a difference between two rankings of the same questions could be chance. Pure.

What is computed depends on the values alone, never on the order of the questions: they are sorted
before chance is drawn, and the seed is fixed.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from staffroom.types import Array

PERMUTATIONS: Final = 10_000
SAMPLES: Final = 2_000
SEED: Final = 20_241_101
CHUNK: Final = 500
"""Permutations that are drawn at once: memory stays small however many questions there are."""

ROUNDING: Final = 1e-9
"""Sums that differ by less, per question, are the same."""


def randomisation_test(
    differences: Sequence[float], permutations: int = PERMUTATIONS, seed: int = SEED
) -> float:
    """How often chance alone would make a mean difference as large, in either direction: the
    two-sided p-value of the paired randomisation test.

    Each difference keeps its size and is given a random sign. The observed signs count as one
    draw more, so that the least value is 1 / (permutations + 1).
    Sources: Fisher's randomisation test; Smucker, Allan and Carterette 2007; Phipson and Smyth
    2010 for the correction by one.
    """
    values = np.sort(np.abs([difference for difference in differences if difference]))
    if not len(values):
        return 1.0
    observed = abs(float(np.sum(differences))) - ROUNDING * len(values)
    random = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, permutations, CHUNK):
        shape = (min(CHUNK, permutations - start), len(values))
        signs = random.integers(0, 2, shape, np.int8) * 2 - 1
        extreme += int((np.abs(signs @ values) >= observed).sum())
    return (extreme + 1) / (permutations + 1)


def bootstrap_interval(
    values: Sequence[float], share: float = 0.95, samples: int = SAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """Between which bounds the mean lies, by the percentile bootstrap: the questions are drawn
    again with replacement. Of no values, nought."""
    if not values:
        return 0.0, 0.0
    ordered: Array = np.sort(np.asarray(values, np.float64))
    random = np.random.default_rng(seed)
    means = np.concatenate(
        [
            ordered[random.integers(0, len(ordered), (min(CHUNK, samples - start), len(ordered)))]
            .mean(axis=1)
            for start in range(0, samples, CHUNK)
        ]
    )  # fmt: skip
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
