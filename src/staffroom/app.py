"""The composition root: the one place that knows every concrete class."""

import asyncio
import getpass
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Final, Unpack

from staffroom.ai import load_judge, load_writer
from staffroom.ai.guard import Deadlines, GuardedWriter
from staffroom.ai.llm_service import LLMService
from staffroom.ai.situation import CapableModel, capable
from staffroom.cache.answer_cache import AnswerCache
from staffroom.cache.vector_cache import VectorCache
from staffroom.config import Settings, load_settings
from staffroom.content.import_runner import ImportRunner
from staffroom.content.management import ContentManager
from staffroom.database.connection import Database
from staffroom.database.figures import DatabaseFigures
from staffroom.database.vector_ops import VectorOperations
from staffroom.embedding.generator import EmbeddingGenerator
from staffroom.errors import UnavailableError
from staffroom.evaluation.calibrate import calibrate
from staffroom.evaluation.evaluate import scratch_library
from staffroom.flows import AskOptions, stream_teacher_query
from staffroom.monitoring.sending import check_sending
from staffroom.monitoring.tracing import set_up_traces, stop_tracing
from staffroom.types import Answer, ProgressListener, SearchResult, Sentence

WARM_UP: Final = "pupils"
"""A question that nobody asked."""

WARM_UP_SECONDS: Final = 10.0


class App:
    """Everything that an installation consists of, wired together.

    Making one touches nothing: models are loaded and the database is opened by
    the first use that needs them.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings)
        self.figures = DatabaseFigures(self.database, settings.tenant)
        self.embedder = EmbeddingGenerator(settings)
        self.cache = VectorCache(self.embedder, settings.cache_size)
        self.author = _user()
        self.vector_ops = VectorOperations(
            self.database,
            self.cache,
            tenant_id=settings.tenant,
            threshold=settings.similarity_threshold,
            author=self.author,
            hold_back_overdue=settings.hold_back_overdue,
        )
        self._writer = load_writer(settings, self.cache)
        self.writer = GuardedWriter(self._writer, Deadlines(first=settings.first_words_seconds))
        self.judge = load_judge(settings)
        self.llm_service = LLMService(self.writer, self.vector_ops, self.cache, judge=self.judge)
        self.answers = AnswerCache()
        self._calibrating = asyncio.Lock()
        self.content = ContentManager(self.vector_ops, batch_size=settings.batch_size)
        self.import_runner = ImportRunner(
            self.vector_ops,
            settings.home / "uploads",
            batch_size=settings.batch_size,
            lanes=settings.import_lanes,
        )

    @property
    def drafter(self) -> CapableModel | None:
        """The model that may word a draft's situation, if the writer is one that can."""
        return capable(self._writer)

    async def prepare(self, progress: ProgressListener | None = None) -> None:
        """The library is ready to be searched: begun if it is new, embedded by the model in use,
        whose scores are known to mean relevance."""
        if self.settings.traces_url:
            set_up_traces(self.settings.traces_url)
        if self.settings.metrics_url:
            check_sending()
        if self.settings.starter_library:
            await self.content.load_starter_library(progress)
        await self.vector_ops.embed_missing(progress)
        async with self._calibrating:
            if not await self.vector_ops.is_calibrated():
                async with scratch_library(self.database, self.vector_ops) as library:
                    calibration, _ = await calibrate(self.embedder, library, progress)
                await self.vector_ops.calibrate(calibration)

    async def start(self, progress: ProgressListener | None = None) -> None:
        """As `prepare`, and the first question waits for nothing that later ones do not wait for.

        The model is loaded while the database is made ready. One that does not answer, or takes
        long, is left to the questions, which tell what is wrong.
        """
        loading = asyncio.create_task(self.embedder.get_embedding(WARM_UP))
        try:
            await self.prepare(progress)
            with suppress(UnavailableError, TimeoutError):
                async with asyncio.timeout(WARM_UP_SECONDS):
                    embedding = await loading
                    await self.vector_ops.candidates(WARM_UP, embedding)
        finally:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)

    def ask(
        self, question: str, **options: Unpack[AskOptions]
    ) -> AsyncGenerator[SearchResult | Sentence | Answer, None]:
        """As `stream_teacher_query`, with everything that this installation consists of."""
        return stream_teacher_query(
            question,
            embedder=self.cache,
            vector_ops=self.vector_ops,
            llm_service=self.llm_service,
            answers=self.answers,
            **options,
        )

    async def close(self) -> None:
        """Models are unloaded, connections closed, and the embedded server left."""
        await self.writer.close()
        if self.judge:
            await self.judge.close()
        await self.embedder.close()
        await self.database.close()
        if self.settings.traces_url:
            await asyncio.to_thread(stop_tracing)


@asynccontextmanager
async def open_app(
    settings: Settings | None = None, progress: ProgressListener | None = None
) -> AsyncIterator[App]:
    """An installation that is ready, and closed afterwards."""
    app = App(settings or load_settings())
    try:
        await app.prepare(progress)
        yield app
    finally:
        await app.close()


@cache
def default_app() -> App:
    """The installation that the environment describes, made once in a process."""
    return App(load_settings())


def _user() -> str:
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return "unknown"
