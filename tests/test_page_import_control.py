"""A running import as somebody watches it: paused, gone on with, cancelled, loaded again."""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from staffroom.api.page import rendering
from staffroom.api.page.texts import Texts
from staffroom.types import Filters
from tests.browser import axe
from tests.imports import begin_import
from tests.serving import Served

OpenPage = Callable[..., Awaitable[Page]]

ROWS = 4_000
WAIT = 30_000
"""Milliseconds: a batch ends before anything happens, and the machine may be busy."""

WORDS = ("pupils", "noise", "door", "late", "chairs", "homework", "reading", "quiet", "phone")


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A file that takes longer to import than a person needs to press a button."""
    path = tmp_path / "many.jsonl"
    with path.open("w", encoding="utf-8") as rows:
        for number in range(ROWS):
            text = " ".join(WORDS[(number + step * step) % len(WORDS)] for step in range(60))
            rows.write(json.dumps({"description": f"{number} {text}"}) + "\n")
    return path


async def begin(page: Page, file: Path) -> None:
    await page.goto("/library/import")
    await page.get_by_label("File to import").set_input_files(file)
    await page.locator("#start").click(timeout=WAIT)
    await expect(page.locator("#import-title")).to_have_text(f"Importing {file.name}", timeout=WAIT)


async def new_rows(page: Page) -> int:
    return int(await page.locator(".count-new dd.number").inner_text())


@pytest.mark.slow
async def test_a_running_import_is_paused_goes_on_and_is_cancelled(
    live_server: Served, page: Page, open_page: OpenPage, many: Path
) -> None:
    await begin(page, many)
    title = page.locator("#import-title")
    other = await open_page(viewport={"width": 360, "height": 740}, locale="es-ES")
    await other.goto(page.url)
    megabytes = re.compile(r"rows read · \d\.\d of 1\.\d MB · about \d+ seconds left")
    told = "(each) => [...each.children].map((part) => part.textContent).join(' · ')"
    await expect(page.locator("[data-slot=whole]")).to_contain_text("MB", timeout=WAIT)
    await expect(page.locator("[data-slot=left]")).to_contain_text("left", timeout=WAIT)
    assert megabytes.search(await page.locator("[data-slot=whole]").locator("..").evaluate(told))
    await page.get_by_role("button", name="Pause").click()
    await expect(title).to_have_text("many.jsonl is paused", timeout=WAIT)
    # Whoever pressed the button is told, and not at the beginning of the page again.
    await expect(title).to_be_focused()
    await expect(other.locator("#import-title")).to_have_text(
        "many.jsonl está en pausa", timeout=WAIT
    )
    await axe(page)
    assert await other.evaluate("document.documentElement.scrollWidth") <= 360

    await page.reload()
    await expect(title).to_have_text("many.jsonl is paused", timeout=WAIT)
    await expect(page.get_by_text("What has been read is stored.")).to_be_visible()
    paused_at = await new_rows(page)
    assert 0 <= paused_at < ROWS
    await page.get_by_role("button", name="Go on").click()
    await expect(title).to_have_text("Importing many.jsonl", timeout=WAIT)
    await expect(page.locator(".count-new dd.number")).not_to_have_text(
        str(paused_at), timeout=WAIT
    )

    await page.get_by_role("button", name="Cancel the import").click()
    await expect(title).to_have_text("many.jsonl was cancelled", timeout=WAIT)
    stored = await new_rows(page)
    assert paused_at < stored < ROWS
    await expect(page.get_by_text(f"{stored} scenarios were stored before that")).to_be_visible()
    catalogue = live_server.app.vector_ops.catalogue
    assert live_server.run(catalogue.count(Filters())) == stored
    await page.reload()
    await expect(title).to_have_text("many.jsonl was cancelled", timeout=WAIT)
    await expect(page.locator("#import-past tbody tr").first).to_contain_text("Cancelled")


async def test_what_is_chosen_twice_is_one_import(
    live_server: Served, page: Page, open_page: OpenPage, tmp_path: Path
) -> None:
    # It waits for as long as the test takes.
    live_server.app.import_runner.stop()
    file = tmp_path / "week.csv"
    file.write_text("description\nChairs scrape.\n", "utf-8")
    other = await open_page()
    for each in (page, other):
        await each.goto("/library/import")
        await each.get_by_label("File to import").set_input_files(file)
        await expect(each.locator("#import-title")).to_have_text("week.csv waits for its turn")

    assert page.url == other.url
    await expect(other.locator("#import-bad")).to_be_empty()


async def test_that_repeated_scenarios_are_stored_is_told_after_a_reload(
    live_server: Served, page: Page, tmp_path: Path
) -> None:
    live_server.run(live_server.app.vector_ops.put_scenario({"id": "a", "text": "Chairs scrape."}))
    file = tmp_path / "again.csv"
    file.write_text("id,description\nb,Chairs scrape.\n", "utf-8")
    await page.goto("/library/import")
    await page.get_by_label("Store repeated scenarios, too").check()
    await page.get_by_label("File to import").set_input_files(file)
    await expect(page.get_by_role("button", name="Import 1 scenario")).to_be_visible()

    await page.reload()

    await expect(page.get_by_text("Repeated scenarios are stored, too.")).to_be_visible()
    await expect(page.get_by_label("Store repeated scenarios, too")).to_be_checked()


async def test_a_waiting_import_is_paused_goes_on_and_is_cancelled(
    live_server: Served, page: Page
) -> None:
    # It waits for as long as the test takes.
    live_server.app.import_runner.stop()
    imports = live_server.app.vector_ops.imports
    import_id = live_server.run(begin_import(imports, "week.csv", b"text\nNoise.\n"))
    await page.goto(f"/library/import?id={import_id}")
    title = page.locator("#import-title")
    await expect(title).to_have_text("week.csv waits for its turn")

    await page.get_by_role("button", name="Pause").click()

    await expect(title).to_have_text("week.csv is paused")
    await expect(title).to_be_focused()
    await axe(page)
    await page.get_by_role("button", name="Go on").click()
    await expect(title).to_have_text("week.csv waits for its turn")

    await page.get_by_role("button", name="Cancel the import").click()

    await expect(title).to_have_text("week.csv was cancelled")
    await expect(page.get_by_text("Nothing was stored.")).to_be_visible()
    await expect(page.locator("#import-past tbody")).to_contain_text("Cancelled")
    await axe(page)


@pytest.mark.parametrize(
    ("state", "wanted", "buttons"),
    [
        ("waiting", "run", ["pause", "cancel"]),
        ("running", "run", ["pause", "cancel"]),
        ("running", "pause", ["run", "cancel"]),
        ("running", "cancel", []),
        ("paused", "pause", ["run", "cancel"]),
        ("done", "run", []),
        ("cancelled", "cancel", []),
    ],
)
def test_an_import_offers_what_can_be_asked_of_it(
    state: str, wanted: str, buttons: list[str]
) -> None:
    shown = {
        "id": "1", "file_name": "a.csv", "state": state, "wanted": wanted, "dry_run": False,
        "keep_duplicates": False,
        "read": 5, "new": 1, "changed": 0, "unchanged": 1, "duplicate": 2, "failed": 1,
        "stored": 1, "rows": [], "stopped": None, "seconds_left": 200.0,
        "progress": {"done": 1, "total": 2, "unit": "bytes"},
        "ignored": [], "reading": {"encoding": "", "sheet": "", "guessed": []},
        "created_at": "2026-01-01T10:00:00", "retry_at": None,
    }  # fmt: skip
    text = rendering._environment.from_string(
        '{% import "import_parts.html" as parts with context %}'
        "{{ parts.running(shown) if shown.state in states else parts.ended(shown, [], '') }}"
    ).render(shown=shown, states=("waiting", "running", "paused"), t=Texts("en"), language="en")

    assert re.findall('data-wanted="(\\w+)"', text) == buttons
    counts = dict(re.findall(r'data-slot="(\w+)">(\d+)<', text))
    assert counts == {
        "new": "1", "changed": "0", "unchanged": "1", "duplicate": "2", "failed": "1"
    }  # fmt: skip
    assert ("about 3 minutes left" in text) == (state in {"waiting", "running", "paused"})
    about = {"pause": "will be paused", "cancel": "will be cancelled"}.get(wanted, "about to")
    assert (about in text) == (state == "running" and wanted != "run")
