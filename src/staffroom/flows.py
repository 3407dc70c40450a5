"""The two journeys: a question to its answer, and a batch into the library."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import NotRequired, Required, TypedDict, Unpack
from uuid import UUID

from staffroom.ai.conversation import Understood, understand
from staffroom.ai.llm_service import LLMService, last_answer
from staffroom.cache.answer_cache import AnswerCache, AnswerKey, normalised
from staffroom.config import BATCH_SIZE
from staffroom.content.formats import FileRow, RowFile
from staffroom.content.importer import Importer
from staffroom.content.threads import pulled
from staffroom.database.batch import Row
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError, NotFoundError, Overloaded
from staffroom.monitoring.metrics import (
    ANSWER_TIME,
    ANSWERS,
    FIRST_SENTENCE_TIME,
    STAGE_TIME,
    writer_kind,
)
from staffroom.text import clean_question
from staffroom.types import (
    Answer,
    Embedder,
    Filters,
    ImportReport,
    Progress,
    ProgressListener,
    SearchResult,
    Sentence,
    Turn,
    Vector,
)

ANSWER_MATCHES = 5
"""Scenarios that an answer may rest on."""

MOST_MATCHES = 20

_log = logging.getLogger(__name__)


class AskOptions(TypedDict, total=False):
    """How a question is answered. Given a conversation, by the id of any exchange in it, the
    question is understood as its continuation; so it is given the `turns` of a conversation that
    the caller keeps, oldest first.

    The exchange is stored under `interaction_id` if one is given, and not at all if it is private.
    """

    limit: int
    filters: Filters | None
    conversation_id: UUID | None
    turns: Sequence[Turn]
    interaction_id: UUID | None
    private: bool


class QueryOptions(AskOptions):
    """What a question is answered with besides."""

    embedder: Required[Embedder]
    vector_ops: Required[VectorOperations]
    llm_service: Required[LLMService]
    answers: NotRequired[AnswerCache]


async def process_teacher_query(query: str, **options: Unpack[QueryOptions]) -> Answer:
    """The question is answered from the library and the exchange is stored.

    Raises: InputError for an empty or over-long question; NotFoundError for an unknown
        conversation; Overloaded; SearchError.
    """
    return await last_answer(stream_teacher_query(query, **options))


async def stream_teacher_query(
    query: str, **options: Unpack[QueryOptions]
) -> AsyncGenerator[SearchResult | Sentence | Answer, None]:
    """What was found, then each sentence as it is ready, then the answer as it was stored.

    Whatever may keep a question from being answered fails before the first part: what comes
    after that is answered from the vetted advice, come what may.
    An abstention is stored as well: it shows what the library lacks.
    """
    with options["llm_service"].admission():
        with _failure_counted():
            journey = await _begin(query, options)
        async with aclosing(_parts(journey)) as parts:
            async for part in parts:
                if isinstance(part, Answer):
                    yield await _store(journey, part)
                else:
                    yield part


@dataclass(frozen=True)
class _Journey:
    """A question on its way: what it was understood as, and what it is answered with."""

    question: str
    understood: Understood
    embedding: Vector
    key: AnswerKey
    conversation_id: UUID | None
    options: QueryOptions
    started: float
    timings: dict[str, float]

    @property
    def is_cacheable(self) -> bool:
        """Its answer depends on nothing said before, and may be kept."""
        return self.understood.asked == self.question and not self.options.get("private")

    def stamp(self, name: str) -> None:
        """Milliseconds since the question came, kept under that name once."""
        self.timings.setdefault(name, round(1000 * (time.perf_counter() - self.started), 2))


async def _begin(query: str, options: QueryOptions) -> _Journey:
    started = time.perf_counter()
    vector_ops = options["vector_ops"]
    question = clean_question(query)
    limit = options.get("limit", ANSWER_MATCHES)
    if not 1 <= limit <= MOST_MATCHES:
        raise InputError(f"an answer can rest on 1 to {MOST_MATCHES} scenarios, not {limit}.")
    conversation_id = options.get("conversation_id")
    turns = options.get("turns", ())
    if conversation_id is not None:
        conversation_id, turns = await vector_ops.interactions.conversation(conversation_id)
    understood = understand(question, turns)
    # The database answers while the model computes.
    library, embedding = await asyncio.gather(
        vector_ops.library_version(), _embedded(understood.asked, options["embedder"])
    )
    key = AnswerKey(
        tenant_id=vector_ops.tenant_id,
        filters=vector_ops.scope(options.get("filters")),
        limit=limit,
        threshold=vector_ops.threshold,
        library=library,
        model=await vector_ops.ranking(),
        recipe=options["llm_service"].recipe,
        question=normalised(question),
    )
    journey = _Journey(question, understood, embedding, key, conversation_id, options, started, {})
    journey.stamp("embedded_ms")
    return journey


async def _embedded(question: str, embedder: Embedder) -> Vector:
    with STAGE_TIME.labels("embedding").time():
        vector: Vector = (await embedder.embed([question], "query"))[0]
    return vector


@contextmanager
def _failure_counted() -> Iterator[None]:
    """A question that gets no answer is counted, unless it was refused for what it was or when."""
    try:
        yield
    except (InputError, NotFoundError, Overloaded):
        raise
    except Exception:
        ANSWERS.labels("failed").inc()
        raise


async def _parts(journey: _Journey) -> AsyncGenerator[SearchResult | Sentence | Answer, None]:
    answers = journey.options.get("answers") if journey.is_cacheable else None
    kept = answers.get(journey.key) if answers is not None else None
    if kept is not None:
        ANSWERS.labels(kept.outcome).inc()
        yield SearchResult(kept.matches, kept.threshold, kept.best_relevance)
        journey.stamp("first_sentence_ms")
        for sentence in kept.sentences:
            yield sentence
        yield kept
        return
    with _failure_counted():
        found = await journey.options["vector_ops"].retrieve(
            journey.understood.asked,
            journey.embedding,
            limit=journey.key.limit,
            filters=journey.key.filters,
        )
    journey.stamp("found_ms")
    yield found
    service = journey.options["llm_service"]
    asked, said = journey.understood.asked, journey.understood.said
    async with aclosing(service.stream_response(asked, found, said)) as parts:
        async for part in parts:
            if isinstance(part, Sentence):
                journey.stamp("first_sentence_ms")
            elif answers is not None:
                answers.keep(journey.key, part)
            yield part


async def _store(journey: _Journey, answer: Answer) -> Answer:
    """The answer as it was stored: with its place in the conversation, and what it took."""
    journey.stamp("answered_ms")
    kind = writer_kind(answer.writer) if "found_ms" in journey.timings else "kept"
    ANSWER_TIME.labels(kind).observe(journey.timings["answered_ms"] / 1000)
    if "first_sentence_ms" in journey.timings:
        FIRST_SENTENCE_TIME.labels(kind).observe(journey.timings["first_sentence_ms"] / 1000)
    answer = replace(
        answer,
        library_version=journey.key.library,
        timings=journey.timings,
        conversation_id=journey.conversation_id,
        interaction_id=journey.options.get("interaction_id"),
    )
    if journey.options.get("private"):
        return replace(answer, interaction_id=None, conversation_id=None)
    stored = await journey.options["vector_ops"].store_interaction(
        journey.question, journey.embedding, answer, asked=journey.understood.asked
    )
    return replace(answer, interaction_id=stored, conversation_id=journey.conversation_id or stored)


async def update_teaching_content(
    content_batch: Iterable[Row],
    *,
    vector_ops: VectorOperations,
    batch_size: int = BATCH_SIZE,
    progress: ProgressListener | None = None,
) -> ImportReport:
    """Every valid item is embedded and in the library; the report names every other one."""
    importer = Importer(vector_ops, batch_size=batch_size, progress=progress)
    return await importer.import_rows(content_batch)


async def process_large_dataset(
    dataset: Iterable[Row] | AsyncIterable[Row],
    *,
    vector_ops: VectorOperations,
    batch_size: int = BATCH_SIZE,
    progress: ProgressListener | None = None,
) -> ImportReport:
    """As `update_teaching_content`: a data set of any size takes the memory of two batches.

    Its rows may come asynchronously, too. How far it is goes to the log after each batch.
    """

    def tell(told: Progress) -> None:
        total = f"/{told.total}" if told.total else ""
        if told.done:
            _log.info("Processed %d%s items", told.done, total)
        if progress:
            progress(told)

    importer = Importer(vector_ops, batch_size=batch_size, progress=tell)
    if not isinstance(dataset, AsyncIterable):
        return await importer.import_rows(dataset)
    numbered = (FileRow(number, number, row) for number, row in enumerate(pulled(dataset), start=1))
    return await importer.import_opened([RowFile("rows", numbered, 0, "rows")])
