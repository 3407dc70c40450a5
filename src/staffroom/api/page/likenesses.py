"""Two scenarios beside each other, with the words that only one of them has. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from staffroom.api.page.differences import Line, Piece, compare_texts

STEPS: Final = 30_000
"""How long two texts are aligned: a page shows a dozen of them."""

TEXTS: Final = ("description", "expected_response")


@dataclass(frozen=True, slots=True)
class Text:
    """A text as one of the two has it. `marks` says whether pieces of it are told apart."""

    lines: tuple[Line, ...]
    marks: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One scenario of a pair: its texts, and the questions that the other does not have."""

    scenario: Mapping[str, Any]
    situation: Text
    advice: Text
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """A pair as it is shown: `likeness` is its document; `shared` counts the questions of both."""

    likeness: Mapping[str, Any]
    sides: tuple[Side, Side]
    shared: int


def beside(likeness: Mapping[str, Any], one: Mapping[str, Any], other: Mapping[str, Any]) -> Beside:
    """The two scenarios of a pair, as documents, beside each other."""
    situations, advices = (_texts(one[name], other[name]) for name in TEXTS)
    questions = [tuple(scenario["example_questions"]) for scenario in (one, other)]
    shared = set(questions[0]) & set(questions[1])
    left, right = (
        Side(
            scenario,
            situations[place],
            advices[place],
            tuple(question for question in questions[place] if question not in shared),
        )
        for place, scenario in enumerate((one, other))
    )
    return Beside(likeness, (left, right), len(shared))


def _texts(one: str, other: str) -> tuple[Text, Text]:
    """Both texts with what only one of them has told apart, if they have enough in common."""
    if one == other:
        same = tuple(Line((Piece("same", line),)) for line in one.splitlines() if line.strip())
        return Text(same, marks=False), Text(same, marks=False)
    lines = compare_texts(one, other, STEPS)
    marks = any(piece.kind == "same" for line in lines for piece in line.pieces)
    return (
        Text(_only(lines, "removed"), marks),
        Text(_only(lines, "added"), marks),
    )


def _only(lines: Sequence[Line], kind: str) -> tuple[Line, ...]:
    """What one of the two texts has of the lines of both."""
    kept = []
    for line in lines:
        pieces = tuple(piece for piece in line.pieces if piece.kind in {"same", kind})
        if pieces or not line.pieces:
            kept.append(Line(pieces, skipped=line.skipped, further=line.further))
    return tuple(kept)
