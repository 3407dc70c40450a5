"""Matches become prose: LLMService, its writers, the prompt and the check of every sentence."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Protocol

from staffroom.errors import ConfigError
from staffroom.types import Match


class Writer(Protocol):
    """Turns matches into prose."""

    @property
    def name(self) -> str:
        """What stored interactions and readers know it by."""

    def stream(self, question: str, matches: Sequence[Match]) -> AsyncGenerator[str, None]:
        """The answer, piece by piece. Closing the generator stops the work.

        Raises: WriterUnavailable if the model cannot be used, is too slow or breaks off.
        """

    async def close(self) -> None:
        """What the writer holds is given back."""


def load_writer(spec: str, models: Path) -> Writer:
    """The writer that a spec names: `llama:NAME`, `llama:FILE.gguf` or `extractive`.

    Raises: ConfigError for a spec of another form.
    """
    kind, _, name = spec.partition(":")
    match kind:
        case "extractive" if not name:
            from staffroom.ai.extractive import ExtractiveWriter

            return ExtractiveWriter()
        case "llama" if name:
            from staffroom.ai.llama import LlamaWriter

            return LlamaWriter(name, models)
        case _:
            raise ConfigError(
                f"STAFFROOM_WRITER is {spec!r}; write llama:NAME, llama:FILE.gguf or extractive."
            )
