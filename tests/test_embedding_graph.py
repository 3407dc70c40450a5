"""The graphs compute what BERT computes: exactly, or in eight bits within a stated distance."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from staffroom.embedding.checkpoint import read_checkpoint
from staffroom.embedding.encoder import Product, read_encoder
from staffroom.embedding.graph import build_graph
from staffroom.embedding.quantisation import Range, exceptions, quantise, smoothing
from staffroom.embedding.session import Session, Tokens, open_session
from tests.embedding_checkpoints import make_checkpoint, reference_vector

TEXTS = (
    "How do I settle a noisy class?",
    "A pupil refuses to read aloud, and the others have begun to notice.",
    "Praise in public, correct in private. " * 6,
    "Lärm",
)


def padded(rows: list[list[int]]) -> Tokens:
    """The rows at equal width; what fills them up is the worst that there is to read."""
    ids = np.full((len(rows), max(map(len, rows))), 7, np.int32)
    for row, tokens in zip(ids, rows, strict=True):
        row[: len(tokens)] = tokens
    return ids


def lengths(rows: list[list[int]]) -> Any:
    return np.array([len(row) for row in rows], np.int64)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"pooling": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}},
        {"pooling": {"pooling_mode": "mean"}},
        {"family": "xlm-roberta", "prefix": "roberta."},
        {"config": {"hidden_act": "gelu_new"}, "prefix": "bert."},
    ],
    ids=["mean", "cls", "new-style pooling", "roberta", "tanh"],
)
def test_the_exact_graph_of_any_family_equals_the_definition(
    tmp_path: Path, facts: Mapping[str, Any]
) -> None:
    folder = make_checkpoint(tmp_path / "tiny", **facts)
    checkpoint = read_checkpoint(folder)
    rows = [[2, 7, 8, 9, 3], [2, 10, 11, 3], [2, *[12, 8, 7] * 10, 3]]

    session = Session(build_graph(checkpoint, read_encoder(checkpoint)))
    vectors = session.vectors(padded(rows), lengths(rows))

    expected = [reference_vector(folder, row, facts.get("prefix", "")) for row in rows]
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


@pytest.mark.slow
def test_the_exact_graph_of_the_default_model_equals_the_definition(models: Path) -> None:
    checkpoint = read_checkpoint(models / "all-MiniLM-L6-v2")
    rows = default_tokens(models)

    session = Session(build_graph(checkpoint, read_encoder(checkpoint)))
    vectors = session.vectors(padded(rows), lengths(rows))

    expected = [reference_vector(checkpoint.folder, row) for row in rows]
    np.testing.assert_allclose(vectors, expected, atol=1e-4)


@pytest.mark.slow
def test_the_quantised_graph_of_the_default_model_is_near_the_definition(models: Path) -> None:
    checkpoint = read_checkpoint(models / "all-MiniLM-L6-v2")
    rows = default_tokens(models)

    session = open_session(checkpoint, [101, 102], models / "graphs")
    vectors = session.vectors(padded(rows), lengths(rows))

    expected = np.array([reference_vector(checkpoint.folder, row) for row in rows])
    cosines = (vectors * expected).sum(axis=1)
    assert cosines.min() >= 0.99
    assert cosines.mean() >= 0.995


def test_neighbours_and_padding_do_not_reach_a_vector(models: Path) -> None:
    session = open_session(
        read_checkpoint(models / "all-MiniLM-L6-v2"), [101, 102], models / "graphs"
    )
    rows = default_tokens(models)

    together = session.vectors(padded(rows), lengths(rows))
    alone = np.concatenate([session.vectors(padded([row]), lengths([row])) for row in rows])

    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("text", [". " * 120, "... " * 60, "?", "No", "- " * 80, "THE " * 200])
def test_texts_that_are_no_prose_stay_near_the_exact_vectors(models: Path, text: str) -> None:
    checkpoint = read_checkpoint(models / "all-MiniLM-L6-v2")
    exact = Session(build_graph(checkpoint, read_encoder(checkpoint)))
    quantised = open_session(checkpoint, [101, 102], models / "graphs")
    rows = default_tokens(models, [text])

    cosine = np.vdot(
        quantised.vectors(padded(rows), lengths(rows)), exact.vectors(padded(rows), lengths(rows))
    )

    assert cosine >= 0.98


def default_tokens(models: Path, texts: Sequence[str] = TEXTS) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(models / "all-MiniLM-L6-v2" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def test_a_quantised_product_is_near_the_exact_one() -> None:
    random = np.random.default_rng(1)
    product = Product(random.standard_normal((64, 32)), random.standard_normal(32))
    inputs = random.standard_normal((200, 64))

    result = quantise(product, Range(inputs.min(axis=0), inputs.max(axis=0)))
    integers = np.clip(np.rint(inputs / result.input_scale) + int(result.input_zero), 0, 255)
    outputs = (integers - int(result.input_zero)) * result.input_scale @ (
        result.weight * result.weight_scales
    ) + result.bias

    exact = inputs @ product.weight + product.bias
    assert np.abs(outputs - exact).mean() < 0.02 * exact.std()


def test_smoothing_brings_peaks_together_and_keeps_their_mean() -> None:
    peaks = np.array([0.5, 1.0, 2.0, 30.0])

    scales = smoothing(Range(-peaks, peaks))

    assert np.ptp(np.log(peaks / scales)) == pytest.approx(np.ptp(np.log(peaks)) / 2)
    assert np.log(scales).mean() == pytest.approx(0)


def test_only_units_far_beyond_the_others_keep_full_precision() -> None:
    high = np.ones(100)
    high[[7, 40]] = 30
    product = Product(np.ones((100, 4)), np.zeros(4))

    assert exceptions(product, Range(np.zeros(100), high)).tolist() == [7, 40]
    assert exceptions(product, Range(np.zeros(100), np.ones(100))).tolist() == []
