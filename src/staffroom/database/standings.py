"""Standings: how often a scenario's advice was reported to have worked, and what that is worth."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from staffroom.database.catalogue import no_scenario
from staffroom.database.connection import Connection, Database
from staffroom.database.statements import statement
from staffroom.database.store import add_audit
from staffroom.documents import DIGITS
from staffroom.retrieval.standing import weight


@dataclass(frozen=True, slots=True)
class Standing:
    """In how many exchanges it was reported, since the last reset if there was one."""

    worked: int
    reset_at: datetime | None

    @property
    def weight(self) -> float:
        """The log odds by which the scenario's relevance is raised."""
        return weight(self.worked)


def standing_document(standing: Standing) -> dict[str, Any]:
    """A standing as JSON."""
    return {
        "worked": standing.worked,
        "weight": round(standing.weight, DIGITS),
        "reset_at": standing.reset_at and standing.reset_at.isoformat(),
    }


class Standings:
    """The standings of one tenant's scenarios."""

    def __init__(self, database: Database, tenant_id: UUID, author: str) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._author = author

    async def get(self, scenario_id: UUID) -> Standing:
        """The scenario's standing. Raises: NotFoundError."""
        rows = await self._database.fetch(
            self._tenant_id, statement("get_standing"), self._key(scenario_id)
        )
        if not rows:
            raise no_scenario(scenario_id)
        return Standing(**rows[0])

    async def reset(self, scenario_id: UUID, reason: str = "") -> Standing:
        """The scenario stands as if nothing had been reported until now; the audit says who did it.

        Raises: NotFoundError.
        """
        async with self._database.transaction(self._tenant_id) as connection:
            cursor = await connection.execute(statement("reset_standing"), self._key(scenario_id))
            if cursor.rowcount == 0:
                raise no_scenario(scenario_id)
            await _advance(connection, self._tenant_id)
            await add_audit(
                connection,
                self._tenant_id,
                actor=self._author,
                action="standing.reset",
                subject_id=scenario_id,
                detail={"reason": reason},
            )
        return await self.get(scenario_id)

    def _key(self, scenario_id: UUID) -> dict[str, UUID]:
        return {"tenant_id": self._tenant_id, "scenario_id": scenario_id}


async def count_worked(connection: Connection, tenant_id: UUID, interaction_id: UUID) -> None:
    """The reports on what that exchange rests on are counted, within the caller's transaction."""
    key = {"tenant_id": tenant_id, "interaction_id": interaction_id}
    await connection.execute(statement("lock_library"), key)
    await connection.execute(statement("begin_standings"), key)
    cursor = await connection.execute(statement("count_worked"), key)
    if cursor.rowcount:
        await _advance(connection, tenant_id)


async def _advance(connection: Connection, tenant_id: UUID) -> None:
    # Answers that are kept rest on the order as it was.
    await connection.execute(statement("advance_library"), {"tenant_id": tenant_id})
