"""Uploaded files are imported in the background, each by exactly one runner.

Any number of server processes may run them: one takes an import up by claiming it in the
database, and an import whose process was killed is taken up by another, from its beginning.
That changes nothing twice, because rows that the library has are left as they are.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from staffroom.config import BATCH_SIZE
from staffroom.content.formats import FileRow, Reading, RowFile, open_rows
from staffroom.content.importer import Batch, Importer
from staffroom.content.threads import in_thread
from staffroom.content.uploads import Reader, Upload, Uploads
from staffroom.database.batch import RowEffect, duplicates_of, errors_of
from staffroom.database.imports import (
    Claim,
    ClaimLost,
    ImportProgress,
    ImportRecord,
    RefusedRow,
    Wanted,
)
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import StaffroomError, UnavailableError

LOOK_SECONDS: Final = 15.0
"""How often a runner looks for imports whose process was killed."""

SWEEP_SECONDS: Final = 3600.0
BEAT_SECONDS: Final = 5.0
TELL_SECONDS: Final = 0.5

STOP_SECONDS: Final = 20.0
"""How long a batch may take to end when the server stops; it is done again otherwise."""

SHOWN_ROWS: Final = 200
MAX_REFUSED: Final = 100_000
"""Refused rows after which the rest of a file is not read: it is not what it should be."""

MAX_ATTEMPTS: Final = 5
"""Runners that an import may kill one after the other without anything new being stored."""

RETRY_SECONDS: Final = (5, 30, 120, 600, 1800)
"""How long an import waits, one time after the other, for a model or a database that is away."""

_log = logging.getLogger(__name__)


class ImportRunner:
    """Takes uploads in and imports them into one tenant's library.

    Dry runs have a lane of their own: they are short, and somebody waits for them.
    """

    def __init__(
        self, vector_ops: VectorOperations, folder: Path, *, batch_size: int = BATCH_SIZE
    ) -> None:
        self._vector_ops = vector_ops
        self._imports = vector_ops.imports
        self._batch_size = batch_size
        self._uploads = Uploads(folder / str(vector_ops.tenant_id))
        self._lanes: dict[bool, asyncio.Event] = {}
        self._stopping = False
        self._swept = -SWEEP_SECONDS

    async def receive(self, name: str, read: Reader) -> Upload:
        """The file is on disk, and becomes an import by `accept`; else it has to be discarded.

        Raises: ConfigError or UnavailableError if it cannot be written.
        """
        return await self._uploads.receive(self._imports.new_id(), name, read)

    async def accept(
        self, upload: Upload, reading: Reading, *, dry_run: bool, keep_duplicates: bool = False
    ) -> ImportRecord:
        """The upload waits to be imported, or, in a dry run, to be told the effect of. What of
        its reading is found out now is kept with it.

        Raises: UnreadableFile if it is not what its name says.
        """
        path = self._uploads.keep(upload)
        try:
            settled = await in_thread(partial(_look_into, path, upload.name, reading))
            await self._imports.add(
                upload.id,
                upload.name,
                upload.suffix,
                dry_run=dry_run,
                keep_duplicates=keep_duplicates,
                options=asdict(settled),
            )
        except BaseException:
            self._uploads.remove(upload.id)
            raise
        if dry_run in self._lanes:
            self._lanes[dry_run].set()
        return await self._imports.get(upload.id)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Uploads are imported. At the end the batch under way is finished; another process, or
        this one after its next start, goes on from there."""
        self._stopping = False
        self._lanes = {False: asyncio.Event(), True: asyncio.Event()}
        tasks = [
            asyncio.create_task(self._run_lane(wake, dry_run=dry_run))
            for dry_run, wake in self._lanes.items()
        ]
        try:
            yield
        finally:
            self._stopping = True
            for wake in self._lanes.values():
                wake.set()
            self._lanes = {}
            _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def run_waiting(self) -> None:
        """Every import that waits was run, as far as it could be."""
        self._stopping = False
        for dry_run in (True, False):
            while claim := await self._claim(dry_run=dry_run):
                await self._run(claim)

    async def _run_lane(self, wake: asyncio.Event, *, dry_run: bool) -> None:
        while not self._stopping:
            try:
                if not dry_run:
                    await self._sweep()
                while not self._stopping and (claim := await self._claim(dry_run=dry_run)):
                    await self._run(claim)
            except StaffroomError as error:
                _log.warning("imports wait: %s", error)
            except Exception:  # noqa: BLE001 - one import's defect must not end all others
                _log.exception("imports wait")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await wake.wait()
            if not self._stopping:
                wake.clear()

    async def _claim(self, *, dry_run: bool) -> Claim | None:
        here = self._uploads.ids()
        return await self._imports.claim(here, dry_run=dry_run) if here else None

    async def _sweep(self) -> None:
        if time.monotonic() - self._swept < SWEEP_SECONDS:
            return
        self._uploads.remove_abandoned()
        await self._imports.end_lost(self._uploads.ids())
        old = self._uploads.old_ids()
        for ended in set(old) - await self._imports.unfinished(old):
            self._uploads.remove(ended)
        self._swept = time.monotonic()

    async def _run(self, claim: Claim) -> None:
        """The import has ended and its file is gone; or it waits for its next runner."""
        try:
            async with _beating(claim):
                stopped = await self._import(claim)
                if stopped is None:
                    await claim.release()
                    return
                await claim.end(stopped=stopped)
        except UnavailableError as error:
            await _try_later(claim, error)
        except ClaimLost as error:
            _log.info("%s", error)
        await self._forget_ended(claim.id)

    async def ask(self, import_id: UUID, wanted: Wanted) -> ImportRecord:
        """As `Imports.ask`; a runner of this process hears of it at once."""
        record = await self._imports.ask(import_id, wanted)
        await self._forget_ended(import_id)
        if wanted == "run" and record.dry_run in self._lanes:
            self._lanes[record.dry_run].set()
        return record

    async def _forget_ended(self, import_id: UUID) -> None:
        if not await self._imports.unfinished([import_id]):
            self._uploads.remove(import_id)

    async def _import(self, claim: Claim) -> str | None:
        """What stopped the import, empty at its end; None if the server stops first."""
        if claim.attempts > MAX_ATTEMPTS:
            return (
                f"The server was killed {MAX_ATTEMPTS} times while it read this file. Split the "
                "file, and upload the parts."
            )
        try:
            path = self._uploads.path(claim.id, claim.suffix)
            reading = Reading(**claim.options)
            source = await in_thread(partial(open_rows, path, claim.file_name, reading=reading))
            return await self._import_rows(claim, source)
        except (UnavailableError, ClaimLost):
            raise
        except StaffroomError as error:
            return str(error)
        except Exception:  # noqa: BLE001 - it would fail again and again if it were taken up again
            _log.exception("import %s failed", claim.id)
            return "Staffroom made a mistake. Report it to whoever runs it; the log has the cause."

    async def _import_rows(self, claim: Claim, source: RowFile) -> str | None:
        importer = Importer(
            self._vector_ops,
            self._batch_size,
            dry_run=claim.dry_run,
            keep_duplicates=claim.keep_duplicates,
            reason=f"import of {claim.file_name}",
            within=claim.count,
            patient=True,
            after=claim.rows_done,
            refused=claim.refused,
        )
        told = _Told(claim, source, importer)
        await told.tell(None)
        async with aclosing(importer.batches(source)) as batches:
            async for batch in batches:
                await told.tell(batch)
                if self._stopping:
                    return None
                if importer.counts["invalid"] >= MAX_REFUSED:
                    importer.stopped = (
                        f"{MAX_REFUSED:,} rows were refused, so the rest was not read. Mend "
                        "these, then upload the file again."
                    )
        await told.tell(None)
        return importer.stopped


@dataclass(slots=True)
class _Told:
    """What the database has been told of an import: twice a second, and every refused row."""

    claim: Claim
    source: RowFile
    importer: Importer
    effects: list[RowEffect] = field(default_factory=list)
    position: int = 0
    row: int = 0
    at: float = 0.0

    async def tell(self, batch: Batch | None) -> None:
        """The batch is told when it is time; without one, everything is."""
        refused: Sequence[RefusedRow] = ()
        if batch:
            self.position = batch.position
            self.row = batch.rows[-1].number
            told = [*errors_of(batch.effects), *duplicates_of(batch.effects)]
            rows = {row["row"] for row in told}
            shown = [e for e in batch.effects if self.claim.dry_run or e.row in rows]
            self.effects += shown[: SHOWN_ROWS - len(self.effects)]
            refused = _refused(batch)
        now = time.monotonic()
        if batch and not refused and now - self.at < TELL_SECONDS:
            return
        self.at = now
        await self.claim.advance(self._progress(), refused)

    def _progress(self) -> ImportProgress:
        counts = self.importer.counts
        return ImportProgress(
            read=counts.total(),
            new=counts["new"],
            changed=counts["changed"],
            duplicate=counts["duplicate"],
            failed=counts["invalid"],
            rows_done=self.row,
            done=self.position,
            total=self.source.total or None,
            unit=self.source.unit,
            effects=self.effects,
            ignored=sorted(self.importer.ignored),
            columns=self.source.columns,
        )


async def _try_later(claim: Claim, error: UnavailableError) -> None:
    """The import waits, longer each time; after the last time it has failed."""
    if claim.tries < len(RETRY_SECONDS):
        _log.warning("import %s waits: %s", claim.id, error)
        await claim.retry(RETRY_SECONDS[claim.tries], str(error))
    else:
        await claim.end(stopped=str(error))


def _look_into(path: Path, name: str, reading: Reading) -> Reading:
    opened = open_rows(path, name, reading=reading)
    opened.rows.close()
    return opened.reading


def _refused(batch: Batch) -> list[RefusedRow]:
    values = {row.number: _given(row) for row in batch.rows}
    return [
        RefusedRow(effect.row, effect.field, effect.reason, values[effect.row])
        for effect in batch.effects
        if effect.effect == "invalid"
    ]


def _given(row: FileRow) -> Mapping[str, Any]:
    """The row as it was in the file, and which file of an archive that was."""
    given = row.given or row.values
    named = {"file": row.place} if row.place else {}
    return {**(given if isinstance(given, Mapping) else {}), **named}


@asynccontextmanager
async def _beating(claim: Claim) -> AsyncIterator[None]:
    """The claim is kept alive, however long a batch takes."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            with suppress(UnavailableError):
                await claim.beat()

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
