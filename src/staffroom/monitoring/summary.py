"""What a scrape says, in figures that a person can read: totals, and how long things took."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from staffroom.monitoring.instruments import Histogram, Instrument
from staffroom.monitoring.metrics import INSTRUMENTS


def summary(text: str) -> list[dict[str, Any]]:
    """A document for each series of a known instrument, in the order of the definitions: of a
    histogram its count, mean, median and 95 %, else its value.

    Raises: ValueError if the text is no scrape, or one of another program.
    """
    families = {family.name: family for family in text_string_to_metric_families(text)}
    told = [
        document
        for instrument in INSTRUMENTS
        if (family := families.get(instrument.name.removesuffix("_total")))
        for document in _series(instrument, family)
    ]
    if not told:
        raise ValueError("it names no instrument of Staffroom")
    return told


def quantile(part: float, buckets: Sequence[tuple[float, float]]) -> float | None:
    """The value that such a part of the values is not above, as Prometheus estimates it: between
    the bounds of its bucket; the largest bound for what is beyond all. None of nothing.

    `buckets` are bounds, ascending, with how many values are not above each.
    """
    count = buckets[-1][1]
    if not count:
        return None
    rank, lower, below = part * count, 0.0, 0.0
    for bound, upto in buckets:
        if upto >= rank:
            if bound == float("inf"):
                return lower
            return lower + (bound - lower) * (rank - below) / (upto - below)
        lower, below = bound, upto
    return lower


def _series(instrument: Instrument, family: Metric) -> Iterator[dict[str, Any]]:
    head = {
        "name": instrument.name,
        "title": instrument.title,
        "group": instrument.group,
        "kind": instrument.kind,
        "unit": instrument.unit,
    }
    if not isinstance(instrument, Histogram):
        for sample in family.samples:
            yield {**head, "labels": dict(sample.labels), "value": sample.value}
        return
    for labels, samples in _by_labels(family).items():
        yield {**head, "labels": dict(labels), **_spread(samples)}


def _by_labels(family: Metric) -> Mapping[tuple[tuple[str, str], ...], list[Sample]]:
    series: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in family.samples:
        labels = tuple((name, value) for name, value in sample.labels.items() if name != "le")
        series.setdefault(labels, []).append(sample)
    return series


def _spread(samples: Sequence[Sample]) -> dict[str, float | None]:
    whole = {sample.name.rpartition("_")[2]: sample.value for sample in samples}
    count, total = whole.get("count", 0.0), whole.get("sum", 0.0)
    buckets = sorted(
        (float(sample.labels["le"]), sample.value) for sample in samples if "le" in sample.labels
    )
    return {
        "count": count,
        "mean": total / count if count else None,
        "p50": quantile(0.5, buckets) if buckets else None,
        "p95": quantile(0.95, buckets) if buckets else None,
    }
