"""A GGUF model run in this process by llama.cpp.

The library's server engine is used for its sampling and batching alone. It cannot
be kept from listening, so it listens on a Unix socket in a folder that only this
account can enter, behind a key that nobody is told.
"""

import asyncio
import secrets
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Final

from staffroom import models
from staffroom.ai.prompt import ANSWER_TOKENS, Message, answer_prompt, copy_prompt
from staffroom.config import available_cores
from staffroom.errors import ModelCorrupt, StaffroomError, WriterUnavailable
from staffroom.types import Match

CONTEXT_TOKENS: Final = 8_192
CONCURRENT_ANSWERS: Final = 1
SMALL_MODEL_BYTES: Final = 600_000_000
"""Files up to here hold models that copy better than they write, about a thousand million
parameters at four bits each."""

_GGUF_MAGIC: Final = b"GGUF"

_Put = Callable[[str | Exception | None], None]


class LlamaWriter:
    """Writes with a local model, which is loaded at the first answer."""

    is_queued = True

    def __init__(self, name: str, folder: Path) -> None:
        self.name = f"llama:{models.file_name(name)}"
        self._model = name
        self._folder = folder
        self._server: Any = None
        self._socket_folder: tempfile.TemporaryDirectory[str] | None = None
        self._thread = ThreadPoolExecutor(CONCURRENT_ANSWERS, thread_name_prefix="llama")

    @property
    def is_capable(self) -> bool:
        """The file is there, and holds a model that writes better than it copies."""
        with suppress(StaffroomError, OSError):
            return not self._is_small()
        return False

    async def stream(self, question: str, matches: Sequence[Match]) -> AsyncGenerator[str, None]:
        """The model's words as they come, at most ANSWER_TOKENS. Leaving stops the model."""

        def prompt() -> list[Message]:
            return (copy_prompt if self._is_small() else answer_prompt)(question, matches)

        async with aclosing(self._replies(prompt)) as pieces:
            async for piece in pieces:
                yield piece

    async def say(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """What the model replies to the messages. Leaving stops the model."""
        async with aclosing(self._replies(lambda: list(messages))) as pieces:
            async for piece in pieces:
                yield piece

    async def _replies(self, prompt: Callable[[], list[Message]]) -> AsyncGenerator[str, None]:
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        left = threading.Event()

        def put(piece: str | Exception | None) -> None:
            if not left.is_set():
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        self._thread.submit(self._run, prompt, put, left)
        try:
            while (piece := await pieces.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            left.set()

    async def close(self) -> None:
        """The model is unloaded, once an answer that is being written has stopped."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        self._server = None
        if self._socket_folder:
            self._socket_folder.cleanup()

    def _run(self, prompt: Callable[[], list[Message]], put: _Put, left: threading.Event) -> None:
        def receive(chunk: dict[str, Any]) -> bool:
            put(_piece(chunk))
            return left.is_set()

        try:
            if not left.is_set():
                put("")
                server = self._load()
                request = {
                    "messages": prompt(),
                    "max_tokens": ANSWER_TOKENS,
                    "temperature": 0.0,
                    "stream": True,
                }
                server.handle_chat_completions(request, receive)
            put(None)
        except Exception as error:  # noqa: BLE001 - it is raised again where the answer is awaited
            put(error)

    def _is_small(self) -> bool:
        path = models.model_path(self._folder, self._model)
        return path.stat().st_size <= SMALL_MODEL_BYTES

    def _load(self) -> Any:
        if self._server is None:
            import xllamacpp  # noqa: PLC0415 - 100 MB that only this writer needs

            path = models.model_path(self._folder, self._model)
            if not path.is_file() or path.open("rb").read(len(_GGUF_MAGIC)) != _GGUF_MAGIC:
                raise ModelCorrupt(f"{path} is not a GGUF model file. Name one that is.")
            self._socket_folder = tempfile.TemporaryDirectory(prefix="staffroom-")
            parameters = xllamacpp.CommonParams()
            parameters.model.path = str(path)
            parameters.n_ctx = CONTEXT_TOKENS
            parameters.n_parallel = CONCURRENT_ANSWERS
            # Threads wait for each other in a loop at every operation: with one of two cores
            # busy, two threads took ten times as long as one. Reading the prompt, they wait less.
            parameters.cpuparams.n_threads = max(1, available_cores() - 1)
            parameters.cpuparams_batch.n_threads = available_cores()
            parameters.warmup = False
            parameters.verbosity = -1
            parameters.ui = False
            parameters.hostnames = [f"{self._socket_folder.name}/llama.sock"]
            parameters.api_keys = [secrets.token_hex()]
            try:
                self._server = xllamacpp.Server(parameters)
            except RuntimeError as error:
                raise ModelCorrupt(
                    f"the model file {path} cannot be loaded: {error} Fetch it again with "
                    "`staffroom models fetch`, or name another in STAFFROOM_WRITER."
                ) from error
        return self._server


def _piece(chunk: dict[str, Any]) -> str | Exception:
    if "choices" not in chunk:
        message = chunk.get("error", chunk)
        return WriterUnavailable(f"the model stopped with an error: {message}", temporary=False)
    return chunk["choices"][0]["delta"].get("content") or ""
