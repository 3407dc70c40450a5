"""Rows of the database become values, and values rows."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import numpy as np
from psycopg.types.json import Jsonb

from staffroom.errors import InputError
from staffroom.scenario import metadata_from, metadata_row
from staffroom.types import Filters, Match, Scenario, ScenarioContent, Vectors

NORM_TOLERANCE: Final = 1e-3

SCENARIO_TYPES: Final = (
    "uuid", "uuid", "text", "int4", "bytea", "text", "text",
    "text[]", "text[]", "text", "text[]", "text", "date",
)  # fmt: skip
"""Types of the columns of `copy_scenarios`."""

REVISION_TYPES: Final = (
    "uuid", "uuid", "int4", "text", "text", "text", "text[]", "jsonb", "text", "text",
)  # fmt: skip
"""Types of the columns of `copy_revisions`."""


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


def match_from_row(row: Mapping[str, Any]) -> Match:
    """A match whose relevance is the cosine similarity, cut to 0 to 1."""
    return Match(scenario_from_row(row), min(max(float(row["similarity"]), 0.0), 1.0))


def head_columns(content: ScenarioContent) -> dict[str, Any]:
    """What of a scenario its head holds to be filtered by."""
    metadata = content.metadata
    return {
        "status": metadata.status,
        "category": metadata.category,
        "grade_bands": list(metadata.grade_bands),
        "subjects": list(metadata.subjects),
        "setting": metadata.setting,
        "tags": list(metadata.tags),
        "language": metadata.language,
        "review_by": metadata.review_by,
    }


def revision_columns(content: ScenarioContent) -> tuple[Any, ...]:
    """What of a scenario its revision holds, as `copy_revisions` orders it after the key."""
    return (
        content.name,
        content.description,
        content.expected_response,
        list(content.example_questions),
        Jsonb(metadata_row(content.metadata)),
    )


def filter_parameters(tenant_id: UUID, filters: Filters) -> dict[str, Any]:
    """The parameters of the fragment `scope`."""
    return {
        "tenant_id": tenant_id,
        "statuses": list(filters.statuses),
        "categories": list(filters.categories),
        "grade_bands": list(filters.grade_bands),
        "subjects": list(filters.subjects),
        "settings": list(filters.settings),
        "tags": list(filters.tags),
        "languages": list(filters.languages),
    }


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
    norms = np.linalg.norm(array, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1) < NORM_TOLERANCE))
    if wrong.size:
        raise InputError(
            f"embedding {wrong[0]} has length {norms[wrong[0]]:.4g}, expected 1: normalise it, "
            "and check the model if it is 0 or not a number."
        )
    return array


def packed_vectors(
    tenant_id: UUID, scenario_ids: Sequence[UUID], revisions: Sequence[int], vectors: Vectors
) -> bytes:
    """The whole payload of `copy_vectors`, packed at once.

    Source: PostgreSQL's binary COPY format; pgvector's `halfvec_recv` (int16 dimensions,
        int16 unused, then big-endian float16).
    """
    dimensions = vectors.shape[1]
    record = np.dtype([
        ("fields", ">i2"),
        ("tenant_size", ">i4"), ("tenant", "V16"),
        ("scenario_size", ">i4"), ("scenario", "V16"),
        ("revision_size", ">i4"), ("revision", ">i4"),
        ("vector_size", ">i4"), ("dimensions", ">i2"), ("unused", ">i2"),
        ("vector", ">f2", (dimensions,)),
    ])  # fmt: skip
    rows = np.zeros(len(scenario_ids), record)
    rows["fields"] = 4
    rows["tenant_size"] = rows["scenario_size"] = 16
    rows["tenant"] = np.void(tenant_id.bytes)
    rows["scenario"] = [np.void(scenario_id.bytes) for scenario_id in scenario_ids]
    rows["revision_size"] = 4
    rows["revision"] = revisions
    rows["vector_size"] = 4 + 2 * dimensions
    rows["dimensions"] = dimensions
    rows["vector"] = vectors
    return b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0) + rows.tobytes() + struct.pack(">h", -1)
