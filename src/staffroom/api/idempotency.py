"""A write that is sent twice is done once: `Idempotency-Key`.

The first request with a key does the work, and its response is kept for a day. The same request
again gets that response; another request with the key is refused, and one that comes while the
first is under way is told to wait.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Depends, Header, Request, Response

from staffroom.api.context import Staffroom
from staffroom.api.problems import Problem
from staffroom.app import App
from staffroom.database.idempotency import Kept, KeptResponse

_KEPT_HEADERS: Final = ("content-type", "etag", "location")

Work = Callable[[], Awaitable[Response]]


class Write:
    """A request that may carry a key; without one, its work is simply done."""

    def __init__(self, app: App, key: str | None, fingerprint: bytes) -> None:
        self._app = app
        self._fingerprint = fingerprint
        self.key = key

    def include(self, content: bytes) -> None:
        """What else makes this request the same as another, such as an uploaded file."""
        self._fingerprint = hashlib.sha256(self._fingerprint + content).digest()

    async def respond(self, work: Work) -> Response:
        """The response of the work, or the one that was kept from doing it before.

        Raises: Problem, 422 if the key was used for another request, 409 if that one is under way.
        """
        if self.key is None:
            return await work()
        writes = self._app.vector_ops.idempotency
        kept = await writes.begin(self.key, self._fingerprint)
        match kept:
            case Kept.other:
                raise Problem(
                    422,
                    f"The Idempotency-Key {self.key!r} was used for another request. Use a new "
                    "key for a new request.",
                    name="key-reused",
                )
            case Kept.under_way:
                raise Problem(
                    409,
                    f"The request with the Idempotency-Key {self.key!r} is under way. Send it "
                    "again in a moment to get its response.",
                    name="key-in-use",
                    headers={"Retry-After": "1"},
                )
            case KeptResponse():
                headers = {**kept.headers, "Idempotent-Replay": "true"}
                return Response(kept.body, kept.status, headers)
        try:
            response = await work()
        except BaseException:
            await writes.forget(self.key)
            raise
        given = response.headers
        headers = {name: given[name] for name in _KEPT_HEADERS if name in given}
        answered = KeptResponse(response.status_code, headers, bytes(response.body))
        await writes.keep(self.key, answered)
        return response


async def _write(
    request: Request,
    app: Staffroom,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            pattern=r"^[\x21-\x7e]+$",
            description="Any text of your own that names this write, such as a UUID. Sent again "
            "with the same request within a day, it gets the same response.",
        ),
    ] = None,
) -> Write:
    digest = hashlib.sha256(f"{request.method} {request.url.path} ".encode())
    if idempotency_key is not None:
        digest.update(request.headers.get("if-match", "").encode())
        if not request.headers.get("content-type", "").lower().startswith("multipart/"):
            digest.update(await request.body())
    return Write(app, idempotency_key, digest.digest())


Once = Annotated[Write, Depends(_write)]
