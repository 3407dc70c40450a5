"""How fast rows come into a library, beside what bounds that: bare COPY, and the embedder alone."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, cycle, islice
from typing import Any, Final

import numpy as np
from uuid_utils.compat import uuid7

from staffroom.content.importer import Importer
from staffroom.content.starter import starter_rows
from staffroom.database.connection import Database
from staffroom.database.copying import copy_seconds
from staffroom.database.generations import open_generation
from staffroom.database.vector_ops import VectorOperations
from staffroom.evaluation.benchmark import (
    Comparison,
    comparison,
    store_synthetic,
    synthetic_vectors,
)
from staffroom.evaluation.golden import golden_questions
from staffroom.scenario import embedded_text, scenario_from
from staffroom.types import Embedder, ProgressListener

QUESTIONS: Final = 60
PAUSE_SECONDS: Final = 0.05
"""Between two questions of one reader: they measure waiting, not what a core can do."""


async def bench_ingest(
    database: Database,
    vector_ops: VectorOperations,
    embedder: Embedder,
    *,
    ready: int,
    texts: int,
    progress: ProgressListener | None = None,
) -> list[Comparison]:
    """Rows with ready vectors against COPY of the same finished rows into the same tables with the
    same indexes; rows as long as the starter library's against the embedder alone; and how long
    questions take meanwhile."""
    tenants = [uuid7() for _ in range(2)]
    for tenant_id in tenants:
        await database.ensure_tenant(tenant_id, "Benchmark")
    try:
        stored = await _stored_beside_copy(
            database, vector_ops.for_tenant(tenants[0]), embedder, ready, progress
        )
        library = vector_ops.for_tenant(tenants[1])
        return [stored, *await _imported_beside_embedder(library, embedder, texts, progress)]
    finally:
        for tenant_id in tenants:
            await database.erase_tenant(tenant_id)


async def _stored_beside_copy(
    database: Database,
    library: VectorOperations,
    embedder: Embedder,
    rows: int,
    progress: ProgressListener | None,
) -> Comparison:
    vectors = await synthetic_vectors(embedder, rows)
    started = time.perf_counter()
    await store_synthetic(library, vectors, progress)
    ours = time.perf_counter() - started
    generation = await open_generation(
        database, library.tenant_id, embedder.model, embedder.dimensions
    )
    theirs = await copy_seconds(database, library.tenant_id, generation)
    return comparison(
        f"{rows:,} rows with ready vectors stored, against bare COPY",
        [1000 * seconds / rows for seconds in (ours, theirs)],
        "ms a row",
    )


async def _imported_beside_embedder(
    library: VectorOperations,
    embedder: Embedder,
    texts: int,
    progress: ProgressListener | None,
) -> list[Comparison]:
    rows = list(islice(_like_starter(), 2 * texts))
    contents = [scenario_from(row) for row in rows[:texts]]
    await embedder.embed(["Is the model loaded?"], "query")
    started = time.perf_counter()
    await embedder.embed([embedded_text(content) for content in contents], "passage")
    await embedder.embed([q for content in contents for q in content.example_questions], "query")
    alone = time.perf_counter() - started
    started = time.perf_counter()
    await _import(library, rows[:texts], progress)
    whole = time.perf_counter() - started
    idle = await _questions(library, QUESTIONS)
    importing = asyncio.create_task(_import(library, rows[texts:], progress))
    busy = await _questions(library, texts, until=importing)
    await importing
    waited = [1000 * float(np.quantile(times, 0.95)) for times in (busy, idle)]
    return [
        comparison(
            f"{texts:,} rows imported, against the embedder alone",
            [1000 * seconds / texts for seconds in (whole, alone)],
            "ms a row",
        ),
        comparison("search, 95 % ready during the import, against idle", waited, "ms"),
    ]


async def _import(
    library: VectorOperations, rows: Sequence[Mapping[str, Any]], progress: ProgressListener | None
) -> None:
    await Importer(library, progress=progress).import_rows(rows)


async def _questions(
    library: VectorOperations, most: int, until: "asyncio.Task[None] | None" = None
) -> list[float]:
    """The seconds that each question took, asked one after the other; none is asked twice."""
    times = []
    for number, question in zip(range(most), cycle(golden_questions()), strict=False):
        if until and until.done():
            break
        started = time.perf_counter()
        await library.search(f"{question.text} ({number})", 5, 0.0)
        times.append(time.perf_counter() - started)
        await asyncio.sleep(PAUSE_SECONDS)
    return times


def _like_starter() -> Iterator[Mapping[str, Any]]:
    """Rows without end, as long as those of the starter library and no two alike."""
    for number, row in zip(count(1), cycle(starter_rows()), strict=False):
        yield {**row, "id": f"bench-{number}", "name": f"{row['name']} ({number})"}
