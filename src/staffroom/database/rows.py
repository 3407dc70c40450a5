"""Rows of the database become values, and values rows."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import numpy as np
from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo

from staffroom.errors import ConfigError, InputError
from staffroom.retrieval.aliases import widened
from staffroom.scenario import content_sha256, metadata_from, metadata_row, source_key
from staffroom.text import damage
from staffroom.types import Filters, Scenario, ScenarioContent, Vectors

NORM_TOLERANCE: Final = 1e-3

HEAD_COLUMNS: Final = (
    "status",
    "category",
    "grade_bands",
    "subjects",
    "setting",
    "tags",
    "language",
    "review_by",
)
"""What of the metadata a head repeats, to be filtered by."""


def scenario_from_row(row: Mapping[str, Any]) -> Scenario:
    """The scenario that a row with the columns of the fragment `scenario` describes."""
    return Scenario(
        id=row["scenario_id"],
        revision=row["revision"],
        content=content_from_row(row),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def content_from_row(row: Mapping[str, Any]) -> ScenarioContent:
    """What an editor wrote, from a revision's row."""
    return ScenarioContent(
        name=row["name"],
        description=row["description"],
        expected_response=row["expected_response"],
        example_questions=tuple(row["example_questions"]),
        metadata=metadata_from(row["metadata"]),
        source_id=row.get("source_id", ""),
    )


def head_row(scenario_id: UUID, content: ScenarioContent) -> dict[str, Any]:
    """A head as `add_scenarios` and `update_scenarios` read it, but for its revisions: what is
    filtered by."""
    metadata = metadata_row(content.metadata)
    return {
        "scenario_id": str(scenario_id),
        "source_id": source_key(content),
        "content_sha256": content_sha256(content).hex(),
        **{name: metadata[name] for name in HEAD_COLUMNS},
    }


def revision_row(scenario_id: UUID, revision: int, content: ScenarioContent) -> dict[str, Any]:
    """A revision as `add_revisions` reads it: the complete scenario."""
    return {
        "scenario_id": str(scenario_id),
        "revision": revision,
        "name": content.name,
        "description": content.description,
        "expected_response": content.expected_response,
        "example_questions": content.example_questions,
        "metadata": metadata_row(content.metadata),
    }


_TEXT_FILTERS: Final = ("categories", "grade_bands", "subjects", "settings", "tags", "languages")


def filter_parameters(tenant_id: UUID, filters: Filters) -> dict[str, Any]:
    """The parameters of the fragment `scope`.

    Raises: InputError naming a value that no scenario can have, for no text may hold it.
    """
    filters = widened(filters)
    return {
        "tenant_id": tenant_id,
        "statuses": list(filters.statuses),
        **{name: _storable(name, getattr(filters, name)) for name in _TEXT_FILTERS},
        "review_from": filters.review_from,
        "review_until": filters.review_until,
        "without_overdue_on": filters.without_overdue_on,
    }


def _storable(name: str, values: Sequence[str]) -> list[str]:
    for value in values:
        broken = damage(value)
        if broken:
            raise InputError(f"the filter {name} has {value!r}, which {broken}.")
    return list(values)


def check_vectors(vectors: Vectors, rows: int, dimensions: int) -> Vectors:
    """The vectors as float32, found fit to be stored.

    Raises: InputError if the shape is not (rows, dimensions), a value is not a
        number, or a row is not of unit length.
    """
    array = np.asarray(vectors, dtype=np.float32)
    if array.shape != (rows, dimensions):
        raise InputError(
            f"expected {rows} embeddings of {dimensions} dimensions, got an array of shape "
            f"{array.shape}. Embed with the model that the library uses."
        )
    # Unlike np.linalg.norm this makes no second array of the size of a million vectors.
    norms = np.sqrt(np.einsum("ij,ij->i", array, array))
    wrong = np.flatnonzero(~(np.abs(norms - 1) < NORM_TOLERANCE))
    if wrong.size:
        raise InputError(
            f"embedding {wrong[0]} has length {norms[wrong[0]]:.4g}, expected 1: normalise it, "
            "and check the model if it is 0 or not a number."
        )
    return array


class RealLoader(Loader):
    """A real number as its shortest decimal form, which is what the server's own text says too."""

    format = Format.BINARY

    def load(self, data: Buffer) -> float:
        """The number in four bytes."""
        return float(str(np.frombuffer(data, ">f4")[0]))


@dataclass(frozen=True, slots=True)
class PackedVectors:
    """A batch of vectors as one parameter of the type halfvec[]."""

    vectors: Vectors


async def register_packed_vectors(connection: AsyncConnection[Any]) -> None:
    """The connection takes PackedVectors as parameters."""
    info = await TypeInfo.fetch(connection, "halfvec")
    if info is None:
        raise ConfigError("the database lacks the type halfvec. Run `staffroom db migrate`.")
    element_oid, array_oid = info.oid, info.array_oid

    class PackedVectorsDumper(Dumper):
        oid = array_oid
        format = Format.BINARY

        def dump(self, obj: PackedVectors) -> bytes:
            return pack_vectors(obj.vectors, element_oid)

    connection.adapters.register_dumper(PackedVectors, PackedVectorsDumper)


def pack_vectors(vectors: Vectors, element_oid: int) -> bytes:
    """The vectors in PostgreSQL's binary array format, converted all at once.

    Source: array_recv (dimensions, nulls, element type, length, lower bound, then
        length-prefixed elements); pgvector's halfvec_recv (int16 dimensions, int16 unused,
        then big-endian float16).
    """
    count, dimensions = vectors.shape
    element = np.dtype([
        ("size", ">i4"), ("dimensions", ">i2"), ("unused", ">i2"),
        ("values", ">f2", (dimensions,)),
    ])  # fmt: skip
    elements = np.zeros(count, element)
    elements["size"] = element.itemsize - 4
    elements["dimensions"] = dimensions
    elements["values"] = vectors
    return struct.pack(">iiiii", 1, 0, element_oid, count, 1) + elements.tobytes()
