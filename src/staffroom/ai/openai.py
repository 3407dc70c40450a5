"""A language model behind any OpenAI-compatible `/chat/completions` endpoint."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final
from weakref import WeakKeyDictionary

from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncOpenAI,
    AsyncStream,
    BadRequestError,
    InternalServerError,
    RateLimitError,
    Timeout,
)
from openai.types.chat import ChatCompletionChunk
from pydantic import SecretStr

from staffroom.ai.prompt import ANSWER_TOKENS, Message, answer_prompt
from staffroom.errors import WriterUnavailable
from staffroom.monitoring.tracing import trace_headers
from staffroom.types import Match

CONNECT_SECONDS: Final = 2.0
SILENCE_SECONDS: Final = 60.0
"""The connection's own limit; the guard around every writer is stricter."""

REASONING_TOKENS: Final = 2_048
"""Of an answer and of what was thought before it, which counts as well."""

_TEMPORARY = (APIConnectionError, RateLimitError, InternalServerError)
_FINISHED: Final = frozenset({"stop", "length"})

_LIMITS: Final[dict[str, Any]] = {"max_tokens": ANSWER_TOKENS, "temperature": 0.0}
_NEWER_LIMITS: Final[dict[str, Any]] = {"max_completion_tokens": REASONING_TOKENS}
"""Reasoning models know neither a temperature nor the older name of the token limit."""


class OpenAIWriter:
    """Writes with a model that a server runs."""

    is_queued = False
    is_capable = True

    def __init__(self, name: str, base_url: str, api_key: SecretStr | None) -> None:
        self.name = f"openai:{name}"
        self._model = name
        self._base_url = base_url
        self._api_key = api_key.get_secret_value() if api_key else "none"
        self._limits = _LIMITS
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = (
            WeakKeyDictionary()
        )

    async def stream(self, question: str, matches: Sequence[Match]) -> AsyncGenerator[str, None]:
        """The model's words as they come, at most ANSWER_TOKENS. Leaving ends the request."""
        async with aclosing(self.say(answer_prompt(question, matches))) as words:
            async for piece in words:
                yield piece

    async def say(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """What the model replies to the messages.

        Raises: WriterUnavailable if the server cannot be reached, refuses or breaks off.
        """
        finished = None
        try:
            async with await self._request(messages) as chunks:
                async for chunk in chunks:
                    words, end = _read(chunk)
                    finished = end or finished
                    if words:
                        yield words
        except (APIError, ValueError) as error:
            if finished not in _FINISHED:  # else nothing was missing but the farewell
                raise self._translated(error) from error
        if finished not in _FINISHED:
            raise WriterUnavailable(
                f"{self.name} broke off in the middle (end: {finished}).",
                temporary=finished != "content_filter",
            )

    async def close(self) -> None:
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    async def _request(self, messages: Sequence[Any]) -> AsyncStream[ChatCompletionChunk]:
        limits = self._limits
        try:
            return await self._send(messages, limits)
        except BadRequestError as error:
            if limits is _NEWER_LIMITS or not any(name in error.message for name in limits):
                raise
        stream = await self._send(messages, _NEWER_LIMITS)
        self._limits = _NEWER_LIMITS
        return stream

    async def _send(
        self, messages: Sequence[Any], limits: dict[str, Any]
    ) -> AsyncStream[ChatCompletionChunk]:
        stream: AsyncStream[ChatCompletionChunk] = await self._client().chat.completions.create(
            model=self._model,
            messages=list(messages),
            stream=True,
            extra_headers=trace_headers(),
            **limits,
        )
        return stream

    def _client(self) -> AsyncOpenAI:
        """A client of the running event loop: connections do not outlive theirs."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = AsyncOpenAI(
                api_key=self._api_key,
                base_url=self._base_url,
                timeout=Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
                max_retries=0,
            )
        return self._clients[loop]

    def _translated(self, error: Exception) -> WriterUnavailable:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        if isinstance(error, APIStatusError) and not isinstance(error, _TEMPORARY):
            return WriterUnavailable(
                f"{self.name} refused with status {error.status_code}: {reason} Check "
                "STAFFROOM_WRITER, STAFFROOM_OPENAI_BASE_URL and STAFFROOM_OPENAI_API_KEY.",
                temporary=False,
            )
        return WriterUnavailable(
            f"{self.name} cannot be used: {reason}", retry_after=_retry_after(error)
        )


def _read(chunk: ChatCompletionChunk) -> tuple[str, str | None]:
    """The words of an event and why the answer ends, if it does.

    The library checks nothing: null, lists and texts come through wherever a server sends them.
    """
    choices = getattr(chunk, "choices", None)
    if not isinstance(choices, list) or not choices:
        return "", None
    words = getattr(getattr(choices[0], "delta", None), "content", None)
    end = getattr(choices[0], "finish_reason", None)
    return words if isinstance(words, str) else "", end if isinstance(end, str) else None


def _retry_after(error: Exception) -> float | None:
    """The seconds that the server asked to wait."""
    if not isinstance(error, APIStatusError):
        return None
    asked = str(error.response.headers.get("retry-after", ""))
    return float(asked) if asked.isdecimal() else None
