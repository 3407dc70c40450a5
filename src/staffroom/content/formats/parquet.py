"""Parquet files, whose reader runs in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any, Final

from staffroom.content.formats.rows import FileRow, RowFile, Source, cell_values, header

MAX_LINE: Final = 50_000_000
"""Characters of a row. One that is longer is no scenario."""

_CHILD: Final = Path(__file__).with_name("parquet_child.py")


def open_parquet(source: Source) -> RowFile:
    """The rows of a Parquet file. Raises: UnreadableFile."""
    with _child(source) as output:
        columns = header(source, _line(source, output) or [])
    return RowFile(source.name, _rows(source, columns), 0, "rows", columns, reading=source.reading)


def _rows(source: Source, columns: Sequence[str]) -> Generator[FileRow, None, None]:
    with _child(source) as output:
        _line(source, output)
        for number in count(1):
            cells = _line(source, output)
            if cells is None:
                return
            values = cell_values(columns, [None if cell == [] else cell for cell in cells])
            if values:
                yield FileRow(number, number, values)


@contextmanager
def _child(source: Source) -> Iterator[IO[str]]:
    """What the reader writes. At the end it is gone, and has ended well or was not needed."""
    process = subprocess.Popen(
        [sys.executable, "-P", str(_CHILD), str(source.path.absolute())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    output = process.stdout
    assert output
    try:
        yield output
    finally:
        process.kill()
        output.close()
        process.wait()


def _line(source: Source, output: IO[str]) -> list[Any] | None:
    """The next row; None after the last. Raises: UnreadableFile if the reader has died."""
    line = output.readline(MAX_LINE)
    if not line.endswith("\n"):
        raise source.refused(
            "is not a Parquet file that can be read, or its rows are too large. Write it anew "
            "with smaller row groups, or as JSON Lines.",
            "no_parquet",
        )
    cells: list[Any] | None = json.loads(line)
    return cells
