"""Imports of uploaded files: how far they are, what they refused, and who runs them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final, Literal
from uuid import UUID

from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from staffroom.database.batch import RowEffect
from staffroom.database.connection import Connection, Database
from staffroom.database.statements import statement
from staffroom.database.store import Stored
from staffroom.errors import ConflictError, NotFoundError
from staffroom.text import mend

ImportState = Literal["waiting", "running", "paused", "done", "failed", "cancelled"]
"""failed: it could not be brought to its end; `stopped` says why. Refused rows do not fail it."""

Wanted = Literal["run", "pause", "cancel"]
"""What people want of an import that has not ended."""

SILENCE_SECONDS: Final = 30
"""After which a runner without a heartbeat is taken to have been killed."""

LOST_HOURS: Final = 24
"""After which an import that nobody takes up is taken to have lost its file."""

ERROR_PAGE: Final = 500

_SHOWN: Final = 500
"""Characters that are kept of a name, a field or a reason: they come out of foreign files."""


class ClaimLost(Exception):
    """Another runner has taken the import up: this one was silent for too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRecord:
    """An import as it stands. `effects` are those of its first rows, or of the refused ones."""

    id: UUID
    file_name: str
    suffix: str
    dry_run: bool
    state: ImportState
    read: int
    new: int
    changed: int
    duplicate: int
    failed: int
    done: int
    total: int | None
    unit: Literal["bytes", "rows"]
    effects: tuple[RowEffect, ...]
    stopped: str
    ignored: tuple[str, ...]
    columns: tuple[str, ...]
    retry_at: datetime | None
    options: Mapping[str, Any]
    created_at: datetime
    finished_at: datetime | None
    seconds: float | None
    """Since its runner took it up."""

    @property
    def stored(self) -> int:
        return self.new + self.changed

    @property
    def unchanged(self) -> int:
        """Rows that the library needed nothing of. While an import is taken up again, what it
        stored before is counted already and what it reads again is not yet."""
        return max(0, self.read - self.failed - self.duplicate - self.stored)

    @property
    def has_ended(self) -> bool:
        return self.state in {"done", "failed", "cancelled"}

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the pace so far; None where that cannot be told."""
        if self.state != "running" or not (self.total and self.done and self.seconds):
            return None
        return self.seconds * max(0, self.total - self.done) / self.done


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that an import did not store, as it was in the file."""

    row: int
    field: str
    reason: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProgress:
    """How far a running import is. `new` and `changed` are told by dry runs alone: what is
    stored is counted where it is stored."""

    read: int
    new: int
    changed: int
    duplicate: int
    failed: int
    rows_done: int
    done: int
    total: int | None
    unit: Literal["bytes", "rows"]
    effects: Sequence[RowEffect]
    ignored: Sequence[str]
    columns: Sequence[str]


class Imports:
    """The imports of one tenant."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        self._database = database
        self._tenant_id = tenant_id

    @staticmethod
    def new_id() -> UUID:
        """An id for the next import: its file lies under it before there is a record."""
        return uuid7()

    async def add(
        self,
        import_id: UUID,
        file_name: str,
        suffix: str,
        *,
        dry_run: bool,
        keep_duplicates: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """The import waits for a runner, with how its file is to be read."""
        await self._database.ensure_tenant(self._tenant_id)
        parameters = {
            "file_name": file_name,
            "suffix": suffix,
            "dry_run": dry_run,
            "keep_duplicates": keep_duplicates,
            "options": Jsonb(options or {}),
        }
        async with self._database.transaction(self._tenant_id) as connection:
            await connection.execute(
                statement("add_import"), {**self._key(import_id), **parameters}
            )

    async def get(self, import_id: UUID) -> ImportRecord:
        """The import as it stands. Raises: NotFoundError."""
        rows = await self._rows("get_import", self._key(import_id))
        if not rows:
            raise NotFoundError(f"there is no import {import_id}. The list of imports shows all.")
        return _record(rows[0])

    async def page(self, limit: int = 50, before: UUID | None = None) -> list[ImportRecord]:
        """The imports that came before the given one, newest first."""
        parameters = {"tenant_id": self._tenant_id, "limit": limit, "before": before}
        return [_record(row) for row in await self._rows("list_imports", parameters)]

    async def refused(self, import_id: UUID, after: int = 0) -> list[RefusedRow]:
        """A page of the rows that were refused, in the order of the file."""
        parameters = {**self._key(import_id), "after": after, "limit": ERROR_PAGE}
        return [RefusedRow(**row) for row in await self._rows("list_import_errors", parameters)]

    async def unfinished(self, import_ids: Sequence[UUID]) -> set[UUID]:
        """Which of the imports still need their files."""
        parameters = {"tenant_id": self._tenant_id, "import_ids": list(import_ids)}
        return {row["id"] for row in await self._rows("unfinished_imports", parameters)}

    async def claim(self, import_ids: Sequence[UUID], *, dry_run: bool) -> "Claim | None":
        """The caller runs the oldest of these imports that waits or lost its runner, if one does.

        Rows up to its `rows_done` are done with: what was stored of them is counted, what was
        refused of them is known.
        """
        runner_id = uuid7()
        parameters = {
            "tenant_id": self._tenant_id,
            "import_ids": list(import_ids),
            "dry_run": dry_run,
            "runner_id": runner_id,
            "silence": SILENCE_SECONDS,
        }
        async with self._database.transaction(self._tenant_id) as connection:
            cursor = await connection.execute(statement("claim_import"), parameters)
            row = await cursor.fetchone()
            if row is None:
                return None
            key = {**self._key(row["id"]), "rows_done": row["rows_done"]}
            await connection.execute(statement("forget_import_errors"), key)
            cursor = await connection.execute(statement("refused_before"), key)
            refused = {
                found["row"]: RowEffect(
                    found["row"], "", "invalid", found["field"], found["reason"]
                )
                for found in await cursor.fetchall()
            }
        return Claim(self._database, self._tenant_id, runner_id, **row, refused=refused)

    async def ask(self, import_id: UUID, wanted: Wanted) -> ImportRecord:
        """The import is paused, goes on, or is cancelled, at the end of the batch under way at the
        latest. What it stored stays.

        Raises: NotFoundError; ConflictError if it has ended otherwise.
        """
        names = {"run": "resume_import", "pause": "pause_import", "cancel": "cancel_import"}
        async with self._database.transaction(self._tenant_id) as connection:
            cursor = await connection.execute(statement(names[wanted]), self._key(import_id))
        record = await self.get(import_id)
        if cursor.rowcount == 0 and not (wanted == "cancel" and record.state == "cancelled"):
            raise ConflictError(
                f"import {import_id} has ended: it is {record.state}. Upload the file again to "
                "import it anew."
            )
        return record

    async def end_lost(self, import_ids: Sequence[UUID]) -> None:
        """Imports that nobody has taken up for a day have failed, but for those given."""
        parameters = {
            "tenant_id": self._tenant_id,
            "import_ids": list(import_ids),
            "hours": LOST_HOURS,
            "stopped": "The uploaded file is gone. Upload it again.",
        }
        async with self._database.transaction(self._tenant_id) as connection:
            await connection.execute(statement("end_lost_imports"), parameters)

    async def _rows(self, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        async with self._database.read(self._tenant_id) as connection:
            cursor = await connection.execute(statement(name), parameters)
            return await cursor.fetchall()

    def _key(self, import_id: UUID) -> dict[str, Any]:
        return {"tenant_id": self._tenant_id, "import_id": import_id}


@dataclass(frozen=True, slots=True)
class Claim:
    """An import in the hands of its runner. `attempts` counts the runners that had it and were
    killed before anything more was stored, this one included; `tries` how often it waited in vain.
    The rows up to `rows_done` are done with; `refused` are those of them that were refused.

    Everything here raises ClaimLost once another runner has it, or people want it no more.
    """

    _database: Database
    _tenant_id: UUID
    _runner_id: UUID
    id: UUID
    file_name: str
    suffix: str
    dry_run: bool
    keep_duplicates: bool
    options: Mapping[str, Any]
    attempts: int
    tries: int
    rows_done: int
    refused: Mapping[int, RowEffect]

    async def count(self, connection: Connection, stored: Sequence[Stored], last_row: int) -> None:
        """What was stored is counted in the same transaction, and so exactly once; and all up to
        that row of the file is done with."""
        new = sum(result.is_new for result in stored)
        changed = sum(result.changed and not result.is_new for result in stored)
        await self._run(
            connection, "count_import", {"new": new, "changed": changed, "rows_done": last_row}
        )

    async def advance(self, progress: ImportProgress, refused: Sequence[RefusedRow]) -> None:
        """Whoever asks sees how far it is; the refused rows are kept."""
        parameters = {
            "read": progress.read,
            "new": progress.new,
            "changed": progress.changed,
            "duplicate": progress.duplicate,
            "failed": progress.failed,
            "rows_done": 0 if self.dry_run else progress.rows_done,
            "done": progress.done,
            "total": progress.total,
            "unit": progress.unit,
            "effects": Jsonb(list(map(_effect_row, progress.effects))),
            "ignored": list(map(_shown, progress.ignored)),
            "columns": list(map(_shown, progress.columns)),
        }
        async with self._database.transaction(self._tenant_id) as connection:
            await self._run(connection, "advance_import", parameters)
            if refused:
                await connection.execute(
                    statement("add_import_errors"), {**self._key, **_error_columns(refused)}
                )

    async def beat(self) -> None:
        """The runner lives."""
        await self._alone("beat_import", {})

    async def release(self) -> None:
        """The import waits for another runner, which may take it up at once."""
        await self._alone("release_import", {})

    async def retry(self, seconds: float, reason: str) -> None:
        """A runner takes the import up again after that time."""
        await self._alone("retry_import", {"seconds": seconds, "stopped": _shown(reason)})

    async def end(self, *, stopped: str = "") -> None:
        """The import is done; or it has failed, if something stopped it."""
        state: ImportState = "failed" if stopped else "done"
        await self._alone("end_import", {"state": state, "stopped": _shown(stopped)})

    async def _alone(self, name: str, parameters: Mapping[str, Any]) -> None:
        async with self._database.transaction(self._tenant_id) as connection:
            await self._run(connection, name, parameters)

    async def _run(self, connection: Connection, name: str, parameters: Mapping[str, Any]) -> None:
        cursor = await connection.execute(statement(name), {**self._key, **parameters})
        if cursor.rowcount == 0:
            raise ClaimLost(f"import {self.id} has another runner")

    @property
    def _key(self) -> dict[str, Any]:
        return {
            "tenant_id": self._tenant_id,
            "import_id": self.id,
            "runner_id": self._runner_id,
        }


def _record(row: Mapping[str, Any]) -> ImportRecord:
    return ImportRecord(
        **{
            **row,
            "effects": tuple(RowEffect(**effect) for effect in row["effects"]),
            "ignored": tuple(row["ignored"]),
            "columns": tuple(row["columns"]),
        }
    )


def _effect_row(effect: RowEffect) -> dict[str, Any]:
    return {
        "row": effect.row,
        "name": _shown(effect.name),
        "effect": effect.effect,
        "field": _shown(effect.field),
        "reason": _shown(effect.reason),
    }


def _error_columns(refused: Sequence[RefusedRow]) -> dict[str, Any]:
    return {
        "rows": [row.row for row in refused],
        "fields": [_shown(row.field) for row in refused],
        "reasons": [_shown(row.reason) for row in refused],
        "values": [json.dumps(dict(row.values), default=_plain) for row in refused],
    }


def _plain(value: object) -> str:
    """A value of a spreadsheet as people write it: a day without its midnight."""
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _shown(text: str) -> str:
    return mend(text)[:_SHOWN]
