"""What a connection may send before it has sent a request."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from staffroom.api import protocol
from staffroom.api.protocol import HEAD_BYTES, HEAD_FIELDS, LimitedProtocol

GET = b"GET / HTTP/1.1\r\nHost: here\r\n"


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("fine")(scope, receive, send)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server with these limits listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            ok, http=LimitedProtocol, ws="none", lifespan="off", log_config=None, access_log=False
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        yield int(listener.getsockname()[1])
        server.should_exit = True
        await server.shutdown(sockets=[])


async def answer(port: int, *parts: bytes) -> tuple[int, str]:
    """The status and the body of what comes until the server closes; 0 if nothing comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(0)
    reply = (await asyncio.wait_for(reader.read(), 10)).decode()
    writer.close()
    head, _, body = reply.partition("\r\n\r\n")
    return int(head.split(maxsplit=2)[1]) if head else 0, body


async def test_a_head_within_the_limits_is_read_also_in_parts(port: int) -> None:
    fields = b"".join(b"X-%d: y\r\n" % number for number in range(HEAD_FIELDS - 2))
    long = b"X-Long: " + b"y" * (HEAD_BYTES - 4_000) + b"\r\n"
    end = b"Connection: close\r\n\r\n"

    assert await answer(port, GET, fields, end) == (200, "fine")
    assert await answer(port, GET, long, end) == (200, "fine")


@pytest.mark.parametrize(
    "parts",
    [
        (GET, b"".join(b"X-%d: y\r\n" % number for number in range(HEAD_FIELDS + 1)), b"\r\n"),
        (GET, b"X-Long: " + b"y" * HEAD_BYTES + b"\r\n", b"\r\n"),
        (GET, b"X-Endless: ", *(b"y" * 16_384,) * 4),
        (b"GET /" + b"y" * HEAD_BYTES + b" HTTP/1.1\r\nHost: here\r\n\r\n",),
    ],
    ids=["fields", "bytes", "endless", "address"],
)
async def test_a_head_that_is_too_large_is_refused(port: int, parts: tuple[bytes, ...]) -> None:
    status, body = await answer(port, *parts)
    problem = json.loads(body)

    assert status == problem["status"] == 431
    assert f"{HEAD_BYTES:,} bytes" in problem["detail"]


async def test_a_head_that_does_not_come_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.1)

    status, body = await answer(port, GET)
    silent = await answer(port)

    assert status == 408
    assert "0.1 seconds" in json.loads(body)["detail"]
    assert silent == (0, "")


async def test_a_further_request_on_the_connection_has_limits_of_its_own(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    half = b"X-Long: " + b"y" * (HEAD_BYTES // 2) + b"\r\n\r\n"
    for _ in range(3):
        writer.write(GET + half)
        assert (await reader.readuntil(b"fine")).startswith(b"HTTP/1.1 200")
    writer.write(GET + half[:-2] + half)
    refused = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert refused.startswith(b"HTTP/1.1 431")


async def test_what_is_no_http_is_refused(port: int) -> None:
    assert (await answer(port, b"hello\r\n\r\n"))[0] == 400
