"""Two rankings of the same questions, side by side. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final, TypedDict

from staffroom.errors import InputError
from staffroom.evaluation.figures import per_question
from staffroom.evaluation.measures import MEASURES
from staffroom.evaluation.runs import MODES, Asked, Found, Run, read_run
from staffroom.evaluation.significance import bootstrap_interval, randomisation_test
from staffroom.types import Mode

MOST_CHANGED: Final = 20
FIRST_MEASURE: Final = "ndcg@10"
"""What decides which questions changed most."""

SAME: Final = 1e-9
"""Values of a question that differ by less are a tie."""


class Difference(TypedDict):
    """One measure of both: `difference` is b less a, between `low` and `high` at 95 %; `p` is how
    often chance would make as much; wins are questions where b is better."""

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float
    wins: int
    losses: int
    ties: int


class RightDocument(TypedDict):
    """Where both ranked a relevant document; nothing if it was not found."""

    id: str
    grade: int
    rank_a: int | None
    rank_b: int | None


class Changed(TypedDict):
    """A question whose nDCG@10 differs."""

    id: str
    question: str
    difference: float
    relevant: list[RightDocument]


class Comparison(TypedDict):
    """What `staffroom eval --compare` prints."""

    a: str
    b: str
    data_set: str
    split: str
    queries: int
    measures: dict[str, Difference]
    changed: list[Changed]


@dataclass(frozen=True, slots=True)
class Side:
    """One mode of one run, and what it is called."""

    label: str
    run: Run
    mode: Mode

    @property
    def found(self) -> Found:
        return self.run.modes[self.mode]


def named_mode(name: str) -> Mode | None:
    """The mode of that name, if it is one."""
    return next((mode for mode in MODES if mode == name), None)


def stored_side(name: str) -> Side:
    """A stored run, named as FILE or as FILE:MODE; without a mode, the first that it has of all.

    Raises: UnreadableFile; InputError if the run lacks the mode.
    """
    file, _, last = name.rpartition(":")
    named = named_mode(last) if file else None
    run = read_run(Path(file if named else name))
    modes = [mode for mode in MODES if mode in run.modes]
    mode = modes[0] if named is None else named
    if mode not in modes:
        raise InputError(
            f"{name} has no mode {mode}. Choose FILE:MODE with one of: {', '.join(modes)}."
        )
    return Side(name, run, mode)


def compare(a: Side, b: Side, split: str | None = None) -> Comparison:
    """What changes from a to b, over the questions of a split: the named one, or the first.

    Raises: InputError if they are not about the same documents and questions.
    """
    check_comparable(a, b)
    split = split or a.run.splits[0]
    questions = a.run.of_split(split)
    if not questions:
        names = ", ".join(a.run.splits)
        raise InputError(f"{a.label} has no split {split!r}. Choose one of: {names}.")
    values = {
        name: [per_question(side.found, questions, measure) for side in (a, b)]
        for name, measure in MEASURES.items()
    }
    first = values[FIRST_MEASURE]
    return Comparison(
        a=a.label,
        b=b.label,
        data_set=a.run.data_set,
        split=split,
        queries=len(questions),
        measures={name: _difference(*pair) for name, pair in values.items()},
        changed=_changed(a, b, questions, lambda name: first[1][name] - first[0][name]),
    )


def check_comparable(a: Side, b: Side) -> None:
    """Both are about the same documents and questions. Raises: InputError."""
    advice = "Compare runs of one data set and split."
    if a.run.digest != b.run.digest:
        raise InputError(
            f"{a.label} and {b.label} are of different documents ({_about(a)} and {_about(b)}). "
            + advice
        )
    if a.run.questions != b.run.questions:
        raise InputError(
            f"{a.label} and {b.label} are of different questions or judgements ({_about(a)} and "
            f"{_about(b)}). " + advice
        )


def _about(side: Side) -> str:
    return f"{side.run.data_set} {'+'.join(side.run.splits)}, {len(side.run.questions)} questions"


def _difference(a: Mapping[str, float], b: Mapping[str, float]) -> Difference:
    differences = [b[name] - a[name] for name in a]
    low, high = bootstrap_interval(differences)
    wins = sum(difference > SAME for difference in differences)
    losses = sum(difference < -SAME for difference in differences)
    return Difference(
        a=fmean(a.values()),
        b=fmean(b.values()),
        difference=fmean(differences),
        low=low,
        high=high,
        p=randomisation_test(differences),
        wins=wins,
        losses=losses,
        ties=len(differences) - wins - losses,
    )


def _changed(
    a: Side, b: Side, questions: Mapping[str, Asked], difference: Callable[[str], float]
) -> list[Changed]:
    names = [name for name in questions if abs(difference(name)) > SAME]
    names.sort(key=lambda name: (-abs(difference(name)), name))
    return [
        Changed(
            id=name,
            question=questions[name].text,
            difference=difference(name),
            relevant=_right_documents(a, b, name, questions[name]),
        )
        for name in names[:MOST_CHANGED]
    ]


def _right_documents(a: Side, b: Side, name: str, asked: Asked) -> list[RightDocument]:
    ranks = [
        {document: rank for rank, (document, _) in enumerate(side.found.rankings[name], 1)}
        for side in (a, b)
    ]
    relevant = sorted(
        ((document, grade) for document, grade in asked.grades.items() if grade > 0),
        key=lambda each: (-each[1], min(rank.get(each[0], 10**9) for rank in ranks), each[0]),
    )
    return [
        RightDocument(
            id=document, grade=grade, rank_a=ranks[0].get(document), rank_b=ranks[1].get(document)
        )
        for document, grade in relevant
    ]
