"""Vector indexes of several kinds on the same vectors, for `staffroom bench scale` to compare.

Each stands on a generation that measuring has made, beside the index that libraries have, and is
gone when its turn is over.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pgvector import HalfVector
from pgvector import Vector as FullVector
from psycopg import sql

from staffroom.database.connection import Connection, Database
from staffroom.database.generations import Generation
from staffroom.database.isolation import EF_SEARCH
from staffroom.database.statements import statement_texts
from staffroom.types import Vector


@dataclass(frozen=True, slots=True)
class IndexKind:
    """What is indexed, and the statement that walks it. An index on an expression is used only
    where the statement has the same one, dimensions included."""

    name: str
    indexed: str
    search: str


HALF: Final = IndexKind("halfvec", "embedding halfvec_ip_ops", statement_texts()["search_bare"])
"""Half precision, which libraries have."""

FULL: Final = IndexKind(
    "vector",
    "(embedding::vector({dimensions})) vector_ip_ops",
    "SELECT v.scenario_id FROM staffroom.{vectors} AS v WHERE v.tenant_id = %(tenant_id)s "
    "ORDER BY v.embedding::vector({dimensions}) <#> %(full)s LIMIT %(limit)s",
)

BINARY: Final = IndexKind(
    "binary, compared anew",
    "(binary_quantize(embedding)::bit({dimensions})) bit_hamming_ops",
    "SELECT n.scenario_id FROM (SELECT v.scenario_id, v.embedding "
    "FROM staffroom.{vectors} AS v WHERE v.tenant_id = %(tenant_id)s "
    "ORDER BY binary_quantize(v.embedding)::bit({dimensions}) <~> "
    "binary_quantize(%(embedding)s)::bit({dimensions}) LIMIT %(kept)s) AS n "
    "ORDER BY n.embedding <#> %(embedding)s LIMIT %(limit)s",
)
"""A bit a dimension. What a walk keeps is then compared by its vectors."""

_INDEX: Final = "bench_nearest"


@dataclass(frozen=True, slots=True)
class Built:
    """How long it took to make an index, and how large it is."""

    seconds: float
    megabytes: float


class Walks:
    """Walks through the index of one kind, on a connection of their own."""

    def __init__(
        self, connection: Connection, generation: Generation, kind: IndexKind, tenant_id: UUID
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._candidates = EF_SEARCH
        self.query = sql.SQL(kind.search).format(
            vectors=sql.Identifier(generation.vectors_table),
            dimensions=sql.Literal(generation.dimensions),
        )

    async def keep(self, candidates: int) -> None:
        """Walks keep so many candidates from here on; they are never replaced by a scan."""
        await self._connection.execute(
            "SELECT set_config('hnsw.ef_search', %s, true), "
            "set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)",
            [str(candidates)],
        )
        self._candidates = candidates

    async def nearest(self, query: Vector, limit: int) -> list[UUID]:
        """The ids of the scenarios that the walk finds, nearest first."""
        parameters = self.parameters(query, limit)
        cursor = await self._connection.execute(self.query, parameters, prepare=True, binary=True)
        return [row["scenario_id"] for row in await cursor.fetchall()]

    def parameters(self, query: Vector, limit: int) -> dict[str, Any]:
        """What the walk's statement takes."""
        return {
            "tenant_id": self._tenant_id,
            "embedding": HalfVector(query),
            "full": FullVector(query),
            "kept": self._candidates,
            "limit": limit,
        }


@asynccontextmanager
async def indexed(
    database: Database, generation: Generation, kind: IndexKind
) -> AsyncIterator[Built]:
    """An index of that kind stands on the generation's vectors; it is gone afterwards."""
    names = {
        "index": sql.Identifier(_INDEX),
        "vectors": sql.Identifier(generation.vectors_table),
        "indexed": sql.SQL(kind.indexed).format(dimensions=sql.Literal(generation.dimensions)),
    }
    create = sql.SQL("CREATE INDEX {index} ON staffroom.{vectors} USING hnsw ({indexed})")
    drop = sql.SQL("DROP INDEX IF EXISTS staffroom.{index}").format(**names)
    started = time.perf_counter()
    async with database.owner_transaction() as connection:
        await connection.execute(create.format(**names))
    seconds = time.perf_counter() - started
    try:
        yield Built(seconds, await index_megabytes(database, _INDEX))
    finally:
        async with database.owner_transaction() as connection:
            await connection.execute(drop)


async def index_megabytes(database: Database, name: str) -> float:
    """The size of an index, with those of its parts."""
    async with database.owner_transaction() as connection:
        cursor = await connection.execute(
            "SELECT (pg_relation_size(i.whole) + coalesce((SELECT sum(pg_relation_size(inhrelid)) "
            "FROM pg_inherits WHERE inhparent = i.whole), 0)) / 1048576.0 AS megabytes "
            "FROM (SELECT %s::regclass AS whole) AS i",
            [f"staffroom.{name}"],
        )
        row = await cursor.fetchone()
    assert row is not None
    return float(row["megabytes"])
