"""Text becomes vectors: EmbeddingGenerator and the models it runs."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import SecretStr

from staffroom.config import Precision
from staffroom.errors import ConfigError
from staffroom.types import Embedder

# ONNX Runtime collects usage data and sends it to its maker unless this stands here before it
# is imported. Nothing leaves a school that it did not send.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


class ClosableEmbedder(Embedder, Protocol):
    """An Embedder that holds a model or connections."""

    async def close(self) -> None:
        """What the embedder holds is given back; the next use takes it again."""


@runtime_checkable
class TokenCounter(Protocol):
    """An embedder that knows the tokens of its model."""

    async def count_tokens(self, texts: Sequence[str]) -> int:
        """How many tokens the texts have, those included that the model does not read."""


def load_embedder(
    spec: str,
    *,
    models: Path,
    base_url: str,
    api_key: SecretStr | None,
    precision: Precision = "auto",
) -> ClosableEmbedder:
    """The embedder that a spec names: `local:NAME`, `local:FOLDER` or `openai:NAME`.

    No file or network is touched before the first use.

    Raises: ConfigError for a spec of another form.
    """
    kind, _, name = spec.partition(":")
    match kind:
        case "local" if name:
            from staffroom.embedding.local import LocalEmbedder

            return LocalEmbedder(name, models, precision)
        case "openai" if name:
            from staffroom.embedding.openai import OpenAIEmbedder

            return OpenAIEmbedder(name, base_url, api_key)
        case _:
            raise ConfigError(
                f"STAFFROOM_EMBEDDER is {spec!r}; write local:NAME, local:FOLDER or openai:NAME."
            )
