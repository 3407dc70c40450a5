"""Golden data: what good answers are held against. One part fits, the other reports.

Written for this product; every figure that is quoted comes from the reporting part.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

Part = Literal["fit", "report"]


@dataclass(frozen=True, slots=True)
class Question:
    """A teacher's question. `relevant`: source id to grade, 2 answers it, 1 helps."""

    id: str
    part: Part
    kind: str
    text: str
    relevant: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """A question that the starter library must not answer, and why."""

    id: str
    part: Part
    kind: str
    text: str
    note: str


@dataclass(frozen=True, slots=True)
class Polarity:
    """A question that the scenario answers, and one in nearly its words that wants the contrary,
    or where somebody else does it."""

    id: str
    part: Part
    kind: Literal["polarity", "role"]
    scenario: str
    fits: str
    clashes: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """A sentence of an answer, and whether the scenario's advice says it."""

    id: str
    part: Part
    kind: str
    scenario: str
    sentence: str
    label: Literal["supported", "contradicted", "not_covered"]


def golden_questions() -> list[Question]:
    """Every question that the starter library should answer."""
    return [Question(**row) for row in _rows("questions.jsonl")]


def unanswerable_questions() -> list[Unanswerable]:
    """Every question that it must not answer."""
    return [Unanswerable(**row) for row in _rows("unanswerable.jsonl")]


def polarity_pairs() -> list[Polarity]:
    """Every pair of a question and its contrary."""
    return [Polarity(**row) for row in _rows("polarity.jsonl")]


def labelled_sentences() -> list[Labelled]:
    """Every sentence with the label that people gave it."""
    return [Labelled(**row) for row in _rows("support.jsonl")]


def key_steps() -> dict[str, frozenset[int]]:
    """Source id to the steps without which an answer is poor; 0 is the warning at the end."""
    return {row["scenario"]: frozenset(row["steps"]) for row in _rows("key_steps.jsonl")}


def scope_questions() -> list[tuple[str, str]]:
    """Texts and their scope: `in_scope` or a kind of question that is not for the library."""
    return [(row["text"], row["scope"]) for row in _rows("scope.jsonl")]


def _rows(name: str) -> Sequence[dict[str, Any]]:
    text = (files(__name__) / name).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]
