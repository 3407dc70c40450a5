"""Who may come in: everybody on this machine, or whoever has the API key.

The key travels as `Authorization: Bearer KEY`. A browser trades it at /sign-in for a cookie that
proves, for half a day, that its owner knew the key, and does not contain it.
"""

import hashlib
import hmac
import time
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from staffroom.api.problems import problem_response
from staffroom.monitoring.metrics import REFUSED

COOKIE: Final = "staffroom_session"
SESSION_SECONDS: Final = 12 * 3600

_OPEN: Final = ("/healthz", "/readyz", "/sign-in", "/sign-out", "/docs", "/openapi.json")
"""What shows nothing of the library and is served to anybody, as are the static files."""

_MACHINES: Final = ("/api/", "/v1/", "/mcp", "/metrics")


class KeyGuard:
    """With a key set, only who knows it gets past; others are told how to show it."""

    def __init__(self, app: ASGIApp, *, key: str) -> None:
        self._app = app
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._admits(scope):
            await self._app(scope, receive, send)
            return
        REFUSED.labels("key").inc()
        await self._refusal(scope)(scope, receive, send)

    def _admits(self, scope: Scope) -> bool:
        if is_open(scope["path"]):
            return True
        headers = Headers(scope=scope)
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            # Headers are read as Latin-1; a key of other letters was sent as UTF-8.
            sent = given.strip().encode("latin-1").decode("utf-8", "surrogateescape")
            return knows_key(self._key, sent)
        return is_session(self._key, cookie_parser(headers.get("cookie", "")).get(COOKIE, ""))

    def _refusal(self, scope: Scope) -> Response:
        if scope["path"].startswith(_MACHINES):
            return problem_response(
                401,
                "Show the API key as `Authorization: Bearer KEY`. Whoever runs this server has it.",
                request_id=str(scope.get("staffroom.request_id", "")),
                headers={"WWW-Authenticate": 'Bearer realm="staffroom"'},
            )
        wanted = scope["path"] + (
            "?" + scope["query_string"].decode("latin-1") if scope["query_string"] else ""
        )
        return RedirectResponse(f"/sign-in?next={quote(wanted)}", 303)


def is_open(path: str) -> bool:
    """Anybody gets what lies there, with or without the key."""
    return path in _OPEN or path.startswith("/static/")


def knows_key(key: str, given: str) -> bool:
    """What was given is the key; the comparison takes the same time for every wrong one."""
    return hmac.compare_digest(key.encode(), given.encode("utf-8", "surrogateescape"))


def new_session(key: str) -> str:
    """The value of a cookie that is good for half a day."""
    return _signed(key, int(time.time()) + SESSION_SECONDS)


def is_session(key: str, value: str) -> bool:
    """The value was made with this key and is not too old."""
    expires = value.partition(".")[0]
    if not (expires.isascii() and expires.isdigit() and len(expires) <= len("9999999999")):
        return False
    return hmac.compare_digest(_signed(key, int(expires)), value) and int(expires) > time.time()


def _signed(key: str, expires: int) -> str:
    message = f"staffroom session {expires}".encode()
    return f"{expires}.{hmac.new(key.encode(), message, hashlib.sha256).hexdigest()}"
