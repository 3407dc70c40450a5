"""Likenesses: pairs of scenarios that may be one, ranked for a person to decide.

Every scenario is compared with the others by its embedding, and stays beside the nearest of them,
however near they are, and beside all that are probably about the same situation. Which pairs there
are can be told from the library at any time; what people decided of them is kept, until one of the
two texts changes.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from psycopg.rows import DictRow

from staffroom.database.connection import Connection, Database
from staffroom.database.generations import Generation
from staffroom.database.library import Library
from staffroom.database.rows import content_from_row
from staffroom.database.statements import statement
from staffroom.database.store import add_audit, check_revision
from staffroom.errors import ConflictError, InputError, NotFoundError
from staffroom.scenario import embedded_text
from staffroom.text import mend
from staffroom.types import Status

Decision = Literal["open", "keep_both", "linked", "merged"]
"""open: nobody has decided yet; linked: two situations, each shown with the other."""

NEAR_DUPLICATE: Final = 0.75
"""Cosine from which two scenarios are shown as probably about one situation, for a person to judge.
Of the 19,110 pairs of the starter library, 15 reach it with the default model, most of them one
situation told twice (a silent online lesson with the cameras off); the pairs below it are mostly
neighbours. Without its example questions, two thirds of the scenarios still reach it."""

NEAREST: Final = 3
"""Other scenarios that each one is paired with, however far they are."""

MOST_NEAR: Final = 10
"""Other scenarios that one is paired with if all of them are near duplicates."""

BATCH: Final = 64
"""Scenarios that are compared at once, while nothing is written: some tenths of a second."""

WHOLE_LIMIT: Final = 1_000
"""Scenarios up to which each is compared with all others. Beyond, the vector index is asked, which
may miss one of the nearest now and then."""

MAX_REASON: Final = 1_000


@dataclass(frozen=True, slots=True)
class Alike:
    """One scenario of a pair, as it is now."""

    id: UUID
    name: str
    status: Status
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Two scenarios and the cosine of their vectors; what was decided of them, and by whom.

    `kept` is the one that a merge kept.
    """

    one: Alike
    other: Alike
    similarity: float
    decision: Decision
    kept: UUID | None
    decided_by: str
    reason: str
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list of likenesses goes on: behind this pair."""

    similarity: float
    one: UUID
    other: UUID


@dataclass(frozen=True, slots=True)
class Compared:
    """How many scenarios there are, and how many were compared as they are now."""

    done: int
    total: int

    @property
    def is_whole(self) -> bool:
        return self.done == self.total


@dataclass(frozen=True, slots=True)
class Pair:
    """Two scenarios in the order of their ids, and the revisions that somebody saw of them."""

    one: UUID
    other: UUID
    revisions: Mapping[UUID, int]

    @property
    def ids(self) -> tuple[UUID, UUID]:
        return self.one, self.other


def pair_of(one: UUID, other: UUID, revisions: Mapping[UUID, int] | None = None) -> Pair:
    """The two as a pair. Raises: InputError if they are the same one."""
    if one == other:
        raise InputError(f"{one} is named twice. A pair has two scenarios.")
    return Pair(min(one, other), max(one, other), revisions or {})


class Likenesses:
    """The likenesses of one tenant."""

    def __init__(self, database: Database, library: Library, tenant_id: UUID) -> None:
        self._database = database
        self._library = library
        self._tenant_id = tenant_id

    async def compare(self, *, patient: bool = False) -> bool:
        """A further batch of scenarios stands beside its nearest others. False if none was left.

        While somebody writes to the library nothing is compared either, unless the caller is
        patient and waits.
        """
        generation = await self._library.generation()
        async with self._database.transaction(self._tenant_id) as connection:
            key = {"tenant_id": self._tenant_id}
            if patient:
                await connection.execute(statement("lock_library"), key)
            else:
                cursor = await connection.execute(statement("try_lock_library"), key)
                row = await cursor.fetchone()
                if not (row and row["is_locked"]):
                    return False
            return await self._compare(connection, generation, None) > 0

    async def compared(self) -> Compared:
        """How far the comparison is."""
        generation = await self._library.generation()
        key = {"tenant_id": self._tenant_id, "generation_id": generation.id}
        (row,) = await self._rows("compared_scenarios", key)
        return Compared(row["done"], row["total"])

    async def page(
        self,
        limit: int = 50,
        after: Place | None = None,
        *,
        decision: Decision = "open",
        scenario_id: UUID | None = None,
    ) -> list[Likeness]:
        """The pairs of which that was decided, the most similar first; of one scenario, or of all.

        An open pair whose scenario is retired waits until that is in use again.
        """
        parameters = {
            "tenant_id": self._tenant_id,
            "decision": decision,
            "scenario_id": scenario_id,
            "similarity": after and after.similarity,
            "one": after and after.one,
            "other": after and after.other,
            "limit": limit,
        }
        return [_likeness(row) for row in await self._rows("list_likenesses", parameters)]

    async def near(self, similarity: float) -> int:
        """How many open pairs are at least that similar."""
        key = {"tenant_id": self._tenant_id, "near": similarity}
        (row,) = await self._rows("near_likenesses", key)
        return int(row["size"])

    async def decide(self, pair: Pair, decision: Decision, *, author: str, reason: str) -> Likeness:
        """That is decided of the pair, whether it was listed or not; deciding the same again
        changes nothing.

        Raises: NotFoundError; EditConflict if one of them is not as it was seen; ConflictError if
            something else was decided before, or if one of them is retired.
        """
        async with self._database.transaction(self._tenant_id) as connection:
            known = await self.open_pair(connection, pair, decision)
            if known.decision == decision:
                return known
            await self.write_decision(connection, pair, decision, author=author, reason=reason)
            return await self.get(connection, pair)

    async def open_pair(self, connection: Connection, pair: Pair, decision: Decision) -> Likeness:
        """The pair, on which that can be decided now: nobody else writes to the library until the
        end of the transaction, and both were compared as they are.

        Raises: as `decide`.
        """
        generation = await self._library.generation()
        await connection.execute(statement("lock_library"), {"tenant_id": self._tenant_id})
        await self._compare(connection, generation, pair.ids)
        key = self._key(pair) | {"generation_id": generation.id}
        await connection.execute(statement("add_likeness", generation.vectors_table), key)
        known = await self.get(connection, pair)
        _check(known, pair, decision)
        return known

    async def write_decision(
        self,
        connection: Connection,
        pair: Pair,
        decision: Decision,
        *,
        author: str,
        reason: str,
        kept: UUID | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """The decision stands, and is on record."""
        values = {"decision": decision, "kept": kept, "author": mend(author), "reason": reason}
        await connection.execute(statement("decide_likeness"), self._key(pair) | values)
        await add_audit(
            connection,
            self._tenant_id,
            actor=author,
            action=f"likeness.{decision}",
            subject_id=kept or pair.one,
            detail={"scenarios": list(map(str, pair.ids)), "reason": reason, **(detail or {})},
        )

    async def _compare(
        self, connection: Connection, generation: Generation, only: Collection[UUID] | None
    ) -> int:
        """Those that are due stand beside their nearest others. Returns how many that were."""
        key = {"tenant_id": self._tenant_id, "generation_id": generation.id}
        cursor = await connection.execute(
            statement("due_likenesses", generation.vectors_table),
            {**key, "scenario_ids": list(only) if only else None, "limit": BATCH},
        )
        due = await cursor.fetchall()
        if not due:
            return 0
        digests = {row["scenario_id"]: _text_digest(row) for row in due}
        ids = list(digests)
        retired = {row["scenario_id"] for row in due if row["status"] == "retired"}
        changed = [
            row["scenario_id"]
            for row in due
            if row["text_sha256"] not in {None, digests[row["scenario_id"]]}
        ]
        await connection.execute(statement("forget_foreign_likenesses"), key)
        await connection.execute(
            statement("withdraw_likenesses"),
            {**key, "scenario_ids": ids, "changed_ids": changed, "retired_ids": list(retired)},
        )
        in_use = [scenario_id for scenario_id in ids if scenario_id not in retired]
        await connection.execute(statement("plan_likenesses"), {**key, "whole": WHOLE_LIMIT})
        await connection.execute(
            statement("add_likenesses", generation.vectors_table),
            {
                **key,
                "scenario_ids": in_use,
                "nearest": NEAREST,
                "near": NEAR_DUPLICATE,
                "most": MOST_NEAR,
            },
        )
        await connection.execute(statement("plan_as_usual"))
        settled = {
            "scenario_ids": ids,
            "revisions": [row["revision"] for row in due],
            "digests": list(digests.values()),
        }
        await connection.execute(statement("settle_likenesses"), key | settled)
        return len(due)

    async def get(self, connection: Connection, pair: Pair) -> Likeness:
        cursor = await connection.execute(statement("get_likeness"), self._key(pair))
        row = await cursor.fetchone()
        if row is None:
            raise NotFoundError(
                f"one of {pair.one} and {pair.other} is not in the library, or has no embedding "
                "yet. `staffroom scenario list` shows all ids."
            )
        return _likeness(row)

    async def _rows(self, name: str, parameters: Mapping[str, Any]) -> Sequence[DictRow]:
        return await self._database.fetch(self._tenant_id, statement(name), parameters)

    def _key(self, pair: Pair) -> dict[str, Any]:
        return {"tenant_id": self._tenant_id, "one": pair.one, "other": pair.other}


def clean_reason(reason: str) -> str:
    """The reason as it is kept. Raises: InputError if it is too long."""
    text = mend(reason)
    if len(text) > MAX_REASON:
        raise InputError(f"the reason has {len(text):,} characters; {MAX_REASON:,} are kept.")
    return text


def _check(known: Likeness, pair: Pair, decision: Decision) -> None:
    for alike in (known.one, known.other):
        check_revision(alike.id, alike.revision, pair.revisions.get(alike.id))
    if known.decision == decision:
        return
    if known.decision == "merged":
        raise ConflictError(
            f"{known.one.name!r} and {known.other.name!r} were merged by {known.decided_by}. To "
            "undo that, restore what both said before; then decide again."
        )
    if "open" not in {known.decision, decision}:
        raise ConflictError(
            f"{known.decided_by} has decided already: {known.decision.replace('_', ' ')}. Open "
            "the pair again first, then decide."
        )
    for alike in (known.one, known.other):
        if alike.status == "retired" and decision != "open":
            raise ConflictError(
                f"{alike.name!r} ({alike.id}) is retired, so there is nothing to decide. Take it "
                "back to draft or publish it first."
            )


def _text_digest(row: Mapping[str, Any]) -> bytes:
    """The digest of what is compared of a scenario: another status or advice is no other text."""
    return hashlib.sha256(embedded_text(content_from_row(row)).encode()).digest()


def _likeness(row: Mapping[str, Any]) -> Likeness:
    one, other = (
        Alike(row[side], row[f"{side}_name"], row[f"{side}_status"], row[f"{side}_revision"])
        for side in ("one", "other")
    )
    return Likeness(
        one=one,
        other=other,
        similarity=row["similarity"],
        decision=row["decision"],
        kept=row["kept"],
        decided_by=row["decided_by"],
        reason=row["reason"],
        decided_at=row["decided_at"],
    )
