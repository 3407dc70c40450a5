"""The closest scenarios, and all of them, by comparison and by index."""

import re
from dataclasses import replace
from typing import Any, get_args
from uuid import UUID

import numpy as np
import pytest

from staffroom.config import DEFAULT_TENANT, Settings
from staffroom.database.connection import Database
from staffroom.database.generations import Generation, open_generation
from staffroom.database.search import Searcher, Wanted, ranked, search_parameters
from staffroom.database.statements import FRAGMENTS, statement, statement_texts
from staffroom.database.vector_ops import VectorOperations
from staffroom.monitoring.metrics import UNDER_RETURNED
from staffroom.retrieval.calibration import Calibration, Reading
from staffroom.types import Filters, Mode, Vector, Vectors
from tests.fakes import WordEmbedder

ROWS = 1_500
RARE = 40
"""One row in RARE is of the rare category."""

WORDS = ("spoken", "asked", "question")

SMALL_TENANT = UUID("00000000-0000-7000-8000-00000000000a")


@pytest.fixture
async def vectors(vector_ops: VectorOperations, embedder: WordEmbedder) -> Vectors:
    """A library of random vectors, in which a second tenant owns twelve."""
    random = np.random.default_rng(7).standard_normal((ROWS, embedder.dimensions))
    unit: Vectors = (random / np.linalg.norm(random, axis=1, keepdims=True)).astype(np.float32)
    rows = [
        {"id": str(n), "text": f"Situation {n}", "category": "common" if n % RARE else "rare"}
        for n in range(ROWS)
    ]
    await vector_ops.batch_store_content(rows, unit)
    await vector_ops.for_tenant(SMALL_TENANT).batch_store_content(rows[:12], unit[:12])
    return unit


@pytest.fixture
async def generation(database: Database, embedder: WordEmbedder, vectors: Vectors) -> Generation:
    return await open_generation(database, DEFAULT_TENANT, embedder.model, embedder.dimensions)


def nearest(vectors: Vectors, query: Vector, limit: int) -> list[str]:
    return [str(n) for n in np.argsort(-(vectors @ query), kind="stable")[:limit]]


async def found(searcher: Searcher, query: Vector, limit: int, **more: Any) -> list[str]:
    tenant = more.pop("tenant", DEFAULT_TENANT)
    wanted = Wanted("", query, limit, more.pop("filters", Filters()), "meaning")
    matches = await searcher.find(tenant, wanted)
    assert [m.relevance for m in matches] == sorted((m.relevance for m in matches), reverse=True)
    return [match.scenario.content.source_id for match in matches]


async def test_a_small_scope_is_searched_exactly(
    database: Database, generation: Generation, vectors: Vectors
) -> None:
    searcher = Searcher(database, generation)

    for query in vectors[:5]:
        assert await found(searcher, query, 10) == nearest(vectors, query, 10)


async def test_a_walk_through_the_index_finds_nearly_all_neighbours(
    database: Database, generation: Generation, vectors: Vectors
) -> None:
    searcher = Searcher(database, generation, exact_limit=0)
    queries = np.random.default_rng(8).standard_normal((50, vectors.shape[1]))

    hits = 0
    for query in (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32):
        hits += len(set(await found(searcher, query, 10)) & set(nearest(vectors, query, 10)))

    assert hits / 500 >= 0.95


async def test_a_limit_above_the_candidate_list_is_filled(
    database: Database, generation: Generation, vectors: Vectors
) -> None:
    searcher = Searcher(database, generation, exact_limit=0)

    assert len(await found(searcher, vectors[0], 300)) == 300


async def test_a_selective_filter_still_returns_limit_rows(
    database: Database, generation: Generation, vectors: Vectors
) -> None:
    searcher = Searcher(database, generation, exact_limit=0)
    rare = Filters(categories=("rare",))

    assert len(await found(searcher, vectors[1], 10, filters=rare)) == 10
    assert len(await found(searcher, vectors[1], 100, filters=rare)) == -(-ROWS // RARE)


async def test_a_small_tenant_among_many_foreign_rows_gets_all_its_matches(
    database: Database, generation: Generation, vectors: Vectors
) -> None:
    searcher = Searcher(database, generation, exact_limit=12)

    for query in vectors[100:105]:
        expected = nearest(vectors[:12], query, 10)
        assert await found(searcher, query, 10, tenant=SMALL_TENANT) == expected


async def test_a_walk_that_comes_back_short_is_done_again_exactly_and_counted(
    settings: Settings, database: Database, generation: Generation, vectors: Vectors
) -> None:
    async with database.owner_transaction() as connection:
        await connection.execute("RESET ROLE")
        for setting in ("hnsw.max_scan_tuples = 1", "enable_sort = off", "enable_seqscan = off"):
            await connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {setting}")
    before = UNDER_RETURNED.labels()._value.get()
    impatient = Database(settings)
    searcher = Searcher(impatient, generation, exact_limit=0)

    hits = await found(searcher, vectors[500], 10, tenant=SMALL_TENANT)
    await impatient.close()

    assert hits == nearest(vectors[:12], vectors[500], 10)
    assert UNDER_RETURNED.labels()._value.get() == before + 1


@pytest.mark.parametrize(
    ("legs", "uses_index"),
    [
        (("walked", "led_to"), True),
        (("near", "led_to"), False),
        (("near", "compared"), False),
    ],
)
async def test_only_the_walk_is_planned_through_the_vector_index(
    database: Database,
    generation: Generation,
    vectors: Vectors,
    legs: tuple[str, ...],
    uses_index: bool,
) -> None:
    wanted = Wanted("situation", vectors[0], 10, Filters())
    parameters = {
        **search_parameters(DEFAULT_TENANT, wanted),
        "word_weights": "{}",
        "other_words": 1.0,
    }
    async with database.owner_transaction() as connection:
        await connection.execute("RESET ROLE")
        await connection.execute(f"ANALYZE staffroom.{generation.vectors_table}")
        await connection.execute("ANALYZE staffroom.scenarios")
    async with database.transaction(DEFAULT_TENANT) as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute("SET LOCAL enable_sort = off")
        query = statement("found", generation.vectors_table, legs=(*WORDS, *legs))
        cursor = await connection.execute(b"EXPLAIN " + query, parameters)
        plan = "\n".join(str(row["QUERY PLAN"]) for row in await cursor.fetchall())

    assert (generation.vectors_index in plan) == uses_index, plan


@pytest.mark.parametrize("mode", ["hybrid", "meaning", "words"])
@pytest.mark.parametrize("exact_limit", [0, 10_000])
async def test_the_database_orders_as_the_calibration_does(
    database: Database,
    vector_ops: VectorOperations,
    embedder: WordEmbedder,
    mode: Mode,
    exact_limit: int,
) -> None:
    """The score is written down twice: in fusion.py, for fitting, and in search.sql."""
    await vector_ops.batch_process(
        [
            {
                "text": f"Pupils talk {'and shout ' * (n % 4)} in lesson {n % 30}",
                "advice": "Wait. " * (n % 5) + f"Then ask pupil {n % 7}.",
                "questions": [f"Who shouts in lesson {n % 11}?"] * (n % 2),
                "language": ("en", "es", "de")[n % 3],
            }
            for n in range(120)
        ]
    )
    generation = await open_generation(
        database, DEFAULT_TENANT, embedder.model, embedder.dimensions
    )
    readings: dict[Mode, Reading] = {each: Reading(4, 0, -2) for each in get_args(Mode)}
    calibration = Calibration(readings, {"": 0.2, "en": 0.5, "es": 0.35})
    searcher = Searcher(database, replace(generation, calibration=calibration), exact_limit)
    embedding = (await embedder.embed(["Who shouts in lesson 5?"], "query"))[0]
    wanted = Wanted("Who shouts in lesson 5?", embedding, 20, Filters(), mode)

    found = await searcher.find(DEFAULT_TENANT, wanted)
    order, relevances = ranked(
        calibration, candidates := await searcher.candidates(DEFAULT_TENANT, wanted), mode
    )

    assert found
    expected = [str(candidates.ids[place]) for place in order]
    places = [expected.index(str(match.scenario.id)) for match in found]
    assert places == sorted(places)
    assert [match.relevance for match in found] == [relevances[place] for place in places]


@pytest.mark.parametrize(
    ("exact_limit", "filters", "kept"),
    [
        (10_000, Filters(), True),
        (10_000, Filters(categories=("common",)), False),
        (0, Filters(), False),
    ],
)
async def test_only_the_plan_of_a_small_library_is_kept(
    database: Database,
    generation: Generation,
    vectors: Vectors,
    exact_limit: int,
    filters: Filters,
    kept: bool,
) -> None:
    """Whichever tenant it was made for: it goes by keys. Others depend on how much is there."""
    searcher = Searcher(database, generation, exact_limit, exact_limit)
    for query in vectors[:3]:
        await found(searcher, query, 10, filters=filters)

    async with database.transaction(DEFAULT_TENANT) as connection:
        cursor = await connection.execute(
            "SELECT generic_plans > 0 AS kept, custom_plans > 0 AS made "
            "FROM pg_prepared_statements WHERE statement LIKE '%best AS MATERIALIZED%'"
        )
        plans = await cursor.fetchall()

    assert plans == [{"kept": kept, "made": not kept}]


async def test_a_question_for_a_big_tenant_does_not_spoil_the_plan_of_a_small_one(
    database: Database, generation: Generation, vectors: Vectors
) -> None:
    searcher = Searcher(database, generation, exact_limit=12)
    for query in vectors[:20]:
        await found(searcher, query, 10)

    assert len(await found(searcher, vectors[0], 10, tenant=SMALL_TENANT)) == 10


async def test_every_statement_fits_the_schema(database: Database, generation: Generation) -> None:
    async with database.transaction(DEFAULT_TENANT) as connection:
        # begin_snapshot sets something, and so has no plan.
        for name in statement_texts().keys() - {*FRAGMENTS, "begin_snapshot"}:
            await connection.execute("RESET ROLE")
            legs = (*WORDS, "near", "led_to")
            text = statement(name, generation.vectors_table, legs=legs).decode().rstrip(";")
            numbered: dict[str, str] = {}
            for part in sorted(set(re.findall(r"%\((\w+)\)s", text))):
                numbered[part] = f"${len(numbered) + 1}"
            await connection.execute(
                f"EXPLAIN (GENERIC_PLAN) {text % numbered}".replace("%", "%%"), prepare=False
            )
