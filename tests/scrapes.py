"""What a scrape of /metrics says, read by the official parser."""

import re
from collections.abc import Iterable, Mapping

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from staffroom.api.server import create_api
from staffroom.config import Settings
from staffroom.monitoring.instruments import Configured
from staffroom.monitoring.metrics import INSTRUMENTS


def families(text: str) -> dict[str, Metric]:
    """By their names, each told once."""
    found: dict[str, Metric] = {}
    for family in text_string_to_metric_families(text):
        assert family.name not in found, f"{family.name} is told twice"
        found[family.name] = family
    return found


def samples(text: str) -> dict[str, list[tuple[Mapping[str, str], float]]]:
    """The labels and values under each name that a query can use."""
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for family in families(text).values():
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def told(text: str, name: str, **labels: str) -> float:
    """The sum of the samples of that name that have those labels; there has to be one."""
    fitting = [value for found, value in samples(text)[name] if labels.items() <= found.items()]
    assert fitting, (name, labels)
    return sum(fitting)


def counted(name: str, **labels: str) -> float:
    """The same of this process, 0 where nothing was counted yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def strangers(text: str) -> Iterable[str]:
    """Labels and values in a scrape that no definition allows."""
    create_api(settings=Settings())  # which admits the routes that a server in another process has
    known = {re.sub("_total$", "", each.name): each for each in INSTRUMENTS}
    for name, family in families(text).items():
        if name.startswith(("process_", "python_")):
            continue
        for sample in family.samples:
            for label, value in sample.labels.items():
                values = known[name].label_sets.get(label)
                if label == "le" or isinstance(values, Configured):
                    continue
                if values is None or value not in values:
                    yield f"{name}: {label}={value}"
