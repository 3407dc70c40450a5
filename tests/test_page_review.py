"""Reviews on the page: what is due, how a review is noted, and forms that need no script."""

import html
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from staffroom.app import App
from staffroom.scenario_life import today
from staffroom.types import Revision
from tests.api_client import api_client
from tests.browser import Watch, axe
from tests.serving import Served

HTML = {"accept": "text/html"}
OpenPage = Callable[..., Awaitable[Page]]


def day(ahead: int) -> str:
    return (today() + timedelta(ahead)).isoformat()


async def store(app: App, name: str, ahead: int | None, **fields: Any) -> UUID:
    row = {"name": name, "description": f"{name}, all over.", "id": name}
    if ahead is not None:
        row["review_by"] = day(ahead)
    return (await app.vector_ops.put_scenario(row | fields)).scenario_id


async def read(app: App, path: str, **headers: str) -> str:
    async with api_client(app, **HTML, **headers) as client:
        response = await client.get(path)
    assert response.status_code == 200, response.text
    return html.unescape(response.text)


def history(served: Served, scenario_id: UUID) -> list[Revision]:
    return served.run(served.app.vector_ops.list_revisions(scenario_id))


# What the server renders


async def test_what_is_due_stands_under_its_time(app: App) -> None:
    for name, ahead in (("Late", -40), ("Soon", 30), ("Later", 31), ("Never", None)):
        await store(app, name, ahead)
    await store(app, "Gone", -9, status="retired")
    await store(app, "Far", 91)

    page = await read(app, "/library/due")

    order = [
        *(f'id="due-{name}"' for name in ("overdue", "soon", "later", "undated")),
        "</main>",
    ]
    for name, (begin, end) in zip(("Late", "Soon", "Later", "Never"), pairwise(order), strict=True):
        section = page[page.index(begin) : page.index(end)]
        assert f">{name}</a>" in section
        assert section.count('class="due-entry"') == 1
    assert "Gone" not in page
    assert "Far" not in page
    assert ", 1 overdue</span></a>" in await read(app, "/library")


async def test_a_long_list_goes_on_by_itself(app: App) -> None:
    rows = [{"id": str(n), "text": f"Text {n}", "review_by": day(n - 99)} for n in range(43)]
    await app.vector_ops.batch_store_content(rows)
    async with api_client(app, **HTML) as client:
        page = (await client.get("/library/due")).text
        found = []
        while "Show more" in page:
            button = page.index('<a class="button button-small" href="/library/due?only=overdue')
            link = html.unescape(page[button:].split('"')[3])
            page = (await client.get(link)).text
            found.append(page.count('class="due-entry"'))

    assert found == [30, 3]
    assert ">Text 42</a>" in page
    assert 'id="due-soon"' not in page


async def test_the_due_list_speaks_spanish(app: App) -> None:
    await store(app, "Late", -40)

    page = await read(app, "/library/due", **{"accept-language": "es"})

    assert "Atrasados" in page
    assert "Anotar la revisión" in page


@pytest.mark.parametrize("given", ["", "soon", "2020-01-31"])
async def test_a_wrong_day_keeps_what_was_typed(app: App, given: str) -> None:
    scenario_id = await store(app, "Late", -40)
    form = {"on": "1", "next": given, "reason": "Read by two", "author": "Ana"}
    async with api_client(app, **HTML) as client:
        response = await client.post(f"/library/{scenario_id}/review", data=form)

    page = html.unescape(response.text)
    assert response.status_code == 422
    assert "The next review has to be a day after today" in page
    assert 'value="Read by two"' in page
    assert (await app.vector_ops.get_scenario(scenario_id)).revision == 1


async def test_a_review_or_a_restoring_of_what_somebody_changed_is_not_done(app: App) -> None:
    scenario_id = await store(app, "Late", -40)
    await app.vector_ops.update_scenario(scenario_id, {"description": "Theirs."})
    async with api_client(app, **HTML) as client:
        review = await client.post(
            f"/library/{scenario_id}/review", data={"on": "1", "next": day(30)}
        )
        restore = await client.post(
            f"/library/{scenario_id}/restore", data={"on": "1", "revision": "1"}
        )

    assert (review.status_code, restore.status_code) == (412, 412)
    assert "so your review was not noted" in html.unescape(review.text)
    assert 'name="on" value="2"' in review.text
    assert "so nothing was restored" in html.unescape(restore.text)
    assert (await app.vector_ops.get_scenario(scenario_id)).revision == 2


async def test_what_is_not_there_cannot_be_reviewed_or_restored(app: App) -> None:
    scenario_id = await store(app, "Late", -40)
    async with api_client(app, **HTML) as client:
        for path, form in (
            (f"/library/{UUID(int=1)}/review", {"on": "1", "next": day(9)}),
            (f"/library/{UUID(int=1)}/restore", {"on": "1", "revision": "1"}),
            (f"/library/{scenario_id}/restore", {"on": "1", "revision": "5"}),
        ):
            assert (await client.post(path, data=form)).status_code == 404
        assert (await client.get(f"/library/due?reviewed={UUID(int=1)}")).status_code == 404


# What happens in the browser


async def test_a_review_is_noted_without_scripts_and_the_name_is_remembered(
    live_server: Served, open_page: OpenPage
) -> None:
    app = live_server.app
    late = live_server.run(store(app, "Late", -40))
    live_server.run(store(app, "Phones", -2))
    page = await open_page(java_script_enabled=False)
    await page.goto("/library")
    await page.get_by_role("link", name=re.compile("Reviews.*2 overdue")).click()
    entry = page.locator(".due-entry", has_text="Late")
    await entry.get_by_text("Reviewed", exact=True).click()
    await entry.get_by_label("Next review").fill(day(200))
    await entry.get_by_label("Reason").fill("Still right")
    await entry.get_by_label("Your name, for the history").fill("Ana Núñez")
    await entry.get_by_role("button", name="Note the review").click()

    await expect(page.get_by_role("status").first).to_contain_text("“Late” is reviewed")
    await expect(page.locator("#due-overdue")).to_have_text("Overdue 1")
    newest = history(live_server, late)[-1]
    assert (newest.author, newest.reason) == ("Ana Núñez", "Still right")
    assert str(newest.content.metadata.review_by) == day(200)
    await page.goto(f"/library/{late}/history")
    await page.get_by_role("button", name="Restore revision 1").click()
    await expect(page.locator("h1")).to_have_text("Late")
    newest = history(live_server, late)[-1]
    assert (newest.number, newest.author, newest.reason) == (3, "Ana Núñez", "restored revision 1")


async def test_the_due_list_can_be_read_and_used_by_everybody(
    live_server: Served, page: Page
) -> None:
    app = live_server.app
    for name, ahead in (("Late", -40), ("Soon", 9), ("Never", None)):
        live_server.run(store(app, name, ahead, category="attendance", status="in_review"))
    await page.goto("/library/due", wait_until="networkidle")
    await page.get_by_label("Note that “Late” was reviewed").click()
    await axe(page)

    await page.locator(".due-entry").first.get_by_label("Your name").fill("Ana")
    await expect(page.locator('input[name="author"]').last).to_have_value("Ana")
    await page.set_viewport_size({"width": 360, "height": 780})
    await axe(page)
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(width) == 0


async def test_a_name_that_was_typed_once_is_in_the_history_of_every_change(
    live_server: Served, page: Page
) -> None:
    scenario_id = live_server.run(store(live_server.app, "Late", -40, status="draft"))
    await page.goto(f"/library/{scenario_id}", wait_until="networkidle")
    await page.get_by_role("button", name="Send to review").click()
    await page.get_by_role("dialog").get_by_label("Your name").fill("Ana Núñez")
    await page.keyboard.press("Enter")
    await expect(page.locator(".path [aria-current]")).to_have_text("In review")
    await page.get_by_text("Note a review").click()
    await page.get_by_role("button", name="Note the review").click()
    await expect(page.locator(".scenario > .note")).to_have_count(0)
    await page.goto(f"/library/{scenario_id}/edit", wait_until="networkidle")
    await expect(page.get_by_label("Your name")).to_have_value("Ana Núñez")
    await page.get_by_label("Evidence strength").select_option("0")
    await page.get_by_label("Worked with").fill("A class of 30")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.wait_for_url(f"**/library/{scenario_id}")
    await expect(page.locator(".scenario-facts")).to_contain_text("0, none so far")
    await expect(page.locator(".scenario-text")).to_contain_text("A class of 30")

    changes = history(live_server, scenario_id)[1:]
    assert [change.author for change in changes] == ["Ana Núñez"] * 3
    assert changes[-1].content.metadata.evidence_strength == 0


async def test_a_reason_and_a_name_go_with_a_restoring(
    live_server: Served, page: Page, watch: Watch
) -> None:
    scenario_id = live_server.run(store(live_server.app, "Late", -40, evidence_strength=4))
    update = live_server.app.vector_ops.update_scenario
    live_server.run(update(scenario_id, {"evidence_strength": 0, "worked_with": "Year 5"}))
    await page.goto(f"/library/{scenario_id}/history", wait_until="networkidle")
    await expect(page.locator(".differences").first).to_contain_text("0, none so far")
    await page.get_by_role("button", name="Restore revision 1").click()
    dialog = page.get_by_role("dialog", name="Restore revision 1?")
    await dialog.get_by_label("Reason").fill("It was better")
    await dialog.get_by_label("Your name").fill("Bo")
    await axe(page)
    await dialog.get_by_role("button", name="Restore", exact=True).click()
    await page.wait_for_url(f"**/library/{scenario_id}")

    newest = history(live_server, scenario_id)[-1]
    assert (newest.author, newest.reason) == ("Bo", "It was better")
    assert newest.content.metadata.evidence_strength == 4
    watch.expect("^412 POST ")
    await page.goto(f"/library/{scenario_id}/history", wait_until="networkidle")
    live_server.run(update(scenario_id, {"name": "Theirs"}))
    await page.get_by_role("button", name="Restore revision 2").click()
    await page.get_by_role("button", name="Restore", exact=True).click()
    await expect(
        page.get_by_role("dialog", name="Somebody changed this scenario in the meantime")
    ).to_be_visible()
