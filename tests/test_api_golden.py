"""Golden questions and evaluations over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from staffroom.app import App
from staffroom.database.golden import MAX_GOLDEN
from tests.api_client import api_client

GOLDEN = "/api/v1/golden"
EVALUATIONS = "/api/v1/evaluations"
QUESTION = "My class talks loud after lunch, what can I do?"
LOUD = "The whole class talks loudly after lunch."


@pytest.fixture
async def scenario(app: App) -> str:
    return str(
        await app.vector_ops.store_scenario("Noisy class", LOUD, "1. Wait for real silence.")
    )


@pytest.fixture
async def client(app: App, scenario: str) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(app) as client:
        yield client


def relevant(scenario: str, grade: int = 2) -> list[dict[str, Any]]:
    return [{"scenario_id": scenario, "grade": grade}]


async def add(client: httpx.AsyncClient, scenario: str, question: str = QUESTION) -> dict[str, Any]:
    response = await client.post(
        GOLDEN, json={"question": question, "relevant": relevant(scenario)}
    )
    assert response.status_code == 201, response.text
    assert response.headers["location"] == f"{GOLDEN}/{response.json()['id']}"
    found: dict[str, Any] = response.json()
    return found


async def ask(client: httpx.AsyncClient) -> str:
    answer = (await client.post("/api/v1/ask", json={"question": QUESTION})).json()
    return str(answer["interaction_id"])


async def test_a_question_is_kept_read_judged_and_removed(
    client: httpx.AsyncClient, app: App, scenario: str
) -> None:
    golden = await add(client, scenario)
    place = f"{GOLDEN}/{golden['id']}"

    assert golden["question"] == QUESTION
    assert (golden["source"], golden["interaction_id"]) == ("written", None)
    assert golden["author"] == app.author
    assert golden["relevant"] == [
        {"scenario_id": scenario, "name": "Noisy class", "status": "published", "grade": 2}
    ]
    assert (await client.get(place)).json() == golden
    judged = await client.put(f"{place}/judgements/{scenario}", json={"grade": 1})
    assert (judged.status_code, judged.json()["relevant"][0]["grade"]) == (200, 1)
    assert (await client.delete(place)).status_code == 204
    again = await client.delete(place)
    assert again.status_code == 404
    assert again.json()["type"] == "/docs#not-found"


async def test_questions_are_listed_newest_first_page_by_page(
    client: httpx.AsyncClient, scenario: str
) -> None:
    ids = [(await add(client, scenario, f"Question {n}?"))["id"] for n in range(5)]
    first = (await client.get(GOLDEN, params={"limit": 2})).json()
    rest = (await client.get(GOLDEN, params={"cursor": first["next_cursor"]})).json()

    assert [item["id"] for item in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None
    assert (await client.get(GOLDEN, params={"cursor": "x"})).status_code == 422
    assert (await client.get(GOLDEN, params={"limit": 0})).status_code == 422


async def test_the_same_question_is_a_conflict(client: httpx.AsyncClient, scenario: str) -> None:
    golden = await add(client, scenario)
    body = {"question": QUESTION.upper(), "relevant": relevant(scenario)}
    again = await client.post(GOLDEN, json=body)

    assert again.status_code == 409
    assert again.json()["type"] == "/docs#conflict"
    assert golden["id"] in again.json()["detail"]


async def test_a_write_that_is_sent_twice_is_done_once(
    client: httpx.AsyncClient, scenario: str
) -> None:
    key = {"Idempotency-Key": "one"}
    body = {"question": QUESTION, "relevant": relevant(scenario)}
    first, again = [await client.post(GOLDEN, json=body, headers=key) for _ in range(2)]
    place = f"{GOLDEN}/{first.json()['id']}"
    removed = [await client.delete(place, headers={"Idempotency-Key": "two"}) for _ in range(2)]
    runs = [
        await client.post(EVALUATIONS, json={}, headers={"Idempotency-Key": "three"})
        for _ in range(2)
    ]

    assert first.json() == again.json()
    assert again.headers["idempotent-replay"] == "true"
    assert [response.status_code for response in removed] == [204, 204]
    assert runs[0].json() == runs[1].json()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"question": ""}, "question"),
        ({"question": " \u200b"}, "question"),
        ({"question": "x" * 4_001}, "question"),
        ({"question": 7}, "question"),
        ({"relevant": []}, "relevant"),
        ({"relevant": [{"scenario_id": "x"}]}, "relevant.0.scenario_id"),
        ({"relevant": [{"scenario_id": str(uuid4()), "grade": 3}]}, "relevant.0.grade"),
        ({"relevant": [{"scenario_id": str(uuid4()), "grade": -1}]}, "relevant.0.grade"),
        ({"relevant": [{"scenario_id": str(uuid4()), "grade": "2"}]}, "relevant.0.grade"),
        ({"relevant": [{"scenario_id": str(uuid4()), "mark": 2}]}, "relevant.0.mark"),
        ({"relevant": relevant(str(UUID(int=1))) * 2}, "relevant"),
        ({"language": "in English"}, "language"),
        ({"extra": 1}, "extra"),
    ],
)
async def test_what_is_wrong_is_named(
    client: httpx.AsyncClient, scenario: str, change: dict[str, Any], field: str
) -> None:
    body = {"question": QUESTION, "relevant": relevant(scenario), **change}
    response = await client.post(GOLDEN, json=body)

    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_only_wrong_scenarios_are_refused(client: httpx.AsyncClient, scenario: str) -> None:
    body = {"question": QUESTION, "relevant": relevant(scenario, 0)}
    response = await client.post(GOLDEN, json=body)

    assert response.status_code == 422
    assert "no scenario is right" in response.json()["detail"]


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, scenario: str) -> None:
    golden = await add(client, scenario)
    nobody = uuid4()
    here = f"{GOLDEN}/{golden['id']}/judgements"
    for response in (
        await client.post(GOLDEN, json={"question": "Who?", "relevant": relevant(str(nobody))}),
        await client.get(f"{GOLDEN}/{nobody}"),
        await client.delete(f"{GOLDEN}/{nobody}"),
        await client.put(f"{GOLDEN}/{nobody}/judgements/{scenario}", json={"grade": 2}),
        await client.put(f"{here}/{nobody}", json={"grade": 2}),
        await client.post(f"/api/v1/interactions/{nobody}/golden", json={"scenario_id": scenario}),
        await client.post(
            f"/api/v1/interactions/{await ask(client)}/golden", json={"scenario_id": str(nobody)}
        ),
    ):
        assert response.status_code == 404, response.request.url
        assert str(nobody) in response.json()["detail"]
    for grade in (3, -1, 0.5, None):
        wrong = await client.put(f"{here}/{scenario}", json={"grade": grade})
        assert [error["field"] for error in wrong.json()["errors"]] == ["grade"]


async def test_one_more_than_the_most_is_a_conflict(
    client: httpx.AsyncClient, app: App, scenario: str
) -> None:
    async with app.database.transaction(app.vector_ops.tenant_id) as connection:
        await connection.execute(
            "INSERT INTO staffroom.golden_questions SELECT %s, gen_random_uuid(), 'Q ' || n, "
            "sha256(('q ' || n)::bytea), 'en', 'written', NULL, '' FROM generate_series(1, %s) n",
            [app.vector_ops.tenant_id, MAX_GOLDEN],
        )
    body = {"question": QUESTION, "relevant": relevant(scenario)}
    response = await client.post(GOLDEN, json=body)

    assert response.status_code == 409
    assert "1,000 golden questions" in response.json()["detail"]


async def test_feedback_becomes_a_suggestion_and_that_a_golden_question(
    client: httpx.AsyncClient, scenario: str
) -> None:
    interaction = await ask(client)
    said = {"verdict": "helpful", "scenario_id": scenario}
    await client.post(f"/api/v1/interactions/{interaction}/feedback", json=said)
    (found,) = (await client.get(f"{GOLDEN}/suggested")).json()["items"]
    promoted = await client.post(
        f"/api/v1/interactions/{interaction}/golden", json={"scenario_id": scenario}
    )

    assert (found["question"], found["name"], found["times"]) == (QUESTION, "Noisy class", 1)
    assert (found["interaction_id"], found["scenario_id"]) == (interaction, scenario)
    assert promoted.status_code == 201
    assert promoted.json()["source"] == "promoted"
    assert promoted.json()["interaction_id"] == interaction
    assert (await client.get(f"{GOLDEN}/suggested")).json() == {"items": []}
    wrong = await client.post(
        f"/api/v1/interactions/{interaction}/golden", json={"scenario_id": scenario, "grade": 0}
    )
    assert [error["field"] for error in wrong.json()["errors"]] == ["grade"]


async def test_an_evaluation_tells_the_rank_of_each_question_and_is_kept(
    client: httpx.AsyncClient, app: App, scenario: str
) -> None:
    golden = await add(client, scenario)
    response = await client.post(EVALUATIONS, json={})
    run = response.json()

    assert response.status_code == 201
    assert run["items"] == [
        {
            "golden_id": golden["id"],
            "question": QUESTION,
            "ranks": {"hybrid": 1, "meaning": 1, "words": 1},
        }
    ]
    assert run["modes"].keys() == {"hybrid", "meaning", "words"}
    assert run["modes"]["hybrid"]["recall@5"] == run["modes"]["hybrid"]["mrr@10"] == 1
    assert (run["questions"], run["unusable"], run["model"]) == (1, 0, app.cache.model)
    only = (await client.post(EVALUATIONS, json={"modes": ["words"]})).json()
    assert only["modes"].keys() == {"words"}
    kept = (await client.get(EVALUATIONS, params={"limit": 1})).json()
    assert [item["id"] for item in kept["items"]] == [only["id"]]
    older = (await client.get(EVALUATIONS, params={"cursor": kept["next_cursor"]})).json()
    assert [item["id"] for item in older["items"]] == [run["id"]]
    assert older["items"][0]["modes"] == run["modes"]


async def test_without_golden_questions_nothing_is_kept(client: httpx.AsyncClient) -> None:
    response = await client.post(EVALUATIONS, json={})

    assert response.status_code == 200
    assert (response.json()["id"], response.json()["modes"], response.json()["items"]) == (
        None,
        {},
        [],
    )
    assert (await client.get(EVALUATIONS)).json() == {"items": [], "next_cursor": None}


async def test_modes_that_are_none_are_refused(client: httpx.AsyncClient) -> None:
    for modes in ([], ["luck"], ["words"] * 4, "words"):
        response = await client.post(EVALUATIONS, json={"modes": modes})
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"].startswith("modes")


async def test_two_evaluations_do_not_run_at_once(client: httpx.AsyncClient, scenario: str) -> None:
    await add(client, scenario)
    runs = await asyncio.gather(*(client.post(EVALUATIONS, json={}) for _ in range(3)))
    statuses = {run.status_code for run in runs}

    assert 201 in statuses
    assert statuses <= {201, 503}
    assert (await client.post(EVALUATIONS, json={})).status_code == 201
