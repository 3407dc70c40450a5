"""What every request passes before a route sees it: plain ASGI, outermost first.

`Envelope` gives it an id, and its response the headers that keep a browser safe; `HostGuard`
refuses other sites' pages; `LoadGuard` turns away what would only wait; `TimeGuard` ends what lasts
too long; `SizeGuard` what is too large.
"""

import asyncio
import logging
import re
import time
from collections.abc import Collection, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

from staffroom.api.problems import problem_response
from staffroom.api.request_meter import route_template
from staffroom.monitoring.logs import REQUEST_ID
from staffroom.monitoring.metrics import REFUSED
from staffroom.monitoring.tracing import request_span

REQUESTS_AT_ONCE: Final = 64
"""Requests that one process works on; further ones would only wait for them."""

RESPONSE_SECONDS: Final = 120.0
"""Until a response has to begin, from the last part of the body on."""

BODY_SECONDS: Final = 30.0
"""Until the next part of a body has to arrive."""

BODY_BYTES_PER_SECOND: Final = 50_000
"""A body that comes faster gives its request as much more time as it needs; a trickle does not."""

LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))
"""This machine, as a browser names it."""

SAFE_METHODS: Final = frozenset(("GET", "HEAD", "OPTIONS"))

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_LIMITED: Final = ("/api/", "/v1/", "/mcp")
LOGGED_PATH: Final = 200
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_log = logging.getLogger(__name__)


class Envelope:
    """Each request has an id, each response the security headers, and each is logged.

    HEAD is answered as GET is, without the body. The log has method, path, status and time, never
    a question.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = Headers(scope=scope)
        given = received.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid7())
        scope["staffroom.request_id"] = request_id
        REQUEST_ID.set(request_id)
        started = time.perf_counter()
        status = 0
        is_head = scope["method"] == "HEAD"

        async def enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        with request_span(scope["method"], received) as span:
            # A copy, because the server goes on reading the method in its own.
            inner = {**scope, "method": "GET"} if is_head else scope
            try:
                await self._app(inner, receive, enveloped)
            finally:
                if span and status:
                    span.set_attribute("http.response.status_code", status)
                if span and (route := route_template(inner.get("route"))):
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attribute("http.route", route)
                took = 1000 * (time.perf_counter() - started)
                # Quoted, so that no path can write a line of its own.
                path = quote(scope["path"][:LOGGED_PATH])
                _log.info("%s %s %s %.1f ms %s", scope["method"], path, status, took, request_id)


class HostGuard:
    """A page of another site cannot speak to Staffroom through the reader's browser.

    Only the named hosts are answered, so that no foreign name can be pointed here; and what
    changes something must not come from another origin. No hosts: any.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], origins: Collection[str] = ()
    ) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._refusal(scope)):
            reason, status, detail = refusal
            REFUSED.labels(reason).inc()
            response = problem_response(status, detail, request_id=_id(scope))
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[str, int, str] | None:
        """How the refusal is counted, its status and what it says."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self._hosts and name.lower() not in self._hosts:
            return (
                "host",
                421,
                f"The host {host[:100]!r} is not served here. Name it in STAFFROOM_ALLOWED_HOSTS.",
            )
        if scope["method"] in SAFE_METHODS:
            return None
        origin = headers.get("origin")
        if origin and origin not in self._origins and _host_of(origin) != host.lower():
            told = (
                f"Requests from {origin[:100]!r} are refused. Name it in STAFFROOM_CORS_ORIGINS if "
                "it is yours."
            )
            return "origin", 403, told
        return None


class LoadGuard:
    """More requests than can be worked on are turned away at once, with when to come back.

    A stream of events has had its place once it begins: it mostly waits, and what it asks for is
    limited where that is made.
    """

    def __init__(self, app: ASGIApp, *, at_once: int = REQUESTS_AT_ONCE) -> None:
        self._app = app
        self._at_once = at_once
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_LIMITED):
            await self._app(scope, receive, send)
            return
        if self._inside >= self._at_once:
            REFUSED.labels("load").inc()
            response = problem_response(
                503,
                f"{self._inside} requests are being worked on. Try again in a second.",
                name="overloaded",
                request_id=_id(scope),
                headers={"Retry-After": "1"},
            )
            await response(scope, receive, send)
            return
        place = 1
        self._inside += place

        async def sent(message: Message) -> None:
            nonlocal place
            if message["type"] == "http.response.start" and _is_stream(message):
                self._inside -= place
                place = 0
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            self._inside -= place


class SizeGuard:
    """A body larger than its path may carry is refused; unread, if it announces its size."""

    def __init__(self, app: ASGIApp, *, limit: int, limits: Mapping[str, int]) -> None:
        self._app = app
        self._limit = limit
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.get(scope["path"], self._limit)
        refusal = HTTPException(413, f"The body is larger than {limit:,} bytes. Send less at once.")
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > limit:
            REFUSED.labels("size").inc()
            response = problem_response(413, refusal.detail, request_id=_id(scope))
            await response(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                REFUSED.labels("size").inc()
                raise refusal
            return message

        await self._app(scope, counted, send)


class TimeGuard:
    """A body that stops coming and a response that does not begin end with a problem."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        response_seconds: float = RESPONSE_SECONDS,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._app = app
        self._response_seconds = response_seconds
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: MutableMapping[str, Any] = {"started": False, "reading": True, "received": 0}
        begun = asyncio.get_running_loop().time()
        limit = asyncio.timeout(self._response_seconds)

        async def timed_receive() -> Message:
            if not state["reading"]:
                return await receive()
            try:
                async with asyncio.timeout(self._body_seconds):
                    message = await receive()
            except TimeoutError as error:
                REFUSED.labels("slow_body").inc()
                raise self._too_slow from error
            state["received"] += len(message.get("body", b""))
            state["reading"] = message["type"] == "http.request" and message.get("more_body", False)
            if not state["started"]:
                earned = state["received"] / BODY_BYTES_PER_SECOND
                limit.reschedule(begun + self._response_seconds + earned)
            return message

        async def timed_send(message: Message) -> None:
            if not state["started"]:
                state["started"] = True
                limit.reschedule(None)
            await send(message)

        try:
            async with limit:
                await self._app(scope, timed_receive, timed_send)
        except TimeoutError:
            if state["started"]:
                raise
            REFUSED.labels("timeout").inc()
            response = problem_response(
                503,
                f"This took longer than {self._response_seconds:g} seconds and was ended. Try "
                "again, with less at once if you can.",
                name="unavailable",
                request_id=_id(scope),
            )
            await response(scope, receive, send)

    @property
    def _too_slow(self) -> HTTPException:
        return HTTPException(
            408,
            f"No further part of the body came for {self._body_seconds:g} seconds. Nothing was "
            "stored; send it again.",
            headers={"Connection": "close"},
        )


def _is_stream(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/event-stream")


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _id(scope: Scope) -> str:
    return str(scope.get("staffroom.request_id", ""))
