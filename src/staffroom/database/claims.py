"""Who runs an import, and how far it is: a lease, and a checkpoint that is kept with the rows.

A runner takes an import up by writing its own id into it, and holds it for as long as it is heard
of. Every write of a runner names that id, so one that wakes up too late writes nothing.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from math import isfinite
from typing import Any, Final, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from staffroom.database.batch import Effect, RowEffect
from staffroom.database.connection import Connection, Database
from staffroom.database.statements import statement
from staffroom.text import mend

ImportState = Literal["waiting", "running", "paused", "done", "failed", "cancelled"]
"""failed: it could not be brought to its end; `stopped` says why. Refused rows do not fail it."""

Wanted = Literal["run", "pause", "cancel"]
"""What people want of an import that has not ended."""

CANCELLED: Final = "It was cancelled. What was stored before that stays in the library."

SILENCE_SECONDS: Final = 30
"""How long the lease of a runner is that is not heard of; then it is taken to have been killed."""

_COUNTED: Final[tuple[Effect, ...]] = ("new", "changed", "unchanged", "duplicate", "invalid")

_SHOWN: Final = 500
"""Characters that are kept of a name, a field or a reason: they come out of foreign files."""


class ClaimLost(Exception):
    """Another runner has taken the import up: this one was silent for too long."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that an import did not store, as it was in the file."""

    row: int
    field: str
    reason: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What became of the rows that follow the last checkpoint, in the order of the file.

    `shown` are those of the effects that people see at once; `seconds` were spent on these rows.
    """

    effects: Sequence[RowEffect]
    shown: Sequence[RowEffect]
    refused: Sequence[RefusedRow]
    done: int
    total: int | None
    unit: Literal["bytes", "rows"]
    ignored: Sequence[str]
    columns: Sequence[str]
    seconds: float


@dataclass(slots=True)
class Claim:
    """An import in the hands of its runner.

    `read`, `failed` and `shown` are the rows that were read, refused and shown before. `attempts`
    counts the runners that had it and were killed before any further row was dealt with, this one
    included; `tries` how often what it needs was not there. Everything here raises ClaimLost once
    another runner has it.
    """

    _database: Database
    _tenant_id: UUID
    runner_id: UUID
    id: UUID
    file_name: str
    suffix: str
    dry_run: bool
    keep_duplicates: bool
    options: Mapping[str, Any]
    sha256: bytes
    attempts: int
    tries: int
    wanted: Wanted
    read: int
    failed: int
    shown: int

    async def part(self, number: int) -> bytes:
        """A piece of the file, counted from 0; empty behind its end."""
        rows = await self._database.fetch(
            self._tenant_id, statement("get_import_part"), {**self._key, "part": number}
        )
        return bytes(rows[0]["content"]) if rows else b""

    async def keep(self, connection: Connection | None, checkpoint: Checkpoint) -> None:
        """The import is there, in the given transaction or in one of its own.

        `wanted` is what people want by now.
        """
        if connection is None:
            async with self._database.transaction(self._tenant_id) as own:
                await self.keep(own, checkpoint)
            return
        counts = Counter(effect.effect for effect in checkpoint.effects)
        row = await self._run(
            connection,
            "checkpoint_import",
            {
                "read": len(checkpoint.effects),
                **{effect: counts[effect] for effect in _COUNTED},
                "done": checkpoint.done,
                "total": checkpoint.total,
                "unit": checkpoint.unit,
                "seconds": checkpoint.seconds,
                "has_effects": bool(checkpoint.shown),
                "effects": Jsonb(list(map(_effect_row, checkpoint.shown))),
                "ignored": list(map(_shown, checkpoint.ignored)),
                "columns": list(map(_shown, checkpoint.columns)),
            },
        )
        if checkpoint.refused:
            await connection.execute(
                statement("add_import_errors"), {**self._key, **_error_columns(checkpoint.refused)}
            )
        self.wanted = row["wanted"]
        if checkpoint.effects:
            self.tries = 0

    async def beat(self) -> None:
        """The runner lives."""
        async with self._database.transaction(self._tenant_id) as connection:
            await self._run(connection, "beat_import", {})

    async def leave(self) -> None:
        """The import waits for another runner, which may take it up at once; or it is paused or
        cancelled, if that is wanted."""
        await self._let_go("leave_import", {"seconds": 0.0, "tries": 0, "stopped": ""})

    async def put_off(self, seconds: float, reason: str) -> None:
        """As `leave`, but nobody takes the import up before so many seconds have passed."""
        told = {"seconds": seconds, "tries": 1, "stopped": _shown(reason)}
        await self._let_go("leave_import", told)

    async def end(self, *, stopped: str = "") -> None:
        """The import is done; or it has failed, if something stopped it."""
        state: ImportState = "failed" if stopped else "done"
        await self._let_go("end_import", {"state": state, "stopped": _shown(stopped)})

    async def _let_go(self, name: str, parameters: Mapping[str, Any]) -> None:
        async with self._database.transaction(self._tenant_id) as connection:
            row = await self._run(connection, name, {"cancelled": CANCELLED, **parameters})
            if row["state"] in {"done", "failed", "cancelled"}:
                await connection.execute(statement("remove_import_parts"), self._key)

    async def _run(
        self, connection: Connection, name: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        cursor = await connection.execute(statement(name), {**self._key, **parameters})
        row = await cursor.fetchone()
        if row is None:
            raise ClaimLost(f"import {self.id} has another runner")
        return row

    @property
    def _key(self) -> dict[str, Any]:
        return {
            "tenant_id": self._tenant_id,
            "import_id": self.id,
            "runner_id": self.runner_id,
        }


def _effect_row(effect: RowEffect) -> dict[str, Any]:
    return {
        "row": effect.row,
        "name": _shown(effect.name),
        "effect": effect.effect,
        "field": _shown(effect.field),
        "reason": _shown(effect.reason),
        "code": effect.code,
        "values": {
            name: _shown(value) if isinstance(value, str) else value
            for name, value in effect.values.items()
        },
    }


def _error_columns(refused: Sequence[RefusedRow]) -> dict[str, Any]:
    return {
        "rows": [row.row for row in refused],
        "fields": [_shown(row.field) for row in refused],
        "reasons": [_shown(row.reason) for row in refused],
        "values": [json.dumps(_finite(row.values), default=_plain) for row in refused],
    }


def _finite(value: Any) -> Any:
    """Numbers that Python reads and PostgreSQL's JSON does not know become texts."""
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def _plain(value: object) -> str:
    """A value of a spreadsheet as people write it: a day without its midnight."""
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _shown(text: str) -> str:
    return mend(text)[:_SHOWN]
