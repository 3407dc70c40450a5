"""Columns that are called otherwise: shown, matched and remembered."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from staffroom.types import STATUSES, Filters, Scenario
from tests.browser import axe
from tests.serving import Served

OpenPage = Callable[..., Awaitable[Page]]


def library(served: Served) -> list[Scenario]:
    return served.run(served.app.vector_ops.catalogue.page(Filters(statuses=STATUSES)))


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A table as a school has it: in the encoding of Windows, with its own names."""
    path = tmp_path / "old.csv"
    text = "Fach;Problem;What to do;Colour\nKunst;Zoë läuft umher.;Give Zoë a task.;red\n"
    path.write_bytes(text.encode("cp1252"))
    return path


async def test_columns_are_matched_shown_and_changed_before_anything_is_uploaded(
    live_server: Served, page: Page, foreign: Path
) -> None:
    await page.goto("/library/import")
    await page.get_by_label("File to import").set_input_files(foreign)

    heading = page.get_by_role("heading", name="What the columns of old.csv hold")
    await expect(heading).to_be_focused()
    await expect(page.locator("#import-steps [aria-current]")).to_contain_text("Match the columns")
    await expect(page.get_by_label("What “Problem” holds")).to_have_value("description")
    await expect(page.get_by_label("What “What to do” holds")).to_have_value("expected_response")
    await expect(page.get_by_label("What “Colour” holds")).to_have_value("")
    await expect(page.locator(".samples").nth(1)).to_have_text("Zoë läuft umher.")
    await expect(page.get_by_text("The encoding is a guess.")).to_be_visible()
    await axe(page)
    assert live_server.run(live_server.app.vector_ops.imports.page()) == []

    await page.get_by_label("What “Colour” holds").select_option("description")
    await page.get_by_role("button", name="Look at what would change").click()
    await expect(page.get_by_role("alert")).to_have_text(
        "Two columns cannot hold the same: The situation (required)."
    )
    await page.get_by_label("What “Problem” holds").select_option("")
    await page.get_by_label("What “Colour” holds").select_option("")
    await page.get_by_role("button", name="Look at what would change").click()
    await expect(page.get_by_role("alert")).to_contain_text("Choose the column that holds")
    await page.get_by_label("What “Problem” holds").select_option("description")
    await page.get_by_label("What “Colour” holds").select_option("tags")
    await page.get_by_role("button", name="Look at what would change").click()
    await expect(page.get_by_text("Read as cp1252.")).to_be_visible()
    await page.get_by_role("button", name="Import 1 scenario").click()
    await expect(page.get_by_role("heading", name="old.csv is imported")).to_be_visible()

    (stored,) = library(live_server)
    assert stored.content.description == "Zoë läuft umher."
    assert stored.content.expected_response == "Give Zoë a task."
    assert (stored.content.metadata.subjects, stored.content.metadata.tags) == (
        ("Kunst",),
        ("red",),
    )
    # The next file with these columns needs no matching again.
    await page.get_by_label("File to import").set_input_files(foreign)
    await expect(heading).to_be_visible()
    await expect(page.get_by_label("What “Colour” holds")).to_have_value("tags")


async def test_a_file_can_be_read_in_another_way_while_its_columns_are_matched(
    live_server: Served, page: Page, foreign: Path
) -> None:
    await page.goto("/library/import")
    await page.get_by_label("File to import").set_input_files(foreign)
    await page.get_by_label("Encoding").select_option("cp437")

    await expect(page.locator(".samples").nth(1)).to_have_text("Zoδ lΣuft umher.")
    await expect(page.get_by_label("Encoding")).to_have_value("cp437")
    await page.get_by_role("button", name="Cancel").click()
    await page.wait_for_url("**/library/import")
    await expect(page.locator(".mapping")).to_have_count(0)


async def test_columns_are_matched_on_a_narrow_screen_in_spanish(
    live_server: Served, open_page: OpenPage, foreign: Path
) -> None:
    page = await open_page(
        viewport={"width": 320, "height": 800}, color_scheme="dark", locale="es-ES"
    )
    await page.goto("/library/import")
    await page.locator("#file").set_input_files(foreign)
    await expect(page.get_by_label("Qué contiene «Problem»")).to_have_value("description")
    await axe(page)

    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
