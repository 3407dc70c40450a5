"""A scenario's revisions in a browser: two people write, a third compares and goes back."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from tests.browser import Watch, axe
from tests.serving import Served

OpenPage = Callable[..., Awaitable[Page]]

PHONES = {
    "id": "phones",
    "name": "Phones out",
    "description": "Phones lie on the desks.",
    "expected_response": "1. Collect the phones.\n2. Give them back.",
}


@pytest.mark.slow
async def test_two_people_write_a_third_compares_and_goes_back(
    live_server: Served, page: Page, open_page: OpenPage, watch: Watch
) -> None:
    stored = live_server.run(live_server.app.vector_ops.put_scenario(PHONES))
    place = f"/library/{stored.scenario_id}"
    other = await open_page(viewport={"width": 390, "height": 844}, locale="es-ES")
    for each in (page, other):
        await each.goto(f"{place}/edit", wait_until="networkidle")
    await page.locator("#f-expected_response").fill("1. Collect the phones calmly.\n2. Call home.")
    await page.get_by_role("button", name="Save").first.click()
    await page.wait_for_url(f"**{place}")

    watch.expect("412 PATCH")
    await other.locator("#f-expected_response").fill("1. Look away.")
    await other.get_by_role("button", name="Guardar").first.click()
    told = other.get_by_role("heading", name="Alguien ha guardado este escenario")
    await expect(told).to_be_visible()
    await axe(other)
    await other.get_by_role("button", name="Guardar lo mío encima").click()
    await other.wait_for_url(f"**{place}")

    await page.goto(f"{place}/history", wait_until="networkidle")
    await expect(page.locator(".revision")).to_have_count(3)
    await page.get_by_label("From revision").select_option("1")
    await page.get_by_label("to revision", exact=True).select_option("2")
    await page.get_by_role("button", name="Compare", exact=True).click()
    await expect(page.locator("ins").first).to_contain_text("calmly")
    await expect(page.locator("del").first).to_contain_text("Give them back")
    await axe(page)

    await page.goto(f"{place}/history", wait_until="networkidle")
    await page.locator("[data-restore='1'] button").click()
    await page.get_by_role("dialog").get_by_label("Reason").fill("it worked better")
    await page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    await page.wait_for_url(f"**{place}")
    await expect(page.locator(".sheet")).to_contain_text("Give them back.")
    await page.goto(f"{place}/history")
    await expect(page.locator("#revision-4")).to_contain_text("it worked better")
