"""A library to measure in, whose vectors are apart from those of all others."""

import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count, cycle

from uuid_utils.compat import uuid7

from staffroom.database.connection import Database
from staffroom.database.copying import scratch_generation
from staffroom.database.generations import Generation
from staffroom.database.vector_ops import VectorOperations
from staffroom.evaluation.golden import golden_questions
from staffroom.types import Embedder, ProgressListener, Role, Vectors


@dataclass(frozen=True, slots=True)
class ScratchTables:
    """An empty library of the measurement's own, with a vector index of its own."""

    database: Database
    library: VectorOperations
    generation: Generation
    embedder: Embedder
    questions: Iterator[str]
    progress: ProgressListener | None


@asynccontextmanager
async def scratch_tables(
    database: Database, embedder: Embedder, progress: ProgressListener | None
) -> AsyncIterator[ScratchTables]:
    """A tenant with vectors of its own kind; nothing of it is left afterwards."""
    tenant_id = uuid7()
    apart = _Apart(embedder)
    await database.ensure_tenant(tenant_id, "Benchmark")
    try:
        async with scratch_generation(
            database, tenant_id, apart.model, apart.dimensions
        ) as generation:
            library = VectorOperations(database, apart, tenant_id=tenant_id)
            yield ScratchTables(database, library, generation, apart, endless_questions(), progress)
    finally:
        await database.erase_tenant(tenant_id)


class _Apart:
    """An embedder under another name, whose vectors are kept apart from those of libraries."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.model = f"{embedder.model} benchmark"
        self.dimensions = embedder.dimensions

    async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        return await self._embedder.embed(texts, role)


def endless_questions() -> Iterator[str]:
    """Questions without end, no two alike."""
    for number, question in zip(count(1), cycle(golden_questions()), strict=False):
        yield f"{question.text} ({number})"


def peak_megabytes() -> float | None:
    """The most memory that this process has had, if the system tells."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
