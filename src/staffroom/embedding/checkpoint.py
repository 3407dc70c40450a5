"""A checkpoint folder as it was published, read into what the graph and the tokenizer need.

Supported are encoders of the BERT family with absolute positions: `config.json`,
`model.safetensors`, `tokenizer.json` and a sentence-transformers pooling configuration.
No weights are touched here.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from staffroom.errors import ConfigError, ModelCorrupt, ModelMissing
from staffroom.types import Role

Pooling = Literal["mean", "cls"]
Activation = Literal["gelu", "gelu_tanh"]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"

_FAMILIES = ("bert", "roberta", "xlm-roberta")
_MODULES = ("Transformer", "Pooling", "Normalize")
_ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
}
_SEARCH_INSTRUCTION = "Represent this sentence for searching relevant passages: "
_PREFIXES: tuple[tuple[str, Mapping[Role, str]], ...] = (
    (r"\be5-(?!.*instruct)", {"query": "query: ", "passage": "passage: "}),
    (r"\bbge-(small|base|large)-en", {"query": _SEARCH_INSTRUCTION, "passage": ""}),
    (
        r"\bbge-(small|base|large)-zh",
        {"query": "为这个句子生成表示以用于检索相关文章：", "passage": ""},
    ),
    (r"\barctic-embed-.*v2", {"query": "query: ", "passage": ""}),
    (r"\barctic-embed-", {"query": _SEARCH_INSTRUCTION, "passage": ""}),
    (r"\bmxbai-embed-", {"query": _SEARCH_INSTRUCTION, "passage": ""}),
)
"""What families that do not write their prefixes down expect, by the model's name.

Source: the model cards of intfloat/e5, BAAI/bge, Snowflake/arctic-embed, mixedbread-ai/mxbai.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a checkpoint's files say about it.

    `first_position` is the row of the position table that the first token uses.
    """

    folder: Path
    layers: int
    heads: int
    dimensions: int
    epsilon: float
    activation: Activation
    first_position: int
    pooling: Pooling
    max_tokens: int
    prefixes: Mapping[Role, str]

    def fingerprint(self, recipe: str) -> str:
        """A digest of all that a vector depends on; takes reading every weight once."""
        facts = [getattr(self, field.name) for field in fields(self) if field.name != "folder"]
        digest = hashlib.sha256(repr((recipe, facts)).encode())
        for name in (WEIGHTS, TOKENIZER):
            try:
                with (self.folder / name).open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
            except OSError as error:
                raise ModelMissing(
                    f"{self.folder / name} cannot be read: {error}. Fetch the model again."
                ) from error
        return digest.hexdigest()[:16]


def read_checkpoint(folder: Path) -> Checkpoint:
    """What the folder holds, checked to be something that the graph can express.

    Raises: ModelMissing for a file that is not there, ModelCorrupt for one that cannot be
        read, ConfigError for an architecture that is not supported, naming it.
    """
    folder = folder.resolve()
    config = _read_json(folder / CONFIG)
    _check_supported(folder, config)
    try:
        family = str(config["model_type"])
        first_position = 0 if family == "bert" else int(config.get("pad_token_id", 1)) + 1
        return Checkpoint(
            folder=folder,
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            dimensions=int(config["hidden_size"]),
            epsilon=float(config["layer_norm_eps"]),
            activation=_ACTIVATIONS[str(config["hidden_act"])],
            first_position=first_position,
            pooling=_read_pooling(folder),
            max_tokens=_read_max_tokens(
                folder, int(config["max_position_embeddings"]) - first_position
            ),
            prefixes=_read_prefixes(folder, str(config.get("_name_or_path", ""))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelCorrupt(
            f"{folder / CONFIG} lacks or misstates a value: {error!r}. Fetch the model again."
        ) from error


def _check_supported(folder: Path, config: Mapping[str, Any]) -> None:
    found = {
        "model_type": (config.get("model_type"), _FAMILIES),
        "hidden_act": (config.get("hidden_act"), tuple(_ACTIVATIONS)),
        "position_embedding_type": (config.get("position_embedding_type", "absolute"), "absolute"),
    }
    if (folder / "modules.json").exists():
        modules = _read_json(folder / "modules.json")[""]
        for number, module in enumerate(modules, start=1):
            found[f"module {number}"] = (str(module["type"]).rpartition(".")[2], _MODULES)
    for what, (value, supported) in found.items():
        if value not in supported:
            raise ConfigError(
                f"{folder.name} has {what} {value!r}; supported: {supported}. Choose an encoder of "
                "the BERT family, such as a MiniLM, BGE, E5, GTE or Arctic model."
            )


def _read_pooling(folder: Path) -> Pooling:
    """The pooling, as sentence-transformers writes it today or wrote it before."""
    path = folder / "1_Pooling" / CONFIG
    config = _read_json(path)
    modes = {
        name.removeprefix("pooling_mode_").removesuffix("_token").removesuffix("_tokens")
        for name, chosen in config.items()
        if name.startswith("pooling_mode_") and chosen is True
    } or {str(config.get("pooling_mode"))}
    if modes == {"mean"}:
        return "mean"
    if modes == {"cls"}:
        return "cls"
    raise ConfigError(
        f"{path} asks for the pooling {', '.join(sorted(modes))}; supported: mean, cls."
    )


def _read_max_tokens(folder: Path, positions: int) -> int:
    """The longest input in tokens: what the model was tuned for, if that is written down."""
    for name, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        if (folder / name).exists() and (stated := _read_json(folder / name).get(key)):
            return min(int(stated), positions)
    return positions


def _read_prefixes(folder: Path, published_name: str) -> Mapping[Role, str]:
    """What is put before a question and before a passage, stated or known of the family."""
    path = folder / "config_sentence_transformers.json"
    prompts = _read_json(path).get("prompts", {}) if path.exists() else {}
    if any(prompts.values()):
        passage = prompts.get("passage") or prompts.get("document") or ""
        return {"query": str(prompts.get("query") or ""), "passage": str(passage)}
    for name in (published_name, folder.name):
        for pattern, prefixes in _PREFIXES:
            if re.search(pattern, name.lower()):
                return prefixes
    return {"query": "", "passage": ""}


def _read_json(path: Path) -> Mapping[str, Any]:
    """A file's JSON object; a list is found under the empty name."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelMissing(
            f"{path} is missing. A checkpoint folder holds {CONFIG}, {WEIGHTS}, {TOKENIZER} and "
            f"1_Pooling/{CONFIG}; `staffroom models list` shows what can be fetched."
        ) from error
    except (OSError, ValueError) as error:
        raise ModelCorrupt(f"{path} cannot be read: {error}. Fetch the model again.") from error
    return content if isinstance(content, dict) else {"": content}
