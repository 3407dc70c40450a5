"""Files become rows, and scenarios files: JSON Lines, CSV, Excel, Parquet, Markdown, ZIP of these.

Reading is lazy, so that memory stays flat, and a bad row is a row with an error,
never the end of the file.
"""

from staffroom.content.formats.encodings import ENCODINGS
from staffroom.content.formats.opening import SUFFIXES, Inspection, inspect, open_rows
from staffroom.content.formats.rows import FileRow, Reading, RowFile, raw_of
from staffroom.content.formats.writing import (
    cell_text,
    excel_file,
    guarded,
    write_json_lines,
    write_rows,
)

__all__ = [
    "ENCODINGS",
    "SUFFIXES",
    "FileRow",
    "Inspection",
    "Reading",
    "RowFile",
    "cell_text",
    "excel_file",
    "guarded",
    "inspect",
    "open_rows",
    "raw_of",
    "write_json_lines",
    "write_rows",
]
