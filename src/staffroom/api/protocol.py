"""HTTP/1.1 on one connection, with limits on what comes before a request is one.

The parser has none of its own: without these, a head that never ends fills the memory, and one
that never comes holds one of the places for connections.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from staffroom.api.problems import problem_response

HEAD_BYTES: Final = 32_768
"""Of the address and the header fields of a request together."""

HEAD_FIELDS: Final = 100
HEAD_SECONDS: Final = 10.0
"""From the connection, or the first byte of a further request, until its head is there."""

LINGER_SECONDS: Final = 1.0
"""How long a client that was refused may go on sending, so that it reads why."""


class _Refused(Exception):
    """The head is not read on."""


class LimitedProtocol(HttpToolsProtocol):
    """A head that is too large is answered with 431, one that is too slow with 408, and neither is
    waited for."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_bytes = 0
        self._unparsed_bytes = 0
        self._refusal: tuple[int, str] | None = None
        self._has_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._has_refused:
            return
        if self._in_head:
            # What is not parsed yet, because no line of it has ended, counts, too.
            self._unparsed_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._unparsed_bytes > HEAD_BYTES and not self._has_refused:
            self._refusal = _TOO_LARGE
            self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = self._unparsed_bytes = 0
        if self._head_timer is None:
            self._expect_head()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser cannot read is answered so, and what is refused by its own problem."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()  # words in the middle of another response would spoil it
        elif self._refusal is None:
            super().send_400_response(msg)
        else:
            self._stop_waiting()
            self._send_problem(*self._refusal)

    def _count(self, more: int) -> None:
        self._head_bytes += more
        if self._head_bytes > HEAD_BYTES or len(self.headers) > HEAD_FIELDS:
            self._refusal = _TOO_LARGE
            raise _Refused

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._is_late)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._expect_head()  # reading waits for the response that is under way
        elif self._in_head:
            self._send_problem(
                408, f"The head of the request was not there after {HEAD_SECONDS:g} seconds."
            )
        else:
            self.transport.close()

    def _send_problem(self, status: int, detail: str) -> None:
        response = problem_response(status, detail, headers={"Connection": "close"})
        fields = b"".join(name + b": " + value + b"\r\n" for name, value in response.raw_headers)
        self.transport.write(STATUS_LINE[status] + fields + b"\r\n" + bytes(response.body))
        self._has_refused = True
        self._in_head = False
        # Closed at once, with more coming in, the connection would be reset and nothing be read.
        self.transport.write_eof()
        self._head_timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)


_TOO_LARGE: Final = (
    431,
    (
        f"The address and the header fields of a request may have {HEAD_BYTES:,} bytes and "
        f"{HEAD_FIELDS} fields. Send fewer or shorter ones."
    ),
)
