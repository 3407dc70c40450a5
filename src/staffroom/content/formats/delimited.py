"""Tables as text: CSV and its relatives, with any delimiter and in any encoding."""

import csv
import io
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import IO, Any, Final

from staffroom.content.formats.encodings import (
    SPOILT,
    bom_size,
    detect,
    encoding_named,
    open_text,
    readable,
    width,
)
from staffroom.content.formats.rows import (
    SAMPLE_ROWS,
    FileRow,
    RowFile,
    Source,
    cell_values,
    described,
    header,
    header_at,
    raw_of,
    raw_row,
    wrong,
)
from staffroom.content.formats.writing import unguarded
from staffroom.content.mapping import SERVICE_COLUMNS
from staffroom.errors import InputError, InvalidScenario
from staffroom.text import damage

DELIMITERS: Final = ",;\t|~^:"
"""Those that are recognised; any other character can be named."""

MAX_CELL: Final = 10_000_000
MAX_LINE: Final = 10_000_000
"""Characters. A line that is longer is no scenario, and not read into memory."""

SAMPLE: Final = 1 << 16
"""Characters at the beginning by which the delimiter is told."""


def open_delimited(source: Source, size: int) -> RowFile:
    """The rows of a table as text."""
    reading = source.reading
    encoding, is_guess = reading.encoding and encoding_named(reading.encoding), False
    if not encoding:
        encoding, is_guess = detect(source.path)
    with open_text(source.path, encoding) as file:
        sample = file.read(SAMPLE)
    first = sample.partition("\n")[0]
    if "\0" in first or SPOILT.search(first):
        raise source.refused(
            f"is not text in {encoding.upper()}. Save it as CSV UTF-8, or name its encoding.",
            "not_text",
            encoding=encoding.upper(),
        )
    mark = delimiter_named(reading.delimiter) or guess_delimiter(source, sample)
    rows = _sampled(sample, mark)
    if reading.header_row > SAMPLE_ROWS:
        reason = f"cannot have its header below row {SAMPLE_ROWS}."
        raise source.refused(reason, "header_low", most=SAMPLE_ROWS)
    at = header_at(source, rows)
    names = header(source, [unguarded(cell) for cell in rows[at]] if at < len(rows) else [])
    settled = replace(
        reading,
        encoding=encoding,
        delimiter=mark,
        header_row=at + 1,
        guessed=("encoding",) if is_guess else reading.guessed,
    )
    return RowFile(
        source.name,
        _rows(source, settled.encoding, mark, names, at + 1),
        size,
        "bytes",
        names,
        reading=settled,
    )


def delimiter_named(name: str) -> str:
    """The character that is meant. Raises: InputError if it cannot part cells."""
    mark = {"tab": "\t", "\\t": "\t"}.get(name.lower(), name)
    if len(mark) > 1 or mark in {'"', "\r", "\n"} or damage(mark):
        raise InputError(
            f"the delimiter {name[:50]!r} is not one character that can part cells. Write for "
            "example ; or tab."
        )
    return mark


def guess_delimiter(source: Source, sample: str) -> str:
    """The mark that parts the first rows into equally many cells, and the most of them."""
    best, most = ",", (False, 0.0, 0)
    for mark in DELIMITERS:
        rows = _sampled(sample, mark)
        [(cells, same)] = Counter(map(len, rows)).most_common(1) or [(0, 0)]
        if cells > 1:
            has_description = any(described(source, [*map(str.strip, row)]) for row in rows)
            score = (has_description, same / len(rows), cells)
            if score > most:
                best, most = mark, score
    return best


def _sampled(sample: str, mark: str) -> list[list[str]]:
    """The first rows, as far as they can be told. A row that the sample cuts off is none."""
    rows = []
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=mark)
    try:
        for row in reader:
            rows.append(row)
            if len(rows) > SAMPLE_ROWS:
                break
    except csv.Error:
        pass
    is_cut = len(sample) == SAMPLE and len(rows) <= SAMPLE_ROWS
    return rows[: -1 if is_cut and len(rows) > 1 else SAMPLE_ROWS]


def _rows(
    source: Source, encoding: str, mark: str, names: Sequence[str], skipped: int
) -> Generator[FileRow, None, None]:
    csv.field_size_limit(MAX_CELL)
    with open_text(source.path, encoding) as file:
        lines = Lines(file, encoding, bom_size(source.path))
        reader = csv.reader(lines, delimiter=mark, strict=True)
        while True:
            number = lines.number + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, _TooLong) as error:
                raw = lines.end_record(lines=1)
                reader = csv.reader(lines, delimiter=mark, strict=True)
                if skipped:
                    skipped -= 1
                else:
                    yield raw_row(number, lines.position, _refusal(error), readable(raw))
                continue
            raw = lines.end_record()
            if skipped:
                skipped -= 1
            elif any(cell.strip() for cell in cells):
                yield _row(number, lines.position, names, cells, raw)


def _refusal(error: Exception) -> InvalidScenario:
    if isinstance(error, _TooLong):
        reason = "is a line longer than {most:,} characters; split it"
        return wrong("row_too_long", reason, most=MAX_LINE)
    if "field limit" in str(error):
        reason = "holds a cell longer than {most:,} characters; shorten it, or close its quotes"
        return wrong("cell_too_long", reason, most=MAX_CELL)
    reason = "has a quotation mark that is not closed or not doubled ({error})"
    return wrong("quotes", reason, error=str(error))


def _row(
    number: int, position: int, names: Sequence[str], cells: Sequence[str], raw: str
) -> FileRow:
    if any(cells[len(names) :]):
        reason = (
            "has {cells} cells under {columns} columns; put text that holds the delimiter in "
            "quotation marks"
        )
        refusal = wrong("cells", reason, cells=len(cells), columns=len(names))
        return raw_row(number, position, refusal, readable(raw))
    values = cell_values(names, [unguarded(cell) for cell in cells])
    if any(map(SPOILT.search, cells)):
        values = {name: readable(value) for name, value in values.items()}
        reason = "is not in the file's encoding; save the file as CSV UTF-8, or name its encoding"
        return FileRow(number, position, values, wrong("encoding", reason))
    refused = raw_of(values)
    return FileRow(number, position, _mended(refused, names) if refused else values)


def _mended(raw: str, names: Sequence[str]) -> Mapping[str, Any]:
    """The cells of a row that had been refused as a whole, whichever delimiter it had."""
    own = [name for name in names if name not in SERVICE_COLUMNS]
    for mark in DELIMITERS:
        rows = list(csv.reader(io.StringIO(raw, newline=""), delimiter=mark))
        if len(rows) == 1 and len(rows[0]) == len(own):
            return cell_values(own, [unguarded(cell) for cell in rows[0]])
    return {"raw": raw}


class _TooLong(Exception):
    """A line is longer than is read."""


class Lines:
    """The lines of a file. What a broken record took too many can be read again.

    `number` and `position` count the lines and bytes of the records that have ended.
    """

    def __init__(self, file: IO[str], encoding: str, position: int) -> None:
        self._file = file
        self._encoding = encoding
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self.number = 0
        self.position = position

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._file.readline(MAX_LINE + 1)
        if not line:
            raise StopIteration
        self._taken.append(line)
        if len(line) > MAX_LINE:
            self._pass_over()
            raise _TooLong
        return line

    def end_record(self, lines: int | None = None) -> str:
        """A record has ended, with all lines that it took or the first few. Returns them."""
        kept, rest = self._taken[:lines], self._taken[len(self._taken[:lines]) :]
        self.number += len(kept)
        self.position += sum(width(line, self._encoding) for line in kept)
        self._again.extendleft(reversed(rest))
        self._taken = []
        return "".join(kept)

    def _pass_over(self) -> None:
        """The rest of the long line is read, and what it was forgotten."""
        line = self._taken[-1]
        if not line.endswith("\n"):
            while (line := self._file.readline(MAX_LINE)) and not line.endswith("\n"):
                self.position += width(line, self._encoding)
            self.position += width(line, self._encoding) - 1
            self._taken[-1] += "\n"  # should it be taken again, nothing is passed over
