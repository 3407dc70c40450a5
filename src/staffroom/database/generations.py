"""Generations: each embedding model has a vector table of its own.

Vectors of two models are never compared. A model that the database has not seen
gets its table at first use; dropping a table forgets a model at once. On a big server the
table may be parted by tenant (STAFFROOM_VECTOR_PARTITIONS): each part has an index of its own.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Final
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from staffroom.database.connection import Connection, Database
from staffroom.database.statements import statement
from staffroom.errors import ConfigError
from staffroom.retrieval.calibration import (
    Calibration,
    read_calibration,
    shipped_calibration,
)

_VACUUMED_EARLY: Final = sql.SQL(
    "ALTER TABLE staffroom.{} SET (autovacuum_vacuum_scale_factor = 0.05)"
)
"""Dead vectors take the places of living ones among the candidates of a walk."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One model's complete set of vectors."""

    id: UUID
    model: str
    dimensions: int
    vectors_table: str
    calibration: Calibration | None = None

    @property
    def vectors_index(self) -> str:
        """The name of the index on its vectors."""
        return f"nearest_{self.id.hex}"


async def open_generation(
    database: Database, tenant_id: UUID, model: str, dimensions: int
) -> Generation:
    """The generation of that model, made if the database had none.

    Raises: ConfigError if the model was used before with another number of dimensions.
    """
    async with database.read(tenant_id) as connection:
        generation = await _find(connection, model)
    if generation is None:
        async with database.owner_transaction() as connection:
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtext('staffroom generation'))"
            )
            generation = await _find(connection, model) or await _make(
                connection, model, dimensions, database.vector_partitions
            )
    if generation.dimensions != dimensions:
        raise ConfigError(
            f"the model {model} gave vectors of {dimensions} dimensions, but of "
            f"{generation.dimensions} when the library was embedded. Give the changed model "
            "another name in STAFFROOM_EMBEDDER."
        )
    return generation


async def set_calibration(database: Database, model: str, calibration: Calibration) -> None:
    """From the next start on, every tenant's scores of that model are read in this way."""
    document = Jsonb(calibration.document())
    async with database.owner_transaction() as connection:
        await connection.execute(
            statement("set_calibration"), {"model": model, "calibration": document}
        )


async def create_vector_index(connection: Connection, generation: Generation) -> None:
    """The generation's vectors, which had no index, have one."""
    await _run(
        connection,
        "vector_index.sql",
        vectors=sql.Identifier(generation.vectors_table),
        nearest=sql.Identifier(generation.vectors_index),
    )


async def _find(connection: Connection, model: str) -> Generation | None:
    cursor = await connection.execute(statement("find_generation"), {"model": model})
    row = await cursor.fetchone()
    if row is None:
        return None
    fitted = read_calibration(row["calibration"]) or shipped_calibration(model)
    return Generation(**{**row, "calibration": fitted})


async def _make(connection: Connection, model: str, dimensions: int, partitions: int) -> Generation:
    generation_id = uuid7()
    table = f"vectors_{generation_id.hex}"
    generation = Generation(generation_id, model, dimensions, table, shipped_calibration(model))
    parted = " PARTITION BY HASH (tenant_id)" if partitions > 1 else ""
    await _run(
        connection,
        "generation.sql",
        vectors=sql.Identifier(table),
        dimensions=sql.Literal(dimensions),
        partitioning=sql.SQL(parted),
    )
    parts = [f"{table}_{number}" for number in range(partitions)] if parted else []
    for number, part in enumerate(parts):
        await _run(
            connection,
            "generation_partition.sql",
            vectors=sql.Identifier(table),
            partition=sql.Identifier(part),
            partitions=sql.Literal(partitions),
            number=sql.Literal(number),
        )
    await create_vector_index(connection, generation)
    for holder in parts or [table]:
        await connection.execute(_VACUUMED_EARLY.format(sql.Identifier(holder)))
    await connection.execute(
        statement("add_generation"),
        {
            "generation_id": generation.id,
            "model": model,
            "dimensions": dimensions,
            "vectors_table": table,
        },
    )
    return generation


async def _run(connection: Connection, file: str, **parts: sql.Composable) -> None:
    template = (files("staffroom.database") / file).read_text("utf-8")
    await connection.execute(sql.SQL(template).format(**parts))
