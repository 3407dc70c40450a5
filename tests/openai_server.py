"""An OpenAI-compatible server on loopback that answers by script and keeps what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

SILENCE_SECONDS = 600.0


class Act(Enum):
    """What a server does besides sending."""

    HANG = auto()
    """Silent for ten minutes, the connection stays open."""
    CUT = auto()
    """Hangs up in the middle of the stream."""


HANG, CUT = Act.HANG, Act.CUT

Part = str | float | bytes | dict[str, Any] | Act
"""Of a stream: words, seconds of silence, raw bytes, the JSON of an event, or an act."""


@dataclass(frozen=True)
class Reply:
    """A whole answer; without a status the server is silent before the first header."""

    status: int | None = 200
    body: dict[str, Any] | None = None
    parts: Sequence[Part] = ()
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = True


@dataclass(frozen=True)
class Request:
    """What the server was asked."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        return "\n".join(message["content"] for message in self.body["messages"])


def event(words: str | None = None, finish_reason: str | None = None) -> dict[str, Any]:
    """A chunk of an answer, as a server sends it."""
    delta = {} if words is None else {"content": words}
    return {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "some-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def says(*parts: Part, end: str | None = "stop") -> Reply:
    """A stream that ends as it should, for the reason given."""
    return Reply(parts=[*parts, event(finish_reason=end), b"data: [DONE]\n\n"])


def streams(*parts: Part, chunked: bool = True) -> Reply:
    """A stream of these parts and nothing else."""
    return Reply(parts=parts, chunked=chunked)


def refuses(
    status: int, message: str = "no", *, retry_after: str = "", **facts: str | None
) -> Reply:
    """A status and an error object."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    body = {"error": {"message": message, "type": "test", "code": None, "param": None} | facts}
    return Reply(status, body, headers=headers)


SILENT = Reply(None)


class OpenAIServer:
    """Answers by script, then with `good`."""

    def __init__(self, good: Reply) -> None:
        self.script: list[Reply] = []
        self.good: Callable[[Request], Reply] = lambda _: good
        self.requests: list[Request] = []
        self.asked = asyncio.Event()
        self.hung_up = asyncio.Event()
        """The client left in the middle of an answer."""
        self.url = ""
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["OpenAIServer"]:
        """Listens within the context; afterwards neither connection nor task is left."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            server.close()
            for writer in self._connections.values():
                writer.close()
            await asyncio.gather(*self._connections)
            await server.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections[task] = writer
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                self.asked.set()
                reply = self.script.pop(0) if self.script else self.good(request)
                try:
                    await _Conversation(reader, writer, reply).run()
                except ConnectionError:
                    self.hung_up.set()
                    return
                if CUT in reply.parts or not reply.chunked:
                    return
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            del self._connections[task]


class _Conversation:
    """One reply, sent part by part. Raises: ConnectionError when the client hangs up."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: Reply
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._reply = reply

    async def run(self) -> None:
        reply = self._reply
        if reply.status is None:
            return await self._silence(SILENCE_SECONDS)
        if reply.body is not None:
            return await self._send_whole(json.dumps(reply.body).encode())
        ending = {"Transfer-Encoding": "chunked"} if reply.chunked else {"Connection": "close"}
        await self._send_head({"Content-Type": "text/event-stream"} | ending)
        for part in reply.parts:
            if part is CUT:
                return None
            await self._send_part(part)
        return await self._send(b"0\r\n\r\n" if reply.chunked else b"")

    async def _send_part(self, part: Part) -> None:
        match part:
            case str():
                await self._send_framed(_event_bytes(event(part)))
            case dict():
                await self._send_framed(_event_bytes(part))
            case bytes():
                await self._send_framed(part)
            case float():
                await self._silence(part)
            case _:
                await self._silence(SILENCE_SECONDS)

    async def _send_whole(self, body: bytes) -> None:
        await self._send_head(
            {"Content-Type": "application/json", "Content-Length": str(len(body))}
        )
        await self._send(body)

    async def _send_head(self, headers: dict[str, str]) -> None:
        lines = [f"{name}: {value}" for name, value in (headers | self._reply.headers).items()]
        await self._send("\r\n".join([f"HTTP/1.1 {self._reply.status} -", *lines, "", ""]).encode())

    async def _send_framed(self, data: bytes) -> None:
        await self._send(b"%x\r\n%b\r\n" % (len(data), data) if self._reply.chunked else data)

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def _silence(self, seconds: float) -> None:
        """A client that waits for an answer sends nothing, unless it hangs up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if not await self._reader.read(1):
                    raise ConnectionResetError


def _event_bytes(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().strip().splitlines()
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Request(first.split()[1], headers, body)
