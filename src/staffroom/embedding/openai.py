"""A model behind any OpenAI-compatible `/embeddings` endpoint."""

import asyncio
import random
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import numpy as np
from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncOpenAI,
    InternalServerError,
    OpenAI,
    RateLimitError,
)
from openai.types import CreateEmbeddingResponse
from pydantic import SecretStr

from staffroom.embedding.inputs import check_texts, prepared
from staffroom.errors import ConfigError, EmbedderUnavailable
from staffroom.monitoring.tracing import trace_headers
from staffroom.types import Role, Vectors

TEXTS_PER_REQUEST: Final = 128
CHARACTERS_PER_TEXT: Final = 8_000
"""A text is cut here: servers refuse more than about 8,000 tokens."""

ATTEMPTS: Final = 4
ATTEMPT_SECONDS: Final = 20.0
REQUEST_SECONDS: Final = 60.0
"""The longest that one request may take, its repetitions and pauses included."""

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 20.0

_DIMENSIONS: Final = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
_RETRIED = (APIConnectionError, RateLimitError, InternalServerError)


class OpenAIEmbedder:
    """Embeds with a model that a server runs, one request at a time for each batch."""

    def __init__(
        self,
        name: str,
        base_url: str,
        api_key: SecretStr | None,
        *,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        attempt_seconds: float = ATTEMPT_SECONDS,
    ) -> None:
        self._name = name
        self._base_url = base_url
        self._api_key = api_key.get_secret_value() if api_key else "none"
        self._first_pause_seconds = first_pause_seconds
        self._attempt_seconds = attempt_seconds
        self._dimensions = _DIMENSIONS.get(name)
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = (
            WeakKeyDictionary()
        )

    @property
    def model(self) -> str:
        """The model's name and its server, without any credentials of the address."""
        address = urlsplit(self._base_url)
        return f"{self._name}@{address.netloc.rpartition('@')[2]}{address.path.rstrip('/')}"

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has; asks the server once if nothing told it yet.

        Raises: as `embed`.
        """
        if self._dimensions is None:
            with OpenAI(
                api_key=self._api_key,
                base_url=self._base_url,
                timeout=self._attempt_seconds,
                max_retries=ATTEMPTS - 1,
            ) as client:
                try:
                    response = client.embeddings.create(
                        model=self._name, input=["probe"], encoding_format="float"
                    )
                except APIError as error:
                    raise self._translated(error) from error
            self._vectors(response, 1)
        assert self._dimensions is not None
        return self._dimensions

    async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        """As Embedder. The role makes no difference: these models know none.

        Raises: ConfigError if the server refuses the request, the model or the key.
        """
        check_texts(texts)
        parts = [
            await self._request(
                [
                    prepared(text, CHARACTERS_PER_TEXT)
                    for text in texts[start : start + TEXTS_PER_REQUEST]
                ]
            )
            for start in range(0, len(texts), TEXTS_PER_REQUEST)
        ]
        return np.concatenate(parts) if parts else np.empty((0, self.dimensions), np.float32)

    async def close(self) -> None:
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    async def _request(self, texts: list[str]) -> Vectors:
        """The vectors of one request, repeated while it may yet succeed."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                for attempt in range(ATTEMPTS):
                    try:
                        response = await self._client().embeddings.create(
                            model=self._name,
                            input=texts,
                            encoding_format="float",
                            extra_headers=trace_headers(),
                        )
                        break
                    except _RETRIED as error:
                        if attempt == ATTEMPTS - 1:
                            raise
                        await asyncio.sleep(self._pause_seconds(attempt, error))
        except APIError as error:
            raise self._translated(error) from error
        except TimeoutError as error:
            raise EmbedderUnavailable(
                f"{self.model} gave no answer in {REQUEST_SECONDS:.0f} seconds. Try again later."
            ) from error
        return self._vectors(response, len(texts))

    def _client(self) -> AsyncOpenAI:
        """A client of the running event loop: connections do not outlive theirs."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = AsyncOpenAI(
                api_key=self._api_key,
                base_url=self._base_url,
                timeout=self._attempt_seconds,
                max_retries=0,
            )
        return self._clients[loop]

    def _pause_seconds(self, attempt: int, error: APIError) -> float:
        """As long as the server asks for, else twice the last pause, spread at random."""
        if isinstance(error, APIStatusError):
            asked = str(error.response.headers.get("retry-after", ""))
            if asked.isdecimal():
                return min(float(asked), LONGEST_PAUSE_SECONDS)
        pause: float = self._first_pause_seconds * 2.0**attempt
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def _vectors(self, response: CreateEmbeddingResponse, count: int) -> Vectors:
        """The checked vectors of a response, brought to unit length."""
        rows = sorted(response.data, key=lambda row: row.index)
        lengths = {len(row.embedding) for row in rows}
        expected = {self._dimensions} if self._dimensions else lengths
        if len(rows) != count or len(lengths) != 1 or lengths != expected:
            raise EmbedderUnavailable(
                f"{self.model} sent {len(rows)} vectors of {sorted(lengths)} dimensions for "
                f"{count} texts, expected {sorted(expected)}. Check the model of that server."
            )
        vectors: Vectors = np.array([row.embedding for row in rows], np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(norms).all() and norms.all()):
            raise EmbedderUnavailable(
                f"{self.model} sent a vector without a direction. Check the model of that server."
            )
        self._dimensions = vectors.shape[1]
        vectors /= norms
        return vectors

    def _translated(self, error: APIError) -> ConfigError | EmbedderUnavailable:
        reason = f"{type(error).__name__}: {error.message[:200]}"
        if isinstance(error, _RETRIED) or not isinstance(error, APIStatusError):
            return EmbedderUnavailable(f"{self.model} cannot be used: {reason} Try again later.")
        return ConfigError(
            f"{self.model} refused with status {error.status_code}: {reason} Check "
            "STAFFROOM_EMBEDDER, STAFFROOM_OPENAI_BASE_URL and STAFFROOM_OPENAI_API_KEY."
        )
