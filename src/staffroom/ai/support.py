"""How well the advice backs a sentence: meaning, words, numbers, negation and roles, fitted.

The score ranks; it does not decide. Whether a sentence may be shown is decided by the stricter
rule of `grounding`, because a contradiction can share every word with the advice, and a true
paraphrase none.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import numpy as np

from staffroom.ai.words import Wording
from staffroom.types import Array

FEATURES: Final = (
    "meaning", "meaning_of_best", "words_of_best", "words_of_two", "words_of_all",
    "opposite_of_best", "opposite_of_two", "negation_added", "negation_lost", "new_numbers",
    "new_roles", "order", "made_stronger", "made_weaker",
)  # fmt: skip
"""What a sentence is compared by with the parts of the advice, best two of them first."""

_FITTED: Final = json.loads((files("staffroom.ai") / "support.json").read_text("utf-8"))
_WEIGHTS: Final = np.array([_FITTED["weights"][name] for name in FEATURES])
_BIAS: Final = float(_FITTED["bias"])


@dataclass(frozen=True, slots=True)
class Support:
    """The support of a sentence, 0 to 1, and the part of the advice that is nearest to it."""

    score: float
    best: int
    meaning: float


def support(sentence: Wording, parts: Sequence[Wording], cosines: Array) -> Support:
    """How well the parts back the sentence. Shape: cosines (parts,), of sentence and part."""
    features, best = support_features(sentence, parts, cosines)
    return Support(support_score(features), best, float(cosines[best]))


def support_score(features: Array) -> float:
    """The support of a sentence, 0 to 1. Shape: features as in FEATURES."""
    return 1 / (1 + math.exp(-(float(features @ _WEIGHTS) + _BIAS)))


def support_features(
    sentence: Wording, parts: Sequence[Wording], cosines: Array
) -> tuple[Array, int]:
    """The features in the order of FEATURES, and the index of the nearest part."""
    shares = np.array([_share(sentence, part.stems) for part in parts])
    first, *others = np.argsort(-(cosines + shares), kind="stable")[:2]
    best, nearest = parts[first], [parts[first], *(parts[other] for other in others)]
    features = (
        cosines.max(),
        cosines[first],
        shares[first],
        _share(sentence, frozenset[str]().union(*(part.stems for part in nearest))),
        _share(sentence, frozenset[str]().union(*(part.stems for part in parts))),
        sentence.opposes(best),
        sum(sentence.opposes(part) for part in nearest),
        sentence.negations > 0 and best.negations == 0,
        sentence.negations == 0 and best.negations > 0,
        len(sentence.numbers.difference(*(part.numbers for part in nearest))),
        len(sentence.roles - best.roles),
        _order(sentence.telling_stems, best.telling_stems),
        sentence.strong and not best.strong,
        sentence.weak and best.strong and not best.weak,
    )
    return np.array(features, np.float64), int(first)


def _share(sentence: Wording, stems: frozenset[str]) -> float:
    telling = sentence.telling_stems
    return sum(word in stems for word in telling) / len(telling) if telling else 0.0


def _order(sentence: Sequence[str], part: Sequence[str]) -> float:
    """Share of the common words that stand in the same order: longest common subsequence."""
    common = sum(word in part for word in sentence)
    lengths = [0] * (len(part) + 1)
    for word in sentence:
        diagonal = 0
        for column, other in enumerate(part, 1):
            above = lengths[column]
            lengths[column] = diagonal + 1 if word == other else max(above, lengths[column - 1])
            diagonal = above
    return lengths[-1] / common if common else 0.0
