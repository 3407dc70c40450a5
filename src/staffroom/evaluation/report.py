"""A run, or two runs side by side, as a page that needs nothing but itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from staffroom.charts import Scale
from staffroom.evaluation.comparison import Comparison, Side, compare
from staffroom.evaluation.figures import evaluation, percentiles
from staffroom.evaluation.report_charts import (
    BarsAcross,
    Curve,
    Span,
    difference_bars,
    latency_spans,
    measure_spans,
    reliability_curve,
    threshold_curve,
)
from staffroom.evaluation.runs import DEPTH, MODES, Run

LOW_P: Final = 0.0001
"""A smaller p-value is shown as smaller than this."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison and its drawing."""

    comparison: Comparison
    bars: BarsAcross


@dataclass(frozen=True, slots=True)
class Report:
    """What the page shows."""

    title: str
    split: str
    sides: Sequence[Side]
    questions: int
    measures: Sequence[tuple[str, Sequence[Span]]]
    others: Sequence[tuple[str, Sequence[tuple[str, Any]]]]
    compared: Sequence[Compared]
    thresholds: Sequence[Curve]
    reliability: Sequence[Curve]
    latency: tuple[Scale, Sequence[Span]]


def sides_of(run: Run) -> list[Side]:
    """Each mode of a run, called by its name."""
    return [Side(mode, run, mode) for mode in MODES if mode in run.modes]


def run_report(run: Run) -> str:
    """The page on one run: all its modes, the first of them compared with each of the others."""
    sides = sides_of(run)
    return _page(sides, [compare(other, sides[0]) for other in sides[1:]])


def comparison_report(a: Side, b: Side, comparison: Comparison) -> str:
    """The page on two sides."""
    return _page([a, b], [comparison])


def _page(sides: Sequence[Side], comparisons: Iterable[Comparison]) -> str:
    comparisons = list(comparisons)
    run = sides[0].run
    split = comparisons[0]["split"] if comparisons else run.splits[0]
    by_label = {side.label: side for side in sides}
    report = Report(
        title=run.data_set,
        split=split,
        sides=sides,
        questions=len(run.of_split(split)),
        measures=measure_spans(sides, split),
        others=_others(sides, split),
        compared=[
            Compared(each, difference_bars(by_label[each["a"]], by_label[each["b"]], split))
            for each in comparisons
        ],
        thresholds=[threshold_curve(side, split) for side in sides],
        reliability=[reliability_curve(side, split) for side in sides],
        latency=latency_spans(sides, split),
    )
    return _templates().get_template("report.html").render(report=report, run=run)


def _others(sides: Sequence[Side], split: str) -> list[tuple[str, list[tuple[str, Any]]]]:
    """What is told of each side besides, by what it is."""
    rows: dict[str, list[tuple[str, Any]]] = {}
    for side in sides:
        shown = evaluation(side.run)
        part = shown.get("parts", {}).get(split, shown)
        details = dict(part["details"][side.mode])
        del details["milliseconds"], details["recall@5"]
        for name, value in details.items():
            rows.setdefault(name.replace("_", " "), []).append((side.label, value))
    return list(rows.items())


def embedding_time(run: Run, split: str) -> str:
    """How long embedding a question took, for people."""
    times = percentiles(run.embedding[name] for name in run.of_split(split))
    return f"{times['p50']:.1f} ms (p95 {times['p95']:.1f} ms)"


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("staffroom.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(value=_value, signed=_signed, p_value=_p_value, rank=_rank)
    environment.globals.update(embedding_time=embedding_time)
    return environment


def _value(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _rank(rank: int | None) -> str:
    return f"rank {rank}" if rank else f"not in the first {DEPTH}"


def _p_value(value: float) -> str:
    return f"< {LOW_P:.4f}" if value < LOW_P else f"{value:.4f}"
