"""EmbeddingGenerator with the local model: the texts it takes, and what vectors it gives."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from staffroom.config import Settings
from staffroom.database.connection import Database
from staffroom.database.vector_ops import VectorOperations
from staffroom.embedding import load_embedder
from staffroom.embedding.generator import EmbeddingGenerator
from staffroom.embedding.local import (
    BATCH_NICENESS,
    MOST_WAITING,
    SLICE_TOKENS,
    LocalEmbedder,
    slices,
)
from staffroom.errors import (
    ConfigError,
    EmbedderUnavailable,
    InputError,
    ModelCorrupt,
    ModelMissing,
    Overloaded,
)
from staffroom.monitoring.metrics import EMBEDDING_TIME
from tests.embedding_checkpoints import DIMENSIONS, make_checkpoint
from tests.fakes import WordEmbedder

NOISE = "How do I settle a noisy class?"
TOGETHER = 1e-5


@pytest.fixture
async def generator(models: Path) -> AsyncIterator[EmbeddingGenerator]:
    generator = EmbeddingGenerator(Settings(models=models))
    yield generator
    await generator.close()


@pytest.fixture
async def tiny(tmp_path: Path) -> AsyncIterator[LocalEmbedder]:
    """A model that loads at once, for what does not depend on meaning."""
    embedder = LocalEmbedder(str(make_checkpoint(tmp_path / "e5-tiny")), tmp_path)
    yield embedder
    await embedder.close()


async def test_near_meanings_have_near_vectors(generator: EmbeddingGenerator) -> None:
    question = await generator.get_embedding(NOISE)
    near, far = await generator.batch_get_embeddings(
        ["Quietening pupils who talk over you", "Ordering glue sticks for the art cupboard"]
    )

    assert question @ near > question @ far + 0.2


async def test_vectors_are_unit_length_rows_in_order(generator: EmbeddingGenerator) -> None:
    texts = [f"{NOISE} " * count for count in (1, 30, 2, 9, 1, 17)]

    vectors = await generator.batch_get_embeddings(texts)

    assert vectors.dtype == np.float32
    assert vectors.shape == (6, 384) == (6, generator.dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alone = [await generator.get_embedding(text, "passage") for text in texts]
    np.testing.assert_allclose(vectors, alone, atol=TOGETHER)


async def test_no_texts_give_no_vectors(tiny: LocalEmbedder) -> None:
    assert (await tiny.embed([], "passage")).shape == (0, DIMENSIONS)


@pytest.mark.parametrize("texts", [["a", ""], ["a", " \n\t"], ["a", "\u2003"]])
async def test_an_empty_text_is_refused_by_position(tiny: LocalEmbedder, texts: list[str]) -> None:
    with pytest.raises(InputError, match="text 1 is empty"):
        await tiny.embed(texts, "passage")


@pytest.mark.parametrize("value", [None, 3, b"bytes", ["list"]])
async def test_what_is_not_text_is_refused_by_position_and_type(
    tiny: LocalEmbedder, value: Any
) -> None:
    with pytest.raises(InputError, match=f"text 1 is of the type {type(value).__name__}"):
        await tiny.embed(["a", value], "passage")


async def test_one_text_instead_of_a_batch_is_refused(tiny: LocalEmbedder) -> None:
    with pytest.raises(InputError, match="Put it into a list"):
        await tiny.embed("quiet class", "passage")


@pytest.mark.parametrize(
    "text",
    [
        "\x00",
        "a\x00b",
        "\ud83d",
        "pupil \udc00 help",
        "👩🏽‍🏫🎉",
        "كيف أهدئ الصف؟",
        "\u200b",
        "ﬀ\u0301" * 40,
    ],
)
async def test_no_character_makes_a_text_fail(generator: EmbeddingGenerator, text: str) -> None:
    vector = await generator.get_embedding(text)

    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


async def test_composed_and_decomposed_letters_are_the_same(generator: EmbeddingGenerator) -> None:
    composed, decomposed = await generator.batch_get_embeddings(["L\u00e4rm", "La\u0308rm"])

    np.testing.assert_array_equal(composed, decomposed)


async def test_what_follows_the_token_limit_is_ignored(generator: EmbeddingGenerator) -> None:
    first, second = await generator.batch_get_embeddings(
        ["noise " * 300 + "glue sticks", "noise " * 300 + "a shy pupil"]
    )

    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("piece", ["word ", "x", "\u0315\u0300", "ß̂ ", "字", " "])
async def test_a_huge_text_costs_no_more_than_a_long_one(
    generator: EmbeddingGenerator, piece: str
) -> None:
    await generator.get_embedding("warm")
    started = time.perf_counter()

    await generator.get_embedding("a" + piece * 100_000)

    assert time.perf_counter() - started < 1


async def test_each_role_has_its_prefix(tiny: LocalEmbedder) -> None:
    plain = await tiny.embed(["noise"], "query")
    other = await tiny.embed(["noise"], "passage")
    prefixed = await tiny.embed(["passage: noise", "query: noise"], "query")

    assert not np.allclose(plain, other)
    assert not np.allclose(prefixed[0], other[0])


async def test_many_windows_of_texts_come_back_in_order(tiny: LocalEmbedder) -> None:
    words = ["noise", "class", "quiet", "pupil", "help", "reading"]
    texts = [" ".join(words[: 1 + number % 6] * (1 + number % 5)) for number in range(2500)]

    vectors = await tiny.embed(texts, "passage")

    for number in (0, 1023, 1024, 1029, 2499):
        alone = await tiny.embed([texts[number]], "passage")
        np.testing.assert_allclose(vectors[number], alone[0], atol=TOGETHER)


async def test_questions_at_once_each_get_their_own_answer(tiny: LocalEmbedder) -> None:
    words = ["noise", "class", "quiet", "pupil", "help", "reading"]
    expected = await tiny.embed(words, "query")

    found = await asyncio.gather(*(tiny.embed([word], "query") for word in words * 20))

    np.testing.assert_allclose(np.concatenate(found), np.tile(expected, (20, 1)), atol=TOGETHER)


@pytest.mark.slow
async def test_a_question_too_many_is_refused_at_once_and_the_others_are_answered(
    database: Database, tiny: LocalEmbedder
) -> None:
    await tiny.embed(["the model is loaded"], "query")
    assert tiny._engine
    go_on = threading.Event()
    tiny._engine._question_thread.submit(go_on.wait)
    searching = VectorOperations(database, tiny)
    waiting = [
        asyncio.create_task(tiny.embed([f"question {n}"], "query")) for n in range(MOST_WAITING)
    ]
    await asyncio.sleep(0)

    for _ in range(2):
        with pytest.raises(Overloaded, match="256 questions are already waiting") as refused:
            await searching.search("one too many")
    go_on.set()

    assert refused.value.retry_after == 1
    assert len(await asyncio.gather(*waiting)) == MOST_WAITING
    assert len(await tiny.embed(["and again"], "query")) == 1


async def test_a_question_overtakes_a_batch(generator: EmbeddingGenerator) -> None:
    await generator.get_embedding("warm")
    batch = asyncio.create_task(generator.batch_get_embeddings([f"{NOISE} " * 40] * 150))
    await asyncio.sleep(0)

    for _ in range(5):
        await generator.get_embedding(NOISE)

    assert not batch.done()
    assert (await batch).shape == (150, 384)


@pytest.mark.skipif(sys.platform != "linux", reason="niceness is that of the whole process")
async def test_what_works_on_batches_gives_way_to_questions(tiny: LocalEmbedder) -> None:
    await tiny.embed(["noise in class", "quiet class"], "passage")
    await tiny.embed(["noise in class"], "query")

    own = os.getpriority(os.PRIO_PROCESS, 0)
    niceness = {
        thread.name.partition("_")[0]: os.getpriority(os.PRIO_PROCESS, thread.native_id or 0)
        for thread in threading.enumerate()
        if thread.name.startswith("staffroom-")
    }
    assert niceness["staffroom-question"] == own
    assert niceness["staffroom-batch"] == max(BATCH_NICENESS, own)


async def test_giving_up_frees_the_model(generator: EmbeddingGenerator) -> None:
    await generator.get_embedding("warm")
    batch = asyncio.create_task(generator.batch_get_embeddings([f"{NOISE} " * 40] * 2000))
    question = asyncio.create_task(generator.get_embedding(NOISE))
    await asyncio.sleep(0)
    started = time.perf_counter()

    batch.cancel()
    question.cancel()
    results = await asyncio.gather(batch, question, return_exceptions=True)
    await generator.batch_get_embeddings([NOISE, NOISE])

    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    assert time.perf_counter() - started < 5


def test_an_embedder_serves_one_event_loop_after_another(tmp_path: Path) -> None:
    embedder = LocalEmbedder(str(make_checkpoint(tmp_path / "tiny")), tmp_path)

    async def ask() -> Any:
        return await embedder.embed(["noise"], "query"), await embedder.embed(["a", "b"], "query")

    first, second = asyncio.run(ask()), asyncio.run(ask())
    asyncio.run(embedder.close())
    third = asyncio.run(ask())
    asyncio.run(embedder.close())

    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], third[1])


def test_slices_keep_the_token_budget_and_hold_every_row_once() -> None:
    lengths = [*np.random.default_rng(0).integers(2, 257, 500).tolist(), SLICE_TOKENS * 2]

    plan = list(slices(lengths))

    assert sorted(row for rows in plan for row in rows) == list(range(501))
    for rows in plan:
        longest = max(lengths[row] for row in rows)
        assert len(rows) == 1 or len(rows) * longest <= SLICE_TOKENS
    assert list(slices([])) == []


async def test_making_a_generator_touches_nothing(tmp_path: Path) -> None:
    generator = EmbeddingGenerator(Settings(models=tmp_path))

    with pytest.raises(ModelMissing, match="staffroom models fetch all-MiniLM-L6-v2"):
        await generator.get_embedding(NOISE)
    with pytest.raises(ModelMissing):
        _ = generator.model
    await generator.close()
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - not to wait for in an event loop


async def test_a_damaged_tokenizer_is_named(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    embedder = LocalEmbedder(str(folder), tmp_path)
    (folder / "tokenizer.json").write_text("{}")

    with pytest.raises(ModelCorrupt, match=r"tokenizer\.json"):
        await embedder.embed(["noise"], "query")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelMissing, match=r"tokenizer\.json"):
        await embedder.embed(["noise"], "query")


async def test_a_run_that_fails_is_told_to_everyone_who_waits(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(
        tokenizer.read_text()
        .replace('"noise": 7', '"noise": 70')
        .replace('"noise":7', '"noise":70')
    )
    embedder = LocalEmbedder(str(folder), tmp_path)

    questions = [embedder.embed(["noise"], "query") for _ in range(3)]
    batch = embedder.embed(["noise", "class"], "passage")
    results = await asyncio.gather(*questions, batch, return_exceptions=True)

    assert [type(result) for result in results] == [EmbedderUnavailable] * 4
    assert (await embedder.embed(["class"], "query")).shape == (1, DIMENSIONS)
    await embedder.close()


async def test_identity_names_the_model_and_its_weights(tiny: LocalEmbedder) -> None:
    name, _, fingerprint = tiny.model.partition("@")

    assert name == "e5-tiny"
    assert len(fingerprint) == 16


@pytest.mark.parametrize("spec", ["", "local", "local:", "openai:", "torch:all-MiniLM-L6-v2"])
def test_another_spec_is_refused(spec: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="local:NAME, local:FOLDER or openai:NAME"):
        load_embedder(spec, models=tmp_path, base_url="http://localhost", api_key=None)


async def test_a_given_embedder_is_used_and_left_open() -> None:
    inner = WordEmbedder()
    outer = EmbeddingGenerator(EmbeddingGenerator(inner))

    vector = await outer.get_embedding("noise")
    await outer.close()

    assert (outer.model, outer.dimensions) == ("words", 64)
    assert inner.embedded == ["noise"]
    assert vector.shape == (64,)


async def test_every_batch_is_timed_once() -> None:
    generator = EmbeddingGenerator(EmbeddingGenerator(WordEmbedder()))
    before = timed()

    await generator.batch_get_embeddings(["a", "b"])
    await generator.get_embedding("a")

    assert timed() - before == 2


def timed() -> float:
    (family,) = EMBEDDING_TIME.collect()
    (count,) = (sample.value for sample in family.samples if sample.name.endswith("_count"))
    return float(count)
