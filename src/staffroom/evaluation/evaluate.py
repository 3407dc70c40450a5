"""How good the search is on a data set, measured through the product's own import and search."""

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from uuid_utils.compat import uuid7

from staffroom.content.importer import Importer
from staffroom.database.connection import Database
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import UnavailableError, UnreadableFile
from staffroom.evaluation.beir import DataSet
from staffroom.evaluation.runs import DEPTH, MODES, Asked, Found, Ranking, Run
from staffroom.types import Embedder, Mode, Progress, ProgressListener

DIGITS: Final = 6
"""Of a relevance that is stored."""


async def evaluate(
    data_set: DataSet,
    database: Database,
    vector_ops: VectorOperations,
    embedder: Embedder,
    modes: Iterable[Mode] = MODES,
    progress: ProgressListener | None = None,
) -> Run:
    """The data set's documents were imported into a scratch tenant once, searched in each mode,
    and erased again.

    `embedder` is the one that the operations use, with a memory: a question is embedded before
    its searches are timed.
    """
    modes = list(dict.fromkeys(modes))
    async with scratch_library(database, vector_ops) as library:
        documents = await _import(data_set, library, progress)
        embedding, found = await _ask(data_set, library, embedder, modes, progress)
    return Run(
        data_set=data_set.name,
        digest=data_set.digest,
        documents=documents,
        model=embedder.model,
        threshold=vector_ops.threshold,
        questions={
            name: Asked(text, data_set.splits[name], data_set.judgements[name])
            for name, text in data_set.queries.items()
        },
        embedding=embedding,
        modes=found,
        probes=data_set.probes,
    )


@asynccontextmanager
async def scratch_library(
    database: Database, vector_ops: VectorOperations
) -> AsyncIterator[VectorOperations]:
    """An empty library of its own, which is erased afterwards."""
    tenant_id = uuid7()
    await database.ensure_tenant(tenant_id, "Evaluation")
    try:
        yield vector_ops.for_tenant(tenant_id)
    finally:
        await database.erase_tenant(tenant_id)


async def _import(
    data_set: DataSet, library: VectorOperations, progress: ProgressListener | None
) -> int:
    importer = Importer(library, progress=progress, keep_duplicates=True)
    if isinstance(data_set.corpus, Path):
        report = await importer.import_file(data_set.corpus)
    else:
        report = await importer.import_rows(data_set.corpus, data_set.name)
    if "stopped" in report:
        raise UnavailableError(report["stopped"])
    if report["failed"]:
        error = report["errors"][0]
        raise UnreadableFile(
            f"row {error['row']} of {data_set.corpus}: {error['field']} {error['reason']}"
        )
    return report["read"]


async def _ask(
    data_set: DataSet,
    library: VectorOperations,
    embedder: Embedder,
    modes: Sequence[Mode],
    progress: ProgressListener | None,
) -> tuple[dict[str, float], dict[Mode, Found]]:
    """Each question in each mode; which mode is first changes, so that none has the others' warmth
    for itself."""
    embedding: dict[str, float] = {}
    rankings: dict[Mode, dict[str, Ranking]] = {mode: {} for mode in modes}
    milliseconds: dict[Mode, dict[str, float]] = {mode: {} for mode in modes}
    queries = {**data_set.queries, **data_set.probes}
    for number, (name, text) in enumerate(queries.items()):
        started = time.perf_counter()
        await embedder.embed([text], "query")
        embedding[name] = _milliseconds(started)
        first = number % len(modes)
        for mode in (*modes[first:], *modes[:first]):
            started = time.perf_counter()
            matches = await library.find_similar_scenarios(
                text, limit=DEPTH, threshold=0.0, mode=mode
            )
            milliseconds[mode][name] = _milliseconds(started)
            rankings[mode][name] = [
                (match.scenario.content.source_id, round(match.relevance, DIGITS))
                for match in matches
            ]
        if progress:
            progress(Progress("Searching", number + 1, len(queries), "rows"))
    return embedding, {mode: Found(rankings[mode], milliseconds[mode]) for mode in modes}


def _milliseconds(started: float) -> float:
    return round(1000 * (time.perf_counter() - started), 3)
