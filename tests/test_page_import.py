"""The import view: a file is looked through, imported, and watched to its end."""

import csv
import io
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Page, Route, expect

from staffroom.app import App
from staffroom.scenario import ALIASES
from staffroom.types import STATUSES, Filters, Scenario
from tests.api_client import api_client
from tests.browser import Watch, axe
from tests.serving import Served

OpenPage = Callable[..., Awaitable[Page]]

ROWS: list[dict[str, Any]] = [
    {"id": "a", "name": "Late again", "description": "A pupil is late.", "mood": "grey"},
    {"id": "b", "name": "Chairs", "description": "Chairs scrape."},
    {"id": "b", "name": "Chairs", "description": "Chairs scrape."},
    {"id": "c", "name": "Nothing said"},
    {"id": "d", "name": "Kept", "description": "This one is there already."},
    {"id": "e", "name": "Odd", "description": "The date is wrong.", "review_by": "soon"},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two new rows, one repeated, two refused, one that may be in the library."""
    path = tmp_path / "week <b>.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    return path


def library(served: Served) -> list[Scenario]:
    return served.run(served.app.vector_ops.catalogue.page(Filters(statuses=STATUSES)))


def keep_one(served: Served) -> None:
    """The library has one of the rows."""
    served.run(served.app.vector_ops.put_scenario(ROWS[4]))


async def look_through(page: Page, file: Path) -> None:
    await page.goto("/library/import")
    await page.get_by_label("File to import").set_input_files(file)
    await expect(page.get_by_role("heading", name=f"What {file.name} would change")).to_be_focused()


def counted(page: Page, kind: str) -> Any:
    return expect(page.locator(f".count-{kind} dd.number"))


# What the server renders


async def test_an_empty_table_has_a_column_for_each_field(app: App) -> None:
    async with api_client(app) as client:
        response = await client.get("/library/import/template.csv")

    assert "scenarios-template.csv" in response.headers["content-disposition"]
    assert list(csv.reader(io.StringIO(response.text.removeprefix("\ufeff")))) == [list(ALIASES)]


async def test_the_view_explains_each_column_and_says_what_there_is(app: App) -> None:
    async with api_client(app) as client:
        page = (await client.get("/library/import")).text
        missing = await client.get(
            "/library/import", params={"id": str(UUID(int=1))}, headers={"accept": "text/html"}
        )
        wrong = await client.get("/library/import?id=x", headers={"accept": "text/html"})

    for name in ALIASES:
        assert f"<code>{name}</code>" in page
    assert "No file has been imported yet" in page
    assert missing.status_code == 404
    assert wrong.status_code == 422


async def test_without_scripts_an_import_can_be_read(
    live_server: Served, page: Page, open_page: OpenPage, file: Path
) -> None:
    await look_through(page, file)
    reader = await open_page(java_script_enabled=False)
    await reader.goto(page.url)

    await expect(reader.get_by_text("Uploading here needs JavaScript")).to_be_visible()
    await expect(reader.locator("#drop")).to_be_hidden()
    await reader.get_by_role("link", name="Refused 2").click()
    await expect(reader.locator(".rows-wrap tbody tr")).to_have_count(2)


# Looking through, then importing


async def test_a_file_is_looked_through_before_anything_is_stored(
    live_server: Served, page: Page, file: Path
) -> None:
    keep_one(live_server)
    await look_through(page, file)

    told = {"new": "2", "changed": "0", "unchanged": "1", "duplicate": "1", "failed": "2"}
    for kind, count in told.items():
        await counted(page, kind).to_have_text(count)
    rows = page.locator(".rows-wrap tbody tr")
    await expect(rows).to_have_count(6)
    await expect(rows.nth(2)).to_contain_text("repeats an earlier row")
    await expect(rows.nth(3)).to_contain_text("description is missing; say what the situation is")
    await expect(page.get_by_text("no field is called so: mood.")).to_be_visible()
    assert len(library(live_server)) == 1
    await axe(page)
    refused = page.get_by_role("link", name="Refused 2")
    await refused.click()
    await expect(rows).to_have_count(2)
    await expect(refused).to_be_focused()
    await expect(refused).to_have_attribute("aria-current", "true")


async def test_the_file_is_imported_and_its_refused_rows_come_back(
    live_server: Served, page: Page, file: Path
) -> None:
    keep_one(live_server)
    await look_through(page, file)
    await expect(page.get_by_text("The 2 refused rows are left out.")).to_be_visible()
    await page.get_by_role("button", name="Import 2 scenarios").click()

    await expect(page.get_by_role("heading", name=f"{file.name} is imported")).to_be_focused()
    await counted(page, "new").to_have_text("2")
    assert {scenario.name for scenario in library(live_server)} == {"Kept", "Late again", "Chairs"}
    states = page.locator("#import-past tbody .effect")
    await expect(states).to_have_text(["Imported", "Only looked at"])
    await axe(page)
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Refused rows as CSV").click()
    rows = list(
        csv.DictReader(io.StringIO((await (await download.value).path()).read_text("utf-8-sig")))
    )
    assert [row["id"] for row in rows] == ["c", "e"]
    assert rows[1]["reason"].startswith("review_by: is 'soon'")
    assert rows[1]["description"] == "The date is wrong."
    await page.get_by_role("link", name="See the library").click()
    await page.wait_for_url("**/library")


async def test_a_file_that_changes_nothing_has_nothing_to_import(
    live_server: Served, page: Page, tmp_path: Path
) -> None:
    keep_one(live_server)
    file = tmp_path / "same.jsonl"
    file.write_text(json.dumps(ROWS[4]), "utf-8")
    await look_through(page, file)

    await expect(page.get_by_text("the library has all of it")).to_be_visible()
    await expect(page.locator("#start")).to_have_count(0)


async def test_on_a_phone_the_reason_of_each_row_is_in_sight(
    live_server: Served, page: Page, open_page: OpenPage, file: Path
) -> None:
    await look_through(page, file)
    phone = await open_page(viewport={"width": 390, "height": 800}, locale="es-ES")
    await phone.goto(page.url, wait_until="networkidle")

    beyond = "(rows) => rows.scrollWidth - rows.clientWidth"
    assert await phone.locator(".rows-wrap").evaluate(beyond) == 0


async def test_a_scenario_that_repeats_another_is_stored_if_that_is_wanted(
    live_server: Served, page: Page, tmp_path: Path
) -> None:
    keep_one(live_server)
    file = tmp_path / "again.jsonl"
    file.write_text(json.dumps({**ROWS[4], "id": "f"}), "utf-8")
    await look_through(page, file)
    await counted(page, "duplicate").to_have_text("1")
    await expect(page.get_by_text("or repeats a scenario")).to_be_visible()

    keep = page.get_by_label("Store repeated scenarios, too")
    await keep.check()

    await counted(page, "duplicate").to_have_text("0")
    await expect(page.locator("#import-title")).to_be_focused()
    await expect(keep).to_be_checked()
    await axe(page)
    await page.get_by_role("button", name="Import 1 scenario").click()
    await expect(page.get_by_role("heading", name=f"{file.name} is imported")).to_be_focused()
    assert sorted(each.content.source_id for each in library(live_server)) == ["d", "f"]


async def test_a_file_can_be_dropped_anywhere_on_the_view(live_server: Served, page: Page) -> None:
    await page.goto("/library/import")
    await page.evaluate(
        """() => {
            const dataTransfer = new DataTransfer();
            const text = "situation;title\\nChairs scrape.;Chairs\\n";
            dataTransfer.items.add(new File([text], "dropped.csv"));
            for (const type of ["dragover", "drop"]) {
                const options = { dataTransfer, bubbles: true, cancelable: true };
                document.querySelector("h1").dispatchEvent(new DragEvent(type, options));
            }
        }"""
    )

    await expect(page.get_by_role("button", name="Import 1 scenario")).to_be_visible()


async def test_the_view_can_be_loaded_again_at_any_time(
    live_server: Served, page: Page, file: Path
) -> None:
    await look_through(page, file)
    await page.reload()
    await expect(page.get_by_text("To import it, choose the file again")).to_be_visible()
    await expect(page.locator("#start")).to_be_hidden()

    await page.get_by_label("File to import").set_input_files(file)
    await expect(page.locator("#start")).to_be_visible()


async def test_an_import_is_watched_after_a_reload_and_a_lost_connection(
    live_server: Served, page: Page, watch: Watch, tmp_path: Path
) -> None:
    watch.expect("ERR_FAILED")
    file = tmp_path / "many.jsonl"
    words = ["pupils", "noise", "door", "late", "chairs", "homework", "reading", "quiet", "phone"]
    with file.open("w", encoding="utf-8") as rows:
        for number in range(1_500):
            text = " ".join(words[(number + step * step) % len(words)] for step in range(60))
            rows.write(json.dumps({"description": f"{number} {text}"}) + "\n")
    await look_through(page, file)
    await page.route(
        re.compile("/api/v1/imports/[0-9a-f-]+$"), lambda route: route.abort(), times=1
    )
    await page.locator("#start").click()
    await expect(page.get_by_text("The connection is lost; the work goes on.")).to_be_visible()
    await axe(page)
    await page.reload()
    await expect(page.get_by_role("heading", name="Importing many.jsonl")).to_be_visible()

    done = page.get_by_role("heading", name="many.jsonl is imported")
    await expect(done).to_be_visible(timeout=60_000)
    await counted(page, "new").to_have_text("1500")


# Files that are no good


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("notes.docx", "x", "“notes.docx” cannot be imported. What can be is called .jsonl"),
        ("empty.csv", "", "“empty.csv” is empty."),
    ],
)
async def test_a_file_that_cannot_be_read_is_not_even_uploaded(
    live_server: Served, page: Page, tmp_path: Path, name: str, text: str, told: str
) -> None:
    file = tmp_path / name
    file.write_text(text, "utf-8")
    await page.goto("/library/import")
    await page.get_by_label("File to import").set_input_files(file)

    bad = page.locator("#import-bad .note")
    await expect(bad).to_be_focused()
    await expect(bad).to_contain_text(told)
    await expect(bad.get_by_role("button")).to_have_count(0)
    await axe(page)


async def test_a_file_that_is_too_large_is_not_even_uploaded(
    live_server: Served, page: Page, tmp_path: Path
) -> None:
    file = tmp_path / "large.csv"
    with file.open("wb") as large:
        large.truncate(201_000_000)
    await page.goto("/library/import")
    await page.get_by_label("File to import").set_input_files(file)

    await expect(page.locator("#import-bad")).to_contain_text("“large.csv” is larger than 200 MB")


async def test_the_server_says_why_a_file_cannot_be_read(
    live_server: Served, page: Page, watch: Watch, tmp_path: Path
) -> None:
    watch.expect("^422 POST /api/v1/imports/inspect$")
    file = tmp_path / "wrong.xlsx"
    file.write_text("colour,size\nred,3\n", "utf-8")
    await page.goto("/library/import")
    await page.get_by_label("File to import").set_input_files(file)

    bad = page.locator("#import-bad .note")
    await expect(bad).to_contain_text("wrong.xlsx is not an Excel file")
    await expect(bad.get_by_role("button")).to_have_count(0)
    await expect(page.get_by_label("File to import")).to_be_enabled()


async def test_an_upload_whose_answer_is_lost_is_tried_again_as_the_same_import(
    live_server: Served, page: Page, watch: Watch, file: Path
) -> None:
    watch.expect("ERR_FAILED")
    await look_through(page, file)

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await page.route("**/api/v1/imports", lose, times=1)
    await page.locator("#start").click()
    bad = page.locator("#import-bad")
    await expect(bad).to_contain_text("The upload did not get through.")
    await bad.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("heading", name=f"{file.name} is imported")).to_be_visible()

    records = live_server.run(live_server.app.vector_ops.imports.page())
    assert [record.dry_run for record in records] == [False, True]


# How it looks


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768, 1440])
async def test_the_import_view_has_no_barrier_and_fits(
    live_server: Served, open_page: OpenPage, file: Path, width: int, theme: str
) -> None:
    page = await open_page(viewport={"width": width, "height": 800}, color_scheme=theme)
    await page.goto("/library/import")
    await axe(page)
    await page.get_by_label("File to import").set_input_files(file)
    await expect(page.locator("#start")).to_be_visible()
    await axe(page)

    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_the_import_view_speaks_spanish(live_server: Served, open_page: OpenPage) -> None:
    page = await open_page(locale="es-ES")
    await page.goto("/library/import")

    await expect(page.get_by_role("heading", name="Importar escenarios")).to_be_visible()
    await expect(page.get_by_text("Suelta un archivo aquí")).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("lang", re.compile("es"))
