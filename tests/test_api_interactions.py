"""Past exchanges over HTTP, and what teachers say of them."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from staffroom.app import App
from tests.api_client import api_client

INTERACTIONS = "/api/v1/interactions"
QUESTION = "My class talks loud after lunch, what can I do?"
NOISE = {
    "name": "Noisy class",
    "description": "The whole class talks loudly after lunch.",
    "expected_response": "1. Wait for real silence.\n2. Thank the ready pupils.",
}


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    await app.vector_ops.store_scenario(**NOISE)
    async with api_client(app) as client:
        yield client


async def ask(client: httpx.AsyncClient, question: str = QUESTION) -> dict[str, Any]:
    found: dict[str, Any] = (await client.post("/api/v1/ask", json={"question": question})).json()
    return found


async def test_exchanges_are_listed_newest_first_page_by_page(client: httpx.AsyncClient) -> None:
    ids = [(await ask(client, f"{QUESTION} Day {n}."))["interaction_id"] for n in range(5)]
    first = (await client.get(INTERACTIONS, params={"limit": 2})).json()
    newer = await ask(client)
    cursor = first["next_cursor"]
    second = (await client.get(INTERACTIONS, params={"limit": 3, "cursor": cursor})).json()

    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None
    newest = (await client.get(INTERACTIONS, params={"limit": 1})).json()["items"]
    assert [item["id"] for item in newest] == [newer["interaction_id"]]
    assert newest[0].keys() == {"id", "question", "outcome", "best_relevance", "created_at"}


async def test_gaps_can_be_listed_alone(client: httpx.AsyncClient) -> None:
    await ask(client)
    gap = await ask(client, "Which volcano of Iceland is highest?")

    listed = (await client.get(INTERACTIONS, params={"outcome": "abstained"})).json()["items"]

    assert [item["id"] for item in listed] == [gap["interaction_id"]]
    wrong = await client.get(INTERACTIONS, params={"outcome": "lost"})
    assert [error["field"] for error in wrong.json()["errors"]] == ["outcome"]


async def test_feedback_is_kept_with_the_exchange(client: httpx.AsyncClient) -> None:
    answer = await ask(client)
    place = f"{INTERACTIONS}/{answer['interaction_id']}"
    scenario_id = answer["matches"][0]["id"]
    given = [
        {"verdict": "helpful"},
        {
            "verdict": "did_not_fit",
            "reason": "not_for_my_pupils",
            "comment": "They are five years old.",
            "scenario_id": scenario_id,
        },
    ]

    for feedback in given:
        response = await client.post(f"{place}/feedback", json=feedback)
        assert response.status_code == 201
        UUID(response.json()["id"])

    plain = {"reason": "", "comment": "", "scenario_id": None}
    kept = (await client.get(place)).json()["feedback"]
    assert [
        {name: entry[name] for name in ("verdict", "reason", "comment", "scenario_id")}
        for entry in kept
    ] == [plain | feedback for feedback in given]


async def test_feedback_that_means_nothing_names_what_is_wrong_and_is_not_kept(
    client: httpx.AsyncClient, app: App
) -> None:
    answer = await ask(client)
    place = f"{INTERACTIONS}/{answer['interaction_id']}"
    other = await app.vector_ops.store_scenario("Late", "Pupils come late.")

    for feedback, told in (
        ({}, "verdict"),
        ({"verdict": "great"}, "verdict"),
        ({"verdict": "helpful", "reason": "because"}, "reason"),
        ({"verdict": "helpful", "comment": "x" * 2001}, "comment"),
        ({"verdict": "helpful", "scenario_id": "7"}, "scenario_id"),
        ({"verdict": "helpful", "scenario_id": str(other)}, f"scenario {other}"),
        ({"verdict": "helpful", "stars": 5}, "stars"),
    ):
        response = await client.post(f"{place}/feedback", json=feedback)
        assert response.status_code == 422
        assert told in response.json()["detail"]

    assert (await client.get(place)).json()["feedback"] == []


async def test_a_comment_is_kept_without_what_cannot_be_stored(client: httpx.AsyncClient) -> None:
    place = f"{INTERACTIONS}/{(await ask(client))['interaction_id']}"

    response = await client.post(
        f"{place}/feedback", json={"verdict": "worked", "comment": "It\0 worked \u202e<b>"}
    )

    assert response.status_code == 201
    (kept,) = (await client.get(place)).json()["feedback"]
    assert kept["comment"] == "It\ufffd worked <b>"


async def test_an_exchange_outlives_the_scenario_that_it_rested_on(
    client: httpx.AsyncClient,
) -> None:
    answer = await ask(client)
    place = f"{INTERACTIONS}/{answer['interaction_id']}"
    scenario_id = answer["matches"][0]["id"]
    about_it = {"verdict": "worked", "scenario_id": scenario_id}
    await client.post(f"{place}/feedback", json=about_it)

    await client.delete(f"/api/v1/scenarios/{scenario_id}", headers={"If-Match": "*"})

    kept = (await client.get(place)).json()
    assert kept["answer"] == answer["answer"]
    assert kept["matches"] == []
    assert [(f["verdict"], f["scenario_id"]) for f in kept["feedback"]] == [("worked", None)]
    assert (await client.post(f"{place}/feedback", json=about_it)).status_code == 422


async def test_what_is_not_there_is_404_whatever_its_form(client: httpx.AsyncClient) -> None:
    for interaction_id in (str(uuid4()), "7", "null", "x" * 2000):
        place = f"{INTERACTIONS}/{interaction_id}"
        read = await client.get(place)
        said = await client.post(f"{place}/feedback", json={"verdict": "helpful"})
        assert (read.status_code, said.status_code) == (404, 404)
        assert read.json()["type"] == "/docs#not-found"


async def test_another_tenants_exchanges_are_not_there(client: httpx.AsyncClient, app: App) -> None:
    place = f"{INTERACTIONS}/{(await ask(client))['interaction_id']}"
    stranger = App(app.settings.model_copy(update={"tenant": UUID(int=7)}))
    try:
        async with api_client(stranger) as other:
            read = await other.get(place)
            said = await other.post(f"{place}/feedback", json={"verdict": "helpful"})
            listed = await other.get(INTERACTIONS)
    finally:
        await stranger.close()

    assert (read.status_code, said.status_code) == (404, 404)
    assert "lunch" not in read.text + said.text
    assert listed.json() == {"items": [], "next_cursor": None}
    assert (await client.get(place)).json()["feedback"] == []
