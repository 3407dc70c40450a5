"""How fast the paths are, as ratios to what one would use instead, measured side by side.

Machines differ and are noisy: both sides are measured in turns in one run, and the
ratio of their medians is what carries over.
"""

import importlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from random import Random
from statistics import fmean, median
from typing import Any, Final, NotRequired, TypedDict
from uuid import UUID

import numpy as np
from uuid_utils.compat import uuid7

from staffroom.content.starter import starter_rows
from staffroom.database.connection import Database
from staffroom.database.generations import open_generation
from staffroom.database.index_kinds import HALF, Walks
from staffroom.database.vector_ops import VectorOperations
from staffroom.evaluation.golden import golden_questions
from staffroom.types import (
    Embedder,
    Match,
    Mode,
    Progress,
    ProgressListener,
    Vector,
    Vectors,
)

ROUNDS: Final = 5
QUESTIONS: Final = 40
STORED_AT_ONCE: Final = 2_000
LIMIT: Final = 10
SENTENCES: Final = 6
NOISE: Final = 0.6
"""Distance of a synthetic vector from its centre, before it is brought to unit length."""


class Comparison(TypedDict):
    """Two ways to do the same; `ratio` is how many times faster ours is, and `spread` between what
    it lay in the middle half of the turns, where both took many."""

    what: str
    ours: float
    theirs: float | None
    unit: str
    ratio: float | None
    spread: NotRequired[tuple[float, float]]


async def bench_embed(embedder: Embedder, model: Path, exact: Embedder) -> list[Comparison]:
    """One question and a bulk of texts, against sentence-transformers where it is installed, and
    against the same model in full precision."""
    rows = starter_rows()
    questions = [question for row in rows for question in row["example_questions"]][:QUESTIONS]
    texts = [f"{row['name']}\n{row['description']}" for row in rows]
    peer = _sentence_transformers(model)

    async def ours(batch: Sequence[str]) -> None:
        await embedder.embed(batch, "query")

    async def theirs(batch: Sequence[str]) -> None:
        peer.encode(list(batch), normalize_embeddings=True, show_progress_bar=False)

    async def exactly(batch: Sequence[str]) -> None:
        await exact.embed(batch, "query")

    ways = [ours, exactly, theirs] if peer else [ours, exactly]
    found: list[Comparison] = []
    for what, inputs, texts_at_once, unit in (
        ("one question", [[question] for question in questions], 1, "ms"),
        ("bulk text", [texts], len(texts), "ms a text"),
    ):
        own, *others = (1000 * each / texts_at_once for each in await _measured(ways, inputs))
        names = ("in float32", "by sentence-transformers")
        found += [
            comparison(f"{what}, against the same {name}", [own, other], unit)
            for name, other in zip(names, others, strict=False)
        ]
    return found


async def bench_search(
    database: Database,
    vector_ops: VectorOperations,
    embedder: Embedder,
    rows: int,
    progress: ProgressListener | None = None,
) -> list[Comparison]:
    """A search among so many scenarios: by meaning against the bare statement, by meaning and words
    against meaning alone, and the recall of the index."""
    tenant_id = uuid7()
    await database.ensure_tenant(tenant_id, "Benchmark")
    try:
        library = vector_ops.for_tenant(tenant_id)
        vectors = await synthetic_vectors(embedder, rows)
        await store_synthetic(library, vectors, progress)
        return await _compare_search(database, library, embedder, tenant_id, vectors)
    finally:
        await database.erase_tenant(tenant_id)


async def _compare_search(
    database: Database,
    library: VectorOperations,
    embedder: Embedder,
    tenant_id: UUID,
    vectors: Vectors,
) -> list[Comparison]:
    generation = await open_generation(database, tenant_id, embedder.model, embedder.dimensions)
    texts = [question.text for question in golden_questions()][:QUESTIONS]
    queries = list(zip(texts, nearby(vectors, QUESTIONS, seed=2), strict=True))

    def ours(mode: Mode) -> Callable[[tuple[str, Vector]], Awaitable[Sequence[Match]]]:
        async def search(query: tuple[str, Vector]) -> Sequence[Match]:
            text, embedding = query
            found = await library.search(text, LIMIT, 0.0, mode=mode, embedding=embedding)
            return found.matches

        return search

    async with database.transaction(tenant_id) as connection:
        walks = Walks(connection, generation, HALF, tenant_id)

        async def bare_statement(query: tuple[str, Vector]) -> None:
            await walks.nearest(query[1], LIMIT)

        ways = [ours("hybrid"), ours("meaning"), bare_statement]
        hybrid, meaning, least = (1000 * seconds for seconds in await _measured(ways, queries))
    shares = [_found_share(await ours("meaning")(query), vectors, query[1]) for query in queries]
    among = f"among {len(vectors):,}"
    return [
        comparison(
            f"search by meaning {among}, against the bare statement", [meaning, least], "ms"
        ),
        comparison(f"hybrid {among}, against meaning alone", [hybrid, meaning], "ms"),
        Comparison(
            what=f"recall@{LIMIT}", ours=fmean(shares), theirs=None, unit="share", ratio=None
        ),
    ]


def _found_share(found: Sequence[Match], vectors: Vectors, query: Vector) -> float:
    nearest = {str(number) for number in np.argsort(-(vectors @ query))[:LIMIT]}
    ids = {match.scenario.content.source_id for match in found}
    return len(nearest & ids) / len(nearest)


async def _measured(
    ways: Sequence[Callable[[Any], Awaitable[Any]]], inputs: Sequence[Any]
) -> list[float]:
    """The median seconds of each way over all inputs, taken in turns after a round to warm up."""
    times: list[list[float]] = [[] for _ in ways]
    for number in range(ROUNDS + 1):
        for value in inputs:
            for way, taken in zip(ways, times, strict=True):
                started = time.perf_counter()
                await way(value)
                if number:
                    taken.append(time.perf_counter() - started)
    return [median(taken) for taken in times]


def comparison(what: str, times: Sequence[float], unit: str) -> Comparison:
    """What our time and that beside it come to."""
    ours, theirs = times[0], times[1] if len(times) > 1 else None
    ratio = None if theirs is None else theirs / ours
    return Comparison(what=what, ours=ours, theirs=theirs, unit=unit, ratio=ratio)


async def synthetic_vectors(embedder: Embedder, rows: int) -> Vectors:
    """Vectors that lie as real ones do: around those of the starter library's texts."""
    return nearby(await starter_vectors(embedder), rows, seed=1)


async def starter_vectors(embedder: Embedder) -> Vectors:
    """The vectors of the starter library's texts."""
    texts = [f"{row['name']}\n{row['description']}" for row in starter_rows()]
    return await embedder.embed(texts, "passage")


def nearby(vectors: Vectors, count: int, seed: int) -> Vectors:
    """So many vectors of unit length, each near one of the given ones."""
    random = np.random.default_rng(seed)
    centres = vectors[random.integers(0, len(vectors), count)]
    noise = random.standard_normal(centres.shape) * NOISE / np.sqrt(centres.shape[1])
    near: Vectors = (centres + noise).astype(np.float32)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    return near


def synthetic_rows() -> Iterator[Mapping[str, Any]]:
    """Scenarios of random advice, without end."""
    # Not for secrets: sentences of real advice, so that words are as frequent as they really are.
    random = Random(3)  # noqa: S311
    sentences = [line for row in starter_rows() for line in row["expected_response"].splitlines()]
    for number in count():
        yield {"id": str(number), "text": " ".join(random.choices(sentences, k=SENTENCES))}


async def store_synthetic(
    library: VectorOperations, vectors: Vectors, progress: ProgressListener | None
) -> None:
    """A scenario of random advice is in the library for each vector."""
    rows = synthetic_rows()
    for start in range(0, len(vectors), STORED_AT_ONCE):
        batch = vectors[start : start + STORED_AT_ONCE]
        await library.batch_store_content(list(islice(rows, len(batch))), batch)
        if progress:
            progress(Progress("Storing", start + len(batch), len(vectors), "rows"))


def _sentence_transformers(model: Path) -> Any:
    """The peer with the same weights, or None where it is not installed."""
    try:
        peer = importlib.import_module("sentence_transformers")
    except ModuleNotFoundError:
        return None
    return peer.SentenceTransformer(str(model), device="cpu")
