"""Files that are sent while they are written: the library, and the refused rows of an import."""

import csv
import io
import json
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from functools import partial
from typing import IO, Any, Final

from staffroom.content.formats import cell_text, excel_file, guarded
from staffroom.content.mapping import SERVICE_COLUMNS
from staffroom.content.threads import in_thread
from staffroom.database.imports import ImportRecord, Imports
from staffroom.scenario import ALIASES

PIECE: Final = 1 << 16
"""Characters that are sent at once."""

CHUNK: Final = 1 << 18
"""Bytes of a file that are sent at once."""

MARK: Final = "\ufeff"
"""Begins a CSV file, so that Excel reads it as UTF-8; imports pass over it."""

MAX_COLUMNS: Final = 500

_EXCEL_ROWS: Final = 500
"""Rows that are handed to the writer of Excel files at once."""

Rows = AsyncIterable[Mapping[str, Any]]


async def json_lines(rows: Rows) -> AsyncGenerator[bytes, None]:
    """The rows as JSON Lines, piece by piece."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" async for row in rows)
    async for piece in _pieces(lines):
        yield piece


async def csv_lines(
    rows: Rows, columns: Sequence[str] = tuple(ALIASES), delimiter: str = ","
) -> AsyncGenerator[bytes, None]:
    """The rows as CSV with a heading, piece by piece."""
    async for piece in _pieces(_csv_texts(rows, columns, delimiter)):
        yield piece


async def excel_pieces(
    rows: Rows, columns: Sequence[str] = tuple(ALIASES)
) -> AsyncGenerator[bytes, None]:
    """The rows as an Excel file, piece by piece. Raises: UnreadableFile, as write_excel."""
    file: IO[bytes]
    with tempfile.TemporaryFile() as file:
        await write_excel(rows, file, columns)
        file.seek(0)
        while piece := await in_thread(partial(file.read, CHUNK)):
            yield piece


async def write_excel(rows: Rows, file: IO[bytes], columns: Sequence[str] = tuple(ALIASES)) -> None:
    """The rows are in the file, as Excel keeps them. Memory stays flat.

    Raises: UnreadableFile if a text is too long for a cell.
    """
    with excel_file(file, columns) as add:
        page: list[Mapping[str, Any]] = []
        async for row in rows:
            page.append(flat(row))
            if len(page) == _EXCEL_ROWS:
                await in_thread(partial(list, map(add, page)))
                page = []
        list(map(add, page))


async def refused_rows(imports: Imports, record: ImportRecord) -> AsyncIterator[dict[str, Any]]:
    """The refused rows as they were in the file, with their number and why they were refused."""
    after = 0
    while page := await imports.refused(record.id, after):
        for refused in page:
            reason = f"{refused.field}: {refused.reason}" if refused.field else refused.reason
            yield {**refused.values, "row": refused.row, "reason": reason}
        after = page[-1].row


async def refused_columns(imports: Imports, record: ImportRecord) -> list[str]:
    """The columns of a table of them: the file's own, then Staffroom's, as far as they are used."""
    names = dict.fromkeys(record.columns)
    used = {"row", "reason"}
    async for row in refused_rows(imports, record):
        used |= row.keys() & SERVICE_COLUMNS
        for name in () if record.columns else flat(row):
            if len(names) < MAX_COLUMNS:
                names.setdefault(name)
    own = [name for name in names if name and name not in SERVICE_COLUMNS]
    return [*own, *(name for name in ("file", "row", "reason", "raw") if name in used)]


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its nested metadata beside the rest, as a table needs it."""
    nested = row.get("metadata")
    if not isinstance(nested, Mapping):
        return dict(row)
    return {**nested, **{name: value for name, value in row.items() if name != "metadata"}}


async def _csv_texts(
    rows: Rows, columns: Sequence[str], delimiter: str
) -> AsyncGenerator[str, None]:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerow(map(guarded, columns))
    yield MARK + buffer.getvalue()
    async for row in rows:
        buffer.seek(0)
        buffer.truncate()
        values = flat(row)
        writer.writerow([guarded(cell_text(values.get(name))) for name in columns])
        yield buffer.getvalue()


async def _pieces(texts: AsyncIterable[str]) -> AsyncGenerator[bytes, None]:
    """Joined to larger pieces; what is no character is replaced."""
    gathered: list[str] = []
    size = 0
    async for text in texts:
        gathered.append(text)
        size += len(text)
        if size >= PIECE:
            yield "".join(gathered).encode("utf-8", "replace")
            gathered, size = [], 0
    if gathered:
        yield "".join(gathered).encode("utf-8", "replace")
