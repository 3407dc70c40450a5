"""Whether the vector index still finds what is near: measured now and then, and told."""

import logging
from typing import Any

import numpy as np
import pytest

from staffroom.config import DEFAULT_TENANT
from staffroom.database.canary import REMEMBERED, RecallCanary
from staffroom.database.connection import Database
from staffroom.database.generations import open_generation
from staffroom.database.search import Searcher, Wanted, search_parameters
from staffroom.database.vector_ops import VectorOperations
from staffroom.monitoring.metrics import INDEX_RECALL
from staffroom.types import Array, Filters
from tests.fakes import WordEmbedder


@pytest.fixture
async def canary(
    database: Database, vector_ops: VectorOperations, embedder: WordEmbedder
) -> RecallCanary:
    """One that measures every question, in a library of sixty scenarios."""
    await vector_ops.batch_process([{"text": f"Situation {n} of many"} for n in range(60)])
    generation = await open_generation(
        database, DEFAULT_TENANT, embedder.model, embedder.dimensions
    )
    return RecallCanary(database, generation, every=1)


def measured() -> tuple[float, float]:
    """How often recall was measured, and the sum of what was found."""
    (metric,) = INDEX_RECALL.collect()
    values = {sample.name.rpartition("_")[2]: sample.value for sample in metric.samples}
    return values["count"], values["sum"]


async def consider(canary: RecallCanary, embedder: WordEmbedder, similarities: Array) -> None:
    vector = (await embedder.embed(["Situation 7"], "query"))[0]
    wanted = Wanted("Situation 7", vector, 10, Filters())
    canary.consider(DEFAULT_TENANT, search_parameters(DEFAULT_TENANT, wanted), similarities)
    await canary.settled()


@pytest.mark.parametrize(("similarities", "recall"), [(np.ones(50), 1.0), (np.full(50, -1.0), 0.0)])
async def test_recall_is_counted(
    canary: RecallCanary, embedder: WordEmbedder, similarities: Array, recall: float
) -> None:
    count, total = measured()

    await consider(canary, embedder, similarities)

    assert measured()[0] == count + 1
    assert measured()[1] == pytest.approx(total + recall)


async def test_an_index_that_finds_too_little_is_told_once_with_what_to_do(
    canary: RecallCanary, embedder: WordEmbedder, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(REMEMBERED + 3):
        await consider(canary, embedder, np.full(50, -1.0))

    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "REINDEX INDEX CONCURRENTLY staffroom.nearest_" in warning.getMessage()


async def test_only_some_questions_are_measured(
    database: Database, canary: RecallCanary, embedder: WordEmbedder
) -> None:
    generation = await open_generation(
        database, DEFAULT_TENANT, embedder.model, embedder.dimensions
    )
    seldom = RecallCanary(database, generation, every=3)
    before = measured()[0]

    for _ in range(7):
        await consider(seldom, embedder, np.ones(50))

    assert measured()[0] == before + 2


async def test_a_walk_through_the_index_is_measured_and_a_failure_is_no_error(
    database: Database, canary: RecallCanary, embedder: WordEmbedder
) -> None:
    searcher = Searcher(database, canary._generation, exact_limit=0)
    searcher._canary = canary
    vector = (await embedder.embed(["Situation 7"], "query"))[0]
    before = measured()[0]

    await searcher.find(DEFAULT_TENANT, Wanted("Situation 7", vector, 5, Filters()))
    await canary.settled()
    broken: dict[str, Any] = {}
    canary.consider(DEFAULT_TENANT, broken, np.ones(3))
    await canary.settled()

    assert measured()[0] == before + 1
