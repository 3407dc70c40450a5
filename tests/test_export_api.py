"""The library as a file: whole, in each form, and read back as it was."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest

from staffroom.app import App
from staffroom.content.formats import open_rows
from staffroom.scenario import row_from
from staffroom.types import STATUSES, Filters
from tests.api_client import api_client

EXPORT = "/api/v1/scenarios/export"
ROWS: list[dict[str, Any]] = [
    {
        "id": str(number),
        "name": f"N\u00e4me {number}, with comma",
        "text": '=Lines\nand "quotes"',
        "tags": ["a; b", "c"],
        "status": STATUSES[number % 4],
        "category": f"category {number % 2}",
    }
    for number in range(1_003)
]


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(app) as client:
        yield client


@pytest.mark.parametrize("form", ["jsonl", "csv", "xlsx"])
async def test_what_is_downloaded_is_the_library_and_imports_without_a_change(
    client: httpx.AsyncClient, app: App, tmp_path: Path, form: str
) -> None:
    await app.vector_ops.batch_store_content(ROWS)

    response = await client.get(EXPORT, params={"format": form})

    assert response.status_code == 200
    assert f"scenarios.{form}" in response.headers["content-disposition"]
    path = tmp_path / f"library.{form}"
    path.write_bytes(response.content)
    assert len(list(open_rows(path).rows)) == len(ROWS)
    report = await app.content.import_files([path])
    assert (report["unchanged"], report["stored"], report["failed"]) == (len(ROWS), 0, 0)


async def test_only_what_the_filters_leave_is_downloaded(
    client: httpx.AsyncClient, app: App
) -> None:
    await app.vector_ops.batch_store_content(ROWS[:20])

    drafts = await client.get(EXPORT, params={"status": ["draft", "retired"]})
    both = await client.get(EXPORT, params={"status": "draft", "category": "category 0"})
    unknown = await client.get(EXPORT, params={"category": "no such"})

    assert len(drafts.text.splitlines()) == 10
    assert len(both.text.splitlines()) == 5
    assert unknown.status_code == 422
    assert (await client.get(EXPORT, params={"format": "pdf"})).status_code == 422
    assert (await client.get(EXPORT, params={"status": "lost"})).status_code == 422


@pytest.mark.parametrize(("form", "size"), [("jsonl", 0), ("csv", 1), ("xlsx", 1)])
async def test_an_empty_library_is_a_file_with_its_heading(
    client: httpx.AsyncClient, form: str, size: int
) -> None:
    response = await client.get(EXPORT, params={"format": form})

    assert response.status_code == 200
    if form == "xlsx":
        sheet = openpyxl.load_workbook(io.BytesIO(response.content)).worksheets[0]
        assert sheet.max_row == size
    else:
        assert len(response.text.splitlines()) == size


async def test_a_text_that_no_cell_holds_is_refused_with_the_other_forms(
    client: httpx.AsyncClient, app: App
) -> None:
    await app.vector_ops.store_scenario("Long", "x" * 40_000)

    response = await client.get(EXPORT, params={"format": "xlsx"})

    assert response.status_code == 422
    assert "Export to CSV or JSON Lines" in response.json()["detail"]
    assert (await client.get(EXPORT, params={"format": "csv"})).status_code == 200


async def test_an_export_is_the_rows_that_the_command_writes(
    client: httpx.AsyncClient, app: App
) -> None:
    await app.vector_ops.batch_store_content(ROWS[:3])

    lines = (await client.get(EXPORT)).text.splitlines()

    kept = await app.vector_ops.list_scenarios(Filters(statuses=STATUSES))
    assert [row_from(scenario.content) for scenario in kept] == [json.loads(line) for line in lines]
