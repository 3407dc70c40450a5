"""The life of a scenario over HTTP: what is due and restored, which step is refused, by whom."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from staffroom.app import App
from staffroom.config import Settings
from staffroom.scenario_life import today
from tests.api_client import api_client

SCENARIOS = "/api/v1/scenarios"
NOISE = {"name": "Noisy class", "description": "The whole class talks loudly after lunch."}


def day(ahead: int) -> str:
    return (today() + timedelta(ahead)).isoformat()


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(app) as client:
        yield client


async def add(client: httpx.AsyncClient, **fields: Any) -> str:
    response = await client.post(SCENARIOS, json=NOISE | fields)
    assert response.status_code in {200, 201}, response.text
    return f"{SCENARIOS}/{response.json()['id']}"


async def newest(client: httpx.AsyncClient, place: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"{place}/revisions")).json()["items"][0]
    return found


async def test_what_is_due_is_listed_page_by_page(client: httpx.AsyncClient) -> None:
    for number, ahead in enumerate((5, -3, -400, 60, None, None)):
        date = None if ahead is None else day(ahead)
        await add(client, source_id=f"s{number}", review_by=date)
    await add(client, source_id="gone", status="retired", review_by=day(-1))

    async def listed(**query: Any) -> list[str]:
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await client.get(f"{SCENARIOS}/due", params={**query, **cursor})).json()
            found += [item["source_id"] for item in page["items"]]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    assert await listed() == ["s2", "s1", "s0"]
    assert await listed(limit=1, days=90) == ["s2", "s1", "s0", "s3"]
    assert await listed(days=-1) == ["s2", "s1"]
    assert await listed(undated=True, limit=1) == ["s4", "s5"]
    page = (await client.get(f"{SCENARIOS}/due")).json()
    assert [item["overdue"] for item in page["items"]] == [True, True, False]
    assert page["counts"] == {"overdue": 2, "within_30": 1, "within_90": 1, "undated": 2}


@pytest.mark.parametrize(
    "query", [{"days": "-2"}, {"days": "many"}, {"cursor": "x"}, {"cursor": "=" * 27}]
)
async def test_a_due_list_names_the_parameter_that_is_wrong(
    client: httpx.AsyncClient, query: dict[str, str]
) -> None:
    response = await client.get(f"{SCENARIOS}/due", params=query)

    assert response.status_code == 422
    assert next(iter(query)) in response.json()["detail"]


async def test_a_revision_is_restored_on_what_was_read(client: httpx.AsyncClient) -> None:
    place = await add(client, evidence_strength=0, worked_with="Year 5")
    changed = await client.patch(place, json={"name": "Worse"}, headers={"If-Match": '"1"'})
    body = {"revision": 1, "reason": "it was better", "author": "Ana"}

    lacking = await client.post(f"{place}/restore", json=body)
    late = await client.post(f"{place}/restore", json=body, headers={"If-Match": '"1"'})
    done = await client.post(
        f"{place}/restore", json=body, headers={"If-Match": changed.headers["ETag"]}
    )
    none = await client.post(f"{place}/restore", json={"revision": 7}, headers={"If-Match": "*"})

    assert (lacking.status_code, late.status_code, done.status_code) == (428, 412, 200)
    assert (done.json()["name"], done.headers["ETag"]) == ("Noisy class", '"3"')
    assert (done.json()["evidence_strength"], done.json()["worked_with"]) == (0, "Year 5")
    entry = await newest(client, place)
    assert (entry["reason"], entry["author"]) == ("it was better", "Ana")
    assert none.status_code == 404
    assert "has no revision 7. Its newest is 3" in none.json()["detail"]


async def test_a_restoring_that_is_sent_twice_is_done_once(client: httpx.AsyncClient) -> None:
    place = await add(client)
    await client.patch(place, json={"name": "Worse"}, headers={"If-Match": "*"})
    headers = {"If-Match": '"2"', "Idempotency-Key": "once"}

    answers = [
        await client.post(f"{place}/restore", json={"revision": 1}, headers=headers)
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


async def test_a_step_that_there_is_not_is_409_and_names_those_that_there_are(
    client: httpx.AsyncClient,
) -> None:
    place = await add(client)

    refused = await client.patch(place, json={"status": "draft"}, headers={"If-Match": "*"})
    taken = await client.patch(place, json={"status": "in_review"}, headers={"If-Match": "*"})

    assert refused.status_code == 409
    problem = refused.json()
    assert problem["type"] == "/docs#step-refused"
    assert "From published it goes to in_review or retired" in problem["detail"]
    assert (taken.status_code, taken.json()["status"]) == (200, "in_review")


async def test_a_change_bears_the_name_of_its_body_then_of_the_cookie_then_of_the_server(
    app: App, client: httpx.AsyncClient
) -> None:
    place = await add(client, source_id="mine", author="José")
    first = await newest(client, place)
    ana = {"If-Match": "*", "Cookie": f"staffroom_author={quote('Ana Núñez')}"}
    await client.patch(place, json={"tags": ["a"]}, headers=ana)
    by_cookie = await newest(client, place)
    await client.patch(place, json={"tags": ["b"], "author": "Bo"}, headers=ana)
    by_body = await newest(client, place)
    for odd in ("%00", "%20", "%ff%00"):
        headers = {"If-Match": "*", "Cookie": f"staffroom_author={odd}"}
        await client.patch(place, json={"tags": [odd]}, headers=headers)
        assert (await newest(client, place))["author"] == app.author

    assert (first["author"], by_cookie["author"]) == ("José", "Ana Núñez")
    assert by_body["author"] == "Bo"
    removed = await client.delete(f"{place}?author=Cleo", headers={"If-Match": "*"})
    assert removed.status_code == 204
    async with app.database.read(app.vector_ops.tenant_id) as connection:
        cursor = await connection.execute(
            "SELECT actor FROM staffroom.audit WHERE action = 'scenario.delete'"
        )
        assert await cursor.fetchall() == [{"actor": "Cleo"}]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"evidence_strength": 6}, "evidence_strength"),
        ({"evidence_strength": "3"}, "evidence_strength"),
        ({"worked_with": "x" * 1001}, "worked_with"),
        ({"author": "x" * 201}, "author"),
    ],
)
async def test_a_wrong_field_of_these_is_named(
    client: httpx.AsyncClient, fields: dict[str, Any], field: str
) -> None:
    response = await client.post(SCENARIOS, json=NOISE | fields)

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_overdue_is_told_by_the_form_of_openai(client: httpx.AsyncClient) -> None:
    scenario_id = (await add(client, review_by=day(-1))).rpartition("/")[2]
    question = {"role": "user", "content": NOISE["description"]}

    answer = await client.post(
        "/v1/chat/completions", json={"model": "staffroom", "messages": [question]}
    )

    document = answer.json()
    assert document["staffroom"]["overdue"] == [scenario_id]
    assert f"(review due since {day(-1)})" in document["choices"][0]["message"]["content"]


async def test_what_is_overdue_is_held_back_by_setting_and_stays_in_the_library(
    settings: Settings,
) -> None:
    app = App(settings.model_copy(update={"hold_back_overdue": True}))
    try:
        async with api_client(app) as client:
            place = await add(client, review_by=day(-1))
            question = {"query": NOISE["description"], "threshold": 0}
            before = (await client.post("/api/v1/search", json=question)).json()
            answer = await client.post("/api/v1/ask", json={"question": NOISE["description"]})
            page = await client.get(
                "/library", params={"q": NOISE["description"]}, headers={"accept": "text/html"}
            )
            listed = (await client.get(SCENARIOS)).json()["items"]
            await client.patch(place, json={"review_by": day(9)}, headers={"If-Match": "*"})
            after = (await client.post("/api/v1/search", json=question)).json()
    finally:
        await app.close()

    assert (before["matches"], before["reason"]) == ([], "nothing_there")
    assert answer.json()["abstained"]
    assert "Noisy class</a>" in page.text
    assert [item["overdue"] for item in listed] == [True]
    assert [match["name"] for match in after["matches"]] == ["Noisy class"]
