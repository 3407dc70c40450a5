"""A chart as a view shows it: in words, as marks and as a table."""

from dataclasses import dataclass

from staffroom.charts import Bar, Label, Line, Scale


@dataclass(frozen=True, slots=True)
class Series:
    """What one colour of a chart means."""

    name: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart by day or by run, in words, as marks and as a table: one row for each column."""

    id: str
    title: str
    summary: str
    series: tuple[Series, ...]
    scale: Scale
    ticks: tuple[str, ...]
    labels: tuple[tuple[Label, str], ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bars: tuple[Bar, ...] = ()
    lines: tuple[tuple[str, Line], ...] = ()
