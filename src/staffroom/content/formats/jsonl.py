"""JSON Lines: one scenario to a line."""

import json
from collections.abc import Generator
from dataclasses import replace
from itertools import count
from typing import Final

from staffroom.content.formats.encodings import (
    SPOILT,
    bom_size,
    detect,
    encoding_named,
    open_text,
    readable,
    width,
)
from staffroom.content.formats.rows import FileRow, RowFile, Source, raw_of, raw_row, wrong

MAX_LINE: Final = 10_000_000
"""Characters. One that is longer is no scenario, and not read into memory."""

_LINE_END: Final = "\n"


def open_json_lines(source: Source, size: int) -> RowFile:
    """The rows of a file of JSON Lines."""
    reading = source.reading
    encoding, is_guess = reading.encoding and encoding_named(reading.encoding), False
    if not encoding:
        encoding, is_guess = detect(source.path)
    return RowFile(
        source.name,
        _rows(source, encoding),
        size,
        "bytes",
        reading=replace(
            reading,
            encoding=encoding,
            guessed=("encoding",) if is_guess else reading.guessed,
        ),
    )


def _rows(source: Source, encoding: str) -> Generator[FileRow, None, None]:
    position = bom_size(source.path)
    with open_text(source.path, encoding, newline=_LINE_END) as file:
        for number in count(1):
            line = file.readline(MAX_LINE + 1)
            if not line:
                return
            position += width(line, encoding)
            if len(line) > MAX_LINE and not line.endswith(_LINE_END):
                while (rest := file.readline(MAX_LINE)) and not rest.endswith(_LINE_END):
                    position += width(rest, encoding)
                position += width(rest, encoding)
                reason = "is longer than {most:,} characters; write one scenario to a line"
                refused = wrong("row_too_long", reason, most=MAX_LINE)
                yield FileRow(number, position, error=refused)
            elif line.strip():
                yield _row(number, position, line.rstrip("\r\n"), encoding)


def _row(number: int, position: int, line: str, encoding: str) -> FileRow:
    spoilt = SPOILT.search(line)
    if spoilt:
        at = width(line[: spoilt.start()], encoding) + 1
        reason = "is not {encoding} at byte {at}; save the file as UTF-8, or name its encoding"
        refused = wrong("encoding_at", reason, encoding=encoding.upper(), at=at)
        return raw_row(number, position, refused, readable(line))
    try:
        values = json.loads(line)
        if isinstance(values, dict) and (raw := raw_of(values)):
            line = raw
            values = json.loads(line)
    except (ValueError, RecursionError) as error:
        at = error.pos + 1 if isinstance(error, json.JSONDecodeError) else 1
        reason = "is not JSON: {error}; write one whole object to a line"
        refused = wrong("no_json", reason, error=str(error), at=at)
        return raw_row(number, position, refused, line)
    if not isinstance(values, dict):
        reason = "is a JSON {kind}, not an object"
        refused = wrong("no_json_object", reason, kind=type(values).__name__)
        return raw_row(number, position, refused, line)
    return FileRow(number, position, values)
