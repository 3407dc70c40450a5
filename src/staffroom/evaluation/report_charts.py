"""Where the marks of a report's drawings lie, in percent from the upper left. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Final

from staffroom.charts import Bar, Point, Scale, percent, scale_for
from staffroom.evaluation.comparison import FIRST_MEASURE, SAME, Side
from staffroom.evaluation.figures import Passing, measured, per_question, percentiles
from staffroom.evaluation.measures import MEASURES
from staffroom.evaluation.significance import bootstrap_interval

THRESHOLDS: Final = tuple(round(0.05 * number, 2) for number in range(21))

WIDEST: Final = 4.0
"""Percent: no bar of a question is wider, however few there are."""


@dataclass(frozen=True, slots=True)
class Span:
    """A value between two bounds, along an axis; `x`, `low` and `high` are its places."""

    label: str
    value: float
    bounds: tuple[float, float]
    x: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BarsAcross:
    """Bars of questions above and below a middle line, the best first."""

    bars: Sequence[Bar]
    better: int
    worse: int
    same: int


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a curve's table."""

    cells: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """One side's points. `lines` by name; `weights` are the points' shares of all."""

    label: str
    lines: dict[str, Sequence[Point]]
    rows: Sequence[Row]
    weights: Sequence[float] = ()
    mark: float = 0.0

    def segments(self, name: str) -> list[tuple[Point, Point]]:
        """What joins neighbouring points of a line."""
        points = self.lines[name]
        return [(one, other) for one, other in pairwise(points) if other.column == one.column + 1]


def measure_spans(sides: Sequence[Side], split: str) -> list[tuple[str, list[Span]]]:
    """Every measure of every side on an axis from 0 to 1, with its 95 % interval."""
    values = {side.label: measured(side.run, side.mode, split) for side in sides}
    return [
        (
            name,
            [
                _span(label, fmean(own[name]), bootstrap_interval(own[name]), 1.0)
                for label, own in values.items()
            ],
        )
        for name in MEASURES
    ]


def latency_spans(sides: Sequence[Side], split: str) -> tuple[Scale, list[Span]]:
    """The middle of each side's milliseconds and their 95th percentile."""
    times = {}
    for side in sides:
        found = side.found.milliseconds
        times[side.label] = percentiles(found[name] for name in side.run.of_split(split))
    scale = scale_for([each["p95"] for each in times.values()])
    spans = [
        _span(label, each["p50"], (each["p50"], each["p95"]), scale.top)
        for label, each in times.items()
    ]
    return scale, spans


def difference_bars(a: Side, b: Side, split: str) -> BarsAcross:
    """What each question gains or loses from a to b, the largest gain first."""
    questions = a.run.of_split(split)
    values = [
        per_question(side.found, questions, MEASURES[FIRST_MEASURE]).values() for side in (a, b)
    ]
    differences = sorted((new - old for old, new in zip(*values, strict=True)), reverse=True)
    width = min(WIDEST, 100 / len(differences))
    bars = []
    for number, difference in enumerate(differences):
        if abs(difference) > SAME:
            height = round(50 * abs(difference), 2)
            top = 50 - height if difference > 0 else 50
            series = "better" if difference > 0 else "worse"
            bars.append(Bar(series, round(number * width, 3), top, round(width, 3), height))
    better = sum(bar.series == "better" for bar in bars)
    return BarsAcross(bars, better, len(bars) - better, len(differences) - len(bars))


def threshold_curve(side: Side, split: str) -> Curve:
    """Precision, recall and abstentions, wherever the threshold might lie."""
    passing = Passing(side.found, side.run.of_split(split))
    rows = [
        (each, passing.precision(each), passing.recall(each), passing.abstained(each))
        for each in THRESHOLDS
    ]
    lines: dict[str, Sequence[Point]] = {
        name: [
            Point(column, percent(row[0], 1), round(100 - percent(value, 1), 3))
            for column, row in enumerate(rows)
            if (value := row[place]) is not None
        ]
        for place, name in enumerate(("precision", "recall", "abstained"), 1)
    }
    return Curve(side.label, lines, [Row(row) for row in rows], mark=100 * side.run.threshold)


def reliability_curve(side: Side, split: str) -> Curve:
    """What was promised against what held, in ten stretches of relevance."""
    found = Passing(side.found, side.run.of_split(split)).reliability()
    points = [
        Point(column, round(100 * promised, 3), round(100 - 100 * held, 3))
        for column, (promised, held, _) in enumerate(found)
    ]
    total = sum(size for _, _, size in found) or 1
    return Curve(
        side.label,
        {"held": points},
        [Row(row) for row in found],
        weights=[round((size / total) ** 0.5, 3) for _, _, size in found],
    )


def _span(label: str, value: float, bounds: tuple[float, float], top: float) -> Span:
    return Span(
        label, value, bounds, percent(value, top), percent(bounds[0], top), percent(bounds[1], top)
    )
