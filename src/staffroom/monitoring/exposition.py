"""The instruments' values as Prometheus reads them, of all processes of the server together."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    start_http_server,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from staffroom.errors import ConfigError
from staffroom.monitoring.sharing import SHARED_FOLDER

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


@contextmanager
def exposed(host: str, port: int) -> Iterator[str]:
    """The figures of this process can be scraped at an address, which is told, while this lasts.

    Raises: ConfigError if nobody may listen there.
    """
    try:
        server, thread = start_http_server(port, host)
    except OSError as error:
        raise ConfigError(
            f"no metrics can be shown at {host}, port {port}: {error}. Name a free port, or 0."
        ) from error
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def exposition(read: Sequence[Metric] = ()) -> bytes:
    """Every instrument as text, as `told`."""
    return generate_latest(told(read))


def told(read: Sequence[Metric] = ()) -> CollectorRegistry:
    """Every instrument: what the processes counted, and what was read for this scrape."""
    registry = CollectorRegistry()
    if folder := os.environ.get(SHARED_FOLDER):
        _forget_the_dead(Path(folder))
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # untyped in the library
    else:
        registry.register(REGISTRY)
    registry.register(_Read(read))
    return registry


class _Read(Collector):
    """What was read for one scrape."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _forget_the_dead(folder: Path) -> None:
    """Gauges tell of living processes only; what the others counted stays counted."""
    if sys.platform == "win32":  # there, asking whether a process lives would end it
        return
    for path in folder.glob("gauge_live*_*.db"):
        process = int(path.stem.rpartition("_")[2])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            # Another process may be answering a scrape, too.
            with suppress(FileNotFoundError):
                mark_process_dead(process)  # type: ignore[no-untyped-call] # as above
        except PermissionError:
            pass
