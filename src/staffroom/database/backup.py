"""What a backup holds of one tenant: read in one moment, and put back wholly or not at all."""

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.types.json import Json

from staffroom.database.connection import Connection, Database
from staffroom.database.golden import MAX_GOLDEN, question_digest
from staffroom.database.library import Library
from staffroom.database.rows import content_from_row, head_row
from staffroom.database.statements import statement
from staffroom.database.store import add_audit
from staffroom.errors import ConflictError, UnreadableFile
from staffroom.scenario import row_from

PAGE: Final = 500
"""Rows that are read, or written, at once."""

Document = Mapping[str, Any]
"""A line of a file of the backup."""


@dataclass(slots=True)
class Restored:
    """How many were put back, and how many were there already, exactly as in the backup."""

    new: int = 0
    unchanged: int = 0


class Snapshot:
    """One tenant's library and exchanges as they were in one moment, page by page."""

    def __init__(self, connection: Connection, tenant_id: UUID, model: str) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._key = secrets.token_bytes(32)
        self.model = model

    def scenarios(self) -> AsyncGenerator[list[Document], None]:
        """Each scenario as it is now: the row that an import reads."""
        return self._pages("backup_scenarios", lambda row: row_from(content_from_row(row)))

    def revisions(self) -> AsyncGenerator[list[Document], None]:
        """Each scenario as it was after each change, oldest first."""
        return self._pages("backup_revisions", plain)

    def golden(self) -> AsyncGenerator[list[Document], None]:
        """Golden questions with their judgements."""
        return self._pages("backup_golden", plain)

    def evaluations(self) -> AsyncGenerator[list[Document], None]:
        """Evaluations with their figures."""
        return self._pages("backup_evaluations", plain)

    def decisions(self) -> AsyncGenerator[list[Document], None]:
        """What was decided of scenarios that may be one."""
        return self._pages("backup_decisions", plain)

    def interactions(self) -> AsyncGenerator[list[Document], None]:
        """Exchanges under ids that only this snapshot knows. Their texts are as they were."""
        return self._pages("backup_interactions", plain)

    def feedback(self) -> AsyncGenerator[list[Document], None]:
        """What was said of them, with what was asked."""
        return self._pages("backup_feedback", plain)

    async def _pages(
        self, name: str, document: Callable[[Mapping[str, Any]], Document]
    ) -> AsyncGenerator[list[Document], None]:
        parameters = {"tenant_id": self._tenant_id, "key": self._key}
        async with self._connection.cursor(name) as cursor:
            await cursor.execute(statement(name), parameters)
            while rows := await cursor.fetchmany(PAGE):
                yield list(map(document, rows))


@dataclass(slots=True)
class Restoring:
    """Pages of a backup on their way back into the library, in one transaction.

    What is there already exactly so stays as it is; so a restore can be run again.
    """

    connection: Connection
    tenant_id: UUID
    generation_id: UUID
    scenarios: Restored = field(default_factory=Restored)
    revisions: Restored = field(default_factory=Restored)
    golden: Restored = field(default_factory=Restored)
    evaluations: Restored = field(default_factory=Restored)
    decisions: Restored = field(default_factory=Restored)

    async def add_revisions(self, rows: Sequence[Document]) -> None:
        """The scenarios have those revisions, which are all of theirs. Raises: ConflictError."""
        histories = {
            key: list(history) for key, history in groupby(rows, lambda row: row["scenario_id"])
        }
        kept = await self._kept(histories)
        due = [history for key, history in histories.items() if key not in kept]
        lines = [row for history in due for row in history]
        await self._write("restore_scenarios", list(map(_head, due)))
        await self._write("restore_revisions", lines)
        _count(self.scenarios, histories, due)
        _count(self.revisions, rows, lines)

    async def add_golden(self, rows: Sequence[Document]) -> None:
        """The questions are golden, with those judgements. Raises: ConflictError."""
        digests = {row["golden_id"]: question_digest(row["question"]) for row in rows}
        parameters = {"ids": list(digests), "digests": list(digests.values())}
        kept = {row["golden_id"]: row for row in await self._read("occupied_golden", parameters)}
        given = {row["golden_id"]: row for row in rows}
        for golden_id, row in kept.items():
            if given.get(golden_id) != row:
                raise _occupied(f"golden question {row['question']!r}")
        due = [
            {**row, "question_sha256": digests[row["golden_id"]].hex()}
            for row in rows
            if row["golden_id"] not in kept
        ]
        await self._write("restore_golden", due)
        await self._write("restore_judgements", due)
        _count(self.golden, rows, due)
        size = await self._read("golden_room", {"question_sha256": b""})
        if size[0]["size"] > MAX_GOLDEN:
            raise ConflictError(
                f"with those of the backup there would be {size[0]['size']:,} golden questions; "
                f"{MAX_GOLDEN:,} are the most. Remove some, then restore again."
            )

    async def add_evaluations(self, rows: Sequence[Document]) -> None:
        """The evaluations are kept. Raises: ConflictError."""
        given = {row["evaluation_id"]: row for row in rows}
        kept = await self._read("occupied_evaluations", {"ids": list(given)})
        for row in kept:
            if given[row["evaluation_id"]] != row:
                raise _occupied(f"evaluation {row['evaluation_id']}")
        known = {row["evaluation_id"] for row in kept}
        due = [row for row in rows if row["evaluation_id"] not in known]
        await self._write("restore_evaluations", due)
        _count(self.evaluations, rows, due)

    async def add_decisions(self, rows: Sequence[Document]) -> None:
        """That is decided of those pairs. Raises: ConflictError."""
        given = {(row["one"], row["other"]): row for row in rows}
        ones, others = zip(*given, strict=True)
        pairs = {"ones": list(ones), "others": list(others)}
        kept = {
            (row["one"], row["other"]): row for row in await self._read("occupied_decisions", pairs)
        }
        for pair, row in kept.items():
            if given[pair] != row:
                raise _occupied(f"decision on the scenarios {row['one']} and {row['other']}")
        due = [
            {**row, "generation_id": str(self.generation_id)}
            for pair, row in given.items()
            if pair not in kept
        ]
        await self._write("restore_decisions", due)
        _count(self.decisions, rows, due)

    async def _kept(self, histories: Mapping[str, Sequence[Document]]) -> set[str]:
        """The scenarios that are there already, exactly so."""
        source_ids = {key: history[0]["source_id"] for key, history in histories.items()}
        parameters = {"scenario_ids": list(source_ids), "source_ids": list(source_ids.values())}
        for row in await self._read("occupied", parameters):
            if source_ids.get(row["scenario_id"]) != row["source_id"]:
                raise _occupied(f"scenario under the id {row['source_id']!r}")
        kept = await self._read("occupied_revisions", parameters)
        found = {key: list(rows) for key, rows in groupby(kept, lambda row: row["scenario_id"])}
        for key, history in found.items():
            if history != histories[key]:
                raise _occupied(f"history of scenario {key} ({history[-1]['name']!r})")
        return set(found)

    async def _read(self, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        cursor = await self.connection.execute(
            statement(name), {"tenant_id": self.tenant_id, **parameters}
        )
        return [dict(plain(row)) for row in await cursor.fetchall()]

    async def _write(self, name: str, rows: Sequence[Document]) -> None:
        if rows:
            parameters = {"tenant_id": self.tenant_id, "rows": Json(rows)}
            await self.connection.execute(statement(name), parameters)


class Backups:
    """Everything of one tenant, out and in."""

    def __init__(self, database: Database, library: Library, tenant_id: UUID, author: str) -> None:
        self._database = database
        self._library = library
        self._tenant_id = tenant_id
        self._author = author

    @asynccontextmanager
    async def snapshot(self, *, interactions: bool) -> AsyncIterator[Snapshot]:
        """The library as it is at this moment. That it was read is on record."""
        generation = await self._library.generation()
        async with self._database.transaction(self._tenant_id) as connection:
            await self._audit(connection, "library.backup", {"interactions": interactions})
        async with self._database.snapshot(self._tenant_id) as connection:
            yield Snapshot(connection, self._tenant_id, generation.model)

    @asynccontextmanager
    async def restoring(self, *, dry_run: bool) -> AsyncIterator[Restoring]:
        """What is added inside is in the library afterwards, wholly or not at all; in a dry run,
        not at all.

        The starter library is not loaded any more. Raises: ConflictError; UnreadableFile for
        what the database refuses.
        """
        generation = await self._library.generation()
        try:
            async with self._database.transaction(self._tenant_id) as connection:
                key = {"tenant_id": self._tenant_id}
                await connection.execute(statement("lock_library"), key)
                await connection.execute(statement("lock_golden"), key)
                restoring = Restoring(connection, self._tenant_id, generation.id)
                yield restoring
                await connection.execute(statement("mark_starter_library"), key)
                await connection.execute(statement("advance_library"), key)
                detail = {"scenarios": restoring.scenarios.new, "golden": restoring.golden.new}
                await self._audit(connection, "library.restore", detail)
                if dry_run:
                    raise psycopg.Rollback
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UnreadableFile(
                f"the backup holds what the database refuses: {reason}. Nothing was restored; "
                "take another backup."
            ) from error

    async def _audit(self, connection: Connection, action: str, detail: Document) -> None:
        await add_audit(
            connection,
            self._tenant_id,
            actor=self._author,
            action=action,
            subject_id=None,
            detail=detail,
        )


def plain(row: Mapping[str, Any]) -> Document:
    """The row as JSON keeps it: one way to write an id and a time."""
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value) if isinstance(value, UUID | date) else value


def _head(history: Sequence[Document]) -> dict[str, Any]:
    newest = history[-1]
    head = head_row(newest["scenario_id"], content_from_row(newest))
    # Its text is embedded anew, as of now.
    revisions = {"revision": newest["revision"], "text_revision": newest["revision"]}
    times = {"created_at": history[0]["created_at"], "updated_at": newest["created_at"]}
    return head | revisions | times


def _count(counted: Restored, given: Sequence[Any] | Mapping[Any, Any], due: Sequence[Any]) -> None:
    counted.new += len(due)
    counted.unchanged += len(given) - len(due)


def _occupied(what: str) -> ConflictError:
    return ConflictError(
        f"the library has another {what} than the backup. Nothing was restored. Restore into an "
        "empty library: set STAFFROOM_HOME to a new folder, or STAFFROOM_TENANT to a new id."
    )
