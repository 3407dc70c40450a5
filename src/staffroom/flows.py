"""The two journeys: a question to its answer, and a batch into the library."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import replace

from staffroom.ai.llm_service import LLMService
from staffroom.config import BATCH_SIZE
from staffroom.content.importer import Importer
from staffroom.database.batch import Row
from staffroom.database.vector_ops import VectorOperations, clean_question
from staffroom.types import (
    Answer,
    Embedder,
    Filters,
    ImportReport,
    ProgressListener,
    SearchResult,
    Sentence,
)

ANSWER_MATCHES = 5
"""Scenarios that an answer may rest on."""


async def process_teacher_query(
    query: str,
    *,
    embedder: Embedder,
    vector_ops: VectorOperations,
    llm_service: LLMService,
    limit: int = ANSWER_MATCHES,
    filters: Filters | None = None,
) -> Answer:
    """The question is answered from the library and the exchange is stored.

    Raises: InputError for an empty or over-long question; SearchError.
    """
    stream = stream_teacher_query(
        query,
        embedder=embedder,
        vector_ops=vector_ops,
        llm_service=llm_service,
        limit=limit,
        filters=filters,
    )
    async with aclosing(stream):
        async for part in stream:
            if isinstance(part, Answer):
                return part
    raise AssertionError("a stream ends with its answer")


async def stream_teacher_query(
    query: str,
    *,
    embedder: Embedder,
    vector_ops: VectorOperations,
    llm_service: LLMService,
    limit: int = ANSWER_MATCHES,
    filters: Filters | None = None,
) -> AsyncGenerator[SearchResult | Sentence | Answer, None]:
    """What was found, then each sentence as it is ready, then the stored answer.

    Everything that can fail before the first sentence fails before the first part.
    An abstention is stored as well: it shows what the library lacks.
    """
    question = clean_question(query)
    embedding = (await embedder.embed([question], "query"))[0]
    found = await vector_ops.search(embedding, limit, filters=filters)
    yield found
    async with aclosing(llm_service.stream_response(question, found)) as parts:
        async for part in parts:
            if isinstance(part, Sentence):
                yield part
            else:
                stored = await vector_ops.store_interaction(question, embedding, part)
                yield replace(part, interaction_id=stored)


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
    dataset: Iterable[Row],
    *,
    vector_ops: VectorOperations,
    batch_size: int = BATCH_SIZE,
    progress: ProgressListener | None = None,
) -> ImportReport:
    """As `update_teaching_content`: a data set of any size takes the memory of one batch."""
    return await update_teaching_content(
        dataset, vector_ops=vector_ops, batch_size=batch_size, progress=progress
    )
