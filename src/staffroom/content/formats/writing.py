"""Scenarios become files: JSON Lines, CSV and Excel."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from staffroom.errors import UnreadableFile
from staffroom.scenario import ALIASES, list_items

if TYPE_CHECKING:
    from openpyxl.cell import Cell

WRITTEN: Final = (".jsonl", ".ndjson", ".csv", ".tsv", ".xlsx")

LIST_MARK: Final = " | "
"""Parts the items of a list in a cell."""

EXCEL_CELL: Final = 32_767
"""Characters that a cell of Excel holds."""

_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What no file of Excel can hold."""

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_GUARDED: Final = re.compile(r"'+[=+\-@\t\r]")


def guarded(text: str) -> str:
    """The text as a cell of CSV that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(cell: str) -> str:
    """The text that was guarded so, to the letter."""
    return cell[1:] if _GUARDED.match(cell) else cell


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """The rows are in the file, in the form that its suffix names. Returns how many."""
    suffix = path.suffix.lower()
    if suffix not in WRITTEN:
        raise UnreadableFile(f"{path} is of no known kind; write {', '.join(WRITTEN)}.")
    if suffix == ".xlsx":
        return _write_excel(path, rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        if suffix in {".jsonl", ".ndjson"}:
            return write_json_lines(file, rows)
        writer = csv.writer(file, delimiter="\t" if suffix == ".tsv" else ",")
        writer.writerow(ALIASES)
        return sum(bool(writer.writerow(map(guarded, _cells(row, ALIASES)))) for row in rows)


def write_json_lines(file: IO[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """The rows are written one to a line. Returns how many."""
    return sum(bool(file.write(json.dumps(row, ensure_ascii=False) + "\n")) for row in rows)


def _write_excel(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    with excel_file(path) as add:
        return sum(bool(add(row)) for row in rows)


@contextmanager
def excel_file(
    target: Path | IO[bytes], columns: Sequence[str] = tuple(ALIASES)
) -> Iterator[Callable[[Mapping[str, Any]], int]]:
    """Rows are added by what is given, which tells their number, and are in the file afterwards.

    Until then they lie on disk, however many there are.
    """
    import openpyxl  # noqa: PLC0415 - slow, and few files are Excel's

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("scenarios")
    sheet.append([_excel_cell(sheet, "heading", name) for name in columns])
    numbers = count(1)

    def add(row: Mapping[str, Any]) -> int:
        named = str(row.get("id", row.get("row", "")))
        sheet.append([_excel_cell(sheet, named, text) for text in _cells(row, columns)])
        return next(numbers)

    try:
        yield add
    finally:
        # Saved come what may: nothing else removes what lies on disk.
        sheet.close()
        book.save(target)


def _excel_cell(sheet: Any, scenario: str, text: str) -> "Cell":
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415 - as above

    if len(text) > EXCEL_CELL:
        raise UnreadableFile(
            f"a text of {scenario or 'a row'} has {len(text):,} characters, and a cell of Excel "
            f"holds {EXCEL_CELL:,}. Export to CSV or JSON Lines."
        )
    cell: Cell = WriteOnlyCell(sheet, _NO_XML.sub("\ufffd", text))
    cell.data_type = "s"  # a text that begins with "=" is no formula
    return cell


def _cells(row: Mapping[str, Any], columns: Iterable[str]) -> list[str]:
    return [cell_text(row.get(name)) for name in columns]


def cell_text(value: Any) -> str:
    """The value as a cell of a table; what is no text or list of texts is written as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return _list_cell(value)
    return json.dumps(value, ensure_ascii=False)


def _list_cell(items: list[str]) -> str:
    """The items as people write them, or as JSON where that would part them differently."""
    text = LIST_MARK.join(items)
    return text if list_items(text) == items else json.dumps(items, ensure_ascii=False)
