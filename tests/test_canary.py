"""Whether the vector index still finds what is near: measured now and then, and told."""

import logging
from typing import Any

import pytest

from staffroom.config import DEFAULT_TENANT
from staffroom.database.canary import EVERY_AT_FIRST, LEAST, REMEMBERED, RESTS, STEPS, RecallCanary
from staffroom.database.connection import Database
from staffroom.database.generations import open_generation
from staffroom.database.search import Searcher, Wanted, search_parameters
from staffroom.database.vector_ops import VectorOperations
from staffroom.monitoring.metrics import INDEX_RECALL
from staffroom.types import Filters
from tests.fakes import WordEmbedder

GIVEN = frozenset({"tenant_id", "statuses"})


@pytest.fixture
async def canary(
    database: Database, vector_ops: VectorOperations, embedder: WordEmbedder
) -> RecallCanary:
    """One that measures every question, in a library of sixty scenarios."""
    await vector_ops.batch_process([{"text": f"Situation {n} of many"} for n in range(60)])
    generation = await open_generation(
        database, DEFAULT_TENANT, embedder.model, embedder.dimensions
    )
    return RecallCanary(database, generation, every=1, clock=lambda: 0.0)


def measured() -> tuple[float, float]:
    """How often recall was measured, and the sum of what was found."""
    (metric,) = INDEX_RECALL.collect()
    values = {sample.name.rpartition("_")[2]: sample.value for sample in metric.samples}
    return values["count"], values["sum"]


async def consider(canary: RecallCanary, embedder: WordEmbedder, depth: int = 50) -> None:
    """A question is measured whose walk keeps no more than `depth` of the ten nearest."""
    vector = (await embedder.embed(["Situation 7"], "query"))[0]
    parameters = search_parameters(DEFAULT_TENANT, Wanted("Situation 7", vector, 10, Filters()))
    canary.consider(DEFAULT_TENANT, {**parameters, "depth": depth}, GIVEN)
    await canary.settled()


@pytest.mark.parametrize(("depth", "recall"), [(50, 1.0), (3, 0.3)])
async def test_recall_is_counted(
    canary: RecallCanary, embedder: WordEmbedder, depth: int, recall: float
) -> None:
    count, total = measured()

    await consider(canary, embedder, depth)

    assert measured()[0] == count + 1
    assert measured()[1] == pytest.approx(total + recall)


async def test_a_walk_that_finds_too_little_keeps_more_step_by_step(
    canary: RecallCanary, embedder: WordEmbedder
) -> None:
    widths = []
    for _ in range(LEAST * (len(STEPS) + 1)):
        await consider(canary, embedder, depth=9)
        widths.append(canary.ef_search)

    assert widths[LEAST - 2] == STEPS[0]
    assert widths[LEAST - 1 :: LEAST] == [*STEPS[1:], STEPS[-1], STEPS[-1]]


async def test_a_walk_that_finds_enough_stays_as_narrow_as_it_is(
    canary: RecallCanary, embedder: WordEmbedder
) -> None:
    for _ in range(2 * LEAST):
        await consider(canary, embedder)

    assert canary.ef_search == STEPS[0]


async def test_an_index_that_finds_too_little_at_its_widest_is_told_once_with_what_to_do(
    canary: RecallCanary, embedder: WordEmbedder, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(LEAST * (len(STEPS) - 1) + REMEMBERED + 3):
        await consider(canary, embedder, depth=3)

    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "REINDEX INDEX CONCURRENTLY staffroom.nearest_" in warning.getMessage()


async def test_only_some_questions_are_measured_once_the_width_is_known(
    database: Database, canary: RecallCanary, embedder: WordEmbedder
) -> None:
    every = 3 * EVERY_AT_FIRST
    seldom = RecallCanary(database, canary._generation, every=every, clock=lambda: 0.0)
    before = measured()[0]

    for _ in range(LEAST * EVERY_AT_FIRST):
        await consider(seldom, embedder)
    assert measured()[0] == before + LEAST

    for _ in range(3 * EVERY_AT_FIRST):
        await consider(seldom, embedder)
    assert measured()[0] == before + LEAST + 1


async def test_what_takes_long_to_measure_is_measured_seldom(
    database: Database, canary: RecallCanary, embedder: WordEmbedder
) -> None:
    now = 0.0

    def clock() -> float:
        """Two seconds pass between two looks."""
        nonlocal now
        now += 2
        return now

    slow = RecallCanary(database, canary._generation, every=1, clock=clock)
    before = measured()[0]

    for _ in range(LEAST + 20):
        await consider(slow, embedder)
    assert measured()[0] == before + LEAST
    now += RESTS * 2
    await consider(slow, embedder)

    assert measured()[0] == before + LEAST + 1


async def test_a_walk_through_the_index_is_measured_and_a_failure_is_no_error(
    database: Database, canary: RecallCanary, embedder: WordEmbedder
) -> None:
    searcher = Searcher(database, canary._generation, exact_limit=0)
    searcher._walks[False] = canary
    vector = (await embedder.embed(["Situation 7"], "query"))[0]
    before = measured()[0]

    await searcher.find(DEFAULT_TENANT, Wanted("Situation 7", vector, 5, Filters()))
    await canary.settled()
    broken: dict[str, Any] = {}
    canary.consider(DEFAULT_TENANT, broken, GIVEN)
    await canary.settled()

    assert measured()[0] == before + 1
