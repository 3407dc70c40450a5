"""What became of writes that were sent with a key of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb

from staffroom.database.connection import Database
from staffroom.database.statements import statement

KEPT_HOURS: Final = 24

ABANDONED_SECONDS: Final = 150
"""After which a write that brought no response is taken to have been killed."""


class Kept(Enum):
    """What is known of a key: nothing (the work may begin), another request, or no response yet."""

    new = auto()
    other = auto()
    under_way = auto()


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """What a write was answered with."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class IdempotencyKeys:
    """The keys of one tenant's writes, each remembered for a day."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        self._database = database
        self._tenant_id = tenant_id

    async def begin(self, key: str, fingerprint: bytes) -> Kept | KeptResponse:
        """The key belongs to this write, if it is new; else what is known of it."""
        await self._database.ensure_tenant(self._tenant_id)
        parameters: dict[str, Any] = {
            **self._key(key),
            "fingerprint": fingerprint,
            "hours": KEPT_HOURS,
            "abandoned": ABANDONED_SECONDS,
        }
        async with self._database.transaction(self._tenant_id) as connection:
            await connection.execute(statement("forget_old_keys"), parameters)
            cursor = await connection.execute(statement("begin_write"), parameters)
            if await cursor.fetchone():
                return Kept.new
            cursor = await connection.execute(statement("get_write"), parameters)
            row = await cursor.fetchone()
        if row is None:
            return Kept.under_way
        if bytes(row["fingerprint"]) != fingerprint:
            return Kept.other
        if row["status"] is None:
            return Kept.under_way
        return KeptResponse(row["status"], row["headers"], bytes(row["body"]))

    async def keep(self, key: str, response: KeptResponse) -> None:
        """The write with that key was answered so."""
        await self._run(
            "end_write",
            {
                **self._key(key),
                "status": response.status,
                "headers": Jsonb(dict(response.headers)),
                "body": response.body,
            },
        )

    async def forget(self, key: str) -> None:
        """The write failed, and may be tried again with the same key."""
        await self._run("forget_write", self._key(key))

    async def _run(self, name: str, parameters: Mapping[str, Any]) -> None:
        async with self._database.transaction(self._tenant_id) as connection:
            await connection.execute(statement(name), parameters)

    def _key(self, key: str) -> dict[str, Any]:
        return {"tenant_id": self._tenant_id, "key": key}
