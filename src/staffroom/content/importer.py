"""Rows enter the library in batches; one bad row costs one row.

Each batch is one transaction and rows that the library already has are skipped,
so an import that was killed is finished by running it again.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from staffroom.config import BATCH_SIZE
from staffroom.content.formats import FileRow, RowFile, open_rows
from staffroom.database.batch import NumberedContent, Row, RowReader, report
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import UnavailableError
from staffroom.scenario import unknown_fields
from staffroom.types import ImportReport, Progress, ProgressListener, RowError


@dataclass(slots=True)
class Importer:
    """One import: what was read, stored and refused so far.

    When the database or the model fails, the rows of that batch are listed with the
    reason, and nothing after it is read: running the import again goes on from there.
    """

    vector_ops: VectorOperations
    batch_size: int = BATCH_SIZE
    dry_run: bool = False
    progress: ProgressListener | None = None
    read: int = 0
    stored: int = 0
    stopped: str = ""
    errors: list[RowError] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)

    async def import_rows(self, rows: Iterable[Row], name: str = "rows") -> ImportReport:
        """Every valid row is in the library; rows are numbered from 1."""
        total = len(rows) if isinstance(rows, Sequence) else 0
        numbered = (FileRow(number, number, row) for number, row in enumerate(rows, start=1))
        await self._run(RowFile(name, numbered, total, "rows"))
        return self.report()

    async def import_file(self, path: Path) -> ImportReport:
        """Every valid row of the file is in the library. Raises: UnreadableFile."""
        return await self.import_opened([open_rows(path)])

    async def import_opened(self, sources: Iterable[RowFile]) -> ImportReport:
        """Every valid row of the opened files is in the library."""
        for source in sources:
            with closing(source.rows):
                await self._run(source)
        return self.report()

    def report(self) -> ImportReport:
        """What became of all rows that were read."""
        result = report(self.read, self.stored, self.errors)
        if self.stopped:
            result["stopped"] = self.stopped
        if self.ignored:
            result["ignored"] = sorted(self.ignored)
        return result

    async def _run(self, source: RowFile) -> None:
        reader = RowReader()
        self._tell(source, 0)
        while not self.stopped and (batch := list(islice(source.rows, self.batch_size))):
            self.read += len(batch)
            for row in batch:
                if isinstance(row.values, Mapping):
                    self.ignored.update(unknown_fields(row.values))
            valid, errors = reader.read((row.number, row.values) for row in batch if not row.error)
            errors += [
                RowError(row=row.number, field="", reason=row.error) for row in batch if row.error
            ]
            errors += await self._store(valid)
            for error in sorted(errors, key=lambda error: error["row"]):
                self.errors.append({**error, "file": source.name})
            self._tell(source, batch[-1].position)

    def _tell(self, source: RowFile, done: int) -> None:
        if self.progress:
            total = source.total or None
            self.progress(Progress(f"Importing {source.name}", done, total, source.unit))

    async def _store(self, rows: Sequence[NumberedContent]) -> list[RowError]:
        try:
            if self.dry_run:
                self.stored += await self.vector_ops.preview(rows)
                return []
            stored, refused = await self.vector_ops.store_numbered(rows)
        except UnavailableError as error:
            self.stopped = str(error)
            return [RowError(row=row.row, field="", reason=self.stopped) for row in rows]
        self.stored += stored
        return refused
