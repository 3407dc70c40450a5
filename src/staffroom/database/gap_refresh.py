"""Gap groups are brought up to date: new questions find their place, and groups their words."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final
from uuid import UUID

import numpy as np
from psycopg.types.json import Json
from uuid_utils.compat import uuid7

from staffroom.database.connection import Connection, Database
from staffroom.database.gap_grouping import Middle, look_around, regroup, telling_words
from staffroom.database.statements import statement
from staffroom.retrieval.calibration import read_calibration, shipped_calibration
from staffroom.retrieval.grouping import same_cosine
from staffroom.types import Vector, Vectors

NEWEST_GAPS: Final = 2_000
"""New questions that are grouped at once; older ones follow when somebody looks again."""


async def refresh_gaps(database: Database, tenant_id: UUID) -> None:
    """As `Gaps.refresh`."""
    key = {"tenant_id": tenant_id}
    work = await database.fetch(tenant_id, statement("gap_work"), key)
    if not any(row["is_due"] for row in work):
        return
    async with database.transaction(tenant_id) as connection:
        await connection.execute(statement("lock_gaps"), key)
        await connection.execute(statement("reopen_gaps"), key)
        cursor = await connection.execute(
            statement("new_gaps"), {**key, "most": NEWEST_GAPS}, binary=True
        )
        new = await cursor.fetchall()
        touched: set[UUID] = set()
        for generation_id, least in (await _measures(connection, new)).items():
            own = [row for row in new if row["generation_id"] == generation_id]
            touched |= await _place(connection, tenant_id, generation_id, own, least)
        await connection.execute(statement("drop_empty_gaps"), key)
        await _describe(connection, tenant_id, touched)


def as_vector(stored: Any) -> Vector:
    """An embedding as the database gives it."""
    vector: Vector = stored.to_numpy().astype(np.float32)
    return vector


async def _measures(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[UUID, float]:
    """For each generation of the rows, the mean cosine that makes a group."""
    generations = {row["generation_id"] for row in rows}
    cursor = await connection.execute(
        statement("gap_calibrations"), {"generation_ids": list(generations)}
    )
    return {
        row["generation_id"]: same_cosine(
            read_calibration(row["calibration"]) or _shipped(row["model"])
        )
        for row in await cursor.fetchall()
    }


async def _place(
    connection: Connection,
    tenant_id: UUID,
    generation_id: UUID,
    new: Sequence[Mapping[str, Any]],
    least: float,
) -> set[UUID]:
    """The new questions of one model are in groups. Returns the groups that changed."""
    key = {"tenant_id": tenant_id, "generation_id": generation_id}
    cursor = await connection.execute(statement("gap_middles"), key, binary=True)
    middles = [
        Middle(row["group_id"], as_vector(row["middle"]), row["size"], row["is_settled"])
        for row in await cursor.fetchall()
    ]
    near = look_around(_vectors(new), middles, least)
    places = {new[number]["interaction_id"]: group for number, group in near.joined.items()}
    pool = [{**row, "group_id": None} for row in new if row["interaction_id"] not in places]
    if near.around:
        cursor = await connection.execute(
            statement("gap_vectors"), {**key, "group_ids": list(near.around)}, binary=True
        )
        pool += await cursor.fetchall()
    before = [row["group_id"] for row in pool]
    groups = await asyncio.to_thread(regroup, _vectors(pool), before, least) if pool else []
    made = []
    for kept, members in groups:
        group_id = kept or uuid7()
        if kept is None:
            made.append(group_id)
        for member in members:
            if before[member] != group_id:
                places[pool[member]["interaction_id"]] = group_id
    await connection.execute(statement("add_gap_groups"), {**key, "group_ids": made})
    await connection.execute(
        statement("put_gap_members"),
        {**key, "interaction_ids": list(places), "group_ids": list(places.values())},
    )
    return set(places.values())


async def _describe(connection: Connection, tenant_id: UUID, touched: set[UUID]) -> None:
    """The groups that changed say which question is central, and which words tell them."""
    key: dict[str, Any] = {"tenant_id": tenant_id, "group_ids": list(touched)}
    cursor = await connection.execute(statement("changed_gaps"), key)
    changed = [row["group_id"] for row in await cursor.fetchall()]
    if not changed:
        return
    key["group_ids"] = changed
    await connection.execute(statement("measure_gaps"), key)
    cursor = await connection.execute(statement("gap_words"), {**key, "newest": NEWEST_GAPS})
    words = telling_words(await cursor.fetchall())
    rows = [{"group_id": str(group), "words": words.get(group, [])} for group in changed]
    await connection.execute(statement("tell_gaps"), {"tenant_id": tenant_id, "rows": Json(rows)})


_shipped: Final = cache(shipped_calibration)


def _vectors(rows: Sequence[Mapping[str, Any]]) -> Vectors:
    if not rows:
        return np.empty((0, 0), np.float32)
    vectors: Vectors = np.stack([as_vector(row["embedding"]) for row in rows])
    return vectors
