"""How good the search is on a data set, measured through the product's own import and search."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import fmean
from typing import TypedDict

from uuid_utils.compat import uuid7

from staffroom.content.importer import Importer
from staffroom.database.connection import Database
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import UnavailableError, UnreadableFile
from staffroom.evaluation.beir import DataSet
from staffroom.evaluation.measures import ndcg, recall, reciprocal_rank
from staffroom.types import Progress, ProgressListener

DEPTH = 100

Measures = TypedDict("Measures", {"ndcg@10": float, "recall@100": float, "mrr@10": float})


class Evaluation(TypedDict):
    """What `staffroom eval` prints."""

    meaning: Measures
    documents: int
    queries: int


async def evaluate(
    data_set: DataSet,
    database: Database,
    vector_ops: VectorOperations,
    progress: ProgressListener | None = None,
) -> Evaluation:
    """The data set's documents were imported into a scratch tenant, searched, and erased again."""
    async with scratch_library(database, vector_ops) as library:
        importer = Importer(library, progress=progress)
        report = await importer.import_file(data_set.corpus)
        if "stopped" in report:
            raise UnavailableError(report["stopped"])
        if report["failed"]:
            error = report["errors"][0]
            raise UnreadableFile(
                f"row {error['row']} of {data_set.corpus}: {error['field']} {error['reason']}"
            )
        rankings = await _rankings(data_set, library, progress)
    return Evaluation(
        meaning=_measures(data_set, rankings), documents=report["read"], queries=len(rankings)
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


async def _rankings(
    data_set: DataSet, library: VectorOperations, progress: ProgressListener | None
) -> dict[str, list[str]]:
    rankings = {}
    for done, (query, text) in enumerate(data_set.queries.items(), 1):
        matches = await library.find_similar_scenarios(text, limit=DEPTH, threshold=0.0)
        rankings[query] = [match.scenario.content.source_id for match in matches]
        if progress:
            progress(Progress("Searching", done, len(data_set.queries), "rows"))
    return rankings


def _measures(data_set: DataSet, rankings: dict[str, list[str]]) -> Measures:
    judged = [(rankings[query], grades) for query, grades in data_set.judgements.items()]
    return {
        "ndcg@10": fmean(ndcg(ranking, grades) for ranking, grades in judged),
        "recall@100": fmean(recall(ranking, grades) for ranking, grades in judged),
        "mrr@10": fmean(reciprocal_rank(ranking, grades) for ranking, grades in judged),
    }
