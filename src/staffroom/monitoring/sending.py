"""OpenTelemetry metrics, where an operator wants them sent: the instruments that can be scraped.

Neither OpenTelemetry's SDK nor its exporter is loaded before something is sent. There is one set of
figures: what is sent is made of what a scrape would be told.
"""

import asyncio
import logging
import math
import os
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from prometheus_client.samples import Sample

from staffroom.errors import ConfigError
from staffroom.monitoring.exposition import told
from staffroom.monitoring.instruments import Family
from staffroom.monitoring.sharing import BEGAN, tells_for_all
from staffroom.monitoring.tracing import SEND_SECONDS, not_installed, service_resource

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import HistogramDataPoint, Metric, MetricsData

_log = logging.getLogger(__name__)

INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"
"""How often metrics are sent, in milliseconds; OpenTelemetry's own variable."""

_EXPORTER: Final = "opentelemetry.exporter"
_DEFAULT_MILLISECONDS: Final = 60_000
_UNITS: Final = {"seconds": "s", "bytes": "By"}

Read = Callable[[], Awaitable[Sequence[Family]]]
"""What is read for one sending, as for one scrape."""


@asynccontextmanager
async def metrics_sent(url: str | None, read: Read) -> AsyncIterator[None]:
    """While this lasts, every instrument is sent to that address from time to time, and once more
    at the end; of several processes that share their values, one sends.

    Raises: as `check_sending`.
    """
    if url is None:
        yield
        return
    seconds = check_sending()
    with _sender(url) as send:

        async def send_now() -> None:
            try:
                if tells_for_all():
                    await asyncio.to_thread(send, await read())
            except Exception as error:  # noqa: BLE001 - whoever is measured goes on without it
                _log.error("metrics could not be sent", extra={"raised": error})

        async def send_on() -> None:
            while True:
                await asyncio.sleep(seconds)
                await send_now()

        sending = asyncio.create_task(send_on())
        try:
            yield
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await send_now()


def check_sending() -> float:
    """The seconds between two sendings.

    Raises: ConfigError where the extra `otel` is not installed, or for an interval that is none.
    """
    if any(find_spec(package) is None for package in ("opentelemetry", _EXPORTER)):
        raise not_installed("STAFFROOM_METRICS_URL")
    given = os.environ.get(INTERVAL) or str(_DEFAULT_MILLISECONDS)
    try:
        milliseconds = float(given)
    except ValueError:
        milliseconds = math.nan
    if not 0 < milliseconds < math.inf:
        raise ConfigError(f"{INTERVAL} is {given!r}, and must be milliseconds, such as 60000.")
    return milliseconds / 1000


def metrics_data(families: Iterable[Family]) -> "MetricsData":
    """The families in OpenTelemetry's form, under the names that a scrape tells."""
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415
        MetricsData,
        ResourceMetrics,
        ScopeMetrics,
    )
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415

    scope = InstrumentationScope("staffroom")
    metrics = [_metric(family, time.time_ns()) for family in families if family.samples]
    return MetricsData(
        [ResourceMetrics(service_resource(), [ScopeMetrics(scope, metrics, "")], "")]
    )


@contextmanager
def _sender(url: str) -> Iterator[Callable[[Sequence[Family]], None]]:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415
        OTLPMetricExporter,
    )

    exporter = OTLPMetricExporter(endpoint=url, timeout=SEND_SECONDS)

    def send(read: Sequence[Family]) -> None:
        exporter.export(metrics_data(told(read).collect()))

    try:
        yield send
    finally:
        exporter.shutdown()


def _metric(family: Family, now: int) -> "Metric":
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415
        AggregationTemporality,
        Gauge,
        Histogram,
        Metric,
        NumberDataPoint,
        Sum,
    )

    name = f"{family.name}_total" if family.type == "counter" else family.name
    words = name.removesuffix("_total").rpartition("_")
    cumulative = AggregationTemporality.CUMULATIVE
    data: Gauge | Histogram | Sum
    if family.type == "histogram":
        data = Histogram([_spread(each, now) for each in _by_labels(family.samples)], cumulative)
    else:
        points = [
            NumberDataPoint(dict(sample.labels), BEGAN, now, float(sample.value))
            for sample in family.samples
            if sample.name == name
        ]
        data = Sum(points, cumulative, True) if family.type == "counter" else Gauge(points)
    return Metric(name, family.documentation, _UNITS.get(words[-1], ""), data)


def _by_labels(samples: Iterable[Sample]) -> Iterable[Sequence[Sample]]:
    """The samples of each histogram of a family."""
    found: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in samples:
        found.setdefault(tuple(sorted(_labels(sample).items())), []).append(sample)
    return found.values()


def _labels(sample: Sample) -> Mapping[str, str]:
    return {name: value for name, value in sample.labels.items() if name != "le"}


def _spread(samples: Sequence[Sample], now: int) -> "HistogramDataPoint":
    """One histogram: Prometheus counts what is up to each bound, OpenTelemetry what is between."""
    from opentelemetry.sdk.metrics.export import HistogramDataPoint  # noqa: PLC0415

    up_to = sorted(
        (float(sample.labels["le"]), int(sample.value))
        for sample in samples
        if "le" in sample.labels
    )
    counts = [count for _, count in up_to]
    between = [count - before for before, count in zip([0, *counts], counts, strict=False)]
    (total,) = (sample.value for sample in samples if sample.name.endswith("_sum"))
    return HistogramDataPoint(
        attributes=dict(_labels(samples[0])),
        start_time_unix_nano=BEGAN,
        time_unix_nano=now,
        count=counts[-1],
        sum=total,
        bucket_counts=between,
        explicit_bounds=[bound for bound, _ in up_to[:-1]],
        min=None,  # type: ignore[arg-type] # nobody knows it, and the encoder leaves it out
        max=None,  # type: ignore[arg-type] # as above
    )
