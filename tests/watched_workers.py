"""A process that watches two small workers, for tests to signal: `python -m tests.watched_workers`.

Each worker tells its id on standard output when it begins to serve, and when it is told to end.
`--fail` makes them end at once, `--stuck` makes the
first one fall silent.
"""

import os
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from staffroom.api import workers

CODE = 78
QUICK = 0.05


def tell(what: str) -> None:
    os.write(1, f"{what} {os.getpid()}\n".encode())


def work(reports: Connection) -> None:
    marker = Path(sys.argv[1])
    if "--fail" in sys.argv or marker.exists():
        sys.exit(CODE)
    is_stuck = "--stuck" in sys.argv and not marker.with_suffix(".stuck").exists()
    marker.with_suffix(".stuck").touch()
    watcher = os.getppid()
    try:
        tell("serves")
        while os.getppid() == watcher:
            reports.send_bytes(b"serves")
            time.sleep(3 if is_stuck else QUICK)
    finally:
        tell("ends")


def begun() -> None:
    tell("begun")


if __name__ == "__main__":
    workers.LONGEST_PAUSE = QUICK  # type: ignore[misc]
    if "--stuck" in sys.argv:
        workers.SILENCE_SECONDS = 1.0  # type: ignore[misc]
    sys.exit(workers.Workers(work, 2, began=begun, stop_seconds=5).run())
