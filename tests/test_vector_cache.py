"""Each text is embedded once, whoever asks and whenever."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from staffroom.cache.vector_cache import CACHED_BATCH, VectorCache
from staffroom.errors import EmbedderUnavailable
from staffroom.monitoring.metrics import CACHE_HITS, CACHE_MISSES
from staffroom.types import Role, Vectors
from tests.fakes import WordEmbedder


@pytest.fixture
def cache(embedder: WordEmbedder) -> VectorCache:
    return VectorCache(embedder, size=3)


async def test_a_known_text_costs_nothing_and_is_counted(
    cache: VectorCache, embedder: WordEmbedder
) -> None:
    hits, misses = CACHE_HITS.labels()._value.get(), CACHE_MISSES.labels()._value.get()

    first = await cache.get_cached_embedding("noise")
    second = await cache.get_cached_embedding("noise")

    assert embedder.embedded == ["noise"]
    assert np.array_equal(first, second)
    assert (
        CACHE_HITS.labels()._value.get() - hits,
        CACHE_MISSES.labels()._value.get() - misses,
    ) == (1, 1)


async def test_the_same_text_in_another_role_is_another_text(
    cache: VectorCache, embedder: WordEmbedder
) -> None:
    await cache.get_cached_embedding("noise", "query")
    await cache.get_cached_embedding("noise", "passage")

    assert embedder.embedded == ["noise", "noise"]


async def test_a_batch_embeds_each_unknown_text_once_and_keeps_the_order(
    cache: VectorCache, embedder: WordEmbedder
) -> None:
    await cache.get_cached_embedding("b")

    vectors = await cache.embed(["a", "b", "a", "c"], "query")

    assert embedder.embedded == ["b", "a", "c"]
    assert np.array_equal(vectors, await WordEmbedder().embed(["a", "b", "a", "c"], "query"))


async def test_texts_asked_for_at_once_are_computed_once(
    cache: VectorCache, embedder: WordEmbedder
) -> None:
    await asyncio.gather(*(cache.get_cached_embedding("noise") for _ in range(20)))

    assert embedder.embedded == ["noise"]


async def test_a_caller_that_gives_up_does_not_disturb_the_others(
    cache: VectorCache, embedder: WordEmbedder
) -> None:
    impatient = asyncio.create_task(cache.get_cached_embedding("noise"))
    patient = asyncio.create_task(cache.get_cached_embedding("noise"))
    await asyncio.sleep(0)
    impatient.cancel()

    assert (await patient).shape == (64,)
    assert impatient.cancelled()
    assert embedder.embedded == ["noise"]


async def test_the_least_recently_used_text_leaves_first(
    cache: VectorCache, embedder: WordEmbedder
) -> None:
    for text in ("a", "b", "c", "a", "d", "a", "b"):
        await cache.get_cached_embedding(text)

    assert embedder.embedded == ["a", "b", "c", "d", "b"]
    assert len(cache) == 3


async def test_one_text_or_everything_can_be_forgotten(
    cache: VectorCache, embedder: WordEmbedder
) -> None:
    await cache.embed(["a", "b"], "query")

    cache.invalidate_cache("a")
    await cache.embed(["a", "b"], "query")
    cache.invalidate_cache()
    await cache.embed(["a", "b"], "query")

    assert embedder.embedded == ["a", "b", "a", "a", "b"]


async def test_a_bulk_of_texts_passes_without_pushing_questions_out(
    cache: VectorCache, embedder: WordEmbedder
) -> None:
    await cache.get_cached_embedding("question")
    await cache.embed([f"text {n}" for n in range(CACHED_BATCH + 1)], "passage")
    await cache.get_cached_embedding("question")

    assert embedder.embedded.count("question") == 1


async def test_a_cache_of_no_size_keeps_nothing(embedder: WordEmbedder) -> None:
    cache = VectorCache(embedder, size=0)
    await cache.get_cached_embedding("a")
    await cache.get_cached_embedding("a")

    assert embedder.embedded == ["a", "a"]


async def test_a_failure_is_not_kept() -> None:
    class Recovering(WordEmbedder):
        async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
            if not self.embedded:
                self.embedded.append("failed")
                raise EmbedderUnavailable("not yet")
            return await super().embed(texts, role)

    cache = VectorCache(Recovering(), size=3)
    with pytest.raises(EmbedderUnavailable):
        await cache.get_cached_embedding("a")

    assert (await cache.get_cached_embedding("a")).shape == (64,)


def test_a_cache_outlives_an_event_loop(cache: VectorCache, embedder: WordEmbedder) -> None:
    async def ask() -> None:
        await cache.get_cached_embedding("a")

    asyncio.run(ask())
    asyncio.run(ask())

    assert embedder.embedded == ["a"]
