"""What an instrument is: a name, what it says, its unit, and labels of closed sets.

Documentation, dashboard, alerts, command and tests are held against these definitions.
"""

import functools
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, ClassVar, Final, Generic, Literal, ParamSpec, TypeVar

import prometheus_client
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

Kind = Literal["counter", "gauge", "histogram"]
Group = Literal["questions", "search", "embedding", "imports", "database", "server"]
Family = Metric
"""The samples of one instrument, as they are scraped."""

Unit = Literal["", "seconds", "bytes", "share"]
P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", prometheus_client.Counter, prometheus_client.Gauge, prometheus_client.Histogram)

OTHER: Final = "other"
"""Where a set has this member, it stands for every value outside."""

LONGEST_NAME: Final = 100
"""Characters that are told of what an operator named."""

# When a series was begun is told by no dashboard, and doubles the text.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # so it is there


class Values:
    """The closed set of a label's values.

    What is known only when the program has been put together, such as its routes, is admitted then:
    by code, never by a request.
    """

    def __init__(self, *values: str) -> None:
        self._values = dict.fromkeys(values)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._values))

    def __contains__(self, value: str) -> bool:
        return value in self._values

    def admit(self, *values: str) -> None:
        """The values are members from now on."""
        self._values.update(dict.fromkeys(values))

    def member(self, value: str) -> str:
        """The value itself, or the one that stands for it. Raises: ValueError if there is none."""
        if value in self._values:
            return value
        if OTHER in self._values:
            return OTHER
        raise ValueError(f"{value[:LONGEST_NAME]!r} is none of {', '.join(self._values)}.")


class Configured(Values):
    """What the operator chose or installed: one value at a time, never one of a request's."""

    def member(self, value: str) -> str:
        return value[:LONGEST_NAME]


class Instrument:
    """One thing that is measured. `title` names it to people, `help` says what a value means."""

    kind: ClassVar[Kind]

    def __init__(
        self,
        name: str,
        title: str,
        help_text: str,
        group: Group,
        *,
        unit: Unit = "",
        labels: Mapping[str, Values] | None = None,
    ) -> None:
        self.name = name
        self.title = title
        self.help = help_text
        self.group = group
        self.unit = unit
        self.label_sets: Mapping[str, Values] = labels or {}

    def members(self, values: Iterable[str]) -> tuple[str, ...]:
        """The labels' values, each of its closed set. Raises: ValueError if one is of none."""
        return tuple(
            known.member(value)
            for known, value in zip(self.label_sets.values(), values, strict=True)
        )


class _Written(Instrument, Generic[M]):
    """An instrument that the rooms write to, and that adds up over processes."""

    def __init__(
        self,
        name: str,
        title: str,
        help_text: str,
        group: Group,
        *,
        unit: Unit = "",
        labels: Mapping[str, Values] | None = None,
        bounds: tuple[float, ...] = (),
        zeros: bool = True,
    ) -> None:
        super().__init__(name, title, help_text, group, unit=unit, labels=labels)
        self.bounds = bounds
        self._metric: M = self._made()
        if zeros and self.label_sets:
            # A series that begins with its first event has no rate at that event.
            for values in product(*self.label_sets.values()):
                self._metric.labels(*values)

    def labels(self, *values: str) -> M:
        """Where values with those labels go. Raises: ValueError for a label of no closed set."""
        if not self.label_sets:
            return self._metric
        child: M = self._metric.labels(*self.members(values))
        return child

    def collect(self) -> Iterable[Metric]:
        """What it would tell of this process."""
        return self._metric.collect()

    @abstractmethod
    def _made(self) -> M: ...


class Counter(_Written[prometheus_client.Counter]):
    """Counts events; only grows."""

    kind = "counter"

    def inc(self, amount: float = 1) -> None:
        self.labels().inc(amount)

    def _made(self) -> prometheus_client.Counter:
        return prometheus_client.Counter(self.name, self.help, tuple(self.label_sets))


class Gauge(_Written[prometheus_client.Gauge]):
    """How much there is now, in all living processes together."""

    kind = "gauge"

    def set(self, value: float) -> None:
        self.labels().set(value)

    def _made(self) -> prometheus_client.Gauge:
        return prometheus_client.Gauge(
            self.name, self.help, tuple(self.label_sets), multiprocess_mode="livesum"
        )


class Histogram(_Written[prometheus_client.Histogram]):
    """How values are spread, in buckets up to the given bounds."""

    kind = "histogram"

    def observe(self, value: float) -> None:
        self.labels().observe(value)

    def awaited(
        self, *values: str
    ) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
        """Times a coroutine function, whether it fails or not, under those labels."""

        def decorate(
            function: Callable[P, Coroutine[Any, Any, R]],
        ) -> Callable[P, Coroutine[Any, Any, R]]:
            @functools.wraps(function)
            async def timed(*args: P.args, **kwargs: P.kwargs) -> R:
                with self.labels(*values).time():
                    return await function(*args, **kwargs)

            return timed

        return decorate

    def _made(self) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(
            self.name, self.help, tuple(self.label_sets), buckets=self.bounds
        )


class Reading(Instrument):
    """A gauge that is read once at each scrape, by the process that answers it: what it says is the
    same whichever process that is, and is told once."""

    kind = "gauge"

    def family(self, values: Mapping[tuple[str, ...], float]) -> GaugeMetricFamily:
        """The values by their labels, as they are scraped."""
        family = GaugeMetricFamily(self.name, self.help, labels=tuple(self.label_sets))
        for labels, value in values.items():
            family.add_metric(self.members(labels), value)
        return family
