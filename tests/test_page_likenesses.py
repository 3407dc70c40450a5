"""Scenarios that may be one, as an editor decides on them in a browser."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from playwright.async_api import Page, expect

from staffroom.app import App
from staffroom.database.likenesses import Likeness, pair_of
from staffroom.database.statements import statement
from tests.browser import Watch, axe
from tests.serving import Served

OpenPage = Callable[..., Awaitable[Page]]

PLACE = "/library/likenesses"
ROWS: list[dict[str, Any]] = [
    {"id": "silent", "name": "A silent online lesson",
     "description": "In the online lesson all cameras are off and nobody answers.",
     "expected_response": "1. Ask one question in the chat.",
     "example_questions": ["What if nobody answers online?", "Is anybody there?"]},
    {"id": "cameras", "name": "Cameras off in an online lesson",
     "description": "In the online lesson all the cameras are off and no pupil answers.",
     "expected_response": "1. Ask one pupil in the chat.",
     "example_questions": ["Must cameras be on?", "Is anybody there?"]},
    {"id": "gate", "description": "A parent shouts at the gate in the morning."},
]  # fmt: skip


async def add(app: App) -> dict[str, UUID]:
    stored = [await app.vector_ops.put_scenario(row) for row in ROWS]
    return {str(row["id"]): kept.scenario_id for row, kept in zip(ROWS, stored, strict=True)}


@pytest.fixture
def ids(live_server: Served) -> dict[str, UUID]:
    return live_server.run(add(live_server.app))


def decided(served: Served, decision: str) -> list[Likeness]:
    page = served.app.vector_ops.likenesses.page
    return served.run(page(decision=decision))  # type: ignore[arg-type]


async def test_pairs_stand_side_by_side_with_what_only_one_of_them_says(
    page: Page, ids: dict[str, UUID]
) -> None:
    await page.goto(PLACE, wait_until="networkidle")
    near = page.get_by_role("region", name="Probably one situation")
    far = page.get_by_role("region", name="Probably different situations")

    await expect(near.get_by_role("listitem").first).to_contain_text("A silent online lesson")
    await expect(near.locator(".pair")).to_have_count(1)
    await expect(far.locator(".pair")).to_have_count(2)
    await expect(near.locator("mark").first).to_contain_text("nobody")
    await near.locator("summary", has_text="Compare advice").click()
    await expect(near.get_by_text("Must cameras be on?")).to_be_visible()
    await expect(near.get_by_text("1 question is in both.")).to_be_visible()
    await near.locator("summary", has_text="Merge them").click()
    await axe(page)


async def test_the_library_counts_what_waits(page: Page, ids: dict[str, UUID]) -> None:
    await page.goto(PLACE)
    await page.goto("/library", wait_until="networkidle")
    link = page.get_by_role("link", name="1 pair is probably one situation")
    await expect(link).to_contain_text("Similar scenarios")
    await link.click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Similar scenarios")


@pytest.mark.parametrize("scripts", [True, False])
async def test_the_three_decisions_work_with_and_without_scripts(
    open_page: OpenPage, live_server: Served, ids: dict[str, UUID], *, scripts: bool
) -> None:
    page = await open_page(java_script_enabled=scripts)
    await page.goto(PLACE)
    pair = page.locator(".pair", has_text="Cameras off").first
    await pair.get_by_label("Reason").fill("both online")
    await pair.get_by_role("button", name="Link them").click()
    await expect(page.locator(".likenesses").get_by_role("status")).to_contain_text(
        "They are linked."
    )
    (linked,) = decided(live_server, "linked")
    assert linked.reason == "both online"
    await page.goto(f"/library/{ids['silent']}")
    related = page.locator(".scenario-facts")
    await expect(related.get_by_role("link", name="Cameras off")).to_be_visible()

    await page.goto(f"{PLACE}?decision=linked")
    await expect(page.locator(".pair")).to_contain_text("Reason: both online")
    await page.get_by_role("button", name="Open again").click()
    await expect(page.locator(".likenesses").get_by_role("status")).to_contain_text("open again")

    await page.goto(PLACE)
    pair = page.locator(".pair", has_text="Cameras off").first
    await pair.locator("summary", has_text="Merge them").click()
    await pair.get_by_role("button", name="Keep “A silent online lesson”").click()
    await expect(page.locator(".likenesses").get_by_role("status")).to_contain_text(
        "They are merged"
    )
    (merged,) = decided(live_server, "merged")
    assert merged.kept == ids["silent"]
    await page.goto(f"/library/{ids['cameras']}")
    told = page.locator(".note", has_text="It was merged into")
    await told.get_by_role("link", name="A silent online lesson").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("A silent online lesson")
    await expect(page.locator(".scenario-facts")).to_contain_text("Merged into this one")
    await expect(page.locator(".scenario-facts")).to_contain_text("Cameras off")
    await page.goto("/library")
    await expect(page.get_by_role("link", name="A silent online lesson")).to_be_visible()
    await expect(page.get_by_role("link", name="Cameras off in an online lesson")).to_have_count(0)
    await page.goto(f"{PLACE}?decision=merged")
    await expect(page.locator(".pair")).to_contain_text("publish the other again")
    if scripts:
        await axe(page)


async def test_both_are_kept_and_nothing_is_left_to_decide(
    page: Page, live_server: Served, ids: dict[str, UUID]
) -> None:
    await page.goto(PLACE)
    for _ in range(3):
        await page.get_by_role("button", name="Keep both").first.click()
        await expect(page.locator(".likenesses").get_by_role("status")).to_contain_text(
            "Both are kept."
        )

    await expect(page.get_by_text("No pairs here")).to_be_visible()
    assert len(decided(live_server, "keep_both")) == 3
    await axe(page)


async def test_a_decision_that_comes_too_late_is_told(
    page: Page, live_server: Served, watch: Watch, ids: dict[str, UUID]
) -> None:
    watch.expect("412 POST")
    watch.expect("409 POST")
    app = live_server.app
    await page.goto(PLACE)
    live_server.run(app.vector_ops.update_scenario(ids["silent"], {"expected_response": "Wait."}))
    pair = page.locator(".pair", has_text="Cameras off").first
    await pair.get_by_role("button", name="Link them").click()
    await expect(page.get_by_role("alert")).to_contain_text("Somebody has changed one of the two")

    pair_ids = pair_of(ids["silent"], ids["cameras"])
    likenesses = app.vector_ops.likenesses
    live_server.run(likenesses.decide(pair_ids, "keep_both", author="Bob", reason=""))
    pair = page.locator(".pair", has_text="Cameras off").first
    await pair.get_by_role("button", name="Link them").click()
    await expect(page.get_by_role("alert")).to_contain_text("has decided this pair already")
    await axe(page)


async def test_spanish_pages_say_it_in_spanish(open_page: OpenPage, ids: dict[str, UUID]) -> None:
    page = await open_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    await page.goto(f"{PLACE}?lang=es", wait_until="networkidle")

    await expect(page.get_by_role("heading", level=1)).to_have_text("Escenarios parecidos")
    await expect(page.get_by_role("button", name="Conservar los dos").first).to_be_visible()
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    await axe(page)


def test_forms_that_say_nothing_sensible_are_refused(
    live_server: Served, ids: dict[str, UUID]
) -> None:
    one, other = str(ids["silent"]), str(ids["cameras"])
    for fields, status, words in (
        ({"one": "x", "other": other, "decision": "linked"}, 422, "is not an id"),
        ({"one": one, "other": other}, 422, "is no decision"),
        ({"one": one, "other": str(UUID(int=1)), "decision": "linked"}, 404, "deleted one"),
        ({"one": one, "other": other, "merge": "x"}, 422, "is not an id"),
        ({"one": one, "other": other, "decision": "linked", "cursor": "x" * 47}, 303, ""),
    ):
        answer = httpx.post(f"{live_server.url}{PLACE}", data=fields)
        assert answer.status_code == status, answer.text
        assert words in answer.text


def test_how_far_the_comparison_is_is_told(live_server: Served, ids: dict[str, UUID]) -> None:
    app = live_server.app

    async def opened() -> str:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{live_server.url}{PLACE}")).text

    async def opened_while_somebody_writes() -> str:
        async with app.database.transaction(app.vector_ops.tenant_id) as connection:
            key = {"tenant_id": app.vector_ops.tenant_id}
            await connection.execute(statement("lock_library"), key)
            return await opened()

    waiting = live_server.run(opened_while_somebody_writes())
    assert "0 of 3 scenarios have been compared so far." in waiting
    assert "Go on comparing" in waiting
    assert "have been compared so far" not in live_server.run(opened())
