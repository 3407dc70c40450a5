"""Traces, where they are wanted: their spans, whose trace they are of, and what they never say."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id

from staffroom.app import App, open_app
from staffroom.config import Settings
from staffroom.errors import ConfigError
from staffroom.monitoring.logs import JsonLines
from staffroom.monitoring.tracing import (
    SEND_SECONDS,
    request_span,
    set_up_traces,
    stage_span,
    stop_tracing,
    trace_headers,
    trace_to,
)
from tests.api_client import api_client
from tests.collector import collecting

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{CALLER}-01"
SECRET = "Xanthippe Quillfeather: pupils shout in class"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    trace_to(SimpleSpanProcessor(exporter))
    yield exporter
    stop_tracing()


async def test_a_question_is_traced_stage_by_stage_and_not_quoted(
    app: App, spans: InMemorySpanExporter
) -> None:
    await app.vector_ops.store_scenario("Noise", "Pupils shout in class", "1. Wait for silence.")
    async with api_client(app, traceparent=PARENT) as client:
        spans.clear()
        answered = await client.post("/api/v1/ask", json={"question": SECRET})
    *stages, request = spans.get_finished_spans()

    assert answered.json()["sentences"]

    assert [span.name for span in stages] == ["embed", "search", "write", "store"]
    assert {format_trace_id(span.context.trace_id) for span in (*stages, request)} == {TRACE}
    assert request.name == "POST /api/v1/ask"
    assert request.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/api/v1/ask",
    }
    assert stages[2].attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "extractive",
    }
    assert "Quillfeather" not in "".join(span.to_json() for span in (*stages, request))


def test_a_request_continues_the_trace_that_it_names(spans: InMemorySpanExporter) -> None:
    with request_span("POST", {"traceparent": PARENT}):
        with stage_span("search", db__system__name="postgresql"):
            pass
        outgoing = trace_headers()["traceparent"]
    search, request = spans.get_finished_spans()

    assert request.parent
    assert format_span_id(request.parent.span_id) == CALLER
    for span in (search, request):
        assert format_trace_id(span.context.trace_id) == TRACE
    assert search.parent == request.context
    assert outgoing == f"00-{TRACE}-{format_span_id(request.context.span_id)}-01"
    assert search.attributes == {"db.system.name": "postgresql"}


async def test_the_log_line_of_a_request_names_its_trace(
    app: App, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "staffroom.api.guards")
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("staffroom.api.guards")
    logger.addHandler(handler)
    async with api_client(app, traceparent=PARENT) as client:
        await client.get("/healthz")
    logger.info("nobody asked")
    logger.removeHandler(handler)

    request, outside = map(json.loads, written.getvalue().splitlines())
    assert request["trace_id"] == TRACE
    assert "trace_id" not in outside


async def test_a_request_that_ends_in_a_defect_has_its_status(
    app: App, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(app, "ask", broken)
    async with api_client(app) as client:
        answered = await client.post("/api/v1/ask", json={"question": "Why so loud?"})
    request = spans.get_finished_spans()[-1]

    assert answered.status_code == 500
    assert request.attributes
    assert request.attributes["http.response.status_code"] == 500
    assert request.attributes["error.type"] == "RuntimeError"
    assert "Quillfeather" not in request.to_json()


def test_a_span_that_failed_tells_the_class_and_not_the_text(spans: InMemorySpanExporter) -> None:
    with (
        pytest.raises(ValueError, match="Quillfeather"),
        request_span("GET", {}),
        stage_span("write"),
    ):
        raise ValueError(SECRET)

    for span in spans.get_finished_spans():
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes
        assert span.attributes["error.type"] == "ValueError"
        assert "Quillfeather" not in span.to_json()


def test_without_the_setting_nothing_is_traced_and_nothing_is_loaded() -> None:
    code = (
        "import sys; import staffroom.api.server; "
        "from staffroom.monitoring import tracing as t\n"
        "with t.request_span('GET', {}) as span, t.stage_span('search'): assert span is None\n"
        "assert (t.trace_headers(), t.trace_id()) == ({}, '')\n"
        "parts = ('opentelemetry.sdk', 'opentelemetry.exporter')\n"
        "assert not [name for name in sys.modules if name.startswith(parts)]"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_without_the_extra_the_setting_is_refused_with_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)

    with pytest.raises(ConfigError, match=r"pip install 'staffroom\[otel\]'"):
        set_up_traces("http://127.0.0.1:4318/v1/traces")


async def test_spans_arrive_where_the_setting_says(settings: Settings) -> None:
    with collecting() as collector:
        url = f"{collector.url}/v1/traces"
        async with open_app(settings.model_copy(update={"traces_url": url})) as app:
            await app.vector_ops.search("noise")

    ((path, kind, body),) = collector.received
    assert (path, kind) == ("/v1/traces", "application/x-protobuf")
    assert b"staffroom" in body


async def test_a_collector_that_is_away_keeps_nobody_waiting(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces"

    async with asyncio.timeout(3 * SEND_SECONDS):
        async with open_app(settings.model_copy(update={"traces_url": address})) as app:
            await app.vector_ops.search("noise")
