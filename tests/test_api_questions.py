"""`search` and `ask` over HTTP, at once and sentence by sentence."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from staffroom.ai.llm_service import LLMService
from staffroom.api.server import create_api
from staffroom.app import App
from staffroom.errors import WriterUnavailable
from staffroom.types import Match, Role, Vectors
from tests.api_client import api_client, events_in, listening
from tests.fakes import ScriptedWriter

SEARCH = "/api/v1/search"
ASK = "/api/v1/ask"
EVENTS = {"Accept": "text/event-stream"}
NOISE = {
    "name": "Noisy class",
    "description": "The whole class talks loudly after lunch.",
    "expected_response": "1. Wait for real silence.\n2. Thank the ready pupils.\n3. Start again.\n"
    "4. Change two seats.\n5. Write down when it began.\n6. Ring home after three weeks.",
    "category": "behaviour",
}
QUESTION = "My class talks loud after lunch, what can I do?"


class PausingWriter(ScriptedWriter):
    """Says its first sentences, and the last one when it is let."""

    name = "pausing"

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()

    async def stream(self, question: str, matches: Sequence[Match]) -> AsyncGenerator[str, None]:
        try:
            yield "Wait for real silence. Thank the ready pupils. "
            self.begun.set()
            await self.go_on.wait()
            yield "Start again."
        finally:
            self.closed = True
            self.ended.set()


@pytest.fixture
async def library(app: App) -> App:
    """An installation whose library holds one scenario."""
    await app.vector_ops.store_scenario(**NOISE)
    return app


@pytest.fixture
async def client(library: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(library) as client:
        yield client


def write_with(app: App, writer: ScriptedWriter) -> None:
    app.llm_service = LLMService(writer, app.vector_ops, app.cache)


async def rows(app: App) -> dict[str, int]:
    """How many rows each table of the tenant has."""
    async with app.database.transaction(app.vector_ops.tenant_id) as connection:
        cursor = await connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'staffroom'::regnamespace"
            " AND has_table_privilege(oid, 'SELECT')"
        )
        tables = [row["relname"] for row in await cursor.fetchall()]
        counts = {}
        for table in tables:
            cursor = await connection.execute(f'SELECT count(*) AS n FROM staffroom."{table}"')
            row = await cursor.fetchone()
            assert row
            counts[table] = row["n"]
    assert {"interactions", "interaction_matches", "idempotency_keys"} <= counts.keys()
    return counts


async def test_a_search_lists_what_fits_best_first(client: httpx.AsyncClient, library: App) -> None:
    await library.vector_ops.store_scenario("Late pupils", "Pupils come late every morning.")

    response = await client.post(SEARCH, json={"query": QUESTION, "threshold": 0})

    found = response.json()
    assert [match["name"] for match in found["matches"]] == ["Noisy class", "Late pupils"]
    assert found["best_relevance"] == found["matches"][0]["relevance"]
    assert (found["threshold"], found["related"]) == (0, [])
    one = await client.post(SEARCH, json={"query": QUESTION, "threshold": 0, "limit": 1})
    assert one.json()["matches"] == found["matches"][:1]


async def test_a_search_that_finds_nothing_says_what_came_closest(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post(SEARCH, json={"query": "volcanoes of Iceland", "threshold": 1})

    found = response.json()
    assert (response.status_code, found["matches"]) == (200, [])
    assert [match["name"] for match in found["related"]] == ["Noisy class"]
    assert found["best_relevance"] < 1


async def test_a_search_within_filters_finds_only_what_passes(client: httpx.AsyncClient) -> None:
    async def found(**filters: Any) -> int:
        body = {"query": QUESTION, "threshold": 0, "filters": filters}
        response = await client.post(SEARCH, json=body)
        assert response.status_code == 200, response.text
        return len(response.json()["matches"])

    assert await found(categories=["behaviour"]) == 1
    assert await found(categories=[]) == 1
    assert await found(statuses=["draft", "retired"]) == 0


@pytest.mark.parametrize("path", [SEARCH, ASK])
async def test_what_is_wrong_with_a_question_is_named(
    client: httpx.AsyncClient, library: App, path: str
) -> None:
    name = "query" if path == SEARCH else "question"
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, name),
        ({name: ""}, name),
        ({name: " \n\t\u200b\u00a0"}, name),
        ({name: "x" * 4001}, name),
        ({name: None}, name),
        ({name: ["how?"]}, name),
        ({name: "how?", "limit": 0}, "limit"),
        ({name: "how?", "limit": "5"}, "limit"),
        ({name: "how?", "limit": True}, "limit"),
        ({name: "how?", "limit": 2.5}, "limit"),
        ({name: "how?", "limt": 5}, "limt"),
        ({name: "how?", "filters": {"category": ["x"]}}, "filters.category"),
        ({name: "how?", "filters": {"statuses": ["x"]}}, "filters.statuses.0"),
        ({name: "how?", "filters": {"tags": ["\0"]}}, "filters.tags.0"),
    ]
    before = await rows(library)
    for body, field in cases:
        response = await client.post(path, json=body)
        assert response.status_code == 422, response.text
        assert [error["field"] for error in response.json()["errors"]] == [field]
        assert field in response.json()["detail"]
    assert await rows(library) == before


async def test_a_filter_value_that_nothing_has_is_named(client: httpx.AsyncClient) -> None:
    for path, name in ((SEARCH, "query"), (ASK, "question")):
        body = {name: QUESTION, "filters": {"categories": ["behaviour", "cooking"]}}
        response = await client.post(path, json=body)
        assert response.status_code == 422
        assert "categories: nothing has 'cooking'" in response.json()["detail"]
        assert "'behaviour'" not in response.json()["detail"]


async def test_damaged_letters_do_not_keep_a_question_from_being_answered(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post(ASK, json={"question": f"\0\x1b[2J {QUESTION} \u202e"})

    assert response.status_code == 200
    assert response.json()["sentences"]


async def test_an_answer_is_the_same_when_it_is_read_again(client: httpx.AsyncClient) -> None:
    answer = (await client.post(ASK, json={"question": QUESTION})).json()
    kept = (await client.get(f"/api/v1/interactions/{answer['interaction_id']}")).json()

    assert answer["outcome"] == "written"
    (match,) = answer["matches"]
    assert all(sentence["citations"] == [match["id"]] for sentence in answer["sentences"])
    for name in ("answer", "sentences", "more", "outcome", "timings", "conversation_id"):
        assert kept[name] == answer[name], name
    assert [used["id"] for used in kept["matches"]] == [match["id"]]


async def test_what_nothing_fits_is_an_abstention_not_an_error(client: httpx.AsyncClient) -> None:
    response = await client.post(ASK, json={"question": "Which volcano of Iceland is highest?"})

    answer = response.json()
    assert response.status_code == 200
    assert (answer["outcome"], answer["abstained"]) == ("abstained", True)
    assert (answer["matches"], answer["sentences"]) == ([], [])
    assert answer["interaction_id"]


async def test_events_are_matches_then_sentences_then_the_answer(client: httpx.AsyncClient) -> None:
    response = await client.post(ASK, json={"question": QUESTION}, headers=EVENTS)

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    found = events_in(response.text)
    assert [name for name, _ in found] == ["matches", *["sentence"] * (len(found) - 2), "answer"]
    matches, answer = found[0][1], found[-1][1]
    sentences = [document for name, document in found if name == "sentence"]
    assert matches["matches"] == answer["matches"]
    assert sentences == answer["sentences"]
    assert all(sentence["citations"] for sentence in sentences)


async def test_a_broken_stream_can_be_read_to_its_end_under_the_id_it_began_with(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post(ASK, json={"question": QUESTION}, headers=EVENTS)
    found = events_in(response.text)

    began, ended = found[0][1]["interaction_id"], found[-1][1]["interaction_id"]
    assert began == ended
    kept = (await client.get(f"/api/v1/interactions/{began}")).json()
    assert kept["answer"] == found[-1][1]["answer"]


async def test_matches_are_there_before_the_first_sentence_is_written(library: App) -> None:
    writer = PausingWriter()
    write_with(library, writer)
    async with (
        listening(create_api(library)) as client,
        client.stream("POST", ASK, json={"question": QUESTION}, headers=EVENTS) as response,
    ):
        text = ""
        parts = response.aiter_text()
        while "event: sentence" not in text:
            text += await anext(parts)
        names = [name for name, _ in events_in(text)]
        assert names[0] == "matches"
        assert "answer" not in names
        assert not writer.closed
        writer.go_on.set()
        async for part in parts:
            text += part

    assert [name for name, _ in events_in(text)] == ["matches", *["sentence"] * 3, "answer"]


async def test_the_work_stops_when_the_reader_leaves(library: App) -> None:
    writer = PausingWriter()
    write_with(library, writer)
    async with listening(create_api(library)) as client:
        async with client.stream(
            "POST", ASK, json={"question": QUESTION}, headers=EVENTS
        ) as response:
            parts = response.aiter_text()
            text = ""
            while "event: sentence" not in text:
                text += await anext(parts)
        await asyncio.wait_for(writer.ended.wait(), 5)
        kept = await client.get(f"/api/v1/interactions/{events_in(text)[0][1]['interaction_id']}")
        for _ in range(100):
            if not library.llm_service._being_answered:
                break
            await asyncio.sleep(0.01)

    assert writer.closed
    assert library.llm_service._being_answered == 0
    assert kept.status_code == 404


class WaitingEmbedder:
    """Embeds when it is let."""

    def __init__(self, app: App) -> None:
        self._embedder = app.cache
        self.model, self.dimensions = app.cache.model, app.cache.dimensions
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        self.begun.set()
        await self.go_on.wait()
        return await self._embedder.embed(texts, role)


async def test_a_reader_who_leaves_before_the_first_match_leaves_no_work_behind(
    library: App,
) -> None:
    embedder = WaitingEmbedder(library)
    writer = PausingWriter()
    write_with(library, writer)
    library.cache = embedder  # type: ignore[assignment]
    async with listening(create_api(library)) as client:
        asking = asyncio.create_task(client.post(ASK, json={"question": QUESTION}, headers=EVENTS))
        await asyncio.wait_for(embedder.begun.wait(), 5)
        asking.cancel()
        await asyncio.sleep(0.05)
        embedder.go_on.set()
        for _ in range(100):
            await asyncio.sleep(0.01)
            if not library.llm_service._being_answered:
                break
        listed = (await client.get("/api/v1/interactions")).json()["items"]

    assert library.llm_service._being_answered == 0
    assert listed == []


async def test_an_answer_at_once_is_finished_though_its_reader_left(library: App) -> None:
    writer = PausingWriter()
    write_with(library, writer)
    async with listening(create_api(library)) as client:
        asking = asyncio.create_task(client.post(ASK, json={"question": QUESTION}))
        await asyncio.wait_for(writer.begun.wait(), 5)
        asking.cancel()
        writer.go_on.set()
        await asyncio.wait_for(writer.ended.wait(), 5)
        for _ in range(200):
            listed = (await client.get("/api/v1/interactions")).json()["items"]
            if listed:
                break
            await asyncio.sleep(0.01)

    assert [item["question"] for item in listed] == [QUESTION]


async def test_what_fails_before_the_first_event_keeps_its_status(
    client: httpx.AsyncClient,
) -> None:
    unknown = {"question": QUESTION, "conversation_id": str(uuid4())}
    keyed = EVENTS | {"Idempotency-Key": "k"}

    for body, headers, status in (
        (unknown, EVENTS, 404),
        ({"question": ""}, EVENTS, 422),
        ({"question": QUESTION}, keyed, 422),
    ):
        response = await client.post(ASK, json=body, headers=headers)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"


async def test_too_many_questions_at_once_are_refused_with_when_to_return(library: App) -> None:
    library.llm_service = LLMService(
        ScriptedWriter(), library.vector_ops, library.cache, answers_at_once=0
    )
    async with api_client(library) as client:
        for headers in ({}, EVENTS):
            response = await client.post(ASK, json={"question": QUESTION}, headers=headers)
            assert response.status_code == 503
            assert response.json()["type"] == "/docs#overloaded"
            assert int(response.headers["retry-after"]) >= 1


async def test_a_writer_that_fails_in_the_middle_is_no_error_but_quoted_advice(
    library: App,
) -> None:
    write_with(library, ScriptedWriter("Wait for", WriterUnavailable("the model broke off")))
    async with api_client(library) as client:
        response = await client.post(ASK, json={"question": QUESTION}, headers=EVENTS)

    name, answer = events_in(response.text)[-1]
    assert (name, answer["outcome"]) == ("answer", "quoted")
    assert answer["sentences"]


async def test_a_defect_in_the_middle_of_a_stream_is_an_error_event_without_internals(
    library: App,
) -> None:
    write_with(library, ScriptedWriter("Wait for real silence. ", ZeroDivisionError("secret")))
    async with api_client(library) as client:
        response = await client.post(
            ASK, json={"question": QUESTION}, headers=EVENTS | {"X-Request-ID": "the-id"}
        )

    events = events_in(response.text)
    name, problem = events[-1]
    assert (response.status_code, events[0][0], name) == (200, "matches", "error")
    assert (problem["status"], problem["request_id"]) == (500, "the-id")
    assert "secret" not in response.text
    assert "ZeroDivision" not in response.text


async def test_a_private_question_leaves_nothing(client: httpx.AsyncClient, library: App) -> None:
    begun = (await client.post(ASK, json={"question": QUESTION})).json()["conversation_id"]
    before = await rows(library)
    kept_answers = len(library.answers)

    for number, headers in enumerate(({}, EVENTS, {"Idempotency-Key": "a-key"})):
        body = {
            "question": f"{QUESTION} It is day {number}.",
            "private": True,
            "conversation_id": begun,
        }
        response = await client.post(ASK, json=body, headers=headers)
        assert response.status_code == 200
        documents = (
            [document for _, document in events_in(response.text)]
            if headers is EVENTS
            else [response.json()]
        )
        assert documents[-1]["sentences"]
        assert {document.get("interaction_id") for document in documents} == {None}
        assert documents[-1]["conversation_id"] is None

    assert await rows(library) == before
    assert len(library.answers) == kept_answers


async def test_a_conversation_goes_on_where_it_was(client: httpx.AsyncClient) -> None:
    first = (await client.post(ASK, json={"question": QUESTION})).json()
    body = {"question": "And if it keeps happening?", "conversation_id": first["interaction_id"]}
    second = (await client.post(ASK, json=body)).json()

    assert second["conversation_id"] == first["conversation_id"] == first["interaction_id"]
    assert second["interaction_id"] != first["interaction_id"]
    said = {sentence["text"] for sentence in first["sentences"]}
    assert said.isdisjoint(sentence["text"] for sentence in second["sentences"])
    kept = (await client.get(f"/api/v1/interactions/{second['interaction_id']}")).json()
    assert kept["asked"] == f"{QUESTION} And if it keeps happening?"


async def test_another_tenants_conversation_cannot_be_continued(
    client: httpx.AsyncClient, library: App
) -> None:
    first = (await client.post(ASK, json={"question": QUESTION})).json()
    stranger = App(library.settings.model_copy(update={"tenant": UUID(int=7)}))
    try:
        async with api_client(stranger) as other:
            body = {"question": "And then?", "conversation_id": first["conversation_id"]}
            response = await other.post(ASK, json=body)
    finally:
        await stranger.close()

    assert response.status_code == 404
    assert "lunch" not in response.text
