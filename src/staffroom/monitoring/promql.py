"""Expressions of Prometheus on the instruments: a name that is not defined cannot be written."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from staffroom.monitoring.instruments import Counter, Histogram, Instrument, Reading

JOB: Final = {"job": "staffroom"}
"""What the scrape configuration calls Staffroom."""


def rate(counter: Counter, window: str, *by: str, where: Mapping[str, str] | None = None) -> str:
    """Events per second of all servers, by some labels."""
    return f"sum{_by(by)}(rate({_selector(counter, '', where)}[{window}]))"


def increase(counter: Counter, window: str, *, where: Mapping[str, str] | None = None) -> str:
    """Events in the time, of all servers."""
    return f"sum(increase({_selector(counter, '', where)}[{window}]))"


def share(counter: Counter, window: str, where: Mapping[str, str]) -> str:
    """The part of the events that has those labels; nothing where there were none."""
    return f"{rate(counter, window, where=where)} / {rate(counter, window)}"


def quantile(
    part: float,
    histogram: Histogram,
    window: str,
    *by: str,
    where: Mapping[str, str] | None = None,
) -> str:
    """The value that such a part of the values is not above."""
    buckets = f"rate({_selector(histogram, '_bucket', where)}[{window}])"
    return f"histogram_quantile({part}, sum{_by(('le', *by))}({buckets}))"


def mean(histogram: Histogram, window: str) -> str:
    """The mean of the values."""
    total, count = (
        f"sum(rate({_selector(histogram, part, None)}[{window}]))" for part in ("_sum", "_count")
    )
    return f"{total} / {count}"


def now(
    gauge: Instrument,
    *by: str,
    where: Mapping[str, str] | None = None,
    how: Literal["sum", "max", "min"] | None = None,
) -> str:
    """How much there is: of all servers together, or what each of them reads of the same."""
    how = how or ("max" if isinstance(gauge, Reading) else "sum")
    return f"{how}{_by(by)}({_selector(gauge, '', where)})"


def _by(labels: Sequence[str]) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""


def _selector(instrument: Instrument, part: str, where: Mapping[str, str] | None) -> str:
    """Raises: ValueError for a label or a value that the instrument cannot have."""
    for label, wanted in (where or {}).items():
        for value in wanted.removeprefix("!").split("|"):
            if label not in instrument.label_sets or value not in instrument.label_sets[label]:
                raise ValueError(f"{instrument.name} has no {label} {value!r}.")
    matchers = ", ".join(_matcher(*each) for each in {**JOB, **(where or {})}.items())
    return f"{instrument.name}{part}{{{matchers}}}"


def _matcher(label: str, wanted: str) -> str:
    if wanted.startswith("!"):
        return f'{label}!~"{wanted[1:]}"'
    return f'{label}=~"{wanted}"' if "|" in wanted else f'{label}="{wanted}"'
