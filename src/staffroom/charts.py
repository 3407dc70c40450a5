"""Where the marks of a chart lie. Pure.

A drawing fills whatever space it is given: places and sizes are percentages of it, from the upper
left corner, so that text and points keep their size on every screen.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MOST_STEPS: Final = 4
"""Lines across a chart, the base not counted."""

MOST_LABELS: Final = 6
ALL_LABELS: Final = 8
"""So few columns have a label each."""

FILLED: Final = 0.7
"""The part of its column that a bar takes."""


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from nought: its top, and the values at which it is labelled, the least first."""

    ticks: tuple[float, ...]

    @property
    def top(self) -> float:
        return self.ticks[-1]

    def height(self, value: float) -> float:
        """How high a value stands, in percent."""
        return percent(value, self.top)

    def place(self, value: float) -> float:
        """How far below the upper edge a value lies, in percent."""
        return round(100 - self.height(value), 3)


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a column or row."""

    series: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a line, and which column it belongs to."""

    column: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Line:
    """The points of a line and what joins those of neighbouring columns."""

    points: tuple[Point, ...]
    segments: tuple[tuple[Point, Point], ...]


@dataclass(frozen=True, slots=True)
class Label:
    """A column that is named below the chart; a minor one gives way on a narrow screen."""

    column: int
    x: float
    is_minor: bool


def percent(part: float, whole: float) -> float:
    """A part of a whole; of nothing, none."""
    return round(100 * part / whole, 3) if whole else 0.0


def scale_for(values: Iterable[float], least_step: float = 0.1) -> Scale:
    """A scale of round numbers that holds all values, in four steps or fewer."""
    largest = max(values, default=0.0)
    step = least_step
    for power in range(13):
        for digit in (1, 2, 5):
            step = round(least_step * digit * 10**power, 6)
            if largest <= MOST_STEPS * step:
                steps = max(1, math.ceil(round(largest / step, 6)))
                return Scale(tuple(round(step * number, 6) for number in range(steps + 1)))
    return Scale((0.0, largest))


def columns(values: Sequence[Mapping[str, float]], scale: Scale) -> list[Bar]:
    """A column for each entry, its series stacked in their order from the base up."""
    band = 100 / max(1, len(values))
    bars = []
    for number, entry in enumerate(values):
        x, base = round(band * (number + (1 - FILLED) / 2), 3), 0.0
        for series, value in entry.items():
            base += value
            height = scale.height(value)
            if height:
                bars.append(Bar(series, x, scale.place(base), round(band * FILLED, 3), height))
    return bars


def stretch(entry: Mapping[str, float], whole: float, start: float = 0.0) -> list[Bar]:
    """The series side by side in one row, as parts of the whole, from `start` percent on."""
    bars = []
    for series, value in entry.items():
        width = percent(value, whole)
        if width:
            bars.append(Bar(series, round(start, 3), 0.0, width, 100.0))
        start += width
    return bars


def line(values: Sequence[float | None], scale: Scale) -> Line:
    """The values in the middle of their columns; where one is missing, the line is broken."""
    points = {
        number: Point(number, middle(number, len(values)), scale.place(value))
        for number, value in enumerate(values)
        if value is not None
    }
    segments = [
        (point, points[number + 1]) for number, point in points.items() if number + 1 in points
    ]
    return Line(tuple(points.values()), tuple(segments))


def middle(column: int, size: int) -> float:
    """Where the middle of a column lies."""
    return round(100 * (column + 0.5) / size, 3)


def labels(size: int) -> list[Label]:
    """The columns that are named: at even distances, the last one always."""
    every = 1 if size <= ALL_LABELS else math.ceil(size / MOST_LABELS)
    named = list(range(size - 1, -1, -every))
    return [
        Label(column, middle(column, size), bool(place % 2)) for place, column in enumerate(named)
    ][::-1]
