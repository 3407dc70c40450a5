"""`staffroom metrics`: a running server's figures for a person."""

import json
import re
import socket
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send
from typer.testing import CliRunner

from staffroom.cli import app
from staffroom.errors import ConfigError, InputError, StaffroomError, UnavailableError
from staffroom.monitoring.metrics import INSTRUMENTS
from staffroom.monitoring.summary import quantile, summary
from tests.serving import Served, serving_asgi

KEY = "a key of sixteen characters or more"


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["metrics", *arguments], env={"COLUMNS": "40"})
    if result.exception:
        raise result.exception
    return result.stdout


@pytest.fixture
def asked(library_server: Served) -> Served:
    """A server that answered a question."""
    question = {"question": "The whole class talks at once."}
    httpx.post(f"{library_server.url}/api/v1/ask", json=question)
    return library_server


def test_a_person_sees_totals_and_times_by_group(asked: Served) -> None:
    lines = shown("--url", asked.url).splitlines()

    groups = [line for line in lines if not line.startswith(" ")]
    assert groups == ["Questions", "Search", "Embedding", "Imports", "Database", "Server"]
    titles = [line for line in lines if re.match(r"  \w", line)]
    (first,) = (line for line in titles if line.startswith("  Time to the whole answer"))
    behind = [*titles, ""][titles.index(first) + 1]
    rows = lines[lines.index(first) : lines.index(behind) if behind else len(lines)]
    (time,) = (line for line in rows if "extractive" in line)
    assert re.search(r"\d+ times, half within [\d.]+ m?s, 95 % within [\d.]+ m?s$", time)


def test_scripts_get_one_document_with_every_instrument(asked: Served) -> None:
    told = json.loads(shown("--url", f"{asked.url}/metrics", "--json"))

    assert {each["name"] for each in told} == {instrument.name for instrument in INSTRUMENTS}
    (search,) = (each for each in told if each["name"] == "vector_search_seconds")
    assert search["count"] >= 1
    assert 0 < search["p50"] <= search["p95"]
    assert search["unit"] == "seconds"


class Elsewhere:
    """A server that is not ours. Remembers what it was shown."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.answer: Response = PlainTextResponse("")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.keys.append(dict(scope["headers"]).get(b"authorization", b"").decode())
            await self.answer(scope, receive, send)


@pytest.fixture
def elsewhere() -> Iterator[tuple[Elsewhere, str]]:
    server = Elsewhere()
    with serving_asgi(server) as served:
        yield server, served.url


def test_what_is_no_staffroom_is_told(elsewhere: tuple[Elsewhere, str]) -> None:
    server, url = elsewhere
    for answer, reason in (
        (PlainTextResponse("up 1\n"), "it names no instrument"),
        (PlainTextResponse("<!doctype html>\n<p>Hello</p>"), "is no Staffroom"),
        (PlainTextResponse("gone", 404), "answered with status 404"),
    ):
        server.answer = answer
        with pytest.raises(UnavailableError, match=reason):
            shown("--url", url)
    server.answer = PlainTextResponse("who?", 401)
    with pytest.raises(ConfigError, match="Set STAFFROOM_API_KEY"):
        shown("--url", url)


def test_the_key_is_shown_to_the_named_server_alone(
    elsewhere: tuple[Elsewhere, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, url = elsewhere
    monkeypatch.setenv("STAFFROOM_API_KEY", KEY)
    other = Elsewhere()
    with serving_asgi(other) as foreign:
        server.answer = RedirectResponse(f"{foreign.url}/metrics")
        with pytest.raises(UnavailableError, match="status 307"):
            shown("--url", url)

    assert server.keys == [f"Bearer {KEY}"]
    assert other.keys == []


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "told"),
    [
        (["--url", "ftp://x"], {}, InputError, "'ftp://x' is no address"),
        (["--url", "localhost:8000"], {}, InputError, "'localhost:8000' is no address"),
        (["--url", "http://"], {}, InputError, "'http://' is no address"),
        ([], {"STAFFROOM_PORT": "0"}, InputError, "STAFFROOM_PORT is 0"),
    ],
)
def test_an_address_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    settings: dict[str, str],
    error: type[StaffroomError],
    told: str,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=told):
        shown(*arguments)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_where_nothing_answers_the_next_step_is_told(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("STAFFROOM_PORT", str(port))
    monkeypatch.setenv("STAFFROOM_HOST", host)

    with pytest.raises(UnavailableError, match=f"http://127.0.0.1:{port}/metrics: .*serve"):
        shown()


@given(st.lists(st.floats(0, 10), min_size=1, max_size=50), st.sampled_from([0.5, 0.95]))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], part: float) -> None:
    bounds = [0.5, 1.0, 2.0, 5.0, 10.0, float("inf")]
    buckets = [(bound, float(sum(value <= bound for value in values))) for bound in bounds]

    estimate = quantile(part, buckets)

    true = float(np.quantile(values, part, method="inverted_cdf"))
    upper = next(bound for bound in bounds if true <= bound)
    lower = ([0.0, *bounds])[bounds.index(upper)]
    assert estimate is not None
    assert lower <= estimate <= upper


def test_of_nothing_there_is_no_quantile_and_beyond_all_bounds_the_last() -> None:
    assert quantile(0.5, [(1.0, 0.0), (float("inf"), 0.0)]) is None
    assert quantile(0.5, [(1.0, 0.0), (float("inf"), 3.0)]) == 1.0


def test_a_text_that_cannot_be_parsed_is_no_scrape() -> None:
    with pytest.raises(ValueError, match="instrument"):
        summary("")
