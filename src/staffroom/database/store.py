"""Scenarios and their vectors are written together, a batch in one transaction.

A batch that was written before changes nothing; a batch that is killed leaves
nothing; so an import may stop anywhere and be run again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from staffroom.database.connection import Connection
from staffroom.database.generations import Generation
from staffroom.database.rows import (
    REVISION_TYPES,
    SCENARIO_TYPES,
    head_columns,
    packed_vectors,
    revision_columns,
)
from staffroom.database.statements import statement
from staffroom.scenario import content_sha256, source_key
from staffroom.types import ScenarioContent, Vector


@dataclass(frozen=True, slots=True)
class Item:
    """A scenario on its way into the library, with the vector of its text."""

    content: ScenarioContent
    vector: Vector


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a scenario is, and whether storing it changed anything."""

    scenario_id: UUID
    changed: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What the library already has under a key."""

    scenario_id: UUID
    revision: int
    sha256: bytes
    has_vector: bool

    def holds(self, content: ScenarioContent) -> bool:
        """The library needs nothing of this content.

        Without an id of its own, content that was stored and edited since stays as edited.
        """
        return not content.source_id or self.sha256 == content_sha256(content)


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
            bytes(row["content_sha256"]),
            row["vector_revision"] == row["revision"],
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
) -> list[Stored]:
    """All of the items are in the library, in their order. Keys must differ from each other."""
    await connection.execute(statement("lock_library"), {"tenant_id": tenant_id})
    keys = [source_key(item.content) for item in items]
    known = await known_scenarios(connection, tenant_id, generation, keys)
    writes = [_plan(item, known.get(key)) for item, key in zip(items, keys, strict=True)]
    changed = [write for write in writes if write.changed]
    await _write_heads(connection, tenant_id, changed)
    await _copy_revisions(connection, tenant_id, changed, author, reason)
    await _write_vectors(connection, tenant_id, generation, writes)
    if changed:
        await connection.execute(
            statement("add_audit"),
            {
                "tenant_id": tenant_id,
                "audit_id": uuid7(),
                "actor": author,
                "action": "scenarios.store",
                "subject_id": changed[0].scenario_id if len(changed) == 1 else None,
                "detail": Jsonb({"scenarios": len(changed), "reason": reason}),
            },
        )
    return [Stored(write.scenario_id, write.changed) for write in writes]


def _plan(item: Item, known: Known | None) -> Write:
    if known is None:
        return Write(item, uuid7(), 1, None)
    revision = known.revision if known.holds(item.content) else known.revision + 1
    return Write(item, known.scenario_id, revision, known)


async def _write_heads(connection: Connection, tenant_id: UUID, writes: Sequence[Write]) -> None:
    async with (
        connection.cursor() as cursor,
        cursor.copy(statement("copy_scenarios")) as copy,
    ):
        copy.set_types(SCENARIO_TYPES)
        for write in writes:
            if write.known is None:
                await copy.write_row(_head_row(tenant_id, write))
    edits = [_head_values(tenant_id, write) for write in writes if write.known is not None]
    if edits:
        async with connection.cursor() as cursor:
            await cursor.executemany(statement("update_scenario"), edits)


def _head_row(tenant_id: UUID, write: Write) -> tuple[Any, ...]:
    content = write.item.content
    key = (tenant_id, write.scenario_id, source_key(content), write.revision)
    return (*key, content_sha256(content), *head_columns(content).values())


def _head_values(tenant_id: UUID, write: Write) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "scenario_id": write.scenario_id,
        "revision": write.revision,
        "content_sha256": content_sha256(write.item.content),
        **head_columns(write.item.content),
    }


async def _copy_revisions(
    connection: Connection, tenant_id: UUID, writes: Sequence[Write], author: str, reason: str
) -> None:
    async with (
        connection.cursor() as cursor,
        cursor.copy(statement("copy_revisions")) as copy,
    ):
        copy.set_types(REVISION_TYPES)
        for write in writes:
            key = (tenant_id, write.scenario_id, write.revision)
            await copy.write_row((*key, *revision_columns(write.item.content), author, reason))


async def _write_vectors(
    connection: Connection, tenant_id: UUID, generation: Generation, writes: Sequence[Write]
) -> None:
    due = [
        write for write in writes if write.changed or not (write.known and write.known.has_vector)
    ]
    if not due:
        return
    ids = [write.scenario_id for write in due]
    await connection.execute(
        statement("delete_vectors", generation.vectors_table),
        {"tenant_id": tenant_id, "scenario_ids": ids},
    )
    vectors = np.stack([write.item.vector for write in due])
    payload = packed_vectors(tenant_id, ids, [write.revision for write in due], vectors)
    async with (
        connection.cursor() as cursor,
        cursor.copy(statement("copy_vectors", generation.vectors_table)) as copy,
    ):
        await copy.write(payload)
