"""A write that is sent twice is done once."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from staffroom.app import App
from staffroom.database.idempotency import ABANDONED_SECONDS, IdempotencyKeys, Kept, KeptResponse
from staffroom.errors import EmbedderUnavailable
from staffroom.types import Role, Vectors
from tests.api_client import api_client

SCENARIOS = "/api/v1/scenarios"
KEY = {"Idempotency-Key": "5b1e2ac0"}
LATE = {"description": "Pupils come late every morning."}
QUESTION = {"question": "How do I settle a noisy class?"}


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(app) as client:
        yield client


async def count(client: httpx.AsyncClient, path: str) -> int:
    return len((await client.get(path)).json()["items"])


async def age(app: App, key: str, seconds: float) -> None:
    """The write with that key began so long ago."""
    async with app.database.transaction(app.vector_ops.tenant_id) as connection:
        cursor = await connection.execute(
            "UPDATE staffroom.idempotency_keys SET created_at = now() - make_interval(secs => %s)"
            " WHERE key = %s",
            [seconds, key],
        )
        assert cursor.rowcount == 1


async def test_the_same_request_gets_the_same_response(client: httpx.AsyncClient) -> None:
    first, again = [await client.post(SCENARIOS, json=LATE, headers=KEY) for _ in range(2)]

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    for name in ("content-type", "etag", "location"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["idempotent-replay"] == "true"
    assert "idempotent-replay" not in first.headers


async def test_an_answer_is_asked_for_and_stored_once(client: httpx.AsyncClient) -> None:
    first, again = [await client.post("/api/v1/ask", json=QUESTION, headers=KEY) for _ in range(2)]

    assert again.json() == first.json()
    assert await count(client, "/api/v1/interactions") == 1


async def test_a_response_is_replayed_though_its_subject_has_changed(
    client: httpx.AsyncClient,
) -> None:
    scenario = (await client.post(SCENARIOS, json=LATE)).json()
    place = f"{SCENARIOS}/{scenario['id']}"
    headers = KEY | {"If-Match": '"1"'}

    first = await client.patch(place, json={"name": "Late"}, headers=headers)
    again = await client.patch(place, json={"name": "Late"}, headers=headers)
    deleted = [
        await client.delete(place, headers={"If-Match": "*", "Idempotency-Key": "gone"})
        for _ in range(2)
    ]

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["revision"] == 2
    assert [response.status_code for response in deleted] == [204, 204]


async def test_a_key_that_named_another_request_is_refused(client: httpx.AsyncClient) -> None:
    scenario = (await client.post(SCENARIOS, json=LATE, headers=KEY)).json()
    place = f"{SCENARIOS}/{scenario['id']}"
    other_body = {"description": "Something else."}

    responses = [
        await client.post(SCENARIOS, json=other_body, headers=KEY),
        await client.post("/api/v1/ask", json=QUESTION, headers=KEY),
        await client.patch(place, json=LATE, headers=KEY | {"If-Match": "*"}),
        await client.delete(place, headers=KEY | {"If-Match": "*"}),
    ]

    assert [response.status_code for response in responses] == [422] * 4
    assert {response.json()["type"] for response in responses} == {"/docs#key-reused"}
    assert await count(client, SCENARIOS) == 1
    assert await count(client, "/api/v1/interactions") == 0


async def test_a_body_counts_however_its_type_is_written(client: httpx.AsyncClient) -> None:
    headers = KEY | {"Content-Type": "Application/JSON"}

    first, other = [
        await client.post(SCENARIOS, content=json.dumps({"description": text}), headers=headers)
        for text in ("One thing.", "Something else.")
    ]

    assert (first.status_code, other.status_code) == (201, 422)


async def test_an_edit_on_another_revision_is_another_request(client: httpx.AsyncClient) -> None:
    scenario = (await client.post(SCENARIOS, json=LATE)).json()
    place = f"{SCENARIOS}/{scenario['id']}"

    first, second = [
        await client.patch(place, json={"name": "Late"}, headers=KEY | {"If-Match": tag})
        for tag in ('"1"', '"2"')
    ]

    assert (first.status_code, second.status_code) == (200, 422)


async def test_of_many_at_once_one_is_done(client: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(
        *(client.post("/api/v1/ask", json=QUESTION, headers=KEY) for _ in range(8))
    )

    done = [response for response in responses if response.status_code == 200]
    waiting = [response for response in responses if response.status_code == 409]
    assert len(done) + len(waiting) == 8
    assert len({response.json()["interaction_id"] for response in done}) == 1
    assert len([r for r in done if "idempotent-replay" not in r.headers]) == 1
    for response in waiting:
        assert response.headers["retry-after"] == "1"
        assert response.json()["type"] == "/docs#key-in-use"
    assert await count(client, "/api/v1/interactions") == 1


async def test_what_failed_may_be_tried_again_with_its_key(client: httpx.AsyncClient) -> None:
    scenario = (await client.post(SCENARIOS, json=LATE)).json()
    place = f"{SCENARIOS}/{scenario['id']}"
    edit = {"name": "Late"}

    stale = await client.patch(place, json=edit, headers=KEY | {"If-Match": '"7"'})
    mended = await client.patch(place, json=edit, headers=KEY | {"If-Match": '"1"'})

    assert (stale.status_code, mended.status_code) == (412, 200)


class BreakingEmbedder:
    """Fails the first time, in a way that nobody foresaw or in one that is known."""

    def __init__(self, app: App, error: BaseException) -> None:
        self._embedder = app.cache
        self._error: BaseException | None = error
        self.model = app.cache.model
        self.dimensions = app.cache.dimensions

    async def embed(self, texts: list[str], role: Role) -> Vectors:
        error, self._error = self._error, None
        if error:
            raise error
        return await self._embedder.embed(texts, role)


@pytest.mark.parametrize(
    ("error", "status"), [(EmbedderUnavailable("no model"), 503), (ZeroDivisionError(), 500)]
)
async def test_a_breakdown_frees_the_key(app: App, error: Exception, status: int) -> None:
    await app.vector_ops.library_version()
    app.vector_ops._library._embedder = BreakingEmbedder(app, error)  # type: ignore[assignment]
    async with api_client(app) as client:
        broken = await client.post(SCENARIOS, json=LATE, headers=KEY)
        again = await client.post(SCENARIOS, json=LATE, headers=KEY)

    assert (broken.status_code, again.status_code) == (status, 201)


async def test_a_killed_write_is_taken_up_again_after_a_while(
    client: httpx.AsyncClient, app: App
) -> None:
    response = await client.post(SCENARIOS, json=LATE, headers=KEY)
    async with app.database.transaction(app.vector_ops.tenant_id) as connection:
        await connection.execute("UPDATE staffroom.idempotency_keys SET status = NULL")

    under_way = await client.post(SCENARIOS, json=LATE, headers=KEY)
    await age(app, KEY["Idempotency-Key"], ABANDONED_SECONDS + 1)
    taken_up = await client.post(SCENARIOS, json=LATE, headers=KEY)

    assert (response.status_code, under_way.status_code, taken_up.status_code) == (201, 409, 200)


async def test_a_key_is_forgotten_after_a_day(client: httpx.AsyncClient, app: App) -> None:
    await client.post(SCENARIOS, json=LATE, headers=KEY)

    await age(app, KEY["Idempotency-Key"], 23 * 3600)
    kept = await client.post(SCENARIOS, json=LATE, headers=KEY)
    await age(app, KEY["Idempotency-Key"], 25 * 3600)
    new = await client.post(SCENARIOS, json={"description": "Else."}, headers=KEY)

    assert kept.headers["idempotent-replay"] == "true"
    assert new.status_code == 201


async def test_keys_of_another_tenant_are_others(client: httpx.AsyncClient, app: App) -> None:
    await client.post(SCENARIOS, json=LATE, headers=KEY)
    stranger = App(app.settings.model_copy(update={"tenant": UUID(int=7)}))
    try:
        async with api_client(stranger) as other:
            response = await other.post(SCENARIOS, json={"description": "Else."}, headers=KEY)
    finally:
        await stranger.close()

    assert response.status_code == 201


async def test_a_key_of_an_odd_form_is_refused_and_nothing_done(
    client: httpx.AsyncClient,
) -> None:
    fits = await client.post(SCENARIOS, json=LATE, headers={"Idempotency-Key": "k" * 200})
    odd: list[Any] = ["", "k" * 201, "two words", "schlüssel".encode()]
    for key in odd:
        response = await client.post("/api/v1/ask", json=QUESTION, headers={"Idempotency-Key": key})
        assert response.status_code == 422
        assert [e["field"] for e in response.json()["errors"]] == ["idempotency-key"]

    assert fits.status_code == 201
    assert await count(client, "/api/v1/interactions") == 0


async def test_of_concurrent_beginnings_one_is_new(app: App) -> None:
    keys = IdempotencyKeys(app.database, app.vector_ops.tenant_id)
    print_of_it = bytes(32)

    begun = await asyncio.gather(*(keys.begin("k", print_of_it) for _ in range(10)))

    assert begun.count(Kept.new) == 1
    assert begun.count(Kept.under_way) == 9
    await keys.keep("k", KeptResponse(200, {}, b"done"))
    assert await keys.begin("k", print_of_it) == KeptResponse(200, {}, b"done")
    assert await keys.begin("k", b"\1" * 32) is Kept.other
    await keys.forget("k")
    assert await keys.begin("k", b"\1" * 32) is Kept.new
