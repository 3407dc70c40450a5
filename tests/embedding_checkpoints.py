"""Tiny checkpoints with random weights, and what a BERT computes, written down plainly."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

WORDS = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "query", "passage", ":"),
    *("noise", "class", "quiet", "pupil", "help", "reading", "."),
    *("represent", "this", "sentence", "for", "searching", "relevant", "passages"),
)
DIMENSIONS, HEADS, LAYERS, INNER, POSITIONS = 48, 4, 2, 96, 40

Weights = Mapping[str, NDArray[np.float32]]


def make_checkpoint(
    folder: Path,
    *,
    family: str = "bert",
    pooling: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    prefix: str = "",
) -> Path:
    """A whole checkpoint folder. Random weights; every file can be changed afterwards."""
    folder.mkdir(parents=True)
    facts = {
        "model_type": family,
        "hidden_size": DIMENSIONS,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "intermediate_size": INNER,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS,
        "pad_token_id": 0 if family == "bert" else 1,
    }
    write(folder / "config.json", facts | dict(config or {}))
    (folder / "1_Pooling").mkdir()
    write(folder / "1_Pooling" / "config.json", pooling or {"pooling_mode_mean_tokens": True})
    save_file(dict(_random_weights(prefix)), folder / "model.safetensors")
    _tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _tokenizer() -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=POSITIONS)
    return tokenizer


def _random_weights(prefix: str) -> Weights:
    random = np.random.default_rng(3)

    def matrix(*shape: int, scale: float = 0.2) -> NDArray[np.float32]:
        return (random.standard_normal(shape) * scale).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": matrix(len(WORDS), DIMENSIONS, scale=1.0),
        "embeddings.position_embeddings.weight": matrix(POSITIONS, DIMENSIONS),
        "embeddings.token_type_embeddings.weight": matrix(2, DIMENSIONS),
    }
    norms = ["embeddings.LayerNorm"]
    dense: dict[str, tuple[int, int]] = {}
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        for part in ("query", "key", "value"):
            dense[f"{layer}.attention.self.{part}"] = (DIMENSIONS, DIMENSIONS)
        dense[f"{layer}.attention.output.dense"] = (DIMENSIONS, DIMENSIONS)
        dense[f"{layer}.intermediate.dense"] = (INNER, DIMENSIONS)
        dense[f"{layer}.output.dense"] = (DIMENSIONS, INNER)
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for name, shape in dense.items():
        weights[f"{name}.weight"] = matrix(*shape)
        weights[f"{name}.bias"] = matrix(shape[0])
    for name in norms:
        weights[f"{name}.weight"] = 1 + matrix(DIMENSIONS)
        weights[f"{name}.bias"] = matrix(DIMENSIONS)
    return {prefix + name: values for name, values in weights.items()}


def reference_vector(folder: Path, ids: Sequence[int], prefix: str = "") -> NDArray[np.float64]:
    """The vector of one text by the published definition of BERT, in double precision.

    Source: Devlin et al. 2018; Reimers and Gurevych 2019 for the pooling.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    weights = {
        name.removeprefix(prefix): values.astype(np.float64)
        for name, values in load_file(folder / "model.safetensors").items()
    }
    first = 0 if config["model_type"] == "bert" else config["pad_token_id"] + 1
    stream = (
        weights["embeddings.word_embeddings.weight"][list(ids)]
        + weights["embeddings.position_embeddings.weight"][first : first + len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    stream = _normalised(stream, weights, "embeddings.LayerNorm", config["layer_norm_eps"])
    for number in range(config["num_hidden_layers"]):
        stream = _layer(stream, weights, f"encoder.layer.{number}", config)
    pooling = json.loads((folder / "1_Pooling" / "config.json").read_text("utf-8"))
    pooled = stream[0] if pooling.get("pooling_mode_cls_token") else stream.mean(axis=0)
    vector: NDArray[np.float64] = pooled / np.linalg.norm(pooled)
    return vector


def _layer(
    stream: NDArray[np.float64],
    weights: Mapping[str, NDArray[np.float64]],
    name: str,
    config: Mapping[str, Any],
) -> NDArray[np.float64]:
    def dense(inputs: NDArray[np.float64], part: str) -> NDArray[np.float64]:
        return inputs @ weights[f"{name}.{part}.weight"].T + weights[f"{name}.{part}.bias"]

    heads = config["num_attention_heads"]
    query, key, value = (
        dense(stream, f"attention.self.{part}").reshape(len(stream), heads, -1).swapaxes(0, 1)
        for part in ("query", "key", "value")
    )
    scores = query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    attended = (shares @ value).swapaxes(0, 1).reshape(stream.shape)
    epsilon = config["layer_norm_eps"]
    mixed = _normalised(
        stream + dense(attended, "attention.output.dense"),
        weights,
        f"{name}.attention.output.LayerNorm",
        epsilon,
    )
    inner = _gelu(dense(mixed, "intermediate.dense"), config["hidden_act"])
    outputs = mixed + dense(inner, "output.dense")
    return _normalised(outputs, weights, f"{name}.output.LayerNorm", epsilon)


def _gelu(values: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    if kind == "gelu":
        share = 1 + np.vectorize(math.erf)(values / math.sqrt(2))
    else:
        share = 1 + np.tanh(math.sqrt(2 / math.pi) * (values + 0.044715 * values**3))
    active: NDArray[np.float64] = values * share / 2
    return active


def _normalised(
    values: NDArray[np.float64],
    weights: Mapping[str, NDArray[np.float64]],
    name: str,
    epsilon: float,
) -> NDArray[np.float64]:
    centred = values - values.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
    normalised: NDArray[np.float64] = centred / deviation * weights[f"{name}.weight"]
    return normalised + weights[f"{name}.bias"]
