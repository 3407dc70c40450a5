"""Rows enter the library in batches; one bad row costs one row.

Each batch is one transaction and rows that the library already has are skipped,
so an import that was killed is finished by running it again.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from staffroom.config import BATCH_SIZE
from staffroom.content.batching import next_batch
from staffroom.content.formats import FileRow, RowFile, open_rows, raw_of
from staffroom.content.threads import in_thread
from staffroom.database.batch import (
    Effect,
    NumberedContent,
    Row,
    RowEffect,
    RowReader,
    duplicates_of,
    errors_of,
    given_name,
    refused,
    report,
)
from staffroom.database.connection import Connection
from staffroom.database.items import NOT_AHEAD, Ahead
from staffroom.database.parts import one_ahead
from staffroom.database.seen import SeenKeys
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import UnavailableError
from staffroom.monitoring.metrics import IMPORT_ROWS
from staffroom.scenario import unknown_fields
from staffroom.types import ImportReport, Progress, ProgressListener, RowError

MAX_IGNORED: Final = 50
"""Meaningless columns that are told: each line of a JSON file may bring others."""

MAX_DUPLICATES: Final = 1_000
"""Rows that are named because another scenario says the same; all are counted."""

MAX_LISTED: Final = 10_000
"""Refused rows that a report lists; all are counted."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of some rows, in the order of the file."""

    rows: Sequence[FileRow]
    effects: Sequence[RowEffect]
    position: int


Within = Callable[[Connection | None, Batch], Awaitable[None]]
"""What else belongs into the transaction that stored the rows of a batch; into one of its own, if
nothing was stored and there is none."""


@dataclass(frozen=True, slots=True)
class _Read:
    """Rows of a file: the valid ones, with what was embedded of them, and the others' effects."""

    rows: Sequence[FileRow]
    valid: Sequence[NumberedContent]
    others: Sequence[RowEffect]
    ahead: Ahead = NOT_AHEAD

    def between(self, after: int, last: int, effects: Sequence[RowEffect]) -> Batch:
        """The rows after a number, up to another, whose valid ones had those effects."""
        rows = [row for row in self.rows if after < row.number <= last]
        others = [effect for effect in self.others if after < effect.row <= last]
        in_order = sorted([*effects, *others], key=lambda effect: effect.row)
        return Batch(rows, _placed(rows, in_order), rows[-1].position)


@dataclass(slots=True)
class Importer:
    """One import: what was read, stored and refused so far.

    When the database or the model fails, nothing of that batch is counted, and nothing after it is
    read: running the import again goes on from there. New rows that say the same as another
    scenario are left out and named, unless duplicates are kept. `reason` is kept with each
    revision. `within` hears of every row once, in the order of the file.
    """

    vector_ops: VectorOperations
    batch_size: int = BATCH_SIZE
    dry_run: bool = False
    keep_duplicates: bool = False
    progress: ProgressListener | None = None
    reason: str = ""
    within: Within | None = None
    stopped: str = ""
    errors: list[RowError] = field(default_factory=list)
    duplicates: list[RowError] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)
    guessed: list[str] = field(default_factory=list)
    counts: Counter[Effect] = field(default_factory=Counter)

    async def import_rows(self, rows: Iterable[Row], name: str = "rows") -> ImportReport:
        """Every valid row is in the library; rows are numbered from 1."""
        total = len(rows) if isinstance(rows, Sequence) else 0
        numbered = (FileRow(number, number, row) for number, row in enumerate(rows, start=1))
        source = RowFile(name, numbered, total, "rows", in_thread=False)
        return await self.import_opened([source])

    async def import_file(self, path: Path) -> ImportReport:
        """Every valid row of the file is in the library. Raises: UnreadableFile."""
        return await self.import_opened([open_rows(path)])

    async def import_opened(self, sources: Iterable[RowFile]) -> ImportReport:
        """Every valid row of the opened files is in the library, unless the database or the model
        fails; then the report says so."""
        for source in sources:
            if source.reading.guessed:
                self.guessed.append(f"{source.name} was read as {source.reading.encoding}")
            try:
                async with aclosing(self.batches(source)) as batches:
                    async for batch in batches:
                        self._list(source, batch)
            except UnavailableError as error:
                self.stopped = str(error)
        return self.report()

    def report(self) -> ImportReport:
        """What became of all rows that were read."""
        result = report(self.counts, self.errors)
        if self.stopped:
            result["stopped"] = self.stopped
            result["status"] = "partial" if result["read"] > result["failed"] else "error"
        if self.duplicates:
            result["duplicates"] = self.duplicates
        if self.ignored:
            result["ignored"] = sorted(self.ignored)
        if self.guessed:
            result["guessed"] = self.guessed
        return result

    async def batches(self, source: RowFile, skip: int = 0) -> AsyncGenerator[Batch, None]:
        """The rows are stored batch by batch, each told as soon as it is; then the file is closed.

        While one batch is stored, the next one is read, checked and embedded. Whoever stops in
        between has stored what was told, and no part of a batch. As many rows as are skipped are
        read again, for what later ones may repeat, and left alone.
        Raises: UnavailableError if the database or the model fails.
        """
        with closing(source.rows), closing(SeenKeys()) as seen, closing(SeenKeys()) as contents:
            reader = RowReader(seen, contents)
            self._tell(source, 0)
            while skip and (rows := (await self._read(source, reader, skip)).rows):
                skip -= len(rows)
            async with one_ahead(partial(self._prepare, source, reader)) as following:
                while not self.stopped and (read := await following()).rows:
                    batch = await self._store(read)
                    self._count(batch)
                    self._tell(source, batch.position)
                    yield batch

    def _count(self, batch: Batch) -> None:
        effects = Counter(effect.effect for effect in batch.effects)
        self.counts.update(effects)
        for effect, rows in effects.items():
            if not self.dry_run:
                IMPORT_ROWS.labels(effect).inc(rows)

    async def _prepare(self, source: RowFile, reader: RowReader) -> _Read:
        """The next rows. What the library will lack of them as far as can be seen is embedded."""
        read = await self._read(source, reader, self.batch_size)
        if self.dry_run:
            return read
        repeated = await self._repeated(read.valid)
        due = [row.content for row in read.valid if row.row not in repeated]
        return replace(read, ahead=await self.vector_ops.embed_ahead(due))

    async def _read(self, source: RowFile, reader: RowReader, most: int) -> _Read:
        following = partial(self._next, source, reader, min(most, self.batch_size))
        return await in_thread(following) if source.in_thread else following()

    def _next(self, source: RowFile, reader: RowReader, most: int) -> _Read:
        rows = next_batch(source.rows, most)
        for row in rows:
            given = row.given or row.values
            if not isinstance(given, Mapping) or len(self.ignored) >= MAX_IGNORED:
                continue
            # What could not be parted into cells has none that could mean anything.
            if not raw_of(given):
                names = [name for name in given if name not in source.reading.mapping]
                self.ignored.update(unknown_fields(names)[:MAX_IGNORED])
        valid, others = reader.read((row.number, row.values) for row in rows if not row.error)
        others += [
            refused(row.number, given_name(row.values), row.error) for row in rows if row.error
        ]
        return _Read(rows, valid, others)

    def _list(self, source: RowFile, batch: Batch) -> None:
        for error in errors_of(batch.effects)[: MAX_LISTED - len(self.errors)]:
            self.errors.append({**error, "file": source.name})
        for same in duplicates_of(batch.effects)[: MAX_DUPLICATES - len(self.duplicates)]:
            self.duplicates.append({**same, "file": source.name})

    def _tell(self, source: RowFile, done: int) -> None:
        if self.progress:
            total = source.total or None
            self.progress(Progress(f"Importing {source.name}", done, total, source.unit))

    async def _repeated(self, rows: Sequence[NumberedContent]) -> Mapping[int, RowEffect]:
        return {} if self.keep_duplicates else await self.vector_ops.repeated(rows)

    async def _store(self, read: _Read) -> Batch:
        repeated = await self._repeated(read.valid)
        due = [row for row in read.valid if row.row not in repeated]
        read = replace(read, valid=due, others=[*read.others, *repeated.values()])
        end = read.rows[-1].number
        if self.dry_run or not due:
            batch = read.between(-1, end, await self.vector_ops.preview(due) if due else [])
            if self.within:
                await self.within(None, batch)
            return batch
        told_to = -1

        async def told(connection: Connection, effects: Sequence[RowEffect]) -> None:
            nonlocal told_to
            assert self.within
            # What follows the last valid row is told with it: no transaction comes after it.
            last = effects[-1].row
            last = end if last == due[-1].row else last
            await self.within(connection, read.between(told_to, last, effects))
            told_to = last

        effects = await self.vector_ops.store_numbered(
            due, reason=self.reason, told=told if self.within else None, ahead=read.ahead
        )
        return read.between(-1, end, effects)


def _placed(rows: Sequence[FileRow], effects: list[RowEffect]) -> list[RowEffect]:
    """The reasons of refused rows tell where the rows are, if their numbers do not."""
    placed = {row.number: row for row in rows if row.part}
    return [
        replace(
            effect,
            reason=f"{effect.reason} (in {placed[effect.row].place})",
            values={
                **effect.values,
                "part": placed[effect.row].part,
                "part_row": placed[effect.row].part_row,
            },
        )
        if effect.effect == "invalid" and effect.row in placed
        else effect
        for effect in effects
    ]
