"""Adapters of the product's own protocols, for tests that are about something else."""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Sequence

import numpy as np

from staffroom.errors import WriterUnavailable
from staffroom.types import Match, Role, Vectors


class WordEmbedder:
    """Texts that share words are near. Counts what it was asked."""

    def __init__(self, model: str = "words", dimensions: int = 64) -> None:
        self.model = model
        self.dimensions = dimensions
        self.embedded: list[str] = []

    async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        self.embedded += texts
        await asyncio.sleep(0)
        vectors = np.full((len(texts), self.dimensions), 1e-3, np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                digest = hashlib.sha256(word.encode()).digest()
                vector[int.from_bytes(digest[:4]) % self.dimensions] += 1
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


class ScriptedWriter:
    """Says what it was told to say; an exception in the script is raised."""

    name = "scripted"
    is_queued = False

    def __init__(self, *script: str | Exception) -> None:
        self._script = script
        self.said = 0
        self.closed = False

    async def stream(self, question: str, matches: Sequence[Match]) -> AsyncGenerator[str, None]:
        try:
            for piece in self._script:
                if isinstance(piece, Exception):
                    raise piece
                self.said += 1
                yield piece
                await asyncio.sleep(0)
        finally:
            self.closed = True

    async def close(self) -> None:
        """Nothing is held."""


BROKEN = WriterUnavailable("the model broke off")
