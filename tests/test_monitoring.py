"""What is measured is measured under its own name, by closed sets and never by text."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psycopg
import pytest
from starlette.types import Receive, Scope, Send

from staffroom import track_vector_operation
from staffroom.ai.llm_service import LLMService
from staffroom.api.guards import LoadGuard, TimeGuard
from staffroom.app import App
from staffroom.config import DEFAULT_TENANT, Settings
from staffroom.database.connection import Database
from staffroom.database.figures import DatabaseFigures
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import Overloaded, SearchError
from staffroom.flows import process_teacher_query, update_teaching_content
from staffroom.monitoring import exposition as expositions
from staffroom.monitoring.exposition import exposition
from staffroom.monitoring.instruments import Configured, Histogram, Values
from staffroom.monitoring.metrics import INSTRUMENTS, OUTCOMES, REFUSALS, WRITERS, writer_kind
from staffroom.monitoring.sharing import SHARED_FOLDER
from tests.api_client import api_client
from tests.fakes import BROKEN, ScriptedWriter, WordEmbedder
from tests.scrapes import counted, samples, strangers, told
from tests.serving import Served

KEY = "a key of sixteen characters or more"
QUESTION = "My class talks loud after lunch, what can I do?"
NOISE = {
    "name": "Noisy class",
    "description": "The whole class talks loud after lunch.",
    "expected_response": "1. Wait for real silence.\n2. Thank the ready pupils.\n3. Start again.",
}


@pytest.mark.parametrize(
    ("operation", "sample", "labels"),
    [
        ("embedding", "embedding_generation_seconds_count", {}),
        ("search", "vector_search_seconds_count", {}),
        ("tidy", "vector_operation_seconds_count", {"operation": "tidy"}),
    ],
)
async def test_an_operation_is_timed_under_its_own_name(
    operation: str, sample: str, labels: dict[str, str]
) -> None:
    @track_vector_operation(operation)
    async def work(number: int, *, more: int = 0) -> int:
        """Add."""
        return number + more

    before = counted(sample, **labels)

    assert await work(1, more=2) == 3
    assert counted(sample, **labels) == before + 1
    assert work.__doc__ == "Add."


@pytest.mark.parametrize(
    ("error", "name"), [(SearchError("secret"), "SearchError"), (KeyError("secret"), "other")]
)
async def test_a_failure_is_counted_by_its_class_and_raised_again(
    caplog: pytest.LogCaptureFixture, error: Exception, name: str
) -> None:
    @track_vector_operation("tidy")
    async def work() -> None:
        raise error

    labels = {"operation": "tidy", "error": name}
    before = counted("vector_operation_errors_total", **labels)

    with pytest.raises(type(error)):
        await work()

    assert counted("vector_operation_errors_total", **labels) == before + 1
    assert "secret" not in caplog.text


def test_each_instrument_is_defined_once_in_the_form_that_prometheus_asks_for() -> None:
    names = [instrument.name for instrument in INSTRUMENTS]

    assert len(set(names)) == len(names)
    assert names[0] == "embedding_generation_seconds"
    assert {"vector_search_seconds", "vector_cache_hits_total"} < set(names)
    for instrument in INSTRUMENTS:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", instrument.name)
        assert instrument.name.endswith("_total") == (instrument.kind == "counter")
        assert instrument.title[0].isupper()
        if instrument.unit not in {"", "share"}:
            unit = instrument.name.removesuffix("_total").rpartition("_")[2]
            assert unit == instrument.unit, instrument.name
        if isinstance(instrument, Histogram):
            assert list(instrument.bounds) == sorted(instrument.bounds)


def test_a_label_outside_its_set_is_refused_or_counted_among_the_others() -> None:
    assert writer_kind("llama:SmolLM2-135M-Instruct") == "llama"
    assert writer_kind("scripted") == "other"
    assert Configured().member("x" * 1_000) == "x" * 100
    with pytest.raises(ValueError, match=r"'My class\?' is none of written, direct"):
        OUTCOMES.member("My class?")
    closed = Values("a")
    closed.admit("b")
    assert closed.member("b") == "b"


def test_closed_sets_are_told_before_anything_happens() -> None:
    text = exposition().decode()

    for name, label, values in (
        ("answers_total", "outcome", OUTCOMES),
        ("http_requests_refused_total", "reason", REFUSALS),
        ("answer_seconds_count", "writer", WRITERS),
    ):
        assert {labels[label] for labels, _ in samples(text)[name]} == set(values)


async def test_a_scrape_tells_each_figure_once_and_no_text(library_server: Served) -> None:
    async with httpx.AsyncClient(base_url=library_server.url) as client:
        before = (await client.get("/metrics")).text
        found = await client.post("/api/v1/ask", json={"question": QUESTION})
        exchange = found.json()["interaction_id"]
        await client.get(f"/api/v1/interactions/{exchange}")
        after = await client.get("/metrics")

    assert after.headers["content-type"] == expositions.CONTENT_TYPE
    text = after.text
    assert list(strangers(text)) == []
    assert QUESTION not in text
    assert exchange not in text

    def moved(name: str, **labels: str) -> float:
        known = any(labels.items() <= each.items() for each, _ in samples(before).get(name, []))
        return told(text, name, **labels) - (told(before, name, **labels) if known else 0)

    assert moved("answers_total") == 1
    assert moved("answer_seconds_count", writer="extractive") == 1
    assert moved("answer_first_sentence_seconds_count", writer="extractive") == 1
    for stage in ("embedding", "database", "ranking", "scope"):
        assert moved("retrieval_stage_seconds_count", stage=stage) == 1
    asked = {"route": "/api/v1/ask", "method": "POST"}
    assert moved("http_requests_total", **asked, status="2xx") == 1
    assert moved("http_request_seconds_count", **asked) == 1
    read = {"route": "/api/v1/interactions/{interaction_id}", "method": "GET"}
    assert moved("http_requests_total", **read, status="2xx") == 1
    assert moved("database_pool_requests_total") > 0
    assert told(text, "vector_cache_entries") > 0
    assert told(text, "server_processes") >= 1
    assert told(text, "database_up") == 1
    assert told(text, "database_size_bytes") > 1_000_000
    assert told(text, "database_live_rows", table="scenarios") >= 0
    assert told(text, "import_queue_length") == 0
    assert told(text, "database_pool_connections") >= 1
    ((info, _),) = samples(text)["staffroom_info"]
    assert info["writer"] == "extractive"
    assert info["embedder"].startswith("all-MiniLM-L6-v2@")
    assert int(info["schema"]) >= 15
    assert all(info.values())


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(app) as client:
        yield client


async def test_what_is_turned_away_is_counted_by_the_reason(app: App) -> None:
    app.settings = Settings(**{**app.settings.model_dump(), "api_key": KEY})
    key = {"Authorization": f"Bearer {KEY}"}
    full = app.llm_service
    before = {reason: counted("http_requests_refused_total", reason=reason) for reason in REFUSALS}
    async with api_client(app) as client:
        await client.get("/", headers={"Host": "evil.example"})
        await client.post("/api/v1/search", headers={"Origin": "http://evil.example"})
        await client.post("/api/v1/search", json={})
        await client.post("/api/v1/search", content=b"x" * 1_000_001, headers=key)
        full._answers_at_once = 0
        refused = await client.post("/api/v1/ask", json={"question": QUESTION}, headers=key)

    assert refused.status_code == 503
    for reason in ("host", "origin", "key", "size", "queue"):
        assert counted("http_requests_refused_total", reason=reason) == before[reason] + 1, reason


async def test_what_takes_too_long_or_a_place_too_many_is_counted() -> None:
    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.Event().wait()

    reasons = ("load", "slow_body", "timeout")
    before = {reason: counted("http_requests_refused_total", reason=reason) for reason in reasons}

    async def never() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    for guarded, body in (
        (LoadGuard(waits, at_once=0), b""),
        (TimeGuard(waits, body_seconds=0.01), never()),
        (TimeGuard(waits, response_seconds=0.01), b""),
    ):
        transport = httpx.ASGITransport(guarded, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            assert (await client.post("/api/v1/ask", content=body)).status_code >= 500

    for reason in reasons:
        assert counted("http_requests_refused_total", reason=reason) == before[reason] + 1, reason


async def test_paths_that_nobody_serves_count_together(client: httpx.AsyncClient) -> None:
    labels = {"route": "other", "method": "GET", "status": "4xx"}
    before = counted("http_requests_total", **labels)
    odd = {"route": "other", "method": "other", "status": "4xx"}
    odd_before = counted("http_requests_total", **odd)

    for path in ("/nowhere", "/api/v1/what-did-anna-say"):
        assert (await client.get(path)).status_code == 404
    await client.request("BREW", "/nowhere")

    assert counted("http_requests_total", **labels) == before + 2
    assert counted("http_requests_total", **odd) == odd_before + 1
    text = (await client.get("/metrics")).text
    assert "anna" not in text
    assert "BREW" not in text


async def test_a_database_that_is_gone_breaks_no_scrape(
    client: httpx.AsyncClient, app: App
) -> None:
    assert told((await client.get("/metrics")).text, "database_up") == 1
    url = app.settings.database_url
    assert url
    nowhere = type(url)(url.get_secret_value().replace("host=", "host=/nowhere"))
    gone = Database(app.settings.model_copy(update={"database_url": nowhere}))
    app.figures = DatabaseFigures(gone, DEFAULT_TENANT)

    response = await client.get("/metrics")

    assert response.status_code == 200
    assert told(response.text, "database_up") == 0
    assert "database_size_bytes" not in samples(response.text)
    assert "answers_total" in samples(response.text)


async def test_however_often_it_is_scraped_the_database_is_asked_once(
    database: Database, vector_ops: VectorOperations
) -> None:
    await vector_ops.batch_process([{"text": "A"}])
    figures = DatabaseFigures(database, DEFAULT_TENANT)
    first = await figures.read()
    asked = database.pool_figures()["requests_num"]

    again = await asyncio.gather(*(figures.read() for _ in range(5)))

    assert all(found is first for found in again)
    assert database.pool_figures()["requests_num"] == asked


async def test_imports_under_way_are_told_with_the_age_of_the_oldest(
    database: Database, vector_ops: VectorOperations, database_url: str
) -> None:
    await vector_ops.batch_process([{"text": "A"}])
    with psycopg.connect(database_url, autocommit=True) as connection:
        for state, minutes in (("waiting", 1), ("waiting", 10), ("paused", 60), ("done", 99)):
            connection.execute(
                "INSERT INTO staffroom.imports (tenant_id, import_id, file_name, suffix, dry_run,"
                " state, created_at) VALUES (%s, gen_random_uuid(), 'a.csv', '.csv', false, %s,"
                " now() - make_interval(mins => %s))",
                [DEFAULT_TENANT, state, minutes],
            )

    text = exposition((await DatabaseFigures(database, DEFAULT_TENANT).read()).families).decode()

    for state, size in (("waiting", 2), ("running", 0), ("paused", 1)):
        assert told(text, "import_queue_length", state=state) == size
    assert told(text, "import_oldest_age_seconds", state="waiting") == pytest.approx(600, abs=60)
    assert told(text, "import_oldest_age_seconds", state="running") == 0


async def test_rows_are_counted_by_what_became_of_them(vector_ops: VectorOperations) -> None:
    before = {
        result: counted("import_rows_total", result=result)
        for result in ("new", "unchanged", "duplicate", "invalid")
    }
    await update_teaching_content([{"id": "a", "text": "A"}], vector_ops=vector_ops)

    await update_teaching_content(
        [{"id": "a", "text": "A"}, {"text": "B"}, {"text": "B"}, {"name": "no text"}],
        vector_ops=vector_ops,
    )

    after = {result: counted("import_rows_total", result=result) for result in before}
    assert {result: after[result] - before[result] for result in before} == {
        "new": 2,
        "unchanged": 1,
        "duplicate": 1,
        "invalid": 1,
    }


async def test_a_writer_that_fails_and_a_question_without_an_answer_are_told(
    vector_ops: VectorOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    await vector_ops.batch_process([NOISE])
    embedder = WordEmbedder()
    service = LLMService(ScriptedWriter(BROKEN), vector_ops, embedder)

    async def ask() -> None:
        await process_teacher_query(
            QUESTION, embedder=embedder, vector_ops=vector_ops, llm_service=service
        )

    def outcomes() -> dict[str, float]:
        return {name: counted("answers_total", outcome=name) for name in OUTCOMES}

    before = outcomes()
    await ask()
    degraded = outcomes()
    monkeypatch.setattr(vector_ops, "retrieve", _failing(SearchError("gone")))
    with pytest.raises(SearchError):
        await ask()
    failed = outcomes()
    monkeypatch.setattr(vector_ops, "retrieve", _failing(Overloaded("full", 1.0)))
    with pytest.raises(Overloaded):
        await ask()

    assert {name for name in before if degraded[name] != before[name]} == {"degraded"}
    assert {name for name in before if failed[name] != degraded[name]} == {"failed"}
    assert outcomes() == failed


def _failing(error: Exception) -> object:
    async def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_gauges_of_a_process_that_is_gone_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHARED_FOLDER, str(tmp_path))
    gone = tmp_path / "gauge_livesum_4194305.db"
    kept = tmp_path / "counter_4194305.db"
    for path in (gone, kept):
        path.write_bytes(b"\x08\0\0\0" + bytes(64))

    text = exposition().decode()

    assert (gone.exists(), kept.exists()) == (False, True)
    assert "database_up" not in text
