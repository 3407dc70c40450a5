"""The library as JSON Lines, CSV and Excel is the same library when it is imported."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from uuid import uuid4

import hypothesis
import pytest
from hypothesis import HealthCheck, given

from staffroom.content.downloads import Rows, csv_lines, json_lines, write_excel
from staffroom.content.management import ContentManager
from staffroom.database.vector_ops import VectorOperations
from staffroom.types import STATUSES, Filters
from tests.backups import Plan, fill, plans

EVERYTHING = Filters(statuses=STATUSES)
LINES: dict[str, Callable[[Rows], AsyncGenerator[bytes, None]]] = {
    "jsonl": json_lines,
    "csv": csv_lines,
}


async def write(path: Path, rows: Rows) -> None:
    with path.open("wb") as file:
        if path.suffix == ".xlsx":
            await write_excel(rows, file)
            return
        async for piece in LINES[path.suffix[1:]](rows):
            file.write(piece)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jsonl", "csv", "xlsx"])
@hypothesis.settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(plan=plans())
async def test_an_export_is_imported_as_the_same_library(
    vector_ops: VectorOperations, tmp_path: Path, form: str, plan: Plan
) -> None:
    first, second = vector_ops.for_tenant(uuid4()), vector_ops.for_tenant(uuid4())
    await fill(first, plan)
    path = tmp_path / f"library.{form}"
    await write(path, ContentManager(first).export(EVERYTHING))
    if not plan.rows and form == "jsonl":
        assert path.read_bytes() == b""
        return

    report = await ContentManager(second).import_files([path], keep_duplicates=True)

    assert report["errors"] == []
    rows = [row async for row in ContentManager(first).export(EVERYTHING)]
    assert [row async for row in ContentManager(second).export(EVERYTHING)] == rows
