"""A checkpoint of the BERT family run in this process by ONNX Runtime.

Every run stays on the thread that started it. Batches are cut into slices that the
cores work on side by side; questions have a thread of their own, so that one never
waits for a batch, and questions that arrive together are run together.
"""

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from tokenizers import Tokenizer

from staffroom import models
from staffroom.config import Precision, available_cores
from staffroom.embedding.checkpoint import TOKENIZER, Checkpoint, read_checkpoint
from staffroom.embedding.inputs import check_texts, prepared
from staffroom.embedding.session import RECIPE, Session, Tokens, open_session
from staffroom.errors import ModelCorrupt, ModelMissing, Overloaded
from staffroom.types import Role, Vector, Vectors

SLICE_TOKENS: Final = 512
"""Tokens of a run. More do not fit the processor's cache and are slower, not faster."""

WINDOW_TEXTS: Final = 1024
"""Texts that are tokenised and sorted by length together; memory grows with no more."""

BATCH_NICENESS: Final = 10
"""Of the threads that work on batches: a question is answered while an import goes on."""

MOST_WAITING: Final = 256
"""Questions that may wait for the model; more are refused at once. They take half a second."""

CHARACTERS_PER_TOKEN: Final = 64
"""A text is cut at so many times its tokens before it is looked at. Prose has 4 or 5."""


class LocalEmbedder:
    """Embeds with a local model, which is loaded at the first use.

    Texts are embedded up to the model's token limit; what follows is ignored. A text has the
    same vector alone and in a batch, but for the rounding of sums (1e-5 at most).
    """

    def __init__(self, name: str, folder: Path, precision: Precision = "auto") -> None:
        self._name = name
        self._precision = precision
        self._folder = folder
        self._loading = threading.Lock()
        self._engine: _Engine | None = None

    @property
    def model(self) -> str:
        """The checkpoint's name and a digest of everything that its vectors depend on."""
        return self._identity

    @property
    def dimensions(self) -> int:
        return self._checkpoint.dimensions

    async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        """As Embedder. A single text is a question that others wait for and goes first.

        Raises: Overloaded, besides, if too many questions wait already.
        """
        check_texts(texts)
        engine = await self._ready()
        if len(texts) == 1:
            vector = await asyncio.wrap_future(engine.question(texts[0], role))
            return vector[np.newaxis, :]
        vectors: Vectors = np.empty((len(texts), self.dimensions), np.float32)
        for start in range(0, len(texts), WINDOW_TEXTS):
            window = slice(start, start + WINDOW_TEXTS)
            tokens = await asyncio.wrap_future(engine.tokenised(texts[window], role))
            await _fill(vectors[window], tokens, engine)
        return vectors

    async def count_tokens(self, texts: Sequence[str]) -> int:
        """How many tokens the texts have, those beyond the model's limit included."""
        return await asyncio.wrap_future((await self._ready()).token_count(texts))

    async def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await asyncio.to_thread(engine.close)

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        return read_checkpoint(models.model_path(self._folder, self._name))

    @cached_property
    def _identity(self) -> str:
        return f"{self._checkpoint.folder.name}@{self._checkpoint.fingerprint(RECIPE)}"

    async def _ready(self) -> "_Engine":
        return await asyncio.to_thread(self._load) if self._engine is None else self._engine

    def _load(self) -> "_Engine":
        with self._loading:
            if self._engine is None:
                tokenizer = _read_tokenizer(self._checkpoint)
                frame = tokenizer.encode("").ids
                session = open_session(
                    self._checkpoint, frame, self._folder / "graphs", self._precision
                )
                self._engine = _Engine(self._checkpoint, tokenizer, session)
            return self._engine


async def _fill(vectors: Vectors, tokens: Sequence[list[int]], engine: "_Engine") -> None:
    """The vectors of the tokens are in their rows. Whoever gives up takes the rest along."""
    plan = list(slices([len(ids) for ids in tokens]))
    runs = [asyncio.wrap_future(engine.run([tokens[row] for row in rows])) for rows in plan]
    try:
        for rows, found in zip(plan, await asyncio.gather(*runs), strict=True):
            vectors[rows] = found
    finally:
        for run in runs:
            run.cancel()


def slices(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of similar length, as many together as the token budget allows, longest first."""
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if rows and (len(rows) + 1) * lengths[rows[0]] > SLICE_TOKENS:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


@dataclass(slots=True, eq=False)
class _Question:
    text: str
    role: Role
    answer: "Future[Vector]" = field(default_factory=Future)


class _Engine:
    """A loaded model and the threads that run it."""

    def __init__(self, checkpoint: Checkpoint, tokenizer: Tokenizer, session: Session) -> None:
        self._checkpoint = checkpoint
        self._tokenizer = tokenizer
        self._session = session
        self._waiting: deque[_Question] = deque()
        self._question_thread = ThreadPoolExecutor(1, "staffroom-question")
        self._batch_threads = ThreadPoolExecutor(
            available_cores(), "staffroom-batch", initializer=_give_way
        )

    def question(self, text: str, role: Role) -> "Future[Vector]":
        """The vector of one text, together with those of others that wait."""
        if len(self._waiting) >= MOST_WAITING:
            raise Overloaded(
                f"{MOST_WAITING} questions are already waiting for the embedding model. Try again.",
                retry_after=1.0,
            )
        question = _Question(text, role)
        self._waiting.append(question)
        self._question_thread.submit(self._answer_waiting)
        return question.answer

    def tokenised(self, texts: Sequence[str], role: Role) -> "Future[list[list[int]]]":
        return self._batch_threads.submit(self._tokenise, [(text, role) for text in texts])

    def token_count(self, texts: Sequence[str]) -> "Future[int]":
        return self._batch_threads.submit(self._count, texts)

    def run(self, tokens: Sequence[list[int]]) -> "Future[Vectors]":
        return self._batch_threads.submit(self._run, tokens)

    def close(self) -> None:
        for threads in (self._question_thread, self._batch_threads):
            threads.shutdown()

    def _answer_waiting(self) -> None:
        """Every question that waits is answered; a later call may find none left."""
        questions: list[_Question] = []
        while self._waiting:
            question = self._waiting.popleft()
            if question.answer.set_running_or_notify_cancel():
                questions.append(question)
        try:
            tokens = self._tokenise([(question.text, question.role) for question in questions])
            for rows in slices([len(ids) for ids in tokens]):
                vectors = self._run([tokens[row] for row in rows])
                for row, vector in zip(rows, vectors, strict=True):
                    questions[row].answer.set_result(vector)
        except Exception as error:  # noqa: BLE001 - it is raised again where each answer is awaited
            for question in questions:
                if not question.answer.done():
                    question.answer.set_exception(error)

    def _tokenise(self, texts: Sequence[tuple[str, Role]]) -> list[list[int]]:
        limit = self._checkpoint.max_tokens * CHARACTERS_PER_TOKEN
        whole = [self._checkpoint.prefixes[role] + prepared(text, limit) for text, role in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(whole)]

    def _count(self, texts: Sequence[str]) -> int:
        """Without those that only frame a text. What the model does not read is left over."""
        limit = self._checkpoint.max_tokens * CHARACTERS_PER_TOKEN
        encodings = self._tokenizer.encode_batch_fast([prepared(text, limit) for text in texts])
        return sum(
            part.special_tokens_mask.count(0)
            for encoding in encodings
            for part in (encoding, *encoding.overflowing)
        )

    def _run(self, tokens: Sequence[list[int]]) -> Vectors:
        lengths = np.array([len(ids) for ids in tokens], np.int64)
        padded: Tokens = np.zeros((len(tokens), lengths.max()), np.int32)
        for row, ids in zip(padded, tokens, strict=True):
            row[: len(ids)] = ids
        return self._session.vectors(padded, lengths)


def _give_way() -> None:
    """This thread works when nothing else does. Only Linux counts niceness thread by thread."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        niceness = max(BATCH_NICENESS, os.getpriority(os.PRIO_PROCESS, thread))
        with suppress(OSError):  # where it is forbidden, batches are as important as questions
            os.setpriority(os.PRIO_PROCESS, thread, niceness)


def _read_tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    path = checkpoint.folder / TOKENIZER
    if not path.is_file():
        raise ModelMissing(f"{path} is missing. Fetch the model again.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more precise
        raise ModelCorrupt(f"{path} cannot be read: {error}. Fetch the model again.") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(checkpoint.max_tokens)
    return tokenizer
