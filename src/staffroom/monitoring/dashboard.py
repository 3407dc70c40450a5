"""A Grafana dashboard: what matters most at a glance, then every instrument in its group."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from staffroom.monitoring import metrics as m
from staffroom.monitoring.instruments import Counter, Histogram, Instrument, Unit
from staffroom.monitoring.promql import mean, now, quantile, rate, share
from staffroom.monitoring.reference import GROUPS, of_group

WINDOW: Final = "$__rate_interval"
COLUMNS: Final = 24
STAT: Final = (4, 4)
GRAPH: Final = (8, 8)

_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_UNITS: Final[Mapping[Unit, str]] = {
    "": "short",
    "seconds": "s",
    "bytes": "bytes",
    "share": "percentunit",
}
_BY: Final[Mapping[Instrument, Sequence[str]]] = {
    m.REQUESTS: ("status",),
    m.REQUEST_TIME: ("route",),
    m.OPERATION_ERRORS: ("error",),
}
"""Labels by which an instrument is drawn, where all of them would be too many lines."""


@dataclass(frozen=True, slots=True)
class Query:
    """An expression and what its lines are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure or one graph."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    is_stat: bool = False


def glance() -> tuple[Panel, ...]:
    """What an operator looks at first."""
    answered = "written|direct|quoted|degraded"
    hits, misses = rate(m.CACHE_HITS, WINDOW), rate(m.CACHE_MISSES, WINDOW)
    return (
        _stat("Questions per minute", "asked, of all servers", f"60 * {rate(m.ANSWERS, WINDOW)}"),
        _stat(
            "Answered",
            "questions that the library had an answer for",
            share(m.ANSWERS, WINDOW, {"outcome": answered}),
            "percentunit",
        ),
        _stat(
            "First sentence, 95%",
            "95 % of the questions had their first sentence by then",
            quantile(0.95, m.FIRST_SENTENCE_TIME, WINDOW),
            "s",
        ),
        _stat(
            "Search, 95%",
            "95 % of the searches were done by then",
            quantile(0.95, m.SEARCH_TIME, WINDOW),
            "s",
        ),
        _stat(
            "From the cache",
            "embeddings that were known already",
            f"{hits} / ({hits} + {misses})",
            "percentunit",
        ),
        _stat(
            "Refused per minute",
            "requests that were turned away for any reason",
            f"60 * {rate(m.REFUSED, WINDOW)}",
        ),
    )


def panels_of(instrument: Instrument) -> Panel:
    """How the instrument is drawn: rates of a counter, spread of a histogram, a gauge as it is."""
    by = _BY.get(instrument, tuple(instrument.label_sets))
    legend = " ".join(f"{{{{{label}}}}}" for label in by)
    unit = _UNITS[instrument.unit]
    if isinstance(instrument, Counter):
        unit = "s" if instrument.unit == "seconds" else "cps"
        queries: tuple[Query, ...] = (Query(rate(instrument, WINDOW, *by), legend),)
    elif isinstance(instrument, Histogram) and instrument.unit == "share":
        queries = (Query(mean(instrument, WINDOW), "mean"),)
    elif isinstance(instrument, Histogram):
        queries = tuple(
            Query(quantile(part, instrument, WINDOW, *by), f"{legend} {100 * part:.0f}%".strip())
            for part in (0.5, 0.95)
        )
    else:
        queries = (Query(now(instrument, *by), legend),)
    return Panel(instrument.title, instrument.help, queries, unit)


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "uid": "staffroom",
        "title": "Staffroom",
        "description": "Generated from the definitions of Staffroom's instruments.",
        "tags": ["staffroom"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]
        },
        "panels": list(_laid_out()),
    }


def _stat(title: str, description: str, expression: str, unit: str = "short") -> Panel:
    return Panel(title, description, (Query(expression),), unit, is_stat=True)


def _laid_out() -> Iterator[dict[str, Any]]:
    rows = [("At a glance", glance())]
    rows += [(group.capitalize(), tuple(map(panels_of, of_group(group)))) for group in GROUPS]
    number, y = 0, 0
    for title, panels in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        }
        y += 1
        width, height = STAT if panels[0].is_stat else GRAPH
        for place, panel in enumerate(panels):
            line, column = divmod(place, COLUMNS // width)
            number += 1
            at = {"x": column * width, "y": y + line * height, "w": width, "h": height}
            yield {"id": number, "gridPos": at, **_panel(panel)}
        y += height * -(-len(panels) // (COLUMNS // width))


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": "stat" if panel.is_stat else "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": _DATASOURCE,
                "expr": query.expression,
                "legendFormat": query.legend or panel.title,
            }
            for place, query in enumerate(panel.queries)
        ],
    }
