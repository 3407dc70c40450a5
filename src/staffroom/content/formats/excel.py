"""Excel workbooks: one sheet of them, as Excel shows it."""

import errno
import re
import zipfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice, repeat
from typing import Any, Final
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils import range_boundaries
from openpyxl.utils.exceptions import InvalidFileException

from staffroom.content.formats.packed import DAMAGE, is_packed_to_burst, open_archive
from staffroom.content.formats.rows import (
    SAMPLE_ROWS,
    FileRow,
    RowFile,
    Source,
    cell_values,
    header,
    header_at,
    wrong,
)
from staffroom.errors import InvalidScenario

MAX_PART: Final = 100_000_000
MAX_SHEET: Final = 1_000_000_000
"""Of an Excel file, unpacked: its texts are read whole, its sheets row by row."""

MAX_MERGED: Final = 10_000
"""Merged cells that are repeated downwards; a sheet of scenarios has few."""

_SHEETS: Final = "xl/worksheets/"
_CHUNK: Final = 1 << 20
_FORMULA: Final = re.compile(rb"<(?:\w+:)?f[\s>/]")
_MERGED: Final = re.compile(
    rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})"'
)
_LONGEST_MARK: Final = 100


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What of a sheet only its XML tells: whether it has formulas, and its merged cells, as the
    last row of each by the row and column of its first."""

    has_formulas: bool
    merged: Mapping[tuple[int, int], int]


def open_excel(source: Source) -> RowFile:
    """The rows of a sheet: the one that is named, or else the first."""
    with _as_excel(source), open_archive(source.path, source.shown) as archive:
        _check_parts(archive, source)
    with _as_excel(source):
        book = openpyxl.load_workbook(source.path, read_only=True, data_only=True)
    try:
        with _as_excel(source):
            titles = [sheet.title for sheet in book.worksheets]
            sheet = book[_title(source, titles)]
            total = sheet.max_row or 0
            sheet.reset_dimensions()  # they may be wrong, and rows below them would be left out
            first = [[_text(cell.value) for cell in row] for row in islice(sheet.rows, SAMPLE_ROWS)]
            surveyed = _survey(source, sheet)
        if source.reading.header_row > SAMPLE_ROWS:
            reason = f"cannot have its header below row {SAMPLE_ROWS}."
            raise source.refused(reason, "header_low", most=SAMPLE_ROWS)
        at = header_at(source, first)
        columns = header(source, first[at] if at < len(first) else [])
    except BaseException:
        book.close()
        raise
    return RowFile(
        source.name,
        _rows(source, book, sheet, columns, at + 1, surveyed),
        total,
        "rows",
        columns,
        reading=replace(source.reading, sheet=sheet.title, header_row=at + 1),
        sheets=titles,
    )


def _title(source: Source, titles: Sequence[str]) -> str:
    wanted = source.reading.sheet
    if wanted and wanted not in titles:
        known = ", ".join(titles)
        reason = f"has no sheet {wanted!r}; its sheets are {known}."
        raise source.refused(reason, "no_sheet", sheet=wanted, known=known)
    if not titles:
        raise source.refused("has no sheet with cells.", "no_cells")
    return wanted or titles[0]


@contextmanager
def _as_excel(source: Source) -> Iterator[None]:
    """What the reader of workbooks raises for a damaged one, as our own error."""
    try:
        yield
    except (*DAMAGE, InvalidFileException, ParseError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise  # the file itself; a place that is none is one that a damaged archive names
        raise source.refused(
            f"is not an Excel file (.xlsx) that can be read: {error}. Open it in Excel and "
            "save it again, or save it as CSV UTF-8.",
            "no_excel",
        ) from error


def _check_parts(archive: zipfile.ZipFile, source: Source) -> None:
    """What is read whole when a workbook is opened, and a sheet, are of a size to be read."""
    for part in archive.infolist():
        if part.file_size > (MAX_SHEET if part.filename.startswith(_SHEETS) else MAX_PART):
            raise source.refused(
                f"holds {part.file_size:,} bytes in {part.filename}, more than is "
                "read of a workbook. Save it as CSV UTF-8.",
                "bursts",
                file=part.filename,
            )
        if is_packed_to_burst(part.file_size, part.compress_size):
            raise source.refused(
                f"holds {part.file_size:,} bytes packed into {part.compress_size:,} in "
                f"{part.filename}, as no workbook of texts is. Save it as CSV UTF-8.",
                "bursts",
                file=part.filename,
            )


def _survey(source: Source, sheet: Any) -> _Sheet:
    has_formulas = False
    found: set[bytes] = set()
    path = sheet._worksheet_path  # noqa: SLF001 - told nowhere else
    with zipfile.ZipFile(source.path) as archive, archive.open(path) as part:
        rest = b""
        while (chunk := part.read(_CHUNK)) and len(found) < MAX_MERGED:
            has_formulas = has_formulas or bool(_FORMULA.search(rest + chunk))
            found.update(_MERGED.findall(rest + chunk))
            rest = chunk[-_LONGEST_MARK:]
    merged = {}
    for reference in found:
        left, top, _, bottom = range_boundaries(reference.decode())
        if left and top and bottom and bottom > top:
            merged[top, left] = bottom
    return _Sheet(has_formulas, merged)


def _rows(
    source: Source,
    book: openpyxl.Workbook,
    sheet: Any,
    columns: Sequence[str],
    skipped: int,
    surveyed: _Sheet,
) -> Generator[FileRow, None, None]:
    with ExitStack() as stack, _as_excel(source):
        stack.enter_context(closing(book))
        formulas: Iterator[Sequence[Any]] = repeat(())
        if surveyed.has_formulas:
            other = openpyxl.load_workbook(source.path, read_only=True)
            stack.enter_context(closing(other))
            other[sheet.title].reset_dimensions()
            formulas = iter(other[sheet.title].rows)
        going_on: dict[int, tuple[int, Any]] = {}
        for number, (cells, own) in enumerate(zip(sheet.rows, formulas, strict=False), start=1):
            if number <= skipped:
                continue
            values = [_plain(cell.value) for cell in cells]
            is_empty = not any(value not in {None, ""} for value in values)
            _repeat_merged(number, values, going_on, surveyed.merged, len(columns))
            refusal = _refusal(columns, cells, own)
            if refusal:
                yield FileRow(number, number, cell_values(columns, values), refusal)
            elif not is_empty:
                yield _row(number, columns, values)


def _row(number: int, columns: Sequence[str], values: Sequence[Any]) -> FileRow:
    if any(value not in {None, ""} for value in values[len(columns) :]):
        reason = "has cells beside its {columns} columns; give each column a name"
        refusal = wrong("cells_beside", reason, columns=len(columns))
        return FileRow(number, number, cell_values(columns, values), refusal)
    return FileRow(number, number, cell_values(columns, values))


def _refusal(
    columns: Sequence[str], cells: Sequence[Any], own: Sequence[Any]
) -> InvalidScenario | None:
    """Why the row cannot be what Excel shows; None if it can."""
    for name, cell in zip(columns, cells, strict=False):
        if name and cell.value is not None and cell.data_type == "e":
            reason = "has the error {error} in the column {column!r}; mend it in Excel"
            return wrong("cell_error", reason, error=str(cell.value), column=name)
    for name, cell, formula in zip(columns, cells, own, strict=False):
        if name and formula.data_type == "f" and cell.value is None:
            reason = (
                "holds a formula in the column {column!r} that was never calculated; open the "
                "file in Excel and save it"
            )
            return wrong("formula", reason, column=name)
    return None


def _repeat_merged(
    number: int,
    values: list[Any],
    going_on: dict[int, tuple[int, Any]],
    merged: Mapping[tuple[int, int], int],
    width: int,
) -> None:
    """A value that is merged over several rows belongs to each of them."""
    if not merged:
        return
    values += [None] * (width - len(values))
    for index, value in enumerate(values):
        if last := merged.get((number, index + 1)):
            going_on[index] = (last, value)
        elif going_on.get(index, (0,))[0] >= number:
            values[index] = going_on[index][1]


def _plain(value: Any) -> Any:
    """Numbers as people write them; dates stay dates."""
    return str(value) if isinstance(value, int | float) else value


def _text(value: Any) -> str:
    return "" if value is None else str(value)
