"""A stream of events: nothing is lost, silence is told from death, and leaving ends the work."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from staffroom.api.events import Event, event_response, wants_events
from staffroom.errors import NotFoundError, Overloaded
from tests.api_client import events_in, listening

HEARTBEAT = 0.02


class Work:
    """What a stream does until it is closed."""

    def __init__(self, *script: Event | float | Exception) -> None:
        self._script = script
        self.said = 0
        self.closed = asyncio.Event()

    async def stream(self) -> AsyncGenerator[Event, None]:
        try:
            for step in self._script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                    continue
                self.said += 1
                yield step
        finally:
            self.closed.set()


def serve(work: Work) -> FastAPI:
    api = FastAPI()

    @api.get("/stream")
    async def stream(request: Request) -> Response:
        return event_response(request, work.stream(), HEARTBEAT)

    @api.get("/wants")
    async def wants(request: Request) -> bool:
        return wants_events(request)

    return api


async def whole(work: Work) -> str:
    transport = httpx.ASGITransport(serve(work))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return (await client.get("/stream")).text


async def test_events_arrive_in_order_whatever_they_hold() -> None:
    odd: list[dict[str, Any]] = [
        {"text": "line one\nline two\r\ndata: no\n\nevent: none"},
        {"text": "\u2028 é 😀 \x85", "number": 0.5, "nothing": None},
        {},
    ]
    work = Work(*(Event(f"e{n}", document) for n, document in enumerate(odd)))

    assert events_in(await whole(work)) == [(f"e{n}", document) for n, document in enumerate(odd)]
    assert work.closed.is_set()


async def test_silence_is_filled_with_comments_and_costs_no_event() -> None:
    text = await whole(Work(Event("a", {}), 5.5 * HEARTBEAT, Event("b", {}), 1.5 * HEARTBEAT))

    comments = [line for line in text.splitlines() if line.startswith(":")]
    assert len(comments) >= 3
    assert [name for name, _ in events_in(text)] == ["a", "b"]


async def test_a_quick_stream_has_no_comments() -> None:
    assert "\n:" not in await whole(Work(*[Event("a", {})] * 50))


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (NotFoundError("there is no scenario 7."), 404, "not-found"),
        (Overloaded("too much.", 3), 503, "overloaded"),
        (ZeroDivisionError("internals"), 500, "internal-server-error"),
    ],
)
async def test_a_failure_ends_the_stream_with_its_problem(
    error: Exception, status: int, name: str
) -> None:
    text = await whole(Work(Event("a", {}), error, Event("never", {})))

    (first, _), (last, problem) = events_in(text)
    assert (first, last) == ("a", "error")
    assert (problem["status"], problem["type"]) == (status, f"/docs#{name}")
    assert "internals" not in text


@pytest.mark.parametrize("pause", [0.0, 30.0])
async def test_a_reader_who_leaves_ends_the_work_at_once(pause: float) -> None:
    endless = [step for n in range(10_000) for step in (Event("a", {"n": n}), pause + 0.001)]
    work = Work(*endless)
    async with listening(serve(work)) as client:
        async with client.stream("GET", "/stream") as response:
            await anext(response.aiter_bytes())
        await asyncio.wait_for(work.closed.wait(), 2)

    assert work.said < 10_000


async def test_a_reader_who_left_before_the_first_event_ends_the_work_too() -> None:
    work = Work(30.0, Event("late", {}))
    async with listening(serve(work)) as client:
        async with client.stream("GET", "/stream") as response:
            assert (await anext(response.aiter_bytes())).startswith(b":")
        await asyncio.wait_for(work.closed.wait(), 2)


async def test_who_asks_for_events_gets_them() -> None:
    transport = httpx.ASGITransport(serve(Work()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for accept, wanted in (
            ("text/event-stream", True),
            ("text/event-stream, application/json;q=0.5", True),
            ("Text/Event-Stream", True),
            ("application/json", False),
            ("*/*", False),
        ):
            found = await client.get("/wants", headers={"Accept": accept})
            assert found.json() is wanted, accept
