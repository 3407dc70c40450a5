"""A graph is built once, kept whole, and never used when it is wrong."""

import logging
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from staffroom.config import Precision
from staffroom.embedding import session
from staffroom.embedding.checkpoint import Checkpoint, read_checkpoint
from staffroom.embedding.encoder import read_encoder
from staffroom.embedding.graph import build_graph
from staffroom.embedding.session import Session, open_session
from staffroom.errors import ConfigError, EmbedderUnavailable, ModelCorrupt, ModelMissing
from tests.embedding_checkpoints import LAYERS, make_checkpoint

FRAME = [2, 3]
IDS = np.array([[2, 7, 8, 3]], np.int32)
LENGTHS = np.array([4])


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return read_checkpoint(make_checkpoint(tmp_path / "tiny"))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "graphs"


def only_graph(cache: Path) -> Path:
    (graph,) = cache.iterdir()
    return graph


def test_a_graph_is_built_once(checkpoint: Checkpoint, cache: Path) -> None:
    first = open_session(checkpoint, FRAME, cache, "int8").vectors(IDS, LENGTHS)
    written = only_graph(cache).stat().st_mtime_ns

    second = open_session(checkpoint, FRAME, cache, "int8").vectors(IDS, LENGTHS)

    np.testing.assert_array_equal(first, second)
    assert only_graph(cache).stat().st_mtime_ns == written


@pytest.mark.parametrize("content", [b"", b"\x08\x0b damaged", None], ids=["empty", "torn", "cut"])
def test_a_damaged_graph_is_built_again(
    checkpoint: Checkpoint, cache: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    expected = open_session(checkpoint, FRAME, cache, "int8").vectors(IDS, LENGTHS)
    graph = only_graph(cache)
    whole = graph.read_bytes()
    graph.write_bytes(whole[: len(whole) // 2] if content is None else content)

    found = open_session(checkpoint, FRAME, cache, "int8").vectors(IDS, LENGTHS)

    np.testing.assert_array_equal(found, expected)
    assert graph.read_bytes() == whole
    assert "cached_graph_unusable" in caplog.messages


def test_a_graph_whose_vectors_are_wrong_is_built_again(
    checkpoint: Checkpoint, cache: Path, tmp_path: Path
) -> None:
    expected = open_session(checkpoint, FRAME, cache, "int8").vectors(IDS, LENGTHS)
    graph = only_graph(cache)
    graph.write_bytes(build_graph(checkpoint, read_encoder(checkpoint)))

    found = open_session(checkpoint, FRAME, cache, "int8").vectors(IDS, LENGTHS)

    np.testing.assert_array_equal(found, expected)


def test_a_cache_that_cannot_be_written_is_done_without(
    checkpoint: Checkpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")

    opened = open_session(checkpoint, FRAME, blocked / "graphs")

    assert opened.vectors(IDS, LENGTHS).shape == (1, checkpoint.dimensions)
    assert "graph_not_cached" in caplog.messages


def test_two_builds_at_once_leave_one_whole_graph(checkpoint: Checkpoint, cache: Path) -> None:
    given = (checkpoint, FRAME, cache, "int8")
    threads = [threading.Thread(target=open_session, args=given) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Session(only_graph(cache)).vectors(IDS, LENGTHS).shape == (1, checkpoint.dimensions)


def test_where_eight_bits_go_wrong_the_exact_graph_is_kept(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_checkpoint(tmp_path / "wild")
    weights = load_file(folder / "model.safetensors")
    for layer in range(LAYERS):
        # Twenty units that dwarf all others and cancel each other out.
        weights[f"encoder.layer.{layer}.intermediate.dense.bias"][:20] = 1000
        outputs = weights[f"encoder.layer.{layer}.output.dense.weight"]
        outputs[:, 0:20:2], outputs[:, 1:20:2] = 0.2, -0.2
    save_file(weights, folder / "model.safetensors")
    checkpoint = read_checkpoint(folder)

    opened = open_session(checkpoint, FRAME, cache, "int8")

    exact = Session(build_graph(checkpoint, read_encoder(checkpoint)))
    np.testing.assert_array_equal(opened.vectors(IDS, LENGTHS), exact.vectors(IDS, LENGTHS))
    assert "graph_kept_exact" in caplog.messages


def test_full_precision_can_be_asked_for(checkpoint: Checkpoint, cache: Path) -> None:
    opened = open_session(checkpoint, FRAME, cache, "float32")

    exact = Session(build_graph(checkpoint, read_encoder(checkpoint)))
    np.testing.assert_array_equal(opened.vectors(IDS, LENGTHS), exact.vectors(IDS, LENGTHS))


@pytest.mark.parametrize(
    ("eight_bits", "full", "kept"),
    [
        ([1.0, 1.0], [2.0, 2.0], "int8"),
        ([2.0, 2.0], [1.0, 1.0], "float32"),
        ([2.0, 1.0], [1.0, 2.0], "int8"),
    ],
    ids=["faster", "slower", "slower alone"],
)
def test_what_is_faster_on_this_processor_is_kept(
    checkpoint: Checkpoint,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    eight_bits: list[float],
    full: list[float],
    kept: Precision,
) -> None:
    monkeypatch.setattr(session, "_times", lambda _, __, told=[eight_bits, full]: told.pop())

    first = open_session(checkpoint, FRAME, cache).vectors(IDS, LENGTHS)

    expected = open_session(checkpoint, FRAME, cache, kept).vectors(IDS, LENGTHS)
    np.testing.assert_array_equal(first, expected)
    again = open_session(checkpoint, FRAME, cache).vectors(IDS, LENGTHS)  # tries nothing anew
    np.testing.assert_array_equal(first, again)


def test_another_processor_tries_for_itself(
    checkpoint: Checkpoint, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("One processor", "Another processor"):
        monkeypatch.setattr(session, "processor_name", lambda name=name: name)
        open_session(checkpoint, FRAME, cache)

    assert len(list(cache.iterdir())) == 2


def test_building_is_logged_without_content(
    checkpoint: Checkpoint, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        open_session(checkpoint, FRAME, cache, "int8")

    assert caplog.messages == ["graph_built"]


def test_a_run_that_fails_says_on_what(checkpoint: Checkpoint, cache: Path) -> None:
    opened = open_session(checkpoint, FRAME, cache, "int8")
    unknown = np.full((1, 4), 10_000, np.int32)

    with pytest.raises(EmbedderUnavailable, match="1 texts of 4 tokens"):
        opened.vectors(unknown, LENGTHS)


def test_a_graph_that_is_none_is_a_matter_of_the_installation() -> None:
    with pytest.raises(ConfigError, match="cannot load the graph"):
        Session(b"no graph")


@pytest.mark.parametrize("content", [b"", b"not safetensors at all"])
def test_damaged_weights_are_named(tmp_path: Path, content: bytes) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    (folder / "model.safetensors").write_bytes(content)

    with pytest.raises(ModelCorrupt, match=r"model\.safetensors"):
        read_encoder(read_checkpoint(folder))


def test_missing_weights_are_named(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    (folder / "model.safetensors").unlink()

    with pytest.raises(ModelMissing, match=r"model\.safetensors"):
        read_encoder(read_checkpoint(folder))
    with pytest.raises(ModelMissing, match=r"model\.safetensors"):
        read_checkpoint(folder).fingerprint("any")


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "tiny", config={"num_hidden_layers": 5})

    with pytest.raises(ModelCorrupt, match=r"encoder\.layer\.2"):
        read_encoder(read_checkpoint(folder))
