"""The writer without a model: it quotes the vetted advice of the closest scenario."""

from collections.abc import AsyncGenerator, Sequence

from staffroom.types import Match


class ExtractiveWriter:
    """Quotes. Always available, never wrong about what the library says."""

    name = "extractive"

    async def stream(self, question: str, matches: Sequence[Match]) -> AsyncGenerator[str, None]:
        """The advice of the first match, line by line. The question is not read again."""
        for line in matches[0].scenario.content.advice.splitlines() if matches else ():
            yield line + "\n"

    async def close(self) -> None:
        """There is nothing to give back."""
