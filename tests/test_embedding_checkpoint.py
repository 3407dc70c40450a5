"""A checkpoint folder is understood as it was published, or refused with the reason."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from staffroom.embedding.checkpoint import read_checkpoint
from staffroom.errors import ConfigError, ModelCorrupt, ModelMissing
from tests.embedding_checkpoints import POSITIONS, make_checkpoint, write


def test_the_default_model_is_read(models: Path) -> None:
    checkpoint = read_checkpoint(models / "all-MiniLM-L6-v2")

    assert (checkpoint.layers, checkpoint.heads, checkpoint.dimensions) == (6, 12, 384)
    assert checkpoint.pooling == "mean"
    assert checkpoint.max_tokens == 256
    assert checkpoint.prefixes == {"query": "", "passage": ""}


SEARCH = "Represent this sentence for searching relevant passages: "


@pytest.mark.parametrize(
    ("name", "query", "passage"),
    [
        ("e5-base-v2", "query: ", "passage: "),
        ("multilingual-e5-small", "query: ", "passage: "),
        ("multilingual-e5-large-instruct", "", ""),
        ("bge-small-en-v1.5", SEARCH, ""),
        ("bge-m3", "", ""),
        ("snowflake-arctic-embed-s", SEARCH, ""),
        ("snowflake-arctic-embed-l-v2.0", "query: ", ""),
        ("gte-base", "", ""),
        ("all-MiniLM-L12-v2", "", ""),
    ],
)
def test_known_families_get_their_prefixes(
    tmp_path: Path, name: str, query: str, passage: str
) -> None:
    folder = read_checkpoint(make_checkpoint(tmp_path / name))
    published = read_checkpoint(
        make_checkpoint(tmp_path / "renamed", config={"_name_or_path": f"someone/{name}"})
    )

    assert folder.prefixes == published.prefixes == {"query": query, "passage": passage}


@pytest.mark.parametrize("key", ["passage", "document"])
def test_prefixes_that_are_written_down_win(tmp_path: Path, key: str) -> None:
    folder = make_checkpoint(tmp_path / "e5-base")
    prompts = {"query": "Q: ", key: "P: "}
    write(folder / "config_sentence_transformers.json", {"prompts": prompts})

    assert read_checkpoint(folder).prefixes == {"query": "Q: ", "passage": "P: "}


def test_empty_prompts_do_not_hide_those_of_the_family(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "e5-base")
    prompts = {"prompts": {"query": "", "document": ""}}
    write(folder / "config_sentence_transformers.json", prompts)

    assert read_checkpoint(folder).prefixes["query"] == "query: "


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("sentence_bert_config.json", {"max_seq_length": 24}, 24),
        ("sentence_bert_config.json", {"max_seq_length": None}, POSITIONS),
        ("sentence_bert_config.json", {"max_seq_length": 4096}, POSITIONS),
        ("tokenizer_config.json", {"model_max_length": 30}, 30),
        ("unrelated.json", {}, POSITIONS),
    ],
)
def test_the_longest_input_is_what_the_model_was_tuned_for(
    tmp_path: Path, name: str, content: Mapping[str, Any], expected: int
) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    write(folder / name, content)

    assert read_checkpoint(folder).max_tokens == expected


def test_roberta_begins_after_its_padding(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(make_checkpoint(tmp_path / "tiny", family="xlm-roberta"))

    assert checkpoint.first_position == 2
    assert checkpoint.max_tokens == POSITIONS - 2


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "mpnet"}, "model_type 'mpnet'"),
        ({"hidden_act": "swish"}, "hidden_act 'swish'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
    ],
)
def test_another_architecture_is_refused_by_name(
    tmp_path: Path, config: Mapping[str, Any], reason: str
) -> None:
    folder = make_checkpoint(tmp_path / "other", config=config)

    with pytest.raises(ConfigError, match=f"other has {reason}; supported: .*BERT"):
        read_checkpoint(folder)


def test_a_module_that_the_graph_lacks_is_refused(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "dense")
    modules = ["Transformer", "Pooling", "Dense"]
    write(folder / "modules.json", [{"type": f"sentence_transformers.models.{m}"} for m in modules])

    with pytest.raises(ConfigError, match="module 3 'Dense'"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_mode_max_tokens": True},
        {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
        {"pooling_mode": "lasttoken"},
        {"unknown": 1},
    ],
)
def test_another_pooling_is_refused(tmp_path: Path, pooling: Mapping[str, Any]) -> None:
    folder = make_checkpoint(tmp_path / "tiny", pooling=pooling)

    with pytest.raises(ConfigError, match="supported: mean, cls"):
        read_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "1_Pooling/config.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    (folder / name).unlink()

    with pytest.raises(ModelMissing, match=name):
        read_checkpoint(folder)


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    (folder / "config.json").write_bytes(b"\xff{")

    with pytest.raises(ModelCorrupt, match=r"config\.json"):
        read_checkpoint(folder)


def test_a_missing_value_is_named(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "tiny", config={"hidden_size": None})

    with pytest.raises(ModelCorrupt, match="lacks or misstates"):
        read_checkpoint(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_the_fingerprint_follows_the_files(tmp_path: Path, name: str) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    before = read_checkpoint(folder).fingerprint("recipe")
    path = folder / name
    path.write_bytes(path.read_bytes() + b" ")

    assert read_checkpoint(folder).fingerprint("recipe") != before


def test_the_fingerprint_follows_meaning_and_recipe_but_not_the_place(tmp_path: Path) -> None:
    first = read_checkpoint(make_checkpoint(tmp_path / "one"))
    moved = read_checkpoint(make_checkpoint(tmp_path / "two"))
    cls = read_checkpoint(make_checkpoint(tmp_path / "cls", pooling={"pooling_mode": "cls"}))

    assert first.fingerprint("recipe") == moved.fingerprint("recipe")
    assert first.fingerprint("recipe") != cls.fingerprint("recipe")
    assert first.fingerprint("recipe") != first.fingerprint("another")
