"""OpenAIEmbedder against a server of our own: what it asks, retries, checks and says."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from staffroom.embedding.openai import ATTEMPTS, TEXTS_PER_REQUEST, OpenAIEmbedder
from staffroom.errors import ConfigError, EmbedderUnavailable, InputError

Answer = tuple[int, Any]


def vector(text: str) -> list[float]:
    return [float(len(text)), 3.0, 4.0]


def good(request: dict[str, Any]) -> Answer:
    """Vectors in the wrong order, as the index allows, and not of unit length."""
    data = [
        {"object": "embedding", "index": index, "embedding": vector(text)}
        for index, text in enumerate(request["input"])
    ]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return 200, {"object": "list", "data": data[::-1], "model": request["model"], "usage": usage}


def error(status: int, message: str = "no") -> Answer:
    return status, {"error": {"message": message, "type": "test"}}


@dataclass
class Server:
    """Answers by script, then well; keeps what it was asked."""

    script: list[Callable[[dict[str, Any]], Answer]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    retry_after: str = ""
    url: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append(request | {"path": self.path})
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            status, content = (state.script.pop(0) if state.script else good)(request)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if state.retry_after:
                self.send_header("Retry-After", state.retry_after)
            with suppress(ConnectionError):  # whoever asked may have given up
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests stay quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}/v1"
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def embedder_of(server: Server, name: str = "some-model", **facts: Any) -> OpenAIEmbedder:
    key = SecretStr("sk-secret")
    return OpenAIEmbedder(name, server.url, key, first_pause_seconds=0.001, **facts)


@pytest.fixture
async def embedder(server: Server) -> AsyncIterator[OpenAIEmbedder]:
    embedder = embedder_of(server)
    yield embedder
    await embedder.close()


async def test_vectors_come_in_order_and_of_unit_length(
    server: Server, embedder: OpenAIEmbedder
) -> None:
    vectors = await embedder.embed(["a", "bb"], "passage")

    expected = np.array([vector("a"), vector("bb")])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert vectors.dtype == np.float32
    assert server.requests[0]["path"] == "/v1/embeddings"
    assert server.requests[0]["model"] == "some-model"
    assert server.headers[0]["authorization"] == "Bearer sk-secret"


async def test_a_large_batch_is_sent_in_parts(server: Server, embedder: OpenAIEmbedder) -> None:
    texts = [f"text {number}" for number in range(TEXTS_PER_REQUEST * 2 + 5)]

    vectors = await embedder.embed(texts, "passage")

    assert [len(request["input"]) for request in server.requests] == [128, 128, 5]
    assert vectors.shape == (261, 3)


async def test_texts_are_mended_and_cut(server: Server, embedder: OpenAIEmbedder) -> None:
    await embedder.embed(["a\ud83d", "x" * 100_000], "query")

    sent = server.requests[0]["input"]
    assert sent[0] == "a\ufffd"
    assert len(sent[1]) == 8_000


async def test_an_empty_text_is_refused_before_anything_is_sent(
    server: Server, embedder: OpenAIEmbedder
) -> None:
    with pytest.raises(InputError, match="text 1 is empty"):
        await embedder.embed(["a", " "], "query")
    assert server.requests == []


async def test_no_texts_give_no_vectors(embedder: OpenAIEmbedder) -> None:
    assert (await embedder.embed([], "query")).shape == (0, 3)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_tried_again(
    server: Server, embedder: OpenAIEmbedder, status: int
) -> None:
    server.script = [lambda _: error(status)] * (ATTEMPTS - 1)

    assert (await embedder.embed(["a"], "query")).shape == (1, 3)
    assert len(server.requests) == ATTEMPTS


async def test_what_does_not_pass_is_given_up(server: Server, embedder: OpenAIEmbedder) -> None:
    server.script = [lambda _: error(503, "overloaded")] * ATTEMPTS

    with pytest.raises(EmbedderUnavailable, match=r"overloaded.*Try again later"):
        await embedder.embed(["a"], "query")
    assert len(server.requests) == ATTEMPTS


async def test_the_pause_is_what_the_server_asks_for(
    server: Server, embedder: OpenAIEmbedder
) -> None:
    server.script = [lambda _: error(429)]
    server.retry_after = "1"
    loop = asyncio.get_running_loop()
    started = loop.time()

    await embedder.embed(["a"], "query")

    assert loop.time() - started >= 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_refusal_is_a_matter_of_the_settings(
    server: Server, embedder: OpenAIEmbedder, status: int
) -> None:
    server.script = [lambda _: error(status, "refused")]

    with pytest.raises(ConfigError, match=f"status {status}.*STAFFROOM_OPENAI_API_KEY") as raised:
        await embedder.embed(["a"], "query")
    assert len(server.requests) == 1
    assert "sk-secret" not in str(raised.value)


async def test_a_server_that_is_not_there_is_unavailable(server: Server) -> None:
    embedder = OpenAIEmbedder("m", "http://127.0.0.1:1/v1", None, first_pause_seconds=0.001)

    with pytest.raises(EmbedderUnavailable, match=r"m@127\.0\.0\.1:1/v1 cannot be used"):
        await embedder.embed(["a"], "query")
    await embedder.close()


async def test_a_server_that_is_silent_is_unavailable(server: Server) -> None:
    released = threading.Event()

    def silent(request: dict[str, Any]) -> Answer:
        released.wait(10)
        return good(request)

    server.script = [silent] * ATTEMPTS
    embedder = embedder_of(server, attempt_seconds=0.05)

    with pytest.raises(EmbedderUnavailable, match="Timeout"):
        await embedder.embed(["a"], "query")
    released.set()
    await embedder.close()


def changed(change: Callable[[list[Any]], object]) -> Callable[[dict[str, Any]], Answer]:
    def answer(request: dict[str, Any]) -> Answer:
        status, content = good(request)
        change(content["data"])
        return status, content

    return answer


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data.pop(), "1 vectors"),
        (lambda data: data[0]["embedding"].pop(), r"\[2, 3\] dimensions"),
        (lambda data: data[0].update(embedding=[0.0, 0.0, 0.0]), "without a direction"),
        (lambda data: data[0].update(embedding=[float("nan"), 0.0, 0.0]), "without a direction"),
    ],
)
async def test_vectors_that_cannot_be_used_are_refused(
    server: Server, embedder: OpenAIEmbedder, change: Callable[[list[Any]], object], reason: str
) -> None:
    server.script = [changed(change)]

    with pytest.raises(EmbedderUnavailable, match=reason):
        await embedder.embed(["a", "b"], "query")


async def test_a_model_that_changes_its_dimensions_is_refused(
    server: Server, embedder: OpenAIEmbedder
) -> None:
    await embedder.embed(["a"], "query")
    server.script = [changed(lambda data: data[0]["embedding"].append(1.0))]

    with pytest.raises(EmbedderUnavailable, match=r"\[4\] dimensions.*expected \[3\]"):
        await embedder.embed(["a"], "query")


def test_dimensions_are_known_or_asked_once(server: Server) -> None:
    embedder = embedder_of(server)

    assert embedder_of(server, "text-embedding-3-small").dimensions == 1536
    assert server.requests == []
    assert (embedder.dimensions, embedder.dimensions) == (3, 3)
    assert len(server.requests) == 1


def test_dimensions_of_a_refusing_server_are_an_error(server: Server) -> None:
    server.script = [lambda _: error(401)]

    with pytest.raises(ConfigError, match="status 401"):
        _ = embedder_of(server).dimensions


def test_identity_holds_no_credentials() -> None:
    embedder = OpenAIEmbedder("m", "https://name:pass@example.org/v1/", SecretStr("sk-secret"))

    assert embedder.model == "m@example.org/v1"


def test_an_embedder_serves_one_event_loop_after_another(server: Server) -> None:
    embedder = embedder_of(server)

    async def ask() -> Any:
        vectors = await embedder.embed(["a"], "query")
        await embedder.close()
        return vectors

    np.testing.assert_array_equal(asyncio.run(ask()), asyncio.run(ask()))
