"""Server-sent events: a stream whose work stops when its reader leaves."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, NamedTuple

from fastapi.sse import format_sse_event
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse

from staffroom.api.problems import defect_response, error_response, request_id
from staffroom.errors import StaffroomError

HEARTBEAT_SECONDS: Final = 10.0
"""Silence after which a comment is sent, so that no proxy takes the connection for dead."""

MEDIA_TYPE: Final = "text/event-stream"
CONTENT: Final[dict[str, Any]] = {
    MEDIA_TYPE: {
        "schema": {
            "type": "object",
            "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
            "required": ["data"],
        }
    }
}
"""An event of a stream, for the API's description."""

_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_HEARTBEAT: Final = b": still working\n\n"
_LINE_ENDS: Final = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}


class Event(NamedTuple):
    """A named event and its document."""

    name: str
    data: Mapping[str, Any]


def wants_events(request: Request) -> bool:
    """The client asked for a stream of events."""
    return MEDIA_TYPE in request.headers.get("accept", "").lower()


def event_data(document: Mapping[str, Any]) -> str:
    """The document on one line, also for clients that take other marks for a line's end."""
    return json.dumps(document, ensure_ascii=False).translate(_LINE_ENDS)


def event_response(
    request: Request,
    events: AsyncGenerator[Event, None],
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> StreamingResponse:
    """The events as they come; a failure is an `error` event with its problem."""
    return stream_response(_encoded(events, request_id(request)), heartbeat_seconds)


def stream_response(
    events: AsyncGenerator[bytes, None], heartbeat_seconds: float = HEARTBEAT_SECONDS
) -> StreamingResponse:
    """The encoded events as they come, and comments while there are none."""
    stream = _patiently(events, heartbeat_seconds)
    return StreamingResponse(stream, media_type=MEDIA_TYPE, headers=_HEADERS)


async def _encoded(
    events: AsyncGenerator[Event, None], request_id: str
) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(events):
            async for event in events:
                yield format_sse_event(event=event.name, data_str=event_data(event.data))
    except StaffroomError as error:
        yield _error_event(error_response(error, request_id))
    except Exception as error:  # noqa: BLE001 - a defect is told, as it is before the first byte
        yield _error_event(defect_response(error, request_id))


def _error_event(problem: JSONResponse) -> bytes:
    return format_sse_event(event="error", data_str=event_data(json.loads(bytes(problem.body))))


async def _patiently(
    events: AsyncGenerator[bytes, None], heartbeat_seconds: float
) -> AsyncGenerator[bytes, None]:
    following = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait({following}, timeout=heartbeat_seconds)
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
