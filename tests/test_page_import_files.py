"""Files of every form as an editor brings them: uploaded, matched, mended, uploaded again."""

import csv
import io
import json
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import openpyxl
import pytest
from playwright.async_api import Locator, Page, expect

from staffroom.types import Filters
from tests.browser import Watch, axe
from tests.parquet_files import write_parquet
from tests.serving import Served

OpenPage = Callable[..., Awaitable[Page]]

MARKDOWN = "---\ntags: [exit]\n---\n# Running out\n\nA pupil runs out.\n\n## Advice\n\n1. Wait.\n"
COLUMNS = ["Situación", "Qué hacer", "Nota"]


def names(served: Served) -> set[str]:
    catalogue = served.app.vector_ops.catalogue
    return {scenario.name for scenario in served.run(catalogue.page(Filters()))}


def excel(path: Path, *rows: list[str | None]) -> Path:
    """A sheet that says what it is above its header, as people make them."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Ideas 2026"])
    header: list[str | None] = [*COLUMNS]
    for row in (header, *rows):
        sheet.append(row)
    book.save(path)
    return path


def archive(path: Path) -> Path:
    """Files of several forms, some of whose rows cannot be stored."""
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("plans/one.md", MARKDOWN)
        packed.writestr("rows.jsonl", '{"description": "Chairs scrape."}\n{"id": "x"}\nnot json\n')
        packed.writestr("table.csv", "description;advice\nPupils bark.;x;y\n")
        packed.writestr("../out.md", "# Out")
        packed.writestr("notes.docx", "x")
        packed.writestr("colours.csv", "colour,size\nred,3\n")
    return path


async def choose(page: Page, file: Path) -> None:
    await page.goto("/library/import")
    await page.locator("#file").set_input_files(file)


async def import_it(page: Page, count: str, name: str) -> None:
    await page.get_by_role("button", name=f"Import {count}").click()
    await expect(page.get_by_role("heading", name=f"{name} is imported")).to_be_focused()


async def download(page: Page, link: Locator, folder: Path) -> Path:
    async with page.expect_download() as begun:
        await link.click()
    file = await begun.value
    path = folder / file.suggested_filename
    await file.save_as(path)
    return path


@pytest.mark.slow
async def test_parquet_markdown_and_a_zip_go_straight_to_what_they_would_change(
    live_server: Served, page: Page, tmp_path: Path
) -> None:
    write_parquet(tmp_path / "table.parquet")
    (tmp_path / "one.md").write_text(MARKDOWN, "utf-8")
    archive(tmp_path / "all.zip")
    for name, count in (
        ("table.parquet", "2 scenarios"),
        ("one.md", "1 scenario"),
        ("all.zip", "1 scenario"),
    ):
        await choose(page, tmp_path / name)
        await import_it(page, count, name)

    assert names(live_server) == {"Noise.", "Quarrels.", "Running out", "Chairs scrape."}
    duplicate = page.locator(".rows-wrap tbody tr", has_text="Repeated")
    await expect(duplicate.get_by_role("link", name="Running out")).to_be_visible()
    # What could not be parted into cells has no column that somebody could have meant.
    await expect(page.get_by_text("ignored, because")).to_have_count(0)


async def test_reasons_are_told_in_spanish_on_a_phone(
    live_server: Served, open_page: OpenPage, tmp_path: Path
) -> None:
    page = await open_page(
        viewport={"width": 360, "height": 740}, color_scheme="dark", locale="es-ES"
    )
    await choose(page, archive(tmp_path / "all.zip"))
    reasons = page.locator(".rows-wrap tbody td:last-child")
    await expect(reasons).to_have_text(
        [
            "",
            "",
            "description falta; escribe cuál es la situación (en rows.jsonl, fila 2)",
            (
                "no es JSON desde el carácter 1; escribe un objeto entero en cada línea "
                "(en rows.jsonl, fila 3)"
            ),
            (
                "tiene 3 celdas para 2 columnas; pon entre comillas el texto que contiene el "
                "separador (en table.csv, fila 2)"
            ),
            "tiene un nombre que lleva fuera del ZIP; vuelve a comprimir la carpeta (en ../out.md)",
            (
                "es de un tipo desconocido; se pueden leer los que acaban en .jsonl, .ndjson, "
                ".csv, .tsv, .xlsx, .parquet, .md, .markdown (en notes.docx)"
            ),
            "no tiene columna para la situación; sus columnas son: colour, size (en colours.csv)",
        ]
    )
    for wrap in await page.locator(".table-wrap:visible").all():
        assert await wrap.evaluate("(each) => each.scrollWidth - each.clientWidth") == 0
    await axe(page)


@pytest.mark.slow
async def test_columns_are_matched_differently_after_a_dry_run(
    live_server: Served, page: Page, tmp_path: Path
) -> None:
    file = excel(tmp_path / "ideas.xlsx", ["Ana llora.", "1. Espera.", "patio"])
    await choose(page, file)
    note = page.get_by_label("What “Nota” holds")
    await expect(note).to_have_value("")
    await page.get_by_role("button", name="Look at what would change").click()
    await expect(page.get_by_text("Read from the sheet “Sheet”.")).to_be_visible()

    await page.get_by_role("button", name="Match the columns differently").click()
    await expect(page.get_by_label("What “Situación” holds")).to_have_value("description")
    await expect(page.locator("#import-steps [aria-current]")).to_contain_text("Match the columns")
    await axe(page)
    await note.select_option("tags")
    await page.get_by_role("button", name="Look at what would change").click()
    await import_it(page, "1 scenario", file.name)

    catalogue = live_server.app.vector_ops.catalogue
    (stored,) = live_server.run(catalogue.page(Filters()))
    assert (stored.content.description, stored.content.metadata.tags) == ("Ana llora.", ("patio",))


@pytest.mark.slow
async def test_refused_rows_are_mended_in_their_own_form_and_uploaded_again(
    live_server: Served, page: Page, tmp_path: Path
) -> None:
    rows: list[list[str | None]] = [["Ana llora.", "1. Espera.", "a"], [None, "1. Habla.", "b"]]
    await choose(page, excel(tmp_path / "ideas.xlsx", *rows))
    await page.get_by_role("button", name="Look at what would change").click()
    await import_it(page, "1 scenario", "ideas.xlsx")
    link = page.get_by_role("link", name="Refused rows as Excel")
    refused = await download(page, link, tmp_path)

    book = openpyxl.load_workbook(refused)
    sheet = book.active
    assert sheet is not None
    header, row = ([cell.value for cell in cells] for cells in sheet.iter_rows())
    assert header == [*COLUMNS, "row", "reason"]
    assert row[1:4] == ["1. Habla.", "b", "4"]
    sheet["A2"] = "Luis se esconde."
    book.save(refused)
    # The columns mean what they meant the first time, without being asked about again.
    await choose(page, refused)
    await import_it(page, "1 scenario", refused.name)

    assert names(live_server) == {"Ana llora.", "Luis se esconde."}


async def test_the_library_is_downloaded_in_each_form(
    live_server: Served, page: Page, tmp_path: Path
) -> None:
    live_server.run(live_server.app.vector_ops.put_scenario({"id": "a", "text": "Chairs scrape."}))
    await page.goto("/library", wait_until="networkidle")
    await page.locator("summary", has_text="Export").click()
    links = page.locator("#export-panel a")

    table = await download(page, links.get_by_text("CSV").last, tmp_path)
    (row,) = csv.DictReader(io.StringIO(table.read_text("utf-8-sig")))
    lines = await download(page, links.get_by_text("JSON Lines").last, tmp_path)
    sheet = openpyxl.load_workbook(
        await download(page, links.get_by_text("Excel").last, tmp_path)
    ).active
    assert sheet is not None
    header, values = ([cell.value for cell in cells] for cells in sheet.iter_rows())

    assert row["description"] == "Chairs scrape."
    assert json.loads(lines.read_text("utf-8"))["description"] == "Chairs scrape."
    assert dict(zip(header, values, strict=True))["description"] == "Chairs scrape."


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone_each_row_is_a_card_of_its_own(
    live_server: Served, open_page: OpenPage, tmp_path: Path, scheme: str
) -> None:
    page = await open_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    await choose(page, excel(tmp_path / "ideas.xlsx", ["Ana llora.", "1. Espera.", "a"]))
    await expect(page.get_by_label("What “Nota” holds")).to_be_visible()
    beyond = "(each) => each.scrollWidth - each.clientWidth"
    assert await page.locator(".mapping .table-wrap").evaluate(beyond) == 0
    await page.get_by_role("button", name="Look at what would change").click()
    await expect(page.locator("#start")).to_be_visible()

    past = page.locator("#import-past")
    assert await past.locator(".table-wrap").evaluate(beyond) == 0
    # The rows are drawn anew while an import is under way.
    await page.wait_for_function(
        "() => getComputedStyle(document.querySelectorAll('#import-past tbody td')[2], '::before')"
        ".content.includes('New')"
    )
    await axe(page)


async def test_why_a_file_is_refused_as_a_whole_is_told_in_spanish(
    live_server: Served, open_page: OpenPage, watch: Watch, tmp_path: Path
) -> None:
    watch.expect("422 POST /api/v1/imports/inspect")
    page = await open_page(locale="es-ES")
    file = tmp_path / "wrong.xlsx"
    file.write_text("colour,size\nred,3\n", "utf-8")
    await choose(page, file)

    bad = page.locator("#import-bad .note")
    await expect(bad).to_contain_text(
        "«wrong.xlsx» no es un archivo de Excel que se pueda leer; ábrelo en Excel y guárdalo de "
        "nuevo, o guárdalo como CSV UTF-8."
    )
    await axe(page)
