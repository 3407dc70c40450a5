"""A collector of OpenTelemetry's figures and spans, as an operator runs one, on loopback."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric


class Received(NamedTuple):
    path: str
    kind: str
    body: bytes


class Collector:
    """What was sent, and where it can be sent to."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[Received] = []
        self._one_more = threading.Condition()

    def take(self, sent: Received) -> None:
        with self._one_more:
            self.received.append(sent)
            self._one_more.notify_all()

    def wait_until(self, enough: Callable[[], object], seconds: float = 30) -> None:
        with self._one_more:
            assert self._one_more.wait_for(enough, seconds), self.received

    def metrics(self) -> list[dict[str, Metric]]:
        """What each sending told, by name."""
        return [
            {
                metric.name: metric
                for resource in _metrics(sent).resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            }
            for sent in self.received
        ]

    def resources(self) -> list[dict[str, str]]:
        """Who said of itself to send, each time."""
        return [
            {each.key: each.value.string_value for each in resource.resource.attributes}
            for sent in self.received
            for resource in _metrics(sent).resource_metrics
        ]


def _metrics(sent: Received) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    request.ParseFromString(sent.body)
    return request


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(Received(self.path, self.headers["Content-Type"], body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is written."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
