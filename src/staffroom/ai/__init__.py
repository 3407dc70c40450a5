"""Matches become prose: LLMService, its writers, the prompt and the check of every sentence."""

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Protocol

from staffroom.config import Settings
from staffroom.errors import ConfigError
from staffroom.types import Embedder, Match

if TYPE_CHECKING:
    from staffroom.ai.judge import Judge


class Writer(Protocol):
    """Turns matches into prose."""

    @property
    def name(self) -> str:
        """What stored interactions and readers know it by."""

    @property
    def is_queued(self) -> bool:
        """Answers wait for each other; each begins with an empty piece when its turn has come."""

    def stream(self, question: str, matches: Sequence[Match]) -> AsyncGenerator[str, None]:
        """The answer, piece by piece. Closing the generator stops the work.

        Raises: WriterUnavailable if the model cannot be used, is too slow or breaks off.
        """

    async def close(self) -> None:
        """What the writer holds is given back."""


def load_writer(settings: Settings, embedder: Embedder) -> Writer:
    """The writer that the settings name: `extractive`, `llama:NAME`, `llama:FILE.gguf`,
    `llama:hf:OWNER/REPOSITORY/FILE.gguf` or `openai:NAME`.

    Raises: ConfigError for a spec of another form.
    """
    kind, _, name = settings.writer.partition(":")
    match kind:
        case "extractive" if not name:
            from staffroom.ai.extractive import ExtractiveWriter

            return ExtractiveWriter(embedder)
        case "llama" if name:
            from staffroom.ai.llama import LlamaWriter

            return LlamaWriter(name, settings.models)
        case "openai" if name:
            from staffroom.ai.openai import OpenAIWriter

            return OpenAIWriter(name, settings.openai_base_url, settings.openai_api_key)
        case _:
            raise ConfigError(
                f"STAFFROOM_WRITER is {settings.writer!r}; write extractive, llama:NAME, "
                "llama:FILE.gguf, llama:hf:OWNER/REPOSITORY/FILE.gguf or openai:NAME."
            )


def load_judge(settings: Settings) -> "Judge | None":
    """The judge that the settings name, if any: `openai:NAME`.

    Raises: ConfigError for a spec of another form.
    """
    if settings.judge is None:
        return None
    kind, _, name = settings.judge.partition(":")
    if kind != "openai" or not name:
        raise ConfigError(f"STAFFROOM_JUDGE is {settings.judge!r}; write openai:NAME, or unset it.")
    from staffroom.ai.judge import Judge
    from staffroom.ai.openai import OpenAIWriter

    return Judge(OpenAIWriter(name, settings.openai_base_url, settings.openai_api_key))
