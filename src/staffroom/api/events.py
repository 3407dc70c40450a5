"""Server-sent events: a stream whose work stops when its reader leaves."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, NamedTuple

from fastapi.sse import format_sse_event
from starlette.requests import Request
from starlette.responses import StreamingResponse

from staffroom.api.problems import error_response, request_id
from staffroom.errors import StaffroomError

HEARTBEAT_SECONDS: Final = 10.0
"""Silence after which a comment is sent, so that no proxy takes the connection for dead."""

MEDIA_TYPE: Final = "text/event-stream"
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_HEARTBEAT: Final = b": still working\n\n"


class Event(NamedTuple):
    """A named event and its document."""

    name: str
    data: Mapping[str, Any]


def wants_events(request: Request) -> bool:
    """The client asked for a stream of events."""
    return MEDIA_TYPE in request.headers.get("accept", "")


def event_response(request: Request, events: AsyncGenerator[Event, None]) -> StreamingResponse:
    """The events as they come; a failure is an `error` event with its problem."""
    return stream_response(_encoded(events, request_id(request)))


def stream_response(events: AsyncGenerator[bytes, None]) -> StreamingResponse:
    """The encoded events as they come, and comments while there are none."""
    return StreamingResponse(_patiently(events), media_type=MEDIA_TYPE, headers=_HEADERS)


async def _encoded(
    events: AsyncGenerator[Event, None], request_id: str
) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(events):
            async for event in events:
                yield format_sse_event(
                    event=event.name, data_str=json.dumps(event.data, ensure_ascii=False)
                )
    except StaffroomError as error:
        problem = bytes(error_response(error, request_id).body).decode()
        yield format_sse_event(event="error", data_str=problem)


async def _patiently(events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    following = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait({following}, timeout=HEARTBEAT_SECONDS)
            if not done:
                yield _HEARTBEAT
                continue
            try:
                event = following.result()
            except StopAsyncIteration:
                return
            yield event
            following = asyncio.ensure_future(anext(events))
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration, StaffroomError):
            await following
        await events.aclose()
