"""LLMService: an answer from matches and from nothing else."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

from staffroom.ai import Writer
from staffroom.ai.extractive import ExtractiveWriter
from staffroom.ai.grounding import checked, evidence
from staffroom.ai.sentences import SentenceStream
from staffroom.errors import ModelCorrupt, ModelMissing, WriterUnavailable
from staffroom.types import Answer, Match, Scenario, ScenarioContent, SearchResult, Sentence

MINIMUM_SENTENCES: Final = 2
"""An answer with fewer backed sentences is replaced by the vetted advice itself."""

MAX_CHARACTERS: Final = 6_000

MOST_MISSES: Final = 3
"""Sentences in a row that are invented or repeated, after which a writer is not heard further."""

_NIL: Final = UUID(int=0)

_log = logging.getLogger(__name__)


class Finder(Protocol):
    """What finds matches when the caller gives none."""

    async def search(self, query: str) -> SearchResult: ...


class LLMService:
    """Answers with one writer; when it fails, with the vetted advice itself."""

    def __init__(self, writer: Writer, finder: Finder) -> None:
        self._writer = writer
        self._finder = finder

    async def generate_response(
        self, query: str, context: SearchResult | Sequence[Match] | str | None = None
    ) -> Answer:
        """An answer from the context, or from what the library has if none is given.

        Every sentence is backed by the scenario that it cites. Without a match the
        answer says so. Context that is plain text is the only evidence, and is cited
        by the nil id, since the library does not hold it.
        """
        found = await self._finder.search(query) if context is None else _search_result(context)
        async with aclosing(self.stream_response(query, found)) as stream:
            async for part in stream:
                if isinstance(part, Answer):
                    return part
        raise AssertionError("a stream ends with its answer")

    async def stream_response(
        self, query: str, found: SearchResult
    ) -> AsyncGenerator[Sentence | Answer, None]:
        """The sentences as they are written and found to be backed, then the whole answer."""
        sentences: list[Sentence] = []
        writer_name = "none"
        if found.matches:
            for writer in (self._writer, ExtractiveWriter()):
                writer_name = writer.name
                async with aclosing(_backed(writer, query, found.matches, sentences)) as stream:
                    async for sentence in stream:
                        yield sentence
                if len(sentences) >= MINIMUM_SENTENCES:
                    break
        yield _answer(found, sentences, writer_name)


async def _backed(
    writer: Writer, query: str, matches: Sequence[Match], sentences: list[Sentence]
) -> AsyncGenerator[Sentence, None]:
    """What the writer writes, as far as it is backed and new; it is added to `sentences` too.

    A writer that fails ends here, with what it had finished: no half sentence leaves.
    """
    advice = evidence(matches)
    misses = 0
    try:
        async with aclosing(_sentences(writer, query, matches)) as texts:
            async for text in texts:
                sentence = checked(text, advice)
                if sentence and all(sentence.text != said.text for said in sentences):
                    misses = 0
                    sentences.append(sentence)
                    yield sentence
                elif (misses := misses + 1) >= MOST_MISSES:
                    return
    except (WriterUnavailable, ModelMissing, ModelCorrupt) as error:
        _log.warning("the vetted advice is quoted, because the writer failed: %s", error)


async def _sentences(
    writer: Writer, query: str, matches: Sequence[Match]
) -> AsyncGenerator[str, None]:
    cutter = SentenceStream()
    characters = 0
    async with aclosing(writer.stream(query, matches)) as pieces:
        async for piece in pieces:
            for text in cutter.feed(piece):
                yield text
            characters += len(piece)
            if characters > MAX_CHARACTERS:
                return
    for text in cutter.finish():
        yield text


def _answer(found: SearchResult, sentences: Sequence[Sentence], writer_name: str) -> Answer:
    text = " ".join(sentence.text for sentence in sentences)
    return Answer(
        text=text or _abstention(found),
        sentences=tuple(sentences),
        matches=found.matches,
        threshold=found.threshold,
        best_relevance=found.best_relevance,
        abstained=not sentences,
        writer=writer_name,
    )


def _abstention(found: SearchResult) -> str:
    if found.best_relevance is None:
        return "The library holds no scenario yet, so there is nothing to answer from."
    return (
        "The library has no scenario that fits this question: the closest has relevance "
        f"{found.best_relevance:.2f}, and {found.threshold:.2f} is needed. Ask a colleague, or "
        "add a scenario so that the next teacher finds one."
    )


def _search_result(context: SearchResult | Sequence[Match] | str) -> SearchResult:
    if isinstance(context, SearchResult):
        return context
    matches = (_given(context),) if isinstance(context, str) else tuple(context)
    best = max((match.relevance for match in matches), default=None)
    return SearchResult(matches, 0.0, best)


def _given(text: str) -> Match:
    now = datetime.now(UTC)
    content = ScenarioContent(name="Given context", description=text)
    return Match(
        Scenario(id=_NIL, revision=1, content=content, created_at=now, updated_at=now), 1.0
    )
