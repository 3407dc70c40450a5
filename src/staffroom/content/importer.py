"""Rows enter the library in batches; one bad row costs one row.

Each batch is one transaction and rows that the library already has are skipped,
so an import that was killed is finished by running it again.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from staffroom.config import BATCH_SIZE
from staffroom.content.formats import FileRow, RowFile, open_rows
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
    report,
)
from staffroom.database.library import WithinRows
from staffroom.database.seen import SeenKeys
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import UnavailableError
from staffroom.scenario import unknown_fields
from staffroom.types import ImportReport, Progress, ProgressListener, RowError

MAX_IGNORED: Final = 50
"""Meaningless columns that are told: each line of a JSON file may bring others."""

MAX_DUPLICATES: Final = 1_000
"""Rows that are named because another scenario says the same; all are counted."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of the rows of one batch, in the order of the file."""

    rows: Sequence[FileRow]
    effects: Sequence[RowEffect]
    position: int


@dataclass(slots=True)
class Importer:
    """One import: what was read, stored and refused so far.

    When the database or the model fails, the rows of that batch are listed with the
    reason, and nothing after it is read: running the import again goes on from there. A patient
    import raises that failure instead: whoever runs it tries again.
    New rows that say the same as another scenario are left out and named, unless duplicates are
    kept. `reason` is kept with each revision, and `within` joins each transaction. Rows up to
    `after` were done with before: they are checked and counted, but not stored again; `refused`
    are those of them that were refused.
    """

    vector_ops: VectorOperations
    batch_size: int = BATCH_SIZE
    dry_run: bool = False
    keep_duplicates: bool = False
    progress: ProgressListener | None = None
    reason: str = ""
    within: WithinRows | None = None
    patient: bool = False
    after: int = 0
    refused: Mapping[int, RowEffect] = field(default_factory=dict)
    stopped: str = ""
    errors: list[RowError] = field(default_factory=list)
    duplicates: list[RowError] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)
    guessed: list[str] = field(default_factory=list)
    counts: Counter[Effect] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        """Rows that were read so far."""
        return self.counts.total()

    @property
    def stored(self) -> int:
        """Rows that changed the library, or would."""
        return self.counts["new"] + self.counts["changed"]

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
        """Every valid row of the opened files is in the library."""
        for source in sources:
            if source.reading.guessed:
                self.guessed.append(f"{source.name} was read as {source.reading.encoding}")
            async with aclosing(self.batches(source)) as batches:
                async for batch in batches:
                    for error in errors_of(batch.effects):
                        self.errors.append({**error, "file": source.name})
                    room = MAX_DUPLICATES - len(self.duplicates)
                    for same in duplicates_of(batch.effects)[:room]:
                        self.duplicates.append({**same, "file": source.name})
        return self.report()

    def report(self) -> ImportReport:
        """What became of all rows that were read."""
        result = report(self.read, self.stored, self.errors)
        if self.stopped:
            result["stopped"] = self.stopped
        if self.duplicates:
            result["duplicates"] = self.duplicates
        if self.ignored:
            result["ignored"] = sorted(self.ignored)
        if self.guessed:
            result["guessed"] = self.guessed
        return result

    async def batches(self, source: RowFile) -> AsyncGenerator[Batch, None]:
        """The rows are stored batch by batch, each told as soon as it is; then the file is closed.

        Whoever stops in between has stored what was told, and no part of a batch.
        """
        with closing(source.rows), closing(SeenKeys()) as seen, closing(SeenKeys()) as contents:
            reader = RowReader(seen, contents)
            self._tell(source, 0)
            while not self.stopped:
                following = partial(self._next, source, reader)
                rows, valid, others = (
                    await in_thread(following) if source.in_thread else following()
                )
                if not rows:
                    return
                known = [self._done_before(row) for row in valid if row.row <= self.after]
                due = [row for row in valid if row.row > self.after]
                effects = _placed(rows, others + known + await self._store(due))
                effects.sort(key=lambda effect: effect.row)
                self.counts.update(effect.effect for effect in effects)
                position = rows[-1].position
                self._tell(source, position)
                yield Batch(rows, effects, position)

    def _next(
        self, source: RowFile, reader: RowReader
    ) -> tuple[list[FileRow], list[NumberedContent], list[RowEffect]]:
        rows = list(islice(source.rows, self.batch_size))
        for row in rows:
            given = row.given or row.values
            if isinstance(given, Mapping) and len(self.ignored) < MAX_IGNORED:
                names = [name for name in given if name not in source.reading.mapping]
                self.ignored.update(unknown_fields(names)[:MAX_IGNORED])
        valid, others = reader.read((row.number, row.values) for row in rows if not row.error)
        others += [
            RowEffect(row.number, given_name(row.values), "invalid", "", row.error)
            for row in rows
            if row.error
        ]
        return rows, valid, others

    def _tell(self, source: RowFile, done: int) -> None:
        if self.progress:
            total = source.total or None
            self.progress(Progress(f"Importing {source.name}", done, total, source.unit))

    def _done_before(self, row: NumberedContent) -> RowEffect:
        return self.refused.get(row.row, RowEffect(row.row, row.content.name, "unchanged"))

    async def _store(self, rows: Sequence[NumberedContent]) -> list[RowEffect]:
        try:
            if self.dry_run:
                return await self.vector_ops.preview(rows, keep_duplicates=self.keep_duplicates)
            return await self.vector_ops.store_numbered(
                rows,
                reason=self.reason,
                within=self.within,
                keep_duplicates=self.keep_duplicates,
            )
        except UnavailableError as error:
            if self.patient:
                raise
            self.stopped = str(error)
            return [
                RowEffect(row.row, row.content.name, "invalid", "", self.stopped) for row in rows
            ]


def _placed(rows: Sequence[FileRow], effects: list[RowEffect]) -> list[RowEffect]:
    """The reasons of refused rows tell where the rows are, if their numbers do not."""
    places = {row.number: row.place for row in rows if row.place}
    return [
        replace(effect, reason=f"{effect.reason} (in {places[effect.row]})")
        if effect.effect == "invalid" and effect.row in places
        else effect
        for effect in effects
    ]
