"""Files become rows, and scenarios files: JSON Lines, CSV and Excel.

Reading is lazy, so that memory stays flat, and a bad row is a row with an error,
never the end of the file.
"""

import csv
import json
import re
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Any, Final, Literal
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.utils.exceptions import InvalidFileException

from staffroom.database.batch import Row
from staffroom.errors import UnreadableFile
from staffroom.scenario import ALIASES, list_items

SUFFIXES: Final = (".jsonl", ".ndjson", ".csv", ".tsv", ".xlsx")

LIST_MARK: Final = " | "
"""Parts the items of a list in a cell."""

MAX_CELL: Final = 10_000_000
MAX_LINE: Final = 10_000_000
"""Of JSON Lines. One that is longer is no scenario, and not read into memory."""

MAX_PART: Final = 100_000_000
MAX_SHEET: Final = 1_000_000_000
"""Of an Excel file, unpacked: its texts are read whole, its sheets row by row."""

MAX_PACKED: Final = 200
SMALL_PART: Final = 20_000_000
"""How many times smaller a part of an Excel file may be packed, if it is not small anyway. What
people write is packed to a tenth; a part of one letter to a thousandth, to fill memory."""

EXCEL_CELL: Final = 32_767
"""Characters that a cell of Excel holds."""

_ZIP_MAGIC: Final = b"PK\x03\x04"
_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")
"""What Python makes of bytes that are no UTF-8."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of a file: its values, or the error that kept it from having any.

    `position` is what of the file has been read, in bytes or rows.
    """

    number: int
    position: int
    values: Row = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class RowFile:
    """Rows that are about to be read. `total` is in the unit of their positions, 0 if unknown.

    `columns` are those of a table. Reading a file may take long, and is done in a thread.
    """

    name: str
    rows: Generator[FileRow, None, None]
    total: int
    unit: Literal["bytes", "rows"]
    columns: Sequence[str] = ()
    in_thread: bool = True


def open_rows(path: Path, name: str = "") -> RowFile:
    """The rows of an import file, by its suffix. It is called by the name, or else by its path.

    Raises: UnreadableFile if there is no such file, it is empty, of an unknown kind,
        not what its name says, or has no column for the description.
    """
    shown = name or str(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UnreadableFile(f"{shown} is of no known kind; write {', '.join(SUFFIXES)}.")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            beginning = file.read(len(_ZIP_MAGIC))
        if not beginning:
            raise UnreadableFile(f"{shown} is empty.")
        if suffix == ".xlsx":
            return _open_excel(path, shown)
        if beginning == _ZIP_MAGIC:
            raise UnreadableFile(f"{shown} is an Excel file or an archive, not text.")
        if suffix in {".csv", ".tsv"}:
            return _open_csv(path, shown, size)
        return RowFile(Path(shown).name, _jsonl_rows(path), size, "bytes")
    except FileNotFoundError as error:
        raise UnreadableFile(f"there is no file {shown}.") from error
    except OSError as error:
        raise UnreadableFile(f"{shown} cannot be read: {error.strerror}.") from error


def _jsonl_rows(path: Path) -> Generator[FileRow, None, None]:
    position = 0
    with path.open("rb") as file:
        for number in count(1):
            line = file.readline(MAX_LINE + 1)
            if not line:
                return
            if len(line) > MAX_LINE and not line.endswith(b"\n"):
                while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                    pass
                position = file.tell()
                reason = f"is longer than {MAX_LINE:,} bytes; write one scenario to a line"
                yield FileRow(number, position, error=reason)
                continue
            position += len(line)
            if line.strip():
                yield _json_row(number, position, line)


def _json_row(number: int, position: int, line: bytes) -> FileRow:
    try:
        values = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 at byte {error.start + 1}; save the file as UTF-8"
        return FileRow(number, position, error=reason)
    except (ValueError, RecursionError) as error:
        reason = f"is not JSON: {error}; write one whole object to a line"
        return FileRow(number, position, error=reason)
    if not isinstance(values, dict):
        reason = f"is a JSON {type(values).__name__}, not an object"
        return FileRow(number, position, error=reason)
    return FileRow(number, position, values)


def _open_csv(path: Path, shown: str, size: int) -> RowFile:
    with _open_text(path) as file:
        first = file.readline()
    if "\0" in first or _NOT_UTF8.search(first):
        raise UnreadableFile(f"{shown} is not text in UTF-8. Save it as CSV UTF-8.")
    mark = max(",;\t|", key=first.count)
    header = _header(shown, next(csv.reader([first], delimiter=mark), []))
    return RowFile(Path(shown).name, _csv_rows(path, mark, header), size, "bytes", header)


def _open_text(path: Path) -> IO[str]:
    """The file as text; bytes that are no UTF-8 spoil their own row and no other."""
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _csv_rows(path: Path, mark: str, header: Sequence[str]) -> Generator[FileRow, None, None]:
    csv.field_size_limit(MAX_CELL)
    with _open_text(path) as file:
        lines = _Lines(file)
        next(lines)
        lines.end_record()
        reader = csv.reader(lines, delimiter=mark, strict=True)
        while True:
            number = lines.number + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                lines.end_record(lines=1)
                reader = csv.reader(lines, delimiter=mark, strict=True)
                reason = f"has a quotation mark that is not closed or not doubled ({error})"
                yield FileRow(number, lines.position, error=reason)
                continue
            lines.end_record()
            if any(cell.strip() for cell in cells):
                yield _cell_row(number, lines.position, header, cells)


class _Lines:
    """The lines of a file. What a broken record took too many can be read again.

    `number` and `position` count the lines and bytes of the records that have ended.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self.number = 0
        self.position = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._file)
        self._taken.append(line)
        return line

    def end_record(self, lines: int | None = None) -> None:
        """A record has ended, with all lines that it took or the first few."""
        kept, rest = self._taken[:lines], self._taken[len(self._taken[:lines]) :]
        self.number += len(kept)
        self.position += sum(len(line.encode(errors="surrogateescape")) for line in kept)
        self._again.extendleft(reversed(rest))
        self._taken = []


def _open_excel(path: Path, shown: str) -> RowFile:
    with _as_excel(shown):
        _check_archive(path, shown)
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        with _as_excel(shown):
            sheet = book.worksheets[0]
            rows = sheet.iter_rows(values_only=True)
            header = _header(shown, [str(cell or "") for cell in next(rows, ())])
            total = sheet.max_row or 0
    except UnreadableFile:
        book.close()
        raise
    rest = _excel_rows(book, rows, header, shown)
    return RowFile(Path(shown).name, rest, total, "rows", header)


@contextmanager
def _as_excel(shown: str) -> Iterator[None]:
    """What the reader of workbooks raises for a damaged one, as our own error."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        InvalidFileException,
        ParseError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        EOFError,
        RuntimeError,
    ) as error:
        raise UnreadableFile(
            f"{shown} is not an Excel file (.xlsx) that can be read: {error}. Open it in Excel and "
            "save it again, or save it as CSV UTF-8."
        ) from error


def _check_archive(path: Path, shown: str) -> None:
    """What is read whole when a workbook is opened, and a sheet, are of a size to be read."""
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            is_sheet = part.filename.startswith("xl/worksheets/")
            if part.file_size > (MAX_SHEET if is_sheet else MAX_PART):
                raise UnreadableFile(
                    f"{shown} holds {part.file_size:,} bytes in {part.filename}, more than is "
                    "read of a workbook. Save it as CSV UTF-8."
                )
            packed = part.file_size > MAX_PACKED * max(1, part.compress_size)
            if packed and part.file_size > SMALL_PART:
                raise UnreadableFile(
                    f"{shown} holds {part.file_size:,} bytes packed into {part.compress_size:,} in "
                    f"{part.filename}, as no workbook of texts is. Save it as CSV UTF-8."
                )


def _excel_rows(
    book: openpyxl.Workbook, rows: Iterator[tuple[Any, ...]], header: Sequence[str], shown: str
) -> Generator[FileRow, None, None]:
    with closing(book), _as_excel(shown):
        for number, row in enumerate(rows, start=2):
            cells = [str(cell) if isinstance(cell, int | float) else cell for cell in row]
            if any(cell not in {None, ""} for cell in cells):
                yield _cell_row(number, number, header, cells)


def _header(shown: str, cells: Sequence[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    if not any(cell.lower() in ALIASES["description"] for cell in header):
        found = ", ".join(cell for cell in header if cell)[:200] or "none"
        raise UnreadableFile(
            f"{shown} has no column for the description; its first row has: {found}. Name one "
            f"column {' or '.join(ALIASES['description'])}."
        )
    repeated = {cell for cell in header if cell and header.count(cell) > 1}
    if repeated:
        raise UnreadableFile(f"{shown} has the column {', '.join(sorted(repeated))} twice.")
    return header


def _cell_row(number: int, position: int, header: Sequence[str], cells: Sequence[Any]) -> FileRow:
    if any(isinstance(cell, str) and _NOT_UTF8.search(cell) for cell in cells):
        return FileRow(number, position, error="is not in UTF-8; save the file as CSV UTF-8")
    extra = [cell for cell in cells[len(header) :] if cell not in {None, ""}]
    if extra:
        reason = (
            f"has {len(cells)} cells under {len(header)} columns; put text that holds the "
            "separator in quotation marks"
        )
        return FileRow(number, position, error=reason)
    pairs = zip(header, cells, strict=False)
    return FileRow(
        number, position, {name: value for name, value in pairs if name and value not in {None, ""}}
    )


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """The rows are in the file, in the form that its suffix names. Returns how many."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UnreadableFile(f"{path} is of no known kind; write {', '.join(SUFFIXES)}.")
    if suffix == ".xlsx":
        return _write_excel(path, rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        if suffix in {".jsonl", ".ndjson"}:
            return write_json_lines(file, rows)
        writer = csv.writer(file, delimiter="\t" if suffix == ".tsv" else ",")
        writer.writerow(ALIASES)
        return sum(bool(writer.writerow(_cells(row))) for row in rows)


def write_json_lines(file: IO[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """The rows are written one to a line. Returns how many."""
    return sum(bool(file.write(json.dumps(row, ensure_ascii=False) + "\n")) for row in rows)


def _write_excel(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    with excel_file(path) as add:
        return sum(bool(add(row)) for row in rows)


@contextmanager
def excel_file(target: Path | IO[bytes]) -> Iterator[Callable[[Mapping[str, Any]], int]]:
    """Rows are added by what is given, which tells their number, and are in the file afterwards.

    Until then they lie on disk, however many there are.
    """
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("scenarios")
    sheet.append(list(ALIASES))
    numbers = count(1)

    def add(row: Mapping[str, Any]) -> int:
        sheet.append([_excel_cell(sheet, row["id"], text) for text in _cells(row)])
        return next(numbers)

    try:
        yield add
    finally:
        # Saved come what may: nothing else removes what lies on disk.
        sheet.close()
        book.save(target)


def _excel_cell(sheet: Any, scenario: str, text: str) -> Cell:
    if len(text) > EXCEL_CELL:
        raise UnreadableFile(
            f"a text of scenario {scenario} has {len(text):,} characters, and a cell of Excel "
            f"holds {EXCEL_CELL:,}. Export to CSV or JSON Lines."
        )
    cell: Cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"  # a text that begins with "=" is no formula
    return cell


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [cell_text(row[name]) for name in ALIASES]


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
