"""What the library lacks: questions that it failed, in groups of one meaning that are kept.

A group begins when its first question goes unanswered or its answer is found wanting, and has one
id from then on. Somebody opens it, drafts a scenario for it, and publishing that answers it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args
from uuid import UUID

import numpy as np
from psycopg.types.json import Jsonb

from staffroom.database.connection import Connection, Database
from staffroom.database.gap_refresh import NEWEST_GAPS, as_vector, refresh_gaps
from staffroom.database.statements import statement
from staffroom.errors import ConflictError, InputError, NotFoundError
from staffroom.retrieval.fusion import diverse
from staffroom.text import mend
from staffroom.types import Status, Vector

GapState = Literal["open", "drafted", "answered", "dismissed"]
"""The life of a group: open; drafted while its scenario is being written; answered; dismissed, if
the library is not meant to answer such questions. A dismissed group goes on collecting them."""

GAP_STATES: Final[tuple[GapState, ...]] = get_args(GapState)

GapKind = Literal["unanswered", "poorly_rated"]

MAX_NOTE: Final = 2_000


@dataclass(frozen=True, slots=True)
class GapQuestion:
    """A question of a group, as it was understood."""

    interaction_id: UUID
    question: str
    created_at: datetime
    kind: GapKind = "unanswered"
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GapGroup:
    """A group of questions of one meaning that the library failed.

    `label` is its most central question, `words` tell it from other groups. `answered` counts the
    questions that its scenario answers; `outcome` is what publishing that brought.
    """

    id: UUID
    state: GapState
    label: str
    words: Sequence[str]
    size: int
    poorly_rated: int
    answered: int
    first: datetime
    last: datetime
    scenario_id: UUID | None
    scenario_name: str | None
    scenario_status: Status | None
    note: str
    outcome: Mapping[str, Any] | None
    created_at: datetime
    changed_at: datetime


class Gaps:
    """The gap groups of one tenant. Whatever is read is brought up to date before."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        self._database = database
        self._tenant_id = tenant_id

    async def refresh(self) -> None:
        """Every question that was failed is in a group, up to 2,000 new ones at a time.

        Groups whose questions were erased are gone, and those whose scenario was deleted open.
        """
        await refresh_gaps(self._database, self._tenant_id)

    async def page(
        self, limit: int = 50, after: UUID | None = None, state: GapState | None = None
    ) -> list[GapGroup]:
        """The `limit` groups that follow the id `after`, the newest first."""
        await self.refresh()
        return await self._list(limit=limit, after=after, state=state)

    async def largest(self, state: GapState, most: int) -> list[GapGroup]:
        """The largest groups in that state."""
        await self.refresh()
        return await self._list(limit=most, state=state, is_by_size=True)

    async def counts(self) -> dict[GapState, int]:
        """How many groups there are in each state."""
        rows = await self._database.fetch(
            self._tenant_id, statement("count_gap_groups"), {"tenant_id": self._tenant_id}
        )
        found = {row["state"]: row["groups"] for row in rows}
        return {state: found.get(state, 0) for state in GAP_STATES}

    async def get(self, group_id: UUID) -> GapGroup:
        """The group as it is now. Raises: NotFoundError."""
        await self.refresh()
        found = await self._list(limit=1, group_id=group_id)
        if not found:
            raise _no_group(group_id)
        return found[0]

    async def led_to(self, scenario_id: UUID) -> list[GapGroup]:
        """The groups that wait for that scenario to be published."""
        return await self._list(scenario_id=scenario_id, state="drafted")

    async def of_scenario(self, scenario_id: UUID) -> list[GapGroup]:
        """The groups whose questions that scenario is to answer, or does."""
        return await self._list(scenario_id=scenario_id)

    async def questions(self, group_id: UUID, limit: int) -> list[GapQuestion]:
        """The questions of a group, the most central first."""
        return [question for question, _ in await self._questions(group_id, limit)]

    async def examples(
        self, group_id: UUID, limit: int, among: Sequence[UUID] | None = None
    ) -> list[GapQuestion]:
        """Questions of a group, or of those among it, of which no two say the same, the most
        central first."""
        asked: dict[str, tuple[GapQuestion, Vector]] = {}
        for question, vector in await self._questions(group_id, NEWEST_GAPS):
            if among is None or question.interaction_id in among:
                asked.setdefault(question.question.casefold(), (question, vector))
        if not asked:
            return []
        found = list(asked.values())
        places = diverse(np.stack([vector for _, vector in found]), limit)
        return [found[place][0] for place in places]

    async def change(
        self, group_id: UUID, *, state: GapState | None = None, note: str | None = None
    ) -> GapGroup:
        """The group has that state and that note, where they are given.

        Open and dismissed groups have no scenario; only one whose scenario is published can be
        answered.
        Raises: NotFoundError; InputError for a note that is too long; ConflictError for a state
            that it cannot have.
        """
        note = None if note is None else mend(note).strip()
        if note is not None and len(note) > MAX_NOTE:
            raise InputError(f"the note has {len(note):,} characters; {MAX_NOTE:,} fit.")
        group = await self.get(group_id)
        key = self._key(group_id)
        async with self._database.transaction(self._tenant_id) as connection:
            await connection.execute(statement("lock_gaps"), key)
            now = await self._lock(connection, group_id)
            wanted = state or now["state"]
            _check_step(group, now["state"], wanted)
            keeps = wanted in {"drafted", "answered"}
            scenario_id = now["scenario_id"] if keeps else None
            await connection.execute(
                statement("set_gap_group"),
                {**key, "state": wanted, "scenario_id": scenario_id, "note": note},
            )
            if not keeps:
                await connection.execute(statement("forget_gap_answers"), key)
        return await self.get(group_id)

    async def lead_to(self, group_id: UUID, scenario_id: UUID) -> None:
        """The group is being written: that scenario is to answer its questions.

        Raises: NotFoundError; ConflictError if it leads to a scenario already, or is dismissed.
        """
        key = self._key(group_id)
        async with self._database.transaction(self._tenant_id) as connection:
            await connection.execute(statement("lock_gaps"), key)
            check_free(group_id, **await self._lock(connection, group_id))
            await connection.execute(
                statement("set_gap_group"),
                {**key, "state": "drafted", "scenario_id": scenario_id, "note": None},
            )

    async def settle(
        self, group: GapGroup, answered: Mapping[UUID, bool], outcome: Mapping[str, Any]
    ) -> None:
        """It is kept which of the questions the group's scenario answers, and what else publishing
        it brought. A group all of whose questions that were asked are answered is answered."""
        key = self._key(group.id)
        async with self._database.transaction(self._tenant_id) as connection:
            await connection.execute(statement("lock_gaps"), key)
            await connection.execute(
                statement("answer_gaps"),
                {
                    **key,
                    "asked": list(answered),
                    "answered": [asked for asked, is_so in answered.items() if is_so],
                },
            )
            await connection.execute(
                statement("settle_gap_group"),
                {
                    **key,
                    "outcome": Jsonb(outcome),
                    "is_answered": all(answered.values()),
                    "scenario_id": group.scenario_id,
                },
            )

    async def release(self, group_id: UUID, questions: Sequence[UUID]) -> None:
        """Those questions have left the group, to be grouped anew."""
        async with self._database.transaction(self._tenant_id) as connection:
            await connection.execute(
                statement("release_gaps"), {**self._key(group_id), "questions": list(questions)}
            )

    async def _list(
        self,
        *,
        limit: int | None = None,
        after: UUID | None = None,
        state: GapState | None = None,
        group_id: UUID | None = None,
        scenario_id: UUID | None = None,
        is_by_size: bool = False,
    ) -> list[GapGroup]:
        parameters = {
            **self._key(group_id),
            "limit": limit,
            "after": after,
            "state": state,
            "scenario_id": scenario_id,
            "is_by_size": is_by_size,
        }
        rows = await self._database.fetch(self._tenant_id, statement("list_gap_groups"), parameters)
        return [GapGroup(**row) for row in rows]

    async def _questions(self, group_id: UUID, limit: int) -> list[tuple[GapQuestion, Vector]]:
        rows = await self._database.fetch(
            self._tenant_id, statement("gap_questions"), {**self._key(group_id), "limit": limit}
        )
        return [
            (GapQuestion(**row), as_vector(vector))
            for row in rows
            for vector in [row.pop("embedding")]
        ]

    async def _lock(self, connection: Connection, group_id: UUID) -> dict[str, Any]:
        cursor = await connection.execute(statement("lock_gap_group"), self._key(group_id))
        row = await cursor.fetchone()
        if row is None:
            raise _no_group(group_id)
        return row

    def _key(self, group_id: UUID | None) -> dict[str, Any]:
        return {"tenant_id": self._tenant_id, "group_id": group_id}


def check_free(group_id: UUID, state: GapState, scenario_id: UUID | None) -> None:
    """A scenario can be written for the group. Raises: ConflictError."""
    if scenario_id is not None:
        raise ConflictError(
            f"group {group_id} leads to scenario {scenario_id} already. Go on with that one, or "
            "open the group again."
        )
    if state != "open":
        raise ConflictError(f"group {group_id} is {state}. Open it again to write a scenario.")


def _check_step(group: GapGroup, now: GapState, wanted: GapState) -> None:
    if wanted == now:
        return
    if wanted == "drafted":
        raise ConflictError(
            f"group {group.id} has no scenario that is being written. Draft one for it."
        )
    if wanted == "answered" and not (now == "drafted" and group.scenario_status == "published"):
        raise ConflictError(
            f"nothing answers the questions of group {group.id}. Publish a scenario for it, or "
            "dismiss it."
        )


def _no_group(group_id: UUID) -> NotFoundError:
    return NotFoundError(
        f"there is no group {group_id}. Its questions may have joined another one; "
        "`staffroom gaps list` shows all."
    )
