"""Imports of uploaded files: their files, how far they are, and what people want of them."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from staffroom.database.batch import RowEffect
from staffroom.database.claims import (
    CANCELLED,
    SILENCE_SECONDS,
    Claim,
    ImportState,
    RefusedRow,
    Wanted,
)
from staffroom.database.connection import Connection, Database
from staffroom.database.statements import statement
from staffroom.errors import ConflictError, NotFoundError

ERROR_PAGE: Final = 500

_STATES: Final[Mapping[Wanted, ImportState]] = {
    "run": "waiting",
    "pause": "paused",
    "cancel": "cancelled",
}
"""What an import is made by each, while nobody runs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImport:
    """A file that came in whole and is about to become an import."""

    id: UUID
    file_name: str
    suffix: str
    dry_run: bool
    keep_duplicates: bool = False
    options: Mapping[str, Any]
    size: int
    sha256: bytes

    @property
    def identity(self) -> bytes:
        """A digest of all that decides what the import does."""
        decisive = [self.suffix, self.dry_run, self.keep_duplicates, self.options]
        told = json.dumps(decisive, sort_keys=True, default=list)
        return hashlib.sha256(self.sha256 + told.encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRecord:
    """An import as it stands. `effects` are those of its first rows, or of the refused ones.

    Each row that was read is new, changed, unchanged, duplicate or failed. `stopped` says why it
    has ended before its end, or why it waits for `retry_at`.
    """

    id: UUID
    file_name: str
    suffix: str
    dry_run: bool
    keep_duplicates: bool
    state: ImportState
    wanted: Wanted
    read: int
    new: int
    changed: int
    unchanged: int
    duplicate: int
    failed: int
    done: int
    total: int | None
    unit: Literal["bytes", "rows"]
    size: int
    seconds: float
    effects: tuple[RowEffect, ...]
    stopped: str
    ignored: tuple[str, ...]
    columns: tuple[str, ...]
    options: Mapping[str, Any]
    created_at: datetime
    finished_at: datetime | None
    retry_at: datetime | None

    @property
    def stored(self) -> int:
        return self.new + self.changed

    @property
    def has_ended(self) -> bool:
        return self.state in {"done", "failed", "cancelled"}

    @property
    def rows_total(self) -> int | None:
        """The rows of the file, once somebody knows."""
        if self.state == "done":
            return self.read
        return self.total if self.unit == "rows" else None

    @property
    def bytes_done(self) -> int | None:
        """The bytes that were read, of a file that is read byte by byte."""
        if self.state == "done":
            return self.size
        return self.done if self.unit == "bytes" else None

    @property
    def rate(self) -> float | None:
        """Rows a second, while it was worked on."""
        return self.read / self.seconds if self.read and self.seconds else None

    @property
    def seconds_left(self) -> float | None:
        """How long it will go on if it goes on as it did; nobody knows before it has begun."""
        if self.state != "running" or not (self.done and self.total):
            return None
        return self.seconds * max(0, self.total - self.done) / self.done


class Imports:
    """The imports of one tenant."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        self._database = database
        self._tenant_id = tenant_id

    @staticmethod
    def new_id() -> UUID:
        """An id for the next import: its file lies under it before there is a record."""
        return uuid7()

    async def add(self, new: NewImport, parts: Iterable[bytes]) -> UUID:
        """The file waits for a runner. Returns the id of its import: another one's, if the
        same content is on its way already and is read and dealt with alike."""
        await self._database.ensure_tenant(self._tenant_id)
        facts = {
            "file_name": new.file_name,
            "suffix": new.suffix,
            "dry_run": new.dry_run,
            "keep_duplicates": new.keep_duplicates,
            "options": Jsonb(new.options),
            "size": new.size,
            "sha256": new.sha256,
            "identity": new.identity,
        }
        while True:
            async with self._database.transaction(self._tenant_id) as connection:
                if await _first(connection, "add_import", {**self._key(new.id), **facts}):
                    for number, content in enumerate(parts):
                        piece = {**self._key(new.id), "part": number, "content": content}
                        await connection.execute(statement("add_import_part"), piece)
                    return new.id
                same = await _first(
                    connection, "import_under_way", {"tenant_id": self._tenant_id, **facts}
                )
                # It may have ended between the two statements; then this one is taken in.
                if same:
                    return UUID(str(same["id"]))

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

    async def runners(self) -> set[UUID]:
        """Who runs an import now, or did until it was killed."""
        rows = await self._rows("import_runners", {"tenant_id": self._tenant_id})
        return {row["runner_id"] for row in rows}

    async def ask(self, import_id: UUID, wanted: Wanted) -> ImportRecord:
        """The import pauses, goes on or is cancelled: at once, or at the end of the batch that is
        under way. What it stored stays.

        Raises: NotFoundError; ConflictError if it has ended, unless by being cancelled as wanted.
        """
        parameters = {
            **self._key(import_id),
            "wanted": wanted,
            "state": _STATES[wanted],
            "silence": SILENCE_SECONDS,
        }
        async with self._database.transaction(self._tenant_id) as connection:
            found = await _first(connection, "ask_import", parameters)
            if found and found["state"] == "cancelled":
                key = self._key(import_id)
                await connection.execute(statement("close_import"), {**key, "stopped": CANCELLED})
                await connection.execute(statement("remove_import_parts"), key)
        record = await self.get(import_id)
        if found is None and not (record.state == "cancelled" and wanted == "cancel"):
            raise ConflictError(
                f"the import of {record.file_name} has ended: it is {record.state}. Upload the "
                "file again to import it once more."
            )
        return record

    async def claim(self, *, dry_run: bool) -> Claim | None:
        """The caller runs the oldest import that waits or lost its runner, if one does."""
        runner_id = uuid7()
        parameters = {
            "tenant_id": self._tenant_id,
            "dry_run": dry_run,
            "runner_id": runner_id,
            "silence": SILENCE_SECONDS,
        }
        async with self._database.transaction(self._tenant_id) as connection:
            row = await _first(connection, "claim_import", parameters)
        return Claim(self._database, self._tenant_id, runner_id, **row) if row else None

    async def _rows(self, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return await self._database.fetch(self._tenant_id, statement(name), parameters)

    def _key(self, import_id: UUID) -> dict[str, Any]:
        return {"tenant_id": self._tenant_id, "import_id": import_id}


async def _first(
    connection: Connection, name: str, parameters: Mapping[str, Any]
) -> dict[str, Any] | None:
    cursor = await connection.execute(statement(name), parameters)
    return await cursor.fetchone()


def _record(row: Mapping[str, Any]) -> ImportRecord:
    effects: Sequence[Mapping[str, Any]] = row["effects"]
    return ImportRecord(
        **{
            **row,
            "effects": tuple(RowEffect(**effect) for effect in effects),
            "ignored": tuple(row["ignored"]),
            "columns": tuple(row["columns"]),
        }
    )
