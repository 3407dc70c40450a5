"""Scenarios that may be one, over HTTP and by commands."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from staffroom.app import App
from staffroom.content.likenesses import compare_all
from staffroom.content.starter import starter_rows
from staffroom.database.likenesses import NEAR_DUPLICATE
from tests.api_client import api_client
from tests.serving import Served

LIKENESSES = "/api/v1/likenesses"
SILENT: dict[str, Any] = {
    "name": "Silent online lesson",
    "description": "In the online lesson all cameras are off and nobody answers.",
    "example_questions": ["What if nobody answers online?"],
}
CAMERAS: dict[str, Any] = {
    "name": "Cameras off in a silent online lesson",
    "description": "In the online lesson all the cameras are off and no pupil answers.",
    "example_questions": ["Must cameras be on?"],
}
LATE: dict[str, Any] = {"name": "Late", "description": "Pupils arrive after the bell rings."}


@pytest.fixture
async def ids(app: App) -> list[str]:
    """Two that say the same in other words, and one that does not."""
    rows = [{"id": str(n), **row} for n, row in enumerate((SILENT, CAMERAS, LATE))]
    return [str((await app.vector_ops.put_scenario(row)).scenario_id) for row in rows]


@pytest.fixture
async def client(app: App, ids: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(app) as client:
        yield client


async def decide(
    client: httpx.AsyncClient, ids: list[str], *, headers: Any = None, **body: Any
) -> httpx.Response:
    place = f"{LIKENESSES}/{ids[0]}/{ids[1]}"
    return await client.post(place, json=body, headers=headers)


async def test_pairs_are_listed_page_by_page_with_how_far_it_is(
    client: httpx.AsyncClient, ids: list[str]
) -> None:
    first = (await client.get(LIKENESSES, params={"limit": 1})).json()
    rest = (await client.get(LIKENESSES, params={"cursor": first["next_cursor"]})).json()

    (item,) = first["items"]
    assert [item["one"]["name"], item["other"]["name"]] == [SILENT["name"], CAMERAS["name"]]
    assert (item["is_near"], item["decision"], item["kept"]) == (True, "open", None)
    assert item["one"] == {
        "id": ids[0], "name": SILENT["name"], "status": "published", "revision": 1,
    }  # fmt: skip
    assert (first["compared"], first["total"], first["near"]) == (3, 3, 1)
    assert [row["is_near"] for row in rest["items"]] == [False, False]
    assert rest["next_cursor"] is None
    of_late = (await client.get(LIKENESSES, params={"scenario_id": ids[2]})).json()
    assert len(of_late["items"]) == 2
    for cursor in ("x", "!" * 48, "é" * 48):
        assert (await client.get(LIKENESSES, params={"cursor": cursor})).status_code == 422
    assert (await client.get(LIKENESSES, params={"decision": "perhaps"})).status_code == 422


async def test_a_decision_is_kept_shown_and_opened_again(
    client: httpx.AsyncClient, ids: list[str], app: App
) -> None:
    linked = await decide(client, ids, decision="linked", reason="both online")
    assert linked.status_code == 200, linked.text
    assert linked.json()["decided_by"] == app.author
    listed = (await client.get(LIKENESSES, params={"decision": "linked"})).json()
    assert listed["items"] == [linked.json()]
    for scenario, other in zip(ids[:2], (CAMERAS, SILENT), strict=True):
        page = await client.get(f"/library/{scenario}")
        assert f">{other['name']}</a>" in page.text

    conflict = await decide(client, ids, decision="keep_both")
    assert conflict.status_code == 409
    assert "Open the pair again first" in conflict.json()["detail"]
    opened = await decide(client, ids, decision="open")
    assert (opened.json()["decision"], opened.json()["decided_at"]) == ("open", None)


async def test_a_merge_that_is_sent_twice_is_done_once(
    client: httpx.AsyncClient, ids: list[str]
) -> None:
    body = {"decision": "merged", "keep": ids[0], "one_revision": 1, "other_revision": 1}
    first = await decide(client, ids, headers={"Idempotency-Key": "one"}, **body)
    again = await decide(client, ids, headers={"Idempotency-Key": "one"}, **body)

    assert (first.status_code, first.json()["kept"]) == (200, ids[0])
    assert again.json() == first.json()
    assert again.headers["idempotent-replay"] == "true"
    late = await decide(client, ids, **body)
    assert late.status_code == 412
    kept = (await client.get(f"/api/v1/scenarios/{ids[0]}")).json()
    assert kept["example_questions"] == [
        *SILENT["example_questions"], *CAMERAS["example_questions"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"decision": "merged"}, "keep"),
        ({"decision": "merged", "keep": str(UUID(int=1))}, "is neither of the two"),
        ({"decision": "linked", "keep": str(UUID(int=1))}, "keep"),
        ({"decision": "perhaps"}, "decision"),
        ({"decision": "linked", "reason": "x" * 1001}, "reason"),
    ],
)
async def test_what_is_no_decision_is_refused(
    client: httpx.AsyncClient, ids: list[str], body: dict[str, str], words: str
) -> None:
    refused = await decide(client, ids, **body)

    assert refused.status_code == 422
    assert words in refused.text


async def test_a_pair_needs_two_scenarios_that_are_there(
    client: httpx.AsyncClient, ids: list[str]
) -> None:
    gone = await decide(client, [ids[0], str(UUID(int=1))], decision="linked")
    same = await decide(client, [ids[0], ids[0]], decision="linked")

    assert (gone.status_code, same.status_code) == (404, 422)
    assert "is named twice" in same.json()["detail"]


async def test_an_upload_may_keep_duplicates(client: httpx.AsyncClient, app: App) -> None:
    file = json.dumps({"id": "again", **LATE}).encode()

    async def done(**fields: str) -> dict[str, Any]:
        upload = {"file": ("late.jsonl", file)}
        begun = await client.post("/api/v1/imports", files=upload, data=fields)
        async with client.stream(
            "GET", begun.headers["location"], headers={"Accept": "text/event-stream"}
        ) as watched:
            await watched.aread()
        found: dict[str, Any] = (await client.get(begun.headers["location"])).json()
        return found

    first, kept = await done(), await done(keep_duplicates="true")

    assert (first["stored"], first["duplicate"]) == (0, 1)
    (row,) = first["rows"]
    assert (row["effect"], row["reason"][:16]) == ("duplicate", "the same as Late")
    assert (kept["stored"], kept["rows"]) == (1, [])
    page = await client.get(f"/library/import?id={first['id']}")
    assert "Rows that were left out" in page.text
    (link,) = re.findall(r'the same as\s+<a[^>]* href="/library/([^"]+)"[^>]*>(\w+)', page.text)
    assert link == (row["reason"].split("(")[1].rstrip(")"), "Late")


def test_the_starter_library_has_fifteen_near_pairs_and_no_duplicate(
    library_server: Served,
) -> None:
    app = library_server.app

    async def near() -> int:
        await compare_all(app.vector_ops.likenesses)
        return await app.vector_ops.likenesses.near(NEAR_DUPLICATE)

    assert library_server.run(near()) == 15
    contents = {json.dumps({**row, "id": ""}, sort_keys=True) for row in starter_rows()}
    assert len(contents) == len(list(starter_rows()))
