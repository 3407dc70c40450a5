"""What HTTP adds to a search, and what the server does under more load than it can carry.

Requests arrive at a rate of their own, whether earlier ones were answered or not, as those of a
school do at the end of a break. (Clients that wait for an answer before they ask again would hide
how long the others wait.)
"""

import asyncio
import itertools
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypedDict

import numpy as np

from staffroom.content.starter import starter_rows

CLIENTS: Final = (1, 16)
"""Who ask at once, each again as soon as it is answered."""

TURNS: Final = 5
SHARES: Final = (0.5, 1.0, 2.0, 3.0)
"""Of what the server can carry, one after the other."""

CALM_SECONDS: Final = 0.25
RECOVERY_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 30.0
HTTP_OK: Final = 200
HTTP_UNAVAILABLE: Final = 503


class Step(TypedDict):
    """Requests that arrived at one rate. Times are in milliseconds."""

    share: float
    offered_per_s: float
    answered_per_s: float
    refused_per_s: float
    failed: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    refused_p99_ms: float | None


class Rate(TypedDict):
    """The same searches over HTTP and without it, in turns.

    `ratio` is that of the rates; `spread` is what it lay between in the middle half of the turns.
    """

    clients: int
    in_process_per_s: float
    served_per_s: float
    ratio: float
    spread: tuple[float, float]
    in_process_p50_ms: float | None
    in_process_p95_ms: float | None
    served_p50_ms: float | None
    served_p95_ms: float | None


class LoadReport(TypedDict):
    """What a server carries: `served_per_s` when many clients ask."""

    rates: list[Rate]
    served_per_s: float
    ratio: float
    steps: list[Step]
    recovered_after_s: float | None


class _Reply(NamedTuple):
    status: int
    seconds: float


class _Question(NamedTuple):
    text: str

    def request(self, host: str) -> bytes:
        body = json.dumps({"query": self.text, "limit": 5}).encode()
        head = (
            f"POST /api/v1/search HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


_Search = Callable[[_Question], Awaitable[object]]


@dataclass(slots=True)
class _Client:
    """Sends requests to one server, each over a connection that is free, or a new one."""

    host: str
    port: int
    _free: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=deque)

    async def send(self, question: _Question) -> _Reply:
        """The status and the time of the answer; status 0 if there was none."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status = await self._sent(question)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            status = 0
        return _Reply(status, time.perf_counter() - started)

    async def _sent(self, question: _Question) -> int:
        while True:
            is_old = bool(self._free)
            reader, writer = (
                self._free.pop() if is_old else await asyncio.open_connection(self.host, self.port)
            )
            try:
                writer.write(question.request(f"{self.host}:{self.port}"))
                status = await _read_reply(reader)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                writer.close()
                if is_old and not getattr(error, "partial", b""):
                    continue  # it was idle for so long that the server closed it
                raise
            self._free.append((reader, writer))
            return status

    async def close(self) -> None:
        for _, writer in self._free:
            writer.close()
        for _, writer in self._free:
            with suppress(OSError):
                await writer.wait_closed()


async def measure_load(
    host: str,
    port: int,
    in_process: Callable[[str], Awaitable[object]],
    seconds: float = 5.0,
) -> LoadReport:
    """The search of the server at that address, up to three times what it can carry.

    `in_process` does the same search in this process; each rate is held for `seconds`.
    """
    questions = _questions()

    async def search(question: _Question) -> None:
        await in_process(question.text)

    client = _Client(host, port)
    try:
        rates = [await _rate((search, client.send), questions, many, seconds) for many in CLIENTS]
        served = rates[-1]["served_per_s"]
        steps = [await _step(client, questions, share, served, seconds) for share in SHARES]
        recovered = await _recovery(client, questions, served)
    finally:
        await client.close()
    return LoadReport(
        rates=rates,
        served_per_s=served,
        ratio=rates[-1]["ratio"],
        steps=steps,
        recovered_after_s=recovered,
    )


def _questions() -> Iterator[_Question]:
    """Questions of which no two are the same, so that no cache answers."""
    texts = [question for row in starter_rows() for question in row["example_questions"]]
    for number in itertools.count():
        yield _Question(f"{texts[number % len(texts)]} (class {number})")


async def _rate(
    ways: tuple[_Search, _Search], questions: Iterator[_Question], clients: int, seconds: float
) -> Rate:
    """Each way has as many seconds in all, after a short turn that is not counted."""
    turn = seconds / TURNS
    for way in ways:
        await _asked(way, questions, clients, turn / 4)
    turns = [[await _asked(way, questions, clients, turn) for way in ways] for _ in range(TURNS)]
    alone, served = ([took for times in way for took in times] for way in zip(*turns, strict=True))
    ratios = [len(theirs) / max(1, len(ours)) for ours, theirs in turns]
    low, high = np.percentile(ratios, (25, 75))
    return Rate(
        clients=clients,
        in_process_per_s=len(alone) / seconds,
        served_per_s=len(served) / seconds,
        ratio=float(np.median(ratios)),
        spread=(float(low), float(high)),
        in_process_p50_ms=_percentile(alone, 50),
        in_process_p95_ms=_percentile(alone, 95),
        served_p50_ms=_percentile(served, 50),
        served_p95_ms=_percentile(served, 95),
    )


async def _asked(
    search: _Search, questions: Iterator[_Question], clients: int, seconds: float
) -> list[float]:
    """What each search took, when each client asks again as soon as it is answered."""
    ends = time.perf_counter() + seconds
    took = []

    async def ask() -> None:
        while (started := time.perf_counter()) < ends:
            await search(next(questions))
            took.append(time.perf_counter() - started)

    await asyncio.gather(*(ask() for _ in range(clients)))
    return took


async def _step(
    client: _Client, questions: Iterator[_Question], share: float, carried: float, seconds: float
) -> Step:
    replies = await _offer(client, questions, share * carried, seconds)
    answered = [reply.seconds for reply in replies if reply.status == HTTP_OK]
    refused = [reply.seconds for reply in replies if reply.status == HTTP_UNAVAILABLE]
    return Step(
        share=share,
        offered_per_s=len(replies) / seconds,
        answered_per_s=len(answered) / seconds,
        refused_per_s=len(refused) / seconds,
        failed=len(replies) - len(answered) - len(refused),
        p50_ms=_percentile(answered, 50),
        p95_ms=_percentile(answered, 95),
        p99_ms=_percentile(answered, 99),
        refused_p99_ms=_percentile(refused, 99),
    )


async def _offer(
    client: _Client, questions: Iterator[_Question], rate: float, seconds: float
) -> list[_Reply]:
    """Each request is sent when it is due, however many are not answered yet."""
    started = time.perf_counter()
    running = []
    for number in range(max(1, int(rate * seconds))):
        wait = started + number / rate - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        running.append(asyncio.create_task(client.send(next(questions))))
    return await asyncio.gather(*running)


async def _recovery(
    client: _Client, questions: Iterator[_Question], carried: float
) -> float | None:
    """Seconds until half of what the server carries is answered whole and quickly; None: not."""
    started = time.perf_counter()
    while (passed := time.perf_counter() - started) < RECOVERY_SECONDS:
        replies = await _offer(client, questions, carried / 2, CALM_SECONDS)
        if all(reply.status == HTTP_OK and reply.seconds < CALM_SECONDS for reply in replies):
            return passed
    return None


async def _read_reply(reader: asyncio.StreamReader) -> int:
    """The status of a reply whose body has been read as well."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = head.partition("content-length: ")[2].partition("\r\n")[0]
    await reader.readexactly(int(length))
    return int(head.split(maxsplit=2)[1])


def _percentile(seconds: Sequence[float], share: float) -> float | None:
    return round(1000 * float(np.percentile(seconds, share)), 2) if seconds else None
