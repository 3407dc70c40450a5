"""What every form of file becomes: rows, and how they were read."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from staffroom.content.mapping import SERVICE_COLUMNS, guess
from staffroom.database.batch import Row
from staffroom.errors import InvalidScenario, UnreadableFile
from staffroom.scenario import ALIASES

SAMPLE_ROWS: Final = 20
"""Rows at the beginning of a table among which its header is looked for."""

MAX_RAW: Final = 1_000_000
"""Characters of a broken row that are kept, so that it can be mended."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read; what is empty is found out. `header_row` counts from 1.

    `mapping` says for columns which field they hold, "" for none; columns that it does not name
    mean what they are called. `guessed` names what was found out and nobody can know for certain.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    header_row: int = 0
    guessed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of a file: its values, or the error that keeps it from being a scenario.

    `position` is what of the file has been read, in bytes or rows. `given` are the values as the
    file has them, where a mapping gave them other names. `part` tells where the row is, if its
    number does not: which file of an archive or folder, and `part_row` which row of that.
    """

    number: int
    position: int
    values: Row = field(default_factory=dict)
    error: InvalidScenario | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""
    part_row: int = 0

    @property
    def place(self) -> str:
        """Where the row is, if its number does not tell that."""
        return f"{self.part}, row {self.part_row}" if self.part_row else self.part


@dataclass(frozen=True, slots=True)
class RowFile:
    """Rows that are about to be read. `total` is in the unit of their positions, 0 if unknown.

    `columns` are those of a table, and `reading` is how it is read. Reading a file may take long,
    and is done in a thread.
    """

    name: str
    rows: Generator[FileRow, None, None]
    total: int
    unit: Literal["bytes", "rows"]
    columns: Sequence[str] = ()
    in_thread: bool = True
    reading: Reading = field(default_factory=Reading)
    sheets: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be read: where it lies, what people call it, and how it is to be read.

    `needs_description` is false for whoever only wants to see its columns, and `is_part` true
    for a file of an archive, which need not have every column that is mapped.
    """

    path: Path
    shown: str
    reading: Reading
    needs_description: bool = True
    is_part: bool = False

    @property
    def name(self) -> str:
        """Its name without folders."""
        return Path(self.shown).name

    def refused(self, what: str, code: str = "", **values: str | int) -> UnreadableFile:
        """The error that it cannot be read."""
        return UnreadableFile(f"{self.shown} {what}", code, **values)


def described(source: Source, cells: Sequence[str]) -> bool:
    """One of the columns holds the description, by the mapping or by its name."""
    mapping = source.reading.mapping
    return any(
        mapping.get(cell, "description" if cell.lower() in ALIASES["description"] else "")
        == "description"
        for cell in cells
    )


def header_at(source: Source, rows: Sequence[Sequence[str]]) -> int:
    """The index of the header among the first rows: the one given, the first that has a column
    for the description, or else the first with several cells."""
    if source.reading.header_row:
        return source.reading.header_row - 1
    names = [[cell.strip() for cell in cells] for cells in rows[:SAMPLE_ROWS]]
    wanted = [described(source, cells) for cells in names]
    several = [sum(map(bool, cells)) > 1 for cells in names]
    some = [any(cells) for cells in names]
    return next((has.index(True) for has in (wanted, several, some) if any(has)), 0)


def header(source: Source, cells: Sequence[str]) -> list[str]:
    """The names of the columns. Raises: UnreadableFile without one for the description."""
    names = [cell.strip() for cell in cells]
    found = ", ".join(name for name in names if name)[:200] or "none"
    missing = [name for name in source.reading.mapping if name not in names]
    if missing and source.needs_description and not source.is_part:
        reason = f"has no column {missing[0]!r} to map; its columns are: {found}."
        raise source.refused(reason, "column_missing", column=missing[0], found=found)
    if not described(source, names) and source.needs_description:
        raise source.refused(
            f"has no column for the description; its header has: {found}. Map one to it, for "
            f"example {_likely(names)}=description, or name it "
            f"{' or '.join(ALIASES['description'])}.",
            "no_description",
            found=found,
        )
    repeated = {name for name in names if name and names.count(name) > 1}
    if repeated:
        column = ", ".join(sorted(repeated))
        raise source.refused(f"has the column {column} twice.", "column_twice", column=column)
    if not any(names):
        raise source.refused(
            f"has no names of columns in row {source.reading.header_row or 1}. Say in which row "
            "its header is.",
            "no_names",
            row=source.reading.header_row or 1,
        )
    return names


def _likely(names: Sequence[str]) -> str:
    found = [each.column for each in guess(names, {}) if each.field == "description"]
    return (found or [name for name in names if name] or ["COLUMN"])[0]


def cell_values(names: Sequence[str], cells: Sequence[Any]) -> dict[str, Any]:
    """The cells under their names; empty ones are left out."""
    pairs = zip(names, cells, strict=False)
    return {name: value for name, value in pairs if name and value not in (None, "")}


def wrong(code: str, reason: str, **values: str | int) -> InvalidScenario:
    """What is wrong with a row as a whole."""
    return InvalidScenario("", code, reason, **values)


def raw_row(number: int, position: int, error: InvalidScenario, raw: str) -> FileRow:
    """A row that could not be read, with what it was, unless that is too long to be mended."""
    return FileRow(number, position, {"raw": raw} if len(raw) <= MAX_RAW else {}, error)


def raw_of(values: Mapping[str, Any]) -> str:
    """What a row of refused rows was, if it could not be read and has nothing else."""
    raw = values.get("raw")
    others = values.keys() - SERVICE_COLUMNS
    return raw if isinstance(raw, str) and not others else ""
