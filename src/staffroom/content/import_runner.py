"""Uploaded files are imported in the background, each by exactly one runner.

Any number of processes may run them: one takes an import up by claiming it in the database, where
its file lies, too. An import whose process was killed is taken up by another one behind its last
checkpoint, so that no row is dealt with twice and no edit that was made meanwhile is lost.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from staffroom.config import BATCH_SIZE
from staffroom.content.formats import FileRow, Reading, RowFile, open_rows
from staffroom.content.importer import Batch, Importer
from staffroom.content.threads import in_thread
from staffroom.content.uploads import Reader, Upload, Uploads
from staffroom.database.batch import duplicates_of, errors_of
from staffroom.database.claims import Checkpoint, Claim, ClaimLost, RefusedRow
from staffroom.database.connection import Connection
from staffroom.database.imports import ImportRecord, NewImport
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import ConfigError, StaffroomError, UnavailableError
from staffroom.monitoring.logs import REQUEST_ID, cause

LOOK_SECONDS: Final = 2.0
"""How often a runner looks for what came in elsewhere, is due again, or was killed."""

SWEEP_SECONDS: Final = 3600.0
BEAT_SECONDS: Final = 5.0

STOP_SECONDS: Final = 20.0
"""How long a batch may take to end when the process stops; it is done again otherwise."""

RETRY_SECONDS: Final = (1, 5, 30, 120, 600, 1800)
"""How long an import waits each time when the model or the database fails once more, give or take
a fifth; then it is given up."""

LEAVE_SECONDS: Final = 30.0
"""How long a runner tries to tell that to a database that does not answer: as long as its lease."""

SHOWN_ROWS: Final = 200
MAX_REFUSED: Final = 100_000
"""Refused rows after which the rest of a file is not read: it is not what it should be."""

MAX_ATTEMPTS: Final = 5
"""Runners that an import may kill one after the other without a row being dealt with."""

_log = logging.getLogger(__name__)


class ImportRunner:
    """Takes uploads in and imports them into one tenant's library.

    Dry runs have a lane of their own: they are short, and somebody waits for them.
    """

    def __init__(
        self,
        vector_ops: VectorOperations,
        folder: Path,
        *,
        batch_size: int = BATCH_SIZE,
        lanes: int = 1,
    ) -> None:
        self._vector_ops = vector_ops
        self._imports = vector_ops.imports
        self._batch_size = batch_size
        self._lanes = lanes
        self._uploads = Uploads(folder / str(vector_ops.tenant_id))
        self._wake: dict[bool, asyncio.Event] = {}
        self._stopping = False
        self._swept = -SWEEP_SECONDS

    async def receive(self, name: str, read: Reader) -> Upload:
        """The file is on disk, to become an import by `accept`; it has to be discarded afterwards.

        Raises: ConfigError or UnavailableError if it cannot be written.
        """
        return await self._uploads.receive(self._imports.new_id(), name, read)

    async def accept(
        self, upload: Upload, reading: Reading, *, dry_run: bool, keep_duplicates: bool = False
    ) -> ImportRecord:
        """The upload waits to be imported, or, in a dry run, to be told the effect of. What of its
        reading is found out now is kept with it.

        If the same import of the same content is under way already, that one is returned; its id
        is not the upload's. Raises: UnreadableFile if the file is not what its name says.
        """
        settled = await in_thread(partial(_look_into, upload.path, upload.name, reading))
        new = NewImport(
            id=upload.id,
            file_name=upload.name,
            suffix=upload.suffix,
            dry_run=dry_run,
            keep_duplicates=keep_duplicates,
            options=asdict(settled),
            size=upload.size,
            sha256=upload.sha256,
        )
        import_id = await self._imports.add(new, upload.parts())
        if dry_run in self._wake:
            self._wake[dry_run].set()
        return await self._imports.get(import_id)

    @asynccontextmanager
    async def running(self, lanes: int | None = None) -> AsyncIterator[None]:
        """Imports are carried out, so many at a time. At the end the batches under way are
        finished; another process, or this one after its next start, goes on from there."""
        lanes = self._lanes if lanes is None else lanes
        self._stopping = False
        self._wake = {False: asyncio.Event(), True: asyncio.Event()}
        kinds = [True, *[False] * lanes] if lanes else []
        tasks = [asyncio.create_task(self._run_lane(dry_run=dry_run)) for dry_run in kinds]
        try:
            yield
        finally:
            self.stop()
            late = (await asyncio.wait(tasks, timeout=STOP_SECONDS))[1] if tasks else set()
            # Python 3.11 loses a cancellation that meets the answer of the database.
            while late:
                for task in late:
                    task.cancel()
                _, late = await asyncio.wait(late, timeout=1)
            self._wake = {}

    async def run_waiting(self) -> None:
        """Every import that waits and is due has been carried out, unless it was told to stop."""
        self._stopping = False
        for dry_run in (True, False):
            while not self._stopping and (claim := await self._imports.claim(dry_run=dry_run)):
                await self._run(claim)

    def stop(self) -> None:
        """What is under way is left at the end of its batch."""
        self._stopping = True
        for wake in self._wake.values():
            wake.set()

    async def _run_lane(self, *, dry_run: bool) -> None:
        wake = self._wake[dry_run]
        while not self._stopping:
            try:
                await self._sweep()
                while not self._stopping and (claim := await self._imports.claim(dry_run=dry_run)):
                    await self._run(claim)
            except StaffroomError as error:
                _log.warning("imports wait: %s", cause(error))
            except Exception:  # noqa: BLE001 - one import's defect must not end all others
                _log.exception("imports wait")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await wake.wait()
            if not self._stopping:
                wake.clear()

    async def _sweep(self) -> None:
        if time.monotonic() - self._swept < SWEEP_SECONDS:
            return
        self._swept = time.monotonic()
        self._uploads.remove_abandoned(await self._imports.runners())

    async def _run(self, claim: Claim) -> None:
        """The import has ended, or waits for its next runner or for what people want."""
        told = REQUEST_ID.set(str(claim.id))
        try:
            async with _beating(claim):
                try:
                    stopped = await self._import(claim)
                    await (claim.leave() if stopped is None else claim.end(stopped=stopped))
                except (UnavailableError, ConfigError) as error:
                    await self._put_off(claim, error)
        except ClaimLost as error:
            _log.warning("%s", error)
        finally:
            REQUEST_ID.reset(told)

    async def _put_off(self, claim: Claim, error: StaffroomError) -> None:
        """The import waits for its next try, here or on a machine that is in order, or has failed
        if there were enough of them."""
        _log.warning("import %s waits: %s", claim.id, cause(error))
        begun = time.monotonic()
        while True:
            try:
                if claim.tries < len(RETRY_SECONDS):
                    seconds = RETRY_SECONDS[claim.tries] * random.uniform(0.8, 1.2)  # noqa: S311
                    await claim.put_off(seconds, str(error))
                else:
                    await claim.end(stopped=f"{error} It was tried {claim.tries + 1} times.")
            except UnavailableError:
                if self._stopping or time.monotonic() - begun > LEAVE_SECONDS:
                    raise
            else:
                return
            await asyncio.sleep(1)

    async def _import(self, claim: Claim) -> str | None:
        """What stopped the import, empty at its end; None if it is to be left as it is."""
        if claim.wanted != "run":
            return None
        if claim.attempts > MAX_ATTEMPTS:
            return (
                f"The server was killed {MAX_ATTEMPTS} times while it read this file. Split the "
                "file, and upload the parts."
            )
        try:
            async with self._uploads.spooled(
                claim.runner_id, claim.suffix, claim.sha256, claim.part
            ) as path:
                reading = Reading(**claim.options)
                opening = partial(open_rows, path, claim.file_name, reading=reading)
                source = await in_thread(opening)
                return await self._import_rows(claim, source)
        except (UnavailableError, ConfigError, ClaimLost):
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
        )
        journal = _Journal(claim, source, importer)
        importer.within = journal.keep
        await journal.keep(None, Batch((), (), 0))
        async with aclosing(importer.batches(source, skip=claim.read)) as batches:
            async for _ in batches:
                if self._stopping or claim.wanted != "run":
                    return None
                if claim.failed + importer.counts["invalid"] >= MAX_REFUSED:
                    importer.stopped = (
                        f"{MAX_REFUSED:,} rows were refused, so the rest was not read. Mend "
                        "these, then upload the file again."
                    )
        return importer.stopped


@dataclass(slots=True)
class _Journal:
    """Brings what became of each batch to the database, and the time that it took."""

    claim: Claim
    source: RowFile
    importer: Importer
    since: float = field(default_factory=time.monotonic)

    async def keep(self, connection: Connection | None, batch: Batch) -> None:
        """The batch is in the import's record, if the transaction is."""
        claim, now = self.claim, time.monotonic()
        told = {row["row"] for row in (*errors_of(batch.effects), *duplicates_of(batch.effects))}
        shown = [effect for effect in batch.effects if claim.dry_run or effect.row in told]
        shown = shown[: max(0, SHOWN_ROWS - claim.shown)]
        await claim.keep(
            connection,
            Checkpoint(
                effects=batch.effects,
                shown=shown,
                refused=_refused(batch),
                done=batch.position,
                total=self.source.total or None,
                unit=self.source.unit,
                ignored=sorted(self.importer.ignored),
                columns=self.source.columns,
                seconds=now - self.since,
            ),
        )
        claim.shown += len(shown)
        self.since = now


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
