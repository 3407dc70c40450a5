"""Several processes that serve one socket, and the one that watches them.

The first makes the installation ready; the others begin when it serves, and find all done. Where
the system can fork, they share the memory of what was loaded before them.
"""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Final

HEARTBEAT_SECONDS: Final = 5.0
"""A worker that serves says so that often."""

SILENCE_SECONDS: Final = 60.0
"""A worker that has said nothing for so long is stuck, and is replaced."""

RENEWAL_SECONDS: Final = 60.0
"""How long a successor may take until it serves."""

LONGEST_PAUSE: Final = 30.0
"""Between two attempts to begin a worker that ends before it serves."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Work = Callable[[Connection], None]
"""What a worker does. It sends something when it serves, and every few seconds from then on."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Worker:
    process: BaseProcess
    reports: Connection
    heard: float
    serves: bool = False
    retired: bool = False
    replaces: "_Worker | None" = None


class Workers:
    """So many workers serve, until this process is told to stop; one that dies is replaced.

    SIGTERM and SIGINT stop them in order, SIGHUP replaces them one by one. To be used in a process
    of one thread: what others hold would be lost in a fork.
    """

    def __init__(
        self, work: Work, count: int, *, began: Callable[[], None], stop_seconds: float
    ) -> None:
        self._work = work
        self._count = count
        self._began = began
        self._stop_seconds = stop_seconds
        self._context: Any = multiprocessing.get_context(
            "fork" if sys.platform == "linux" else "spawn"
        )
        self._workers: list[_Worker] = []
        self._renewed: deque[_Worker] = deque()
        self._signals: list[int] = []
        self._have_served = False
        self._pause = 0.0
        self._start_at: float | None = None

    def run(self) -> int:
        """The code to end with: 0, or that of a first worker that could not begin to serve."""
        gc.collect()
        gc.freeze()  # what is loaded is looked at no more, and so stays shared
        with _noting(self._signals) as wakeup:
            first = self._start()
            while not self._stops:
                self._wait(wakeup)
                if not self._have_served and first not in self._workers:
                    return first.process.exitcode or 1
                self._fill()
            self._stop()
        return 0

    @property
    def _stops(self) -> bool:
        return signal.SIGTERM in self._signals or signal.SIGINT in self._signals

    def _start(self, replaces: _Worker | None = None) -> _Worker:
        reading, writing = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_begin, args=(self._work, writing))
        # What is sent to a worker that has just begun waits until it can obey.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        writing.close()
        worker = _Worker(process, reading, time.monotonic(), replaces=replaces)
        self._workers.append(worker)
        return worker

    def _wait(self, wakeup: socket.socket) -> None:
        """Something has happened, or a second has passed; it has been dealt with."""
        reports = {worker.reports: worker for worker in self._workers}
        ends = {worker.process.sentinel: worker for worker in self._workers}
        happened = wait([wakeup, *reports, *ends], timeout=1.0)
        if wakeup in happened:
            wakeup.recv(4096)
        if self._stops:
            return
        if signal.SIGHUP in self._signals:
            self._signals.remove(signal.SIGHUP)
            self._renew()
        for one in happened:
            if one in reports:
                self._hear(reports[one])
        self._lose(ends[one] for one in happened if one in ends)
        self._kill_silent()

    def _hear(self, worker: _Worker) -> None:
        try:
            worker.reports.recv_bytes()
        except (EOFError, OSError):
            return  # it has ended, which its process tells
        worker.heard = time.monotonic()
        if worker.serves:
            return
        worker.serves = True
        self._pause = 0.0
        if not self._have_served:
            self._have_served = True
            self._began()
        old, worker.replaces = worker.replaces, None
        if old in self._workers:
            self._retire(old)
        elif old is not None:
            self._renew_next()

    def _lose(self, ended: Iterable[_Worker]) -> None:
        for worker in ended:
            worker.process.join()
            worker.reports.close()
            self._workers.remove(worker)
            if worker.retired:
                self._renew_next()
                continue
            _log.warning("worker %s ended with %s", worker.process.pid, worker.process.exitcode)
            if worker.replaces is not None:
                _log.error("its successor did not begin; the others are not replaced")
                self._renewed.clear()
            if not worker.serves:
                self._pause = min(LONGEST_PAUSE, 2 * self._pause or 1.0)
                self._start_at = time.monotonic() + self._pause

    def _fill(self) -> None:
        """As many as are wanted are there, unless one that ended early has to wait."""
        if not self._have_served or time.monotonic() < (self._start_at or 0.0):
            return
        spare = [one for one in self._workers if one.retired or one.replaces in self._workers]
        for _ in range(self._count - len(self._workers) + len(spare)):
            self._start()

    def _kill_silent(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            is_late = worker.replaces is not None
            limit = RENEWAL_SECONDS if is_late else SILENCE_SECONDS
            if (worker.serves or is_late) and not worker.retired and now - worker.heard > limit:
                _log.error("worker %s has said nothing for %g s", worker.process.pid, limit)
                worker.process.kill()

    def _renew(self) -> None:
        if not self._renewed and all(worker.replaces is None for worker in self._workers):
            self._renewed.extend(self._workers)
            self._renew_next()

    def _renew_next(self) -> None:
        while self._renewed:
            old = self._renewed.popleft()
            if old in self._workers:
                self._start(replaces=old)
                return

    def _retire(self, worker: _Worker) -> None:
        worker.retired = True
        worker.process.terminate()

    def _stop(self) -> None:
        """All have ended, at the latest when what they had under way has had its time."""
        for worker in self._workers:
            worker.process.terminate()
        ends = time.monotonic() + self._stop_seconds
        for worker in self._workers:
            worker.process.join(max(0.0, ends - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


@contextmanager
def _noting(received: list[int]) -> Iterator[socket.socket]:
    """Signals are added to the list, and end a wait for the socket."""
    reading, writing = socket.socketpair()
    with reading, writing:
        writing.setblocking(False)
        awake = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        before = {
            number: signal.signal(number, lambda number, _: received.append(number))
            for number in _SIGNALS
        }
        try:
            yield reading
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(awake)


def _begin(work: Work, reports: Connection) -> None:
    """A worker's life. It obeys the one that watches it, who alone is told to renew it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    work(reports)


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


async def beat(reports: Connection, ended: Callable[[], None]) -> None:
    """Whoever watches this process hears that it serves. `ended` is called when nobody does."""
    watcher = os.getppid()
    while os.getppid() == watcher:
        try:
            reports.send_bytes(b"serves")
        except OSError:
            break
        await asyncio.sleep(HEARTBEAT_SECONDS)
    ended()
