"""The golden questions as a data set: its corpus is the starter library, its parts are splits."""

import json
from collections.abc import Iterator
from hashlib import sha256
from statistics import fmean
from typing import Final, TypedDict, get_args

from staffroom.content.starter import starter_rows
from staffroom.errors import InputError
from staffroom.evaluation.beir import DataSet
from staffroom.evaluation.golden import Part, golden_questions, polarity_pairs
from staffroom.evaluation.runs import Found

GOLDEN: Final = "golden"
"""What the data set is called, where a folder could be named."""

FITS, CLASHES = "fits", "clashes"

PARTS: Final[tuple[str, ...]] = get_args(Part)


class Polarity(TypedDict):
    """Shares of pairs, of the same scenario: it comes first for the question that it fits, and does
    not come first for the question that wants the contrary, or where somebody else does it."""

    pairs: int
    fits_first: float
    opposite_not_first: float


def golden_data_set(part: str | None = None) -> DataSet:
    """The golden questions that the starter library should answer, of that part or of both.

    Raises: InputError if there is no such part.
    """
    if part is not None and part not in PARTS:
        raise InputError(f"golden has no split {part!r}. Choose one of: {', '.join(PARTS)}.")
    questions = [each for each in golden_questions() if part in {None, each.part}]
    rows = starter_rows()
    text = json.dumps(rows, ensure_ascii=False, sort_keys=True)
    return DataSet(
        name=GOLDEN,
        corpus=rows,
        digest=sha256(text.encode()).hexdigest(),
        queries={each.id: each.text for each in questions},
        judgements={each.id: each.relevant for each in questions},
        splits={each.id: each.part for each in questions},
        probes=dict(_probes(part)),
    )


def polarity(found: Found, part: str) -> Polarity:
    """What one mode made of the pairs of that part."""
    pairs = [pair for pair in polarity_pairs() if pair.part == part]

    def is_first(name: str, scenario: str) -> bool:
        return [document for document, _ in found.rankings[name][:1]] == [scenario]

    return Polarity(
        pairs=len(pairs),
        fits_first=fmean(is_first(f"{pair.id} {FITS}", pair.scenario) for pair in pairs),
        opposite_not_first=fmean(
            not is_first(f"{pair.id} {CLASHES}", pair.scenario) for pair in pairs
        ),
    )


def _probes(part: str | None) -> Iterator[tuple[str, str]]:
    for pair in polarity_pairs():
        if part in {None, pair.part}:
            yield f"{pair.id} {FITS}", pair.fits
            yield f"{pair.id} {CLASHES}", pair.clashes
