"""The library over HTTP: nobody's edit is lost, and nothing half good is stored."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from staffroom.app import App
from staffroom.config import Settings
from tests.api_client import api_client

SCENARIOS = "/api/v1/scenarios"
NOISE = {
    "source_id": "noise",
    "name": "Noisy class",
    "description": "The whole class talks loudly after lunch.",
    "expected_response": "1. Wait for real silence.\n2. Thank the ready pupils.",
    "category": "behaviour",
    "grade_bands": ["7-9"],
    "subjects": ["maths", "art"],
    "setting": "whole class",
    "tags": ["noise"],
}


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(app) as client:
        yield client


async def add(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await client.post(SCENARIOS, json=NOISE | fields)
    assert response.status_code in {200, 201}, response.text
    found: dict[str, Any] = response.json()
    return found


def wrong_fields(response: httpx.Response) -> list[str]:
    assert response.status_code == 422, response.text
    return [error["field"] for error in response.json()["errors"]]


async def stored(client: httpx.AsyncClient) -> int:
    return len((await client.get(SCENARIOS)).json()["items"])


async def test_a_new_scenario_is_201_and_can_be_read_where_it_says(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post(SCENARIOS, json=NOISE)

    assert response.status_code == 201
    assert response.headers["etag"] == '"1"'
    there = await client.get(response.headers["location"])
    assert there.json() == response.json()
    assert there.headers["etag"] == '"1"'
    assert NOISE.items() <= there.json().items()


async def test_what_is_there_already_is_200_and_what_it_changes_is_an_edit(
    client: httpx.AsyncClient,
) -> None:
    first = await client.post(SCENARIOS, json=NOISE)
    same, edit = [
        await client.post(SCENARIOS, json=NOISE | changes) for changes in ({}, {"name": "Loud"})
    ]

    assert [(r.status_code, r.headers["etag"]) for r in (same, edit)] == [
        (200, '"1"'),
        (200, '"2"'),
    ]
    assert first.headers["location"] == same.headers["location"] == edit.headers["location"]
    assert await stored(client) == 1


async def test_another_write_does_not_make_an_unchanged_scenario_new(
    client: httpx.AsyncClient,
) -> None:
    await add(client)

    same, _ = await asyncio.gather(
        client.post(SCENARIOS, json=NOISE),
        client.post(SCENARIOS, json={"description": "Pupils come late."}),
    )

    assert same.status_code == 200


async def test_a_description_is_all_that_a_scenario_needs(client: httpx.AsyncClient) -> None:
    response = await client.post(SCENARIOS, json={"description": "Pupils come late."})

    assert response.status_code == 201
    assert response.json()["name"] == "Pupils come late."
    assert response.json()["status"] == "published"


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"descripton": "x"}, "descripton"),
    ({"description": " \n\u200b"}, "description"),
    ({"description": ""}, "description"),
    ({"description": 7}, "description"),
    ({"description": None}, "description"),
    ({"name": "bad\0name"}, "name"),
    ({"name": "x" * 501}, "name"),
    ({"description": "x" * 50_001}, "description"),
    ({"example_questions": "one"}, "example_questions"),
    ({"example_questions": ["fine", 7]}, "example_questions.1"),
    ({"tags": ["\x07"]}, "tags.0"),
    ({"tags": [str(n) for n in range(51)]}, "tags"),
    ({"language": "a language"}, "language"),
    ({"status": "deleted"}, "status"),
    ({"review_by": "soon"}, "review_by"),
    ({"review_by": "2027-02-30"}, "review_by"),
    ({"review_by": 0}, "review_by"),
    ({"reason": "why\0"}, "reason"),
    ({"source_id": "x\x1b[2J"}, "source_id"),
]


async def test_what_cannot_be_stored_names_its_field_and_stores_nothing(
    client: httpx.AsyncClient,
) -> None:
    for fields, field in UNFIT:
        assert wrong_fields(await client.post(SCENARIOS, json=NOISE | fields)) == [field]
    assert await stored(client) == 0


async def test_the_longest_text_is_stored_as_it_is(client: httpx.AsyncClient) -> None:
    long = dict.fromkeys(("description", "expected_response"), "é" * 50000)

    found = await add(client, **long)

    assert found["description"] == long["description"]
    assert found["expected_response"] == long["expected_response"]


async def test_half_a_character_is_refused_wherever_it_stands(client: httpx.AsyncClient) -> None:
    for body in (rb'{"description": "\ud800"}', rb'{"description": "x", "\ud800": 1}'):
        response = await client.post(
            SCENARIOS, content=body, headers={"Content-Type": "application/json"}
        )
        assert len(wrong_fields(response)) == 1


async def test_pages_lead_through_the_whole_library_while_it_changes(
    client: httpx.AsyncClient,
) -> None:
    ids = [(await add(client, source_id=f"s{n}"))["id"] for n in range(7)]
    seen: list[str] = []
    cursor: str | None = None
    for step in range(10):
        parameters = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(SCENARIOS, params=parameters)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        if step == 0:
            await client.delete(f"{SCENARIOS}/{ids[2]}", headers={"If-Match": "*"})
            await client.delete(f"{SCENARIOS}/{ids[4]}", headers={"If-Match": "*"})
            ids.append((await add(client, source_id="late"))["id"])

    assert seen == [scenario_id for scenario_id in ids if scenario_id != ids[4]]


async def test_the_last_page_leads_nowhere_even_if_it_is_full(client: httpx.AsyncClient) -> None:
    for n in range(4):
        await add(client, source_id=f"s{n}")
    first = (await client.get(SCENARIOS, params={"limit": 2})).json()
    second = await client.get(SCENARIOS, params={"limit": 2, "cursor": first["next_cursor"]})

    assert len(second.json()["items"]) == 2
    assert second.json()["next_cursor"] is None


async def test_a_list_names_the_parameter_that_is_wrong(client: httpx.AsyncClient) -> None:
    for query, field in (
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("cursor=abc", "cursor"),
        ("cursor=", "cursor"),
        ("status=deleted", "status.0"),
        ("tag=%00", "tag.0"),
    ):
        assert wrong_fields(await client.get(f"{SCENARIOS}?{query}")) == [field]


async def test_filters_restrict_lists_and_facets(client: httpx.AsyncClient) -> None:
    await add(client)
    await add(client, source_id="late", category="routines", subjects=["art"], status="draft")
    await add(client, source_id="cold", category="routines", subjects=[], grade_bands=["1-3"])

    async def listed(query: str) -> list[str]:
        items = (await client.get(f"{SCENARIOS}?{query}")).json()["items"]
        return [item["source_id"] for item in items]

    assert await listed("category=routines") == ["late", "cold"]
    assert await listed("category=routines&category=behaviour&status=published") == [
        "noise",
        "cold",
    ]
    assert await listed("subject=art&grade_band=7-9") == ["noise", "late"]
    assert (await client.get(f"{SCENARIOS}/facets?category=routines")).json() == {
        "category": [{"value": "routines", "count": 2}],
        "grade_band": [{"value": "1-3", "count": 1}, {"value": "7-9", "count": 1}],
        "subject": [{"value": "art", "count": 1}],
        "status": [{"value": "published", "count": 2}, {"value": "draft", "count": 1}],
    }


async def test_a_filter_value_that_nothing_has_is_named(client: httpx.AsyncClient) -> None:
    await add(client)

    for path in (SCENARIOS, f"{SCENARIOS}/facets"):
        response = await client.get(path, params={"category": "cooking", "subject": "maths"})

        assert response.status_code == 422
        assert "categories: nothing has 'cooking'" in response.json()["detail"]
        assert "maths" not in response.json()["detail"]


async def test_what_a_client_has_already_is_not_sent_again(client: httpx.AsyncClient) -> None:
    place = f"{SCENARIOS}/{(await add(client))['id']}"

    for tag in ('"1"', 'W/"1"', '"7", "1"', "*"):
        response = await client.get(place, headers={"If-None-Match": tag})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == '"1"'
    for tag in ('"2"', '"x"', "1"):
        assert (await client.get(place, headers={"If-None-Match": tag})).status_code == 200


async def test_an_edit_without_its_ground_is_428_and_changes_nothing(
    client: httpx.AsyncClient,
) -> None:
    place = f"{SCENARIOS}/{(await add(client))['id']}"

    for response in (
        await client.patch(place, json={"name": "Loud"}),
        await client.delete(place),
        await client.patch(place, json={"name": "Loud"}, headers={"If-Match": ""}),
    ):
        assert response.status_code == 428
        assert "If-Match" in response.json()["detail"]
    assert (await client.get(place)).json()["name"] == "Noisy class"


async def test_an_edit_on_what_is_there_is_made(client: httpx.AsyncClient) -> None:
    place = f"{SCENARIOS}/{(await add(client))['id']}"

    for revision, tag in enumerate(('"1"', 'W/"2"', '"9", "3"', '"9" , W/"4"', "*"), start=2):
        headers = {"If-Match": tag}
        response = await client.patch(place, json={"name": f"Name {revision}"}, headers=headers)

        assert (response.status_code, response.headers["etag"]) == (200, f'"{revision}"')
        assert response.json()["name"] == f"Name {revision}"
        assert response.json()["tags"] == ["noise"]


async def test_an_edit_on_something_else_is_refused(client: httpx.AsyncClient) -> None:
    place = f"{SCENARIOS}/{(await add(client))['id']}"

    for tag, status in (('"2"', 412), ('"7", "9"', 412), ("1", 422), ('"1", x', 422)):
        changed = await client.patch(place, json={"name": "Loud"}, headers={"If-Match": tag})
        deleted = await client.delete(place, headers={"If-Match": tag})
        assert (changed.status_code, deleted.status_code) == (status, status)
    assert (await client.get(place)).headers["etag"] == '"1"'


async def test_of_two_edits_on_the_same_revision_one_wins(client: httpx.AsyncClient) -> None:
    place = f"{SCENARIOS}/{(await add(client))['id']}"

    responses = await asyncio.gather(
        *(
            client.patch(place, json={"name": f"Edit {n}"}, headers={"If-Match": '"1"'})
            for n in range(4)
        )
    )

    assert sorted(r.status_code for r in responses) == [200, 412, 412, 412]
    winner = next(r for r in responses if r.status_code == 200)
    assert (await client.get(place)).json() == winner.json()
    lost = next(r for r in responses if r.status_code == 412).json()
    assert lost["type"] == "/docs#edit-conflict"
    assert "revision 2" in lost["detail"]


async def test_an_edit_and_a_removal_at_once_do_not_both_happen(client: httpx.AsyncClient) -> None:
    place = f"{SCENARIOS}/{(await add(client))['id']}"
    on_first = {"If-Match": '"1"'}

    changed, deleted = await asyncio.gather(
        client.patch(place, json={"name": "Loud"}, headers=on_first),
        client.delete(place, headers=on_first),
    )

    there = (await client.get(place)).status_code
    assert (changed.status_code, deleted.status_code, there) in {(200, 412, 200), (404, 204, 404)}


async def test_a_patch_that_changes_nothing_makes_no_revision(client: httpx.AsyncClient) -> None:
    place = f"{SCENARIOS}/{(await add(client))['id']}"

    for changes in ({}, {"name": "Noisy class"}):
        response = await client.patch(place, json=changes, headers={"If-Match": '"1"'})
        assert (response.status_code, response.headers["etag"]) == (200, '"1"')


async def test_a_patch_names_the_field_that_is_wrong(client: httpx.AsyncClient) -> None:
    place = f"{SCENARIOS}/{(await add(client))['id']}"

    cases: list[tuple[dict[str, Any], str]] = [
        ({"source_id": "other"}, "source_id"),
        ({"id": "other"}, "id"),
        ({"description": ""}, "description"),
        ({"status": "gone"}, "status"),
    ]
    for changes, field in cases:
        response = await client.patch(place, json=changes, headers={"If-Match": "*"})
        assert wrong_fields(response) == [field]


async def test_the_history_says_who_changed_what_and_why(
    client: httpx.AsyncClient, app: App
) -> None:
    place = f"{SCENARIOS}/{(await add(client, review_by='2027-05-31', reason='new'))['id']}"
    await client.patch(
        place,
        json={"name": "Loud", "review_by": None, "reason": "clearer"},
        headers={"If-Match": "*"},
    )

    second, first = (await client.get(f"{place}/revisions")).json()["items"]

    assert (first["revision"], first["reason"], first["changed"]) == (1, "new", [])
    assert (second["revision"], second["reason"]) == (2, "clearer")
    assert second["changed"] == ["name", "review_by"]
    assert (second["name"], first["name"]) == ("Loud", "Noisy class")
    assert (second["review_by"], first["review_by"]) == ("", "2027-05-31")
    assert second["author"] == app.author


async def test_only_a_published_scenario_is_found(client: httpx.AsyncClient) -> None:
    place = f"{SCENARIOS}/{(await add(client, status='draft'))['id']}"
    found: list[tuple[str, int]] = []
    for status in ("draft", "in_review", "published", "retired"):
        await client.patch(place, json={"status": status}, headers={"If-Match": "*"})
        response = await client.post(
            "/api/v1/search", json={"query": NOISE["description"], "threshold": 0}
        )
        found.append((status, len(response.json()["matches"])))

    assert found == [("draft", 0), ("in_review", 0), ("published", 1), ("retired", 0)]
    reviewed = await client.post(
        "/api/v1/search",
        json={"query": "noise", "threshold": 0, "filters": {"statuses": ["retired"]}},
    )
    assert len(reviewed.json()["matches"]) == 1


async def test_a_removed_scenario_is_gone_from_everywhere(client: httpx.AsyncClient) -> None:
    place = f"{SCENARIOS}/{(await add(client))['id']}"

    response = await client.delete(place, headers={"If-Match": '"1"'})

    assert (response.status_code, response.content) == (204, b"")
    for method, path in (("GET", place), ("GET", f"{place}/revisions"), ("DELETE", place)):
        again = await client.request(method, path, headers={"If-Match": "*"})
        assert again.status_code == 404
        assert again.json()["type"] == "/docs#not-found"
    assert await stored(client) == 0


async def test_an_id_of_another_form_is_not_found(client: httpx.AsyncClient) -> None:
    for scenario_id in ("7", "noise", "null", "../healthz", "%00", "a" * 5000):
        response = await client.get(f"{SCENARIOS}/{scenario_id}/revisions")
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"


async def test_what_was_never_there_cannot_be_changed(client: httpx.AsyncClient) -> None:
    place = f"{SCENARIOS}/{uuid4()}"

    for tag in ('"1"', '"1", "2"', "*"):
        headers = {"If-Match": tag}
        assert (await client.patch(place, json={}, headers=headers)).status_code == 404
        assert (await client.delete(place, headers=headers)).status_code == 404


async def test_another_tenants_scenarios_are_not_there(
    client: httpx.AsyncClient, app: App, settings: Settings
) -> None:
    place = f"{SCENARIOS}/{(await add(client, category='secret topic'))['id']}"
    stranger = App(settings.model_copy(update={"tenant": UUID(int=7)}))
    try:
        async with api_client(stranger) as other:
            any_tag = {"If-Match": "*"}
            answers = [
                await other.get(place),
                await other.get(place, headers={"If-None-Match": '"1"'}),
                await other.get(f"{place}/revisions"),
                await other.patch(place, json={"name": "Mine"}, headers=any_tag),
                await other.delete(place, headers=any_tag),
            ]
            listed = (await other.get(SCENARIOS)).json()
            filtered = await other.get(SCENARIOS, params={"category": "secret topic"})
            own = await other.post(SCENARIOS, json=NOISE)
    finally:
        await stranger.close()

    assert [answer.status_code for answer in answers] == [404] * 5
    assert all("Noisy" not in answer.text for answer in answers)
    assert listed == {"items": [], "next_cursor": None}
    assert filtered.status_code == 422
    assert own.status_code == 201
    assert own.json()["id"] != place.rpartition("/")[2]
    assert (await client.get(place)).json()["category"] == "secret topic"
