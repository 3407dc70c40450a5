"""The writer without a model: it reads out the vetted advice of the closest scenario."""

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import numpy as np

from staffroom.ai.advice import Evidence, evidence
from staffroom.types import Embedder, Match

PROSE_SENTENCES: Final = 5
"""Sentences that are read out of advice that has no steps: those nearest to the question."""


class ExtractiveWriter:
    """Quotes. Always available, never wrong about what the library says."""

    name = "extractive"
    is_queued = False

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def stream(self, question: str, matches: Sequence[Match]) -> AsyncGenerator[str, None]:
        """The advice of the first match: its steps in their order, or of prose what is nearest.

        Advice puts first what comes first: of five steps chosen by their place, by likeness to
        the question or by a fit over both, those chosen by place hold most key steps.
        """
        everything = evidence(matches[:1])
        parts = [part for part in everything if not part.warns] or everything
        if all(part.step is None for part in parts) and len(parts) > PROSE_SENTENCES:
            parts = await self._nearest(question, parts)
        for part in parts:
            yield part.text + "\n"

    async def close(self) -> None:
        """There is nothing to give back."""

    async def _nearest(self, question: str, parts: Sequence[Evidence]) -> list[Evidence]:
        vectors = await self._embedder.embed([part.text for part in parts], "passage")
        wanted = (await self._embedder.embed([question], "query"))[0]
        order = np.argsort(-(vectors @ wanted), kind="stable")[:PROSE_SENTENCES]
        return [parts[number] for number in sorted(order)]
