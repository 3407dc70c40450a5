"""What evaluations of the search on golden questions brought, run by run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from staffroom.database.connection import Database
from staffroom.database.statements import statement
from staffroom.types import Mode

Ranks = Mapping[Mode, int | None]
"""By mode, where the best right scenario stood; None behind the first ten."""


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """A run: its figures by mode, how many questions it asked, and of what.

    `library_version` grows with every change of the library; `model` embedded it.
    """

    id: UUID
    figures: Mapping[str, Any]
    questions: int
    library_version: int
    model: str
    created_at: datetime


class Evaluations:
    """The evaluations of one tenant."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        self._database = database
        self._tenant_id = tenant_id

    async def add(
        self,
        figures: Mapping[str, Any],
        ranks: Mapping[UUID, Ranks],
        *,
        library_version: int,
        model: str,
    ) -> EvaluationRecord:
        """The run is kept; `ranks` are those of each golden question."""
        row = {
            "tenant_id": self._tenant_id,
            "evaluation_id": uuid7(),
            "figures": Jsonb(figures),
            "ranks": Jsonb({str(golden_id): dict(found) for golden_id, found in ranks.items()}),
            "questions": len(ranks),
            "library_version": library_version,
            "model": model,
        }
        async with self._database.transaction(self._tenant_id) as connection:
            cursor = await connection.execute(statement("add_evaluation"), row)
            stored = await cursor.fetchone()
        assert stored is not None
        return EvaluationRecord(**stored)

    async def page(self, limit: int = 50, before: UUID | None = None) -> list[EvaluationRecord]:
        """The runs that came before the given one, newest first."""
        parameters = {"tenant_id": self._tenant_id, "limit": limit, "before": before}
        rows = await self._database.fetch(
            self._tenant_id, statement("list_evaluations"), parameters
        )
        return [EvaluationRecord(**row) for row in rows]

    async def newest_ranks(self) -> dict[UUID, Ranks]:
        """Where each golden question's right scenario stood in the newest run."""
        rows = await self._database.fetch(
            self._tenant_id, statement("newest_ranks"), {"tenant_id": self._tenant_id}
        )
        return {UUID(golden_id): ranks for row in rows for golden_id, ranks in row["ranks"].items()}
