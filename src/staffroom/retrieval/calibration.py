"""Calibration: what a model's scores mean, and which questions a library must not answer.

A cosine of 0.5 is much with one model and little with another. Fitted on golden questions,
relevance is the probability that a scenario serves the question, whichever model found it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import numpy as np

from staffroom.retrieval.logistic import sigmoid
from staffroom.retrieval.scope import Scope, read_scope
from staffroom.types import OutOfScope, Vector

CERTAIN_RELEVANCE: Final = 0.8
"""From here on a scenario is about the question, whatever it reads like, in any language. None of
the 200 golden questions that must not be answered has a match of 0.7 or more."""

VERSION: Final = 2
"""Counts changes of what is fitted: another version's fit is not read, but made anew."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The log odds of relevance: `cosine` times the cosine, less `behind` times its distance to
    the best match's, plus `bias`. Without a scope, every question is one for the library."""

    cosine: float
    behind: float
    bias: float
    scope: Scope | None = None

    def relevances(self, cosines: Sequence[float]) -> list[float]:
        """Relevance in 0 to 1, for the cosines of a question's matches, best first.

        The order stays: a smaller cosine has a smaller relevance.
        """
        if not cosines:
            return []
        values = np.array(cosines, np.float64)
        odds = self.cosine * values - self.behind * (values[0] - values) + self.bias
        return [float(relevance) for relevance in sigmoid(odds)]

    def reason_against(
        self, question: str, embedding: Vector, best_relevance: float | None
    ) -> OutOfScope | None:
        """Why the library should not answer the question, if there is a reason."""
        if self.scope is None or best_relevance is None or best_relevance >= CERTAIN_RELEVANCE:
            return None
        return self.scope.reason_against(question, embedding, best_relevance)

    @property
    def digest(self) -> str:
        """Differs for every two fits."""
        least = self.scope.least if self.scope else None
        return f"{self.cosine} {self.behind} {self.bias} {least}"

    def document(self) -> dict[str, Any]:
        """The calibration as JSON."""
        return {
            "version": VERSION,
            "cosine": self.cosine,
            "behind": self.behind,
            "bias": self.bias,
            "scope": self.scope and self.scope.document(),
        }


class Uncalibrated:
    """A model that nothing was fitted for: relevance is the cosine, cut to 0 to 1."""

    def relevances(self, cosines: Sequence[float]) -> list[float]:
        """The cosines, cut."""
        return [min(max(cosine, 0.0), 1.0) for cosine in cosines]

    def reason_against(
        self, question: str, embedding: Vector, best_relevance: float | None
    ) -> OutOfScope | None:
        """Nothing is known of any question."""
        return None


def read_calibration(document: Mapping[str, Any] | None) -> Calibration | None:
    """The calibration that a document describes, if this version knows its kind."""
    if document is None or document.get("version") != VERSION:
        return None
    scope = document["scope"]
    return Calibration(
        document["cosine"], document["behind"], document["bias"], scope and read_scope(scope)
    )


def shipped_calibration(model: str) -> Calibration | None:
    """The calibration that ships along, if that model is the default one."""
    text = (files("staffroom.retrieval") / "shipped.json").read_text("utf-8")
    document = json.loads(text)
    return read_calibration(document["calibration"]) if document["model"] == model else None
