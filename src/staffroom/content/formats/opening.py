"""A file is opened by what its name says, and looked into before it is imported."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from staffroom.content.formats.archive import open_zip, unpacked_files
from staffroom.content.formats.delimited import delimiter_named, open_delimited
from staffroom.content.formats.encodings import encoding_named
from staffroom.content.formats.jsonl import open_json_lines
from staffroom.content.formats.markdown import MARKDOWN, open_folder, open_markdown
from staffroom.content.formats.parquet import open_parquet
from staffroom.content.formats.rows import FileRow, Reading, RowFile, Source
from staffroom.content.formats.writing import cell_text
from staffroom.content.mapping import NAMED, Guess, check_mapping, guess, mapped
from staffroom.errors import UnreadableFile

JSON_LINES: Final = (".jsonl", ".ndjson")
TEXT_TABLES: Final = (".csv", ".tsv")
ALONE: Final = (*JSON_LINES, *TEXT_TABLES, ".xlsx", ".parquet", *MARKDOWN)
SUFFIXES: Final = (*ALONE, ".zip")

LOOKED_AT: Final = 20
SAMPLES: Final = 3
SAMPLE_LENGTH: Final = 200
MAX_COLUMNS: Final = 200
LOOKED_AT_FILES: Final = 10

_ZIP_MAGIC: Final = b"PK\x03\x04"
_AS_READ: Final = Reading()


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file is and how it would be read: its columns with what they probably hold."""

    form: str
    reading: Reading
    sheets: tuple[str, ...]
    columns: tuple[Guess, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The fields that every scenario has and no column holds."""
        held = {column.field for column in self.columns}
        return () if "description" in held else ("description",)

    def mapped(self, mapping: Mapping[str, str]) -> "Inspection":
        """The same, with the columns that the mapping names holding what it says."""
        taken = {name for name in mapping.values() if name}
        columns = []
        for each in self.columns:
            if each.column in mapping:
                columns.append(replace(each, field=mapping[each.column], confidence=NAMED))
            elif each.field in taken:
                columns.append(replace(each, field="", confidence=0.0))
            else:
                columns.append(each)
        reading = replace(self.reading, mapping=mapping)
        return replace(self, columns=tuple(columns), reading=reading)


def open_rows(path: Path, name: str = "", *, reading: Reading = _AS_READ) -> RowFile:
    """The rows of an import file, by its suffix. It is called by the name, or else by its path.

    Raises: UnreadableFile if there is no such file, it is empty, of an unknown kind,
        not what its name says, or has no column for the description; InputError if it cannot be
        read in the way that is asked for.
    """
    opened = _open(Source(path, name or str(path), reading))
    return (
        replace(opened, rows=_mapped(opened.rows, reading.mapping)) if reading.mapping else opened
    )


def inspect(path: Path, name: str = "", *, reading: Reading = _AS_READ) -> Inspection:
    """How the file would be read, told by its first rows. Raises: as open_rows."""
    source = Source(path, name or str(path), reading, needs_description=False)
    opened = _open(source)
    files: Iterable[RowFile] = [opened]
    if path.suffix.lower() == ".zip":
        opened.rows.close()
        files = islice(unpacked_files(source, _open_part, ALONE), LOOKED_AT_FILES)
    samples: dict[str, list[str]] = {}
    for file in files:
        samples.update({name: [] for name in file.columns if name and name not in samples})
        # What is damaged further on is told by the import, row by row.
        with closing(file.rows), suppress(UnreadableFile):
            _sample(file.rows, samples)
    columns = [*samples][:MAX_COLUMNS]
    found = Inspection(
        path.suffix.lower().removeprefix("."),
        opened.reading,
        tuple(opened.sheets),
        tuple(guess(columns, samples)),
    )
    return found.mapped(reading.mapping)


def _sample(rows: Iterable[FileRow], samples: dict[str, list[str]]) -> None:
    for row in islice(rows, LOOKED_AT):
        values = row.values if isinstance(row.values, Mapping) and not row.error else {}
        for name, value in values.items():
            cells = samples.setdefault(str(name), [])
            text = cell_text(value) if isinstance(value, str | list) else str(value)
            if len(cells) < SAMPLES and text:
                cells.append(text[:SAMPLE_LENGTH])


def _open(source: Source) -> RowFile:
    path = source.path
    check_mapping(source.reading.mapping)
    delimiter_named(source.reading.delimiter)
    if source.reading.encoding:
        encoding_named(source.reading.encoding)
    try:
        if path.is_dir():
            return open_folder(source)
        return _open_file(source)
    except FileNotFoundError as error:
        raise UnreadableFile(f"there is no file {source.shown}.") from error
    except OSError as error:
        raise source.refused(f"cannot be read: {error.strerror}.") from error


def _open_file(source: Source) -> RowFile:
    suffix = source.path.suffix.lower()
    if suffix not in SUFFIXES:
        raise source.refused(f"is of no known kind; write {', '.join(SUFFIXES)}.")
    size = source.path.stat().st_size
    with source.path.open("rb") as file:
        beginning = file.read(len(_ZIP_MAGIC))
    if not beginning:
        raise source.refused("is empty.", "empty")
    if suffix == ".xlsx":
        from staffroom.content.formats.excel import open_excel  # noqa: PLC0415 - slow to load

        return open_excel(source)
    if suffix == ".parquet":
        return open_parquet(source)
    if suffix == ".zip":
        return open_zip(source, _open_part, ALONE)
    if beginning == _ZIP_MAGIC:
        raise source.refused("is an Excel file or an archive, not text.", "packed")
    if suffix in TEXT_TABLES:
        return open_delimited(source, size)
    return (open_markdown if suffix in MARKDOWN else open_json_lines)(source, size)


def _open_part(path: Path, name: str, archive: Source) -> RowFile:
    """A file of an archive, where it was unpacked. Sheets and headers are its own."""
    reading = replace(archive.reading, sheet="", header_row=0)
    return _open(replace(archive, path=path, shown=name, reading=reading, is_part=True))


def _mapped(
    rows: Generator[FileRow, None, None], mapping: Mapping[str, str]
) -> Generator[FileRow, None, None]:
    try:
        for row in rows:
            given: Mapping[str, Any] = row.values if isinstance(row.values, Mapping) else {}
            yield row if row.error else replace(row, values=mapped(given, mapping), given=given)
    finally:
        rows.close()
