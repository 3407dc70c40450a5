"""The editor saves each wish once, on what it was made from, and nothing typed is lost."""

import re
from typing import Any
from uuid import UUID

from playwright.async_api import Dialog, Page, Route, expect

from staffroom.types import STATUSES, Filters, Scenario
from tests.browser import Watch, axe
from tests.serving import Served

SCENARIO_PAGE = re.compile(r"/library/[0-9a-f-]{36}$")


def store(served: Served, **fields: Any) -> UUID:
    """The id of a scenario that the library has."""
    row = {"name": "Late", "description": "A pupil is late every morning.", **fields}
    return served.run(served.app.vector_ops.put_scenario(row)).scenario_id


def library(served: Served) -> list[Scenario]:
    return served.run(served.app.vector_ops.catalogue.page(Filters(statuses=STATUSES)))


def content(served: Served, scenario_id: UUID) -> dict[str, Any]:
    scenario = served.run(served.app.vector_ops.get_scenario(scenario_id))
    found = scenario.content
    return {
        "name": found.name,
        "description": found.description,
        "evidence_note": found.metadata.evidence_note,
        "status": found.metadata.status,
        "revision": scenario.revision,
    }


async def accept(dialog: Dialog) -> None:
    await dialog.accept()


async def test_a_check_that_fails_does_not_keep_from_writing_and_saving(
    live_server: Served, page: Page, watch: Watch
) -> None:
    watch.expect("ERR_INTERNET_DISCONNECTED")
    await page.goto("/library/new")
    await page.context.set_offline(True)
    await page.get_by_label("Situation").fill("Chairs scrape.")
    await expect(page.get_by_text("The check does not answer just now.")).to_be_visible()
    await page.get_by_role("button", name="Save draft").click()
    failed = page.locator("#failed")
    await expect(failed).to_contain_text("No connection to Staffroom")
    await expect(failed).to_contain_text("What you wrote is kept on this device.")
    assert library(live_server) == []

    await page.context.set_offline(False)
    await failed.get_by_role("button", name="Try again").click()
    await page.wait_for_url(SCENARIO_PAGE)
    assert len(library(live_server)) == 1


async def test_an_answer_that_is_lost_makes_no_second_scenario(
    live_server: Served, page: Page, watch: Watch
) -> None:
    watch.expect("ERR_FAILED")
    await page.goto("/library/new")

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await page.route("**/api/v1/scenarios", lose, times=1)
    await page.get_by_label("Situation").fill("Chairs scrape.")
    await page.get_by_role("button", name="Save draft").click()
    await expect(page.locator("#failed")).to_contain_text("No connection")
    await page.get_by_label("Situation").fill("Thirty chairs scrape.")
    await page.get_by_role("button", name="Publish").click()
    await page.wait_for_url(SCENARIO_PAGE)

    (stored,) = library(live_server)
    assert stored.content.description == "Thirty chairs scrape."
    assert stored.content.metadata.status == "published"


async def test_a_change_has_its_reason_and_its_next_status(live_server: Served, page: Page) -> None:
    scenario_id = store(live_server, status="in_review")
    await page.goto(f"/library/{scenario_id}/edit")
    await page.get_by_label("Evidence note").fill("Ten years of practice.")
    await page.get_by_label("Reason for the change").fill("The evidence was missing.")
    await page.get_by_role("button", name="Publish").click()
    await page.wait_for_url(SCENARIO_PAGE)

    history = live_server.run(live_server.app.vector_ops.list_revisions(scenario_id))
    assert history[-1].reason == "The evidence was missing."
    assert history[-1].content.metadata.status == "published"
    assert history[-1].content.metadata.evidence_note == "Ten years of practice."


async def test_saving_without_a_change_stores_nothing(live_server: Served, page: Page) -> None:
    scenario_id = store(live_server)
    await page.goto(f"/library/{scenario_id}/edit")
    await page.get_by_label("Situation").press("Control+s")

    await expect(page.locator(".toast")).to_contain_text("Nothing has changed")
    assert content(live_server, scenario_id)["revision"] == 1


# Two people at once


async def conflict(served: Served, page: Page) -> UUID:
    """Both change the name; the other one alone changes the evidence note, and saves first."""
    scenario_id = store(served)
    await page.goto(f"/library/{scenario_id}/edit")
    await page.get_by_label("Name", exact=True).fill("Mine")
    theirs = {"name": "Theirs", "evidence_note": "Their note."}
    served.run(served.app.vector_ops.update_scenario(scenario_id, theirs))
    await page.get_by_role("button", name="Save", exact=True).click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    await expect(dialog.locator(".difference")).to_have_count(2)
    await axe(page)
    return scenario_id


async def test_mine_on_top_of_theirs_keeps_what_only_they_changed(
    live_server: Served, page: Page, watch: Watch
) -> None:
    watch.expect("^412 PATCH ")
    scenario_id = await conflict(live_server, page)
    await page.get_by_role("button", name="Save mine on top").click()
    await page.wait_for_url(SCENARIO_PAGE)

    found = content(live_server, scenario_id)
    assert (found["name"], found["evidence_note"]) == ("Mine", "Their note.")
    assert found["revision"] == 3


async def test_taking_theirs_keeps_mine_to_be_restored(
    live_server: Served, page: Page, watch: Watch
) -> None:
    watch.expect("^412 PATCH ")
    scenario_id = await conflict(live_server, page)
    await page.get_by_role("button", name="Take theirs").click()
    name = page.get_by_label("Name", exact=True)
    await expect(name).to_have_value("Theirs")
    await expect(page.get_by_role("button", name="Restore them")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(name).to_have_value("Mine")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.wait_for_url(SCENARIO_PAGE)

    assert content(live_server, scenario_id)["name"] == "Mine"


async def test_going_on_writing_leaves_the_form_and_the_library_alone(
    live_server: Served, page: Page, watch: Watch
) -> None:
    watch.expect("^412 PATCH ")
    scenario_id = await conflict(live_server, page)
    await page.keyboard.press("Escape")

    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Mine")
    await expect(page.get_by_role("button", name="Save", exact=True)).to_be_enabled()
    assert content(live_server, scenario_id)["name"] == "Theirs"


async def test_a_change_that_does_not_touch_mine_needs_no_question(
    live_server: Served, page: Page, watch: Watch
) -> None:
    watch.expect("^412 PATCH ")
    scenario_id = store(live_server)
    await page.goto(f"/library/{scenario_id}/edit")
    await page.get_by_label("Name", exact=True).fill("Late again")
    served = live_server.app.vector_ops
    live_server.run(served.update_scenario(scenario_id, {"name": "Late again"}))
    live_server.run(served.update_scenario(scenario_id, {"status": "in_review"}))
    await page.get_by_label("Evidence note").fill("Practice.")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.wait_for_url(SCENARIO_PAGE)

    found = content(live_server, scenario_id)
    assert (found["name"], found["evidence_note"]) == ("Late again", "Practice.")
    assert found["status"] == "in_review"


async def test_a_scenario_that_was_deleted_meanwhile_can_be_saved_as_a_new_one(
    live_server: Served, page: Page, watch: Watch
) -> None:
    watch.expect("^404 PATCH ")
    scenario_id = store(live_server)
    await page.goto(f"/library/{scenario_id}/edit")
    await page.get_by_label("Name", exact=True).fill("Still needed")
    live_server.run(live_server.app.vector_ops.delete_scenario(scenario_id))
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.get_by_role("button", name="Save it as a new scenario").click()
    await page.wait_for_url(SCENARIO_PAGE)

    (stored,) = library(live_server)
    assert stored.name == "Still needed"


# What was typed stays


async def test_what_was_typed_survives_a_reload_and_leaving_is_warned_of(
    live_server: Served, page: Page
) -> None:
    warned: list[str] = []

    async def leave(dialog: Dialog) -> None:
        warned.append(dialog.type)
        await dialog.accept()

    page.on("dialog", leave)
    await page.goto("/library/new")
    await page.get_by_label("Situation").click()
    await page.keyboard.type("Chairs scrape.")
    await page.get_by_label("Subjects", exact=True).press_sequentially("music,")
    await expect(page.locator("#state")).to_have_text("Unsaved changes, kept on this device")
    await page.reload()

    assert warned == ["beforeunload"]
    await expect(page.get_by_label("Situation")).to_have_value("")
    await expect(page.locator("#offers")).to_contain_text("Chairs scrape.")
    await axe(page)
    await page.get_by_role("button", name="Restore them").click()
    await expect(page.get_by_label("Situation")).to_have_value("Chairs scrape.")
    await expect(page.locator("[data-tokens=subjects] .token")).to_have_text("music")
    await page.get_by_role("button", name="Save draft").click()
    await page.wait_for_url(SCENARIO_PAGE)
    await page.goto("/library/new")
    await expect(page.locator("#offers")).to_be_empty()


async def test_a_draft_that_is_not_wanted_is_discarded(live_server: Served, page: Page) -> None:
    page.on("dialog", accept)
    await page.goto("/library/new")
    await page.get_by_label("Situation").fill("Chairs scrape.")
    await page.reload()
    await page.get_by_role("button", name="Discard them").click()
    await expect(page.locator("#offers")).to_be_empty()
    await page.reload()

    await expect(page.locator("#offers")).to_be_empty()
    await expect(page.get_by_label("Situation")).to_have_value("")


async def test_restored_changes_do_not_undo_what_somebody_saved_since(
    live_server: Served, page: Page
) -> None:
    page.on("dialog", accept)
    scenario_id = store(live_server)
    await page.goto(f"/library/{scenario_id}/edit")
    await page.get_by_label("Evidence note").fill("Practice.")
    await expect(page.locator("#state")).to_contain_text("Unsaved changes")
    live_server.run(live_server.app.vector_ops.update_scenario(scenario_id, {"name": "Theirs"}))
    await page.reload()
    await expect(page.locator("#offers")).to_contain_text("Evidence note")
    await expect(page.locator("#offers")).to_contain_text("It has been saved by somebody since")
    await page.get_by_role("button", name="Restore them").click()
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.wait_for_url(SCENARIO_PAGE)

    found = content(live_server, scenario_id)
    assert (found["name"], found["evidence_note"]) == ("Theirs", "Practice.")
