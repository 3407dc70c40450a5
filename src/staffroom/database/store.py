"""Scenarios and their vectors are written together, a batch in one transaction.

A batch that was written before changes nothing; a batch that is killed leaves
nothing; so an import may stop anywhere and be run again.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import numpy as np
from psycopg.types.json import Json, Jsonb
from uuid_utils.compat import uuid7

from staffroom.database.connection import Connection
from staffroom.database.generations import Generation
from staffroom.database.rows import PackedVectors, head_row, revision_row
from staffroom.database.statements import statement
from staffroom.errors import EditConflict
from staffroom.scenario import content_sha256, indexed_words, source_key
from staffroom.text import mend
from staffroom.types import ScenarioContent, Vector, Vectors

MOST_WORDS: Final = 64
"""Words that lead to a scenario: those that tell most about it. All of its words count."""


@dataclass(frozen=True, slots=True)
class TextVectors:
    """The vectors of a scenario's text and of its example questions, in their order.
    Shape: examples (questions, dimensions)."""

    whole: Vector
    examples: Vectors


@dataclass(frozen=True, slots=True)
class Item:
    """A scenario on its way into the library, with the vectors of its text.

    Without them its text is the one that the library has since the revision `text_revision`, whose
    vectors and words stay as they are.
    """

    content: ScenarioContent
    vectors: TextVectors | None
    text_revision: int = 0
    words: Mapping[str, Any] | None = None
    """Those of its text as `add_words` reads them, if they were found before."""


class TextChanged(Exception):
    """The library's text of a scenario is no longer the one that an item was compared with."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a scenario is, and whether storing it changed anything or made it."""

    scenario_id: UUID
    changed: bool
    is_new: bool = False


Within = Callable[[Connection, Sequence[Stored]], Awaitable[None]]
"""What else belongs into the transaction that stored those scenarios."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the library already has under a key."""

    scenario_id: UUID
    revision: int
    text_revision: int
    """The revision since which its text is the same; its vectors and words are kept under that."""
    sha256: bytes
    is_indexed: bool
    """Search finds it as it is now: the generation has its vector, and its words are counted."""

    def holds(self, content: ScenarioContent) -> bool:
        """The library needs nothing of this content.

        Without an id of its own, content that was stored and edited since stays as edited.
        """
        return not content.source_id or self.sha256 == content_sha256(content)

    def lacks(self, content: ScenarioContent) -> bool:
        """Storing the content would change the scenario, or index what it says."""
        if self.is_indexed:
            return not self.holds(content)
        return bool(content.source_id) or self.sha256 == content_sha256(content)


@dataclass(frozen=True, slots=True)
class Write:
    """One scenario's part of a transaction."""

    item: Item
    scenario_id: UUID
    revision: int
    known: Known | None

    @property
    def changed(self) -> bool:
        return self.known is None or self.revision > self.known.revision

    @property
    def lacks_index(self) -> bool:
        if self.item.vectors is None:
            return False
        return self.changed or not (self.known and self.known.is_indexed)

    @property
    def text_revision(self) -> int:
        """The revision under which the vectors and words of its text are kept."""
        is_kept = self.known and (self.item.vectors is None or not self.changed)
        return self.known.text_revision if self.known and is_kept else self.revision

    @property
    def head(self) -> dict[str, Any]:
        numbers = {"revision": self.revision, "text_revision": self.text_revision}
        return head_row(self.scenario_id, self.item.content) | numbers


async def known_scenarios(
    connection: Connection, tenant_id: UUID, generation: Generation, keys: Sequence[str]
) -> dict[str, Known]:
    """What the library has under those keys."""
    cursor = await connection.execute(
        statement("known_scenarios", generation.vectors_table),
        {"tenant_id": tenant_id, "source_ids": list(keys)},
    )
    return {
        row["source_id"]: Known(
            row["scenario_id"],
            row["revision"],
            row["text_revision"],
            bytes(row["content_sha256"]),
            row["is_indexed"],
        )
        for row in await cursor.fetchall()
    }


async def write_scenarios(
    connection: Connection,
    tenant_id: UUID,
    generation: Generation,
    items: Sequence[Item],
    *,
    author: str,
    reason: str,
    expected_revision: int | None = None,
) -> list[Stored]:
    """All of the items are in the library, in their order. Keys must differ from each other.

    Raises: EditConflict if a revision is expected and one of them has another; TextChanged if an
        item without vectors meets another text than it was compared with.
    """
    reason = mend(reason)
    await connection.execute(statement("lock_library"), {"tenant_id": tenant_id})
    keys = [source_key(item.content) for item in items]
    known = await known_scenarios(connection, tenant_id, generation, keys)
    for scenario in known.values():
        check_revision(scenario.scenario_id, scenario.revision, expected_revision)
    writes = [_plan(item, known.get(key)) for item, key in zip(items, keys, strict=True)]
    changed = [write for write in writes if write.changed]
    lacking = [write for write in writes if write.lacks_index]
    if changed:
        await _write_content(connection, tenant_id, changed, author, reason)
    if lacking:
        await _write_vectors(connection, tenant_id, generation, lacking)
        await _write_words(connection, tenant_id, lacking)
    if changed or lacking:
        await connection.execute(statement("advance_library"), {"tenant_id": tenant_id})
    if changed:
        await add_audit(
            connection,
            tenant_id,
            actor=author,
            action="scenarios.store",
            subject_id=changed[0].scenario_id if len(changed) == 1 else None,
            detail={"scenarios": len(changed), "reason": reason},
        )
    return [Stored(write.scenario_id, write.changed, write.known is None) for write in writes]


async def with_words(connection: Connection, items: Sequence[Item]) -> list[Item]:
    """The items with the words of their texts, where those are to be stored."""
    lacking = [item for item in items if item.vectors and item.words is None]
    rows = [
        {"language": item.content.metadata.language, "body": indexed_words(item.content)}
        for item in lacking
    ]
    words: Iterator[Mapping[str, Any]] = iter(())
    if rows:
        found = await connection.execute(statement("words_of"), {"rows": Json(rows)})
        words = iter(await found.fetchall())
    return [
        replace(item, words=next(words)) if item.vectors and item.words is None else item
        for item in items
    ]


async def forget_words(
    connection: Connection, tenant_id: UUID, scenario_ids: Sequence[UUID]
) -> None:
    """Nothing of those scenarios is counted among the library's words."""
    key = {"tenant_id": tenant_id, "scenario_ids": list(scenario_ids)}
    await connection.execute(statement("forget_words"), key)


async def add_audit(
    connection: Connection,
    tenant_id: UUID,
    *,
    actor: str,
    action: str,
    subject_id: UUID | None,
    detail: Mapping[str, Any],
) -> None:
    """The change is on record, if the transaction is."""
    await connection.execute(
        statement("add_audit"),
        {
            "tenant_id": tenant_id,
            "audit_id": uuid7(),
            "actor": actor,
            "action": action,
            "subject_id": subject_id,
            "detail": Jsonb(detail),
        },
    )


def check_revision(scenario_id: UUID, revision: int, expected: int | None) -> None:
    """The scenario is as whoever changes it saw it. Raises: EditConflict."""
    if expected is not None and revision != expected:
        raise EditConflict(
            f"scenario {scenario_id} is at revision {revision}, and the edit was made on "
            f"{expected}. Read it again and make the edit on what it says now."
        )


def _plan(item: Item, known: Known | None) -> Write:
    if item.vectors is None and not (
        known and known.is_indexed and known.text_revision == item.text_revision
    ):
        raise TextChanged
    if known is None:
        return Write(item, uuid7(), 1, None)
    revision = known.revision if known.holds(item.content) else known.revision + 1
    return Write(item, known.scenario_id, revision, known)


async def _write_content(
    connection: Connection, tenant_id: UUID, writes: Sequence[Write], author: str, reason: str
) -> None:
    new = [write.head for write in writes if write.known is None]
    edited = [write.head for write in writes if write.known is not None]
    for name, rows in (("add_scenarios", new), ("update_scenarios", edited)):
        if rows:
            await connection.execute(statement(name), {"tenant_id": tenant_id, "rows": Json(rows)})
    revisions = [
        revision_row(write.scenario_id, write.revision, write.item.content) for write in writes
    ]
    await connection.execute(
        statement("add_revisions"),
        {"tenant_id": tenant_id, "rows": Json(revisions), "author": author, "reason": reason},
    )


async def _write_vectors(
    connection: Connection, tenant_id: UUID, generation: Generation, writes: Sequence[Write]
) -> None:
    ids = [write.scenario_id for write in writes]
    made = [write.item.vectors for write in writes if write.item.vectors]
    key = {"tenant_id": tenant_id, "scenario_ids": ids}
    if any(write.known for write in writes):
        await connection.execute(statement("delete_vectors", generation.vectors_table), key)
    vectors = {
        "revisions": [write.text_revision for write in writes],
        "embeddings": PackedVectors(np.stack([of.whole for of in made])),
        "example_of": [one for one, of in zip(ids, made, strict=True) for _ in of.examples],
        "examples": PackedVectors(np.concatenate([of.examples for of in made])),
    }
    await connection.execute(statement("add_vectors", generation.vectors_table), key | vectors)


async def _write_words(connection: Connection, tenant_id: UUID, writes: Sequence[Write]) -> None:
    before = [write.scenario_id for write in writes if write.known]
    if before:
        await forget_words(connection, tenant_id, before)
    items = await with_words(connection, [write.item for write in writes])
    rows = [
        {
            "scenario_id": str(write.scenario_id),
            "revision": write.text_revision,
            **(item.words or {}),
        }
        for write, item in zip(writes, items, strict=True)
    ]
    parameters = {"tenant_id": tenant_id, "rows": Json(rows), "most_words": MOST_WORDS}
    await connection.execute(statement("add_words"), parameters)
