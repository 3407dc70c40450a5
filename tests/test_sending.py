"""OpenTelemetry metrics: the figures of a scrape, sent where the setting says, by one process."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, HistogramDataPoint
from opentelemetry.sdk.metrics.export import Gauge, Histogram, Sum
from prometheus_client import CollectorRegistry, Counter
from prometheus_client import Gauge as PrometheusGauge
from prometheus_client import Histogram as PrometheusHistogram

from staffroom.app import open_app
from staffroom.config import Settings
from staffroom.errors import ConfigError
from staffroom.monitoring import sending
from staffroom.monitoring.instruments import Family
from staffroom.monitoring.sending import INTERVAL, check_sending, metrics_data, metrics_sent
from staffroom.monitoring.tracing import SEND_SECONDS
from tests.collector import Collector, collecting
from tests.command import Command
from tests.scrapes import families
from tests.serving import serving

SECRET = "Xanthippe Quillfeather: pupils shout in class"
OFTEN = {INTERVAL: "200"}


async def nothing() -> Sequence[Family]:
    return ()


def test_each_kind_of_instrument_keeps_its_meaning() -> None:
    registry = CollectorRegistry()
    counter = Counter("rows_total", "rows by result", ["result"], registry=registry)
    counter.labels("new").inc(3)
    PrometheusGauge("size_bytes", "what it takes", registry=registry).set(7)
    seconds = PrometheusHistogram(
        "wait_seconds", "time that passed", ["lane"], buckets=(0.1, 1), registry=registry
    )
    for value in (0.05, 0.5, 0.6, 20):
        seconds.labels("batch").observe(value)
    seconds.labels("question").observe(0.5)

    ((scope,),) = [each.scope_metrics for each in metrics_data(registry.collect()).resource_metrics]
    rows, size, wait = scope.metrics

    assert (rows.name, rows.unit, rows.description) == ("rows_total", "", "rows by result")
    assert isinstance(rows.data, Sum)
    assert rows.data.is_monotonic
    assert [(p.attributes, p.value) for p in rows.data.data_points] == [({"result": "new"}, 3)]

    assert (size.name, size.unit) == ("size_bytes", "By")
    assert isinstance(size.data, Gauge)
    assert [point.value for point in size.data.data_points] == [7]

    assert (wait.name, wait.unit) == ("wait_seconds", "s")
    assert isinstance(wait.data, Histogram)
    batch, question = wait.data.data_points
    assert batch.attributes == {"lane": "batch"}
    assert (batch.explicit_bounds, batch.bucket_counts) == ([0.1, 1.0], [1, 2, 1])
    assert batch.count == 4
    assert batch.sum == pytest.approx(21.15)
    assert question.bucket_counts == [0, 1, 0]
    assert 0 < batch.start_time_unix_nano < batch.time_unix_nano


def test_what_is_sent_is_what_a_scrape_tells(settings: Settings) -> None:
    with collecting() as collector:
        url = f"{collector.url}/v1/metrics"
        settings = settings.model_copy(update={"metrics_url": url})
        with serving(settings) as served, httpx.Client(base_url=served.url) as client:
            client.post("/api/v1/search", json={"query": SECRET})
            scraped = families(client.get("/metrics").text)

    (sent,) = collector.metrics()  # the interval is a minute: this is what is sent at the end
    (resource,) = collector.resources()
    ((path, kind, body),) = collector.received
    assert (path, kind) == ("/v1/metrics", "application/x-protobuf")
    assert resource["service.name"] == "staffroom"
    assert resource["service.instance.id"] == f"{socket.gethostname()}:{os.getpid()}"
    assert b"Quillfeather" not in body

    told = {f"{name}_total" if one.type == "counter" else name for name, one in scraped.items()}
    assert set(sent) == told
    searches = sent["vector_search_seconds"].histogram
    assert (
        searches.aggregation_temporality
        == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    )
    (point,) = searches.data_points
    assert counts_up_to_each_bound(point) == [
        int(sample.value)
        for sample in scraped["vector_search_seconds"].samples
        if sample.name.endswith("_bucket")
    ]
    (up,) = sent["database_up"].gauge.data_points
    assert up.as_double == 1
    posted = [
        point.as_double
        for point in sent["http_requests_total"].sum.data_points
        if {"/api/v1/search", "2xx"} <= {each.value.string_value for each in point.attributes}
    ]
    assert sum(posted) >= 1


def counts_up_to_each_bound(point: HistogramDataPoint) -> list[int]:
    return [sum(point.bucket_counts[: end + 1]) for end in range(len(point.bucket_counts))]


@pytest.mark.slow
def test_one_process_of_a_server_sends_for_all_and_another_goes_on_when_it_is_killed(
    settings: Settings,
) -> None:
    with collecting() as collector:
        command = Command.on(settings, STAFFROOM_METRICS_URL=collector.url, **OFTEN)
        with command.started("serve", "--port", "0", "--workers", "2") as server:
            collector.wait_until(lambda: processes(collector) == 2)
            for worker in children(server.pid):
                os.kill(worker, signal.SIGKILL)
                wait_for_more(collector)
            collector.wait_until(lambda: processes(collector) == 2)
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=60)
        resources = collector.resources()

    assert {each["service.instance.id"] for each in resources} == {
        f"{socket.gethostname()}:{server.pid}"
    }


def wait_for_more(collector: Collector, sendings: int = 5) -> None:
    enough = len(collector.received) + sendings
    collector.wait_until(lambda: len(collector.received) > enough)


def processes(collector: Collector) -> float:
    """How many processes the last sending says that there are."""
    if not collector.received:
        return 0
    (point,) = collector.metrics()[-1]["server_processes"].gauge.data_points
    return float(point.as_double)


def children(process: int) -> list[int]:
    return [
        int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


@pytest.mark.slow
def test_a_worker_sends_what_it_does(settings: Settings) -> None:
    with collecting() as collector:
        command = Command.on(settings, STAFFROOM_METRICS_URL=collector.url)
        command("worker", "--once")

    (sent,) = collector.metrics()
    assert "import_rows_total" in sent
    assert "embedding_generation_seconds" in sent


async def test_the_operator_says_which_instance_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=school-7,region=north")
    with collecting() as collector:
        async with metrics_sent(collector.url, nothing):
            pass

    (resource,) = collector.resources()
    assert (resource["service.instance.id"], resource["region"]) == ("school-7", "north")


async def test_figures_that_cannot_be_read_stop_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken() -> Sequence[Family]:
        raise RuntimeError(SECRET)

    with collecting() as collector:
        async with metrics_sent(collector.url, broken):
            pass

    assert collector.received == []
    (record,) = (each for each in caplog.records if each.name == sending.__name__)
    assert record.getMessage() == "metrics could not be sent"


async def test_a_collector_that_is_away_keeps_nobody_waiting() -> None:
    async with asyncio.timeout(3 * SEND_SECONDS):
        async with metrics_sent(nowhere(), nothing):
            pass


def nowhere() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1/metrics"


@pytest.mark.parametrize("given", ["soon", "0", "-5", "inf", "nan"])
def test_an_interval_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(INTERVAL, given)

    with pytest.raises(ConfigError, match=f"{INTERVAL} is '{given}'"):
        check_sending()


async def test_without_the_extra_the_setting_is_refused_with_the_next_step(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "find_spec", lambda _: None)

    with pytest.raises(ConfigError, match=r"METRICS_URL.*pip install 'staffroom\[otel\]'"):
        async with open_app(settings.model_copy(update={"metrics_url": nowhere()})):
            pass


def test_without_the_setting_nothing_is_loaded() -> None:
    code = (
        "import asyncio, sys; import staffroom.api.server\n"
        "from staffroom.monitoring.sending import metrics_sent\n"
        "async def run():\n"
        "    async with metrics_sent(None, None): pass\n"
        "asyncio.run(run())\n"
        "parts = ('opentelemetry.sdk', 'opentelemetry.exporter')\n"
        "assert not [name for name in sys.modules if name.startswith(parts)]"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
