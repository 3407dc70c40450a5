"""A checkpoint's graph, ready to run: from the cache, or built, checked and cached.

It computes in eight bits or in the checkpoint's own precision, whichever is faster on this
processor, unless somebody decides. A graph carries a probe: the tokens of a sample and its exact
vector. Every graph is held against it before use, because a processor without wide integer
arithmetic can overflow in silence, and because a cached file may be damaged.
"""

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    RuntimeException,
)

from staffroom.config import Precision, processor_name
from staffroom.embedding.checkpoint import Checkpoint
from staffroom.embedding.encoder import Encoder, read_encoder
from staffroom.embedding.quantisation import Range, first_inputs
from staffroom.errors import ConfigError, EmbedderUnavailable
from staffroom.types import Vectors

RECIPE = "int8-1"
"""Counts changes of the graph that change vectors: it is part of every model's identity."""

Tokens = NDArray[np.int32]

_NEAR = 0.98
"""The least cosine between a graph's vector of the probe and the exact one."""

_PROBE = "staffroom.probe"
_PROBE_TOKENS = 24
_SAMPLES = ((16, 32), (8, 128), (4, 256))
"""Texts and tokens of the random samples that ranges are taken from.

Words at random reach the extremes of prose and need no data: with them, vectors are nearer
to the exact ones (mean cosine 0.9990) than with ranges from prose (0.9988).
"""

_TRIED = ((1, 16), (4, 128))
"""Texts and tokens that the precisions are timed on: a question, and a part of a batch."""

_TRIES = 8

_ERRORS = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, RuntimeException)

_log = logging.getLogger(__name__)


class Session:
    """A graph that runs on the thread that calls it, so that many can call it at once."""

    def __init__(self, graph: bytes | Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        source = graph if isinstance(graph, bytes) else str(graph)
        try:
            self._session = onnxruntime.InferenceSession(
                source, options, providers=["CPUExecutionProvider"]
            )
        except _ERRORS as error:
            raise ConfigError(f"ONNX Runtime cannot load the graph: {error}") from error

    @property
    def notes(self) -> Mapping[str, str]:
        notes: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        return notes

    def vectors(self, ids: Tokens, lengths: NDArray[np.int64]) -> Vectors:
        """Shape: ids (texts, tokens), lengths (texts,) -> (texts, dimensions), unit length."""
        vectors: Vectors = self.outputs(["vectors"], ids, lengths)[0]
        return vectors

    def outputs(self, names: list[str], ids: Tokens, lengths: NDArray[np.int64]) -> list[Any]:
        try:
            outputs: list[Any] = self._session.run(names, {"ids": ids, "lengths": lengths})
        except _ERRORS as error:
            raise EmbedderUnavailable(
                f"ONNX Runtime failed on {ids.shape[0]} texts of {ids.shape[1]} tokens: {error}"
            ) from error
        return outputs


def open_session(
    checkpoint: Checkpoint, frame: list[int], cache: Path, precision: Precision = "auto"
) -> Session:
    """The checkpoint's graph, from the cache if it is there and whole.

    What `auto` found to be faster is kept for each kind of processor.
    `frame` is what the tokenizer puts around a text. A cache that cannot be written costs
    a build at every start, and a warning.
    """
    kind: str = precision
    if precision == "auto":
        kind = hashlib.sha256(processor_name().encode()).hexdigest()[:8]
    path = cache / f"{checkpoint.fingerprint(RECIPE)}-{kind}.onnx"
    if path.is_file():
        try:
            session = Session(path)
            if _is_near(session):
                return session
            reason = "its vectors are wrong"
        except ConfigError as error:
            reason = str(error)
        _log.warning("cached_graph_unusable", extra={"path": str(path), "reason": reason})
    graph = _build(checkpoint, frame, precision)
    try:
        _save(graph, path)
    except OSError as error:
        _log.warning("graph_not_cached", extra={"path": str(path), "reason": str(error)})
    return Session(graph)


def _build(checkpoint: Checkpoint, frame: list[int], precision: Precision) -> bytes:
    """A graph in the precision that is asked for; the exact one where eight bits go wrong, too."""
    from staffroom.embedding.graph import build_graph, inputs_of, product_names  # noqa: PLC0415 - needs onnx

    started = time.perf_counter()
    model = checkpoint.folder.name
    encoder = read_encoder(checkpoint)
    samples = list(_samples(encoder, checkpoint.max_tokens, frame))
    exact = Session(build_graph(checkpoint, encoder, probed=True))
    probe = samples[0][:1, :_PROBE_TOKENS]
    notes = {_PROBE: json.dumps([probe.tolist(), exact.vectors(probe, _full(probe)).tolist()])}
    ranges: dict[str, Range] = {}
    if precision != "float32":
        first, *others = product_names(checkpoint)
        ranges = _ranges(exact, samples, {name: inputs_of(name) for name in others})
        ranges[first] = first_inputs(encoder, checkpoint.epsilon)
    times = _times(exact, samples) if precision == "auto" else []
    del exact  # its memory is wanted for the next one
    graph = build_graph(checkpoint, encoder, ranges=ranges or None, notes=notes)
    is_quantised = bool(ranges) and _is_good(graph, model, samples, times)
    if ranges and not is_quantised:
        graph = build_graph(checkpoint, encoder, notes=notes)
    seconds = round(time.perf_counter() - started, 1)
    kept: Precision = "int8" if is_quantised else "float32"
    _log.info("graph_built", extra={"model": model, "precision": kept, "seconds": seconds})
    return graph


def _is_good(graph: bytes, model: str, samples: list[Tokens], times: list[float]) -> bool:
    """The graph in eight bits gives the right vectors, and is not slower than any given times."""
    session = Session(graph)
    if not _is_near(session):
        _log.warning("graph_kept_exact", extra={"model": model})
        return False
    return not times or not _is_slower(_times(session, samples), times)


def _times(session: Session, samples: list[Tokens]) -> list[float]:
    """The least seconds that a question and a part of a batch take."""
    words = np.concatenate([ids.ravel() for ids in samples])
    found = []
    for texts, tokens in _TRIED:
        ids = np.resize(words, (texts, min(tokens, samples[-1].shape[1])))
        runs = []
        for _ in range(_TRIES):
            started = time.perf_counter()
            session.vectors(ids, _full(ids))
            runs.append(time.perf_counter() - started)
        found.append(min(runs))
    return found


def _is_slower(ours: list[float], theirs: list[float]) -> bool:
    """One does worse in everything."""
    return all(our > their for our, their in zip(ours, theirs, strict=True))


def _samples(encoder: Encoder, max_tokens: int, frame: list[int]) -> Iterator[Tokens]:
    random = np.random.default_rng(0)
    for texts, tokens in _SAMPLES:
        shape = (texts, min(tokens, max_tokens))
        ids = random.integers(0, len(encoder.words), shape, dtype=np.int32)
        if frame:
            ids[:, 0], ids[:, -1] = frame[0], frame[-1]
        yield ids


def _ranges(exact: Session, samples: list[Tokens], outputs: Mapping[str, str]) -> dict[str, Range]:
    """The least and the greatest value of each input of each product over the samples."""
    ranges: dict[str, Range] = {}
    for ids in samples:
        values = exact.outputs(list(outputs.values()), ids, _full(ids))
        for name, inputs in zip(outputs, values, strict=True):
            low, high = inputs.min(axis=(0, 1)), inputs.max(axis=(0, 1))
            if name in ranges:
                low = np.minimum(low, ranges[name].low)
                high = np.maximum(high, ranges[name].high)
            ranges[name] = Range(low.astype(np.float64), high.astype(np.float64))
    return ranges


def _is_near(session: Session) -> bool:
    ids, expected = (np.array(value) for value in json.loads(session.notes.get(_PROBE, "[[],[]]")))
    if not ids.size:
        return False
    ids = ids.astype(np.int32)
    return float((session.vectors(ids, _full(ids)) * expected).sum()) >= _NEAR


def _full(ids: Tokens) -> NDArray[np.int64]:
    return np.full(len(ids), ids.shape[1], np.int64)


def _save(graph: bytes, path: Path) -> None:
    """The graph is at its path, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".build-") as folder:
        temporary = Path(folder) / path.name
        with temporary.open("wb") as file:
            file.write(graph)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
