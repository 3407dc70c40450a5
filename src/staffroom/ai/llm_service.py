"""LLMService: an answer from matches and from nothing else."""

import logging
from collections.abc import AsyncGenerator, Iterator, Sequence, Set
from contextlib import aclosing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import UUID

from staffroom.ai import Writer
from staffroom.ai.abstention import abstention
from staffroom.ai.direct import asks_for_first
from staffroom.ai.draft import Draft
from staffroom.ai.extractive import ExtractiveWriter
from staffroom.ai.grounding import Grounding, Judge
from staffroom.ai.prompt import PROMPT_VERSION
from staffroom.ai.sentences import SentenceStream
from staffroom.errors import (
    EmbedderUnavailable,
    ModelCorrupt,
    ModelMissing,
    Overloaded,
    WriterUnavailable,
)
from staffroom.monitoring.logs import cause
from staffroom.monitoring.metrics import ANSWERS, SENTENCES, WRITER_FAILURES
from staffroom.monitoring.tracing import stage_span
from staffroom.text import clean_question
from staffroom.types import (
    Answer,
    Embedder,
    Match,
    Outcome,
    Scenario,
    ScenarioContent,
    SearchResult,
    Sentence,
)

MAX_CHARACTERS: Final = 6_000

MOST_MISSES: Final = 3
"""Sentences in a row that are invented or repeated, after which a writer is not heard further."""

ANSWERS_AT_ONCE: Final = 64
RETRY_SECONDS: Final = 5.0

_NIL: Final = UUID(int=0)

_log = logging.getLogger(__name__)


class Finder(Protocol):
    """What finds matches when the caller gives none."""

    async def retrieve(self, query: str) -> SearchResult: ...


class LLMService:
    """Answers with one writer; when it fails, with the vetted advice itself."""

    def __init__(
        self,
        writer: Writer,
        finder: Finder,
        embedder: Embedder,
        *,
        judge: Judge | None = None,
        answers_at_once: int = ANSWERS_AT_ONCE,
    ) -> None:
        self._writer = writer
        self._finder = finder
        self._embedder = embedder
        self._judge = judge
        self._quoting = ExtractiveWriter(embedder)
        self._answers_at_once = answers_at_once
        self._being_answered = 0

    @property
    def recipe(self) -> str:
        """What, besides question and matches, an answer depends on."""
        judge = self._judge.name if self._judge else "no judge"
        return f"{self._writer.name} {PROMPT_VERSION} {judge}"

    @contextmanager
    def admission(self) -> Iterator[None]:
        """A place among those that are being answered. Raises: Overloaded if there is none."""
        if self._being_answered >= self._answers_at_once:
            raise Overloaded(
                f"{self._being_answered} questions are being answered. Ask again in "
                f"{RETRY_SECONDS:.0f} seconds.",
                RETRY_SECONDS,
            )
        self._being_answered += 1
        try:
            yield
        finally:
            self._being_answered -= 1

    async def generate_response(
        self, query: str, context: SearchResult | Sequence[Match] | str | None = None
    ) -> Answer:
        """An answer from the context, or from what the library has if none is given.

        Every sentence is backed by the scenario that it cites. Without a match the
        answer says so. Context that is plain text is the only evidence, and is cited
        by the nil id, since the library does not hold it.
        Raises: InputError for an empty or over-long question; what the search raises.
        """
        query = clean_question(query)
        found = await self._finder.retrieve(query) if context is None else _search_result(context)
        return await last_answer(self.stream_response(query, found))

    async def stream_response(
        self, query: str, found: SearchResult, said: Set[str] = frozenset()
    ) -> AsyncGenerator[Sentence | Answer, None]:
        """The sentences as they are written and found to be backed, then the whole answer.

        Where the advice is quoted, the whole answer has it in its own order. `said` are the
        sentences of earlier answers in the conversation: they are not repeated while there is
        anything else.
        """
        draft = Draft(found.matches, said)
        outcome: Outcome = "abstained"
        writer: Writer | None = None
        if found.matches:
            outcome, writer = await self._choose(query, replace(found, matches=draft.matches))
            async with aclosing(self._heard(writer, query, draft)) as stream:
                async for sentence in stream:
                    yield sentence
            if draft.is_thin and writer.name != self._quoting.name:
                outcome, writer = "quoted", self._quoting
                async with aclosing(self._heard(writer, query, draft)) as stream:
                    async for sentence in stream:
                        yield sentence
            for sentence in draft.add_urgent():
                yield sentence
            if writer.name == self._quoting.name:
                draft.put_in_order()
        answer = _answer(found, draft, outcome, writer)
        degraded = draft.is_degraded and not answer.abstained
        ANSWERS.labels("degraded" if degraded else answer.outcome).inc()
        yield answer

    async def _choose(self, query: str, found: SearchResult) -> tuple[Outcome, Writer]:
        """Who answers: nobody has to write what an editor foresaw."""
        if self._writer.name == self._quoting.name:
            return "written", self._writer
        try:
            direct = await asks_for_first(query, found, self._embedder)
        except EmbedderUnavailable:
            direct = False
        return ("direct", self._quoting) if direct else ("written", self._writer)

    async def _heard(
        self, writer: Writer, query: str, draft: Draft
    ) -> AsyncGenerator[Sentence, None]:
        """What the writer writes, as far as it is backed and new; it is added to the draft.

        A writer that fails ends here, with what it had finished: no half sentence leaves.
        """
        grounding = Grounding(draft.matches, self._embedder, self._judge)
        misses = 0
        try:
            async with aclosing(_sentences(writer, query, draft.matches)) as texts:
                async for text in texts:
                    checked = await grounding.check(text)
                    if draft.is_full_for(checked):
                        break
                    misses = misses + 1 if draft.is_miss(checked) else 0
                    if checked is None or not draft.add(checked):
                        SENTENCES.labels("dropped").inc()
                        if misses >= MOST_MISSES:
                            return
                        continue
                    SENTENCES.labels(checked.verdict).inc()
                    yield checked.sentence
            draft.is_complete = True
        except (WriterUnavailable, ModelMissing, ModelCorrupt, EmbedderUnavailable) as error:
            draft.is_complete, draft.is_degraded = False, True
            WRITER_FAILURES.labels(type(error).__name__).inc()
            _log.warning("the vetted advice is quoted, because the writer failed: %s", cause(error))


async def last_answer(parts: AsyncGenerator[Any, None]) -> Answer:
    """The answer that a stream of parts ends with."""
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, Answer):
                return part
    raise AssertionError("a stream ends with its answer")


async def _sentences(
    writer: Writer, query: str, matches: Sequence[Match]
) -> AsyncGenerator[str, None]:
    cutter = SentenceStream()
    left = MAX_CHARACTERS
    named = {"gen_ai__operation__name": "chat", "gen_ai__request__model": writer.name}
    with stage_span("write", **named):
        async with aclosing(writer.stream(query, matches)) as pieces:
            async for piece in pieces:
                for text in cutter.feed(piece[:left]):
                    yield text
                left -= len(piece)
                if left <= 0:
                    return
    for text in cutter.finish():
        yield text


def _answer(found: SearchResult, draft: Draft, outcome: Outcome, writer: Writer | None) -> Answer:
    abstained = not draft.sentences
    return Answer(
        text=abstention(found) if abstained else draft.text,
        sentences=draft.sentences,
        more=tuple(draft.more()),
        outcome="abstained" if abstained else outcome,
        matches=found.matches,
        related=found.related,
        threshold=found.threshold,
        best_relevance=found.best_relevance,
        writer="none" if abstained or writer is None else writer.name,
        prompt_version=PROMPT_VERSION,
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
