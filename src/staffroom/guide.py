"""The guide's names in the guide's form: objects that can be made without arguments.

Each stands on the installation that the environment describes, which is opened by
the first call. Programs that hold several installations use `open_app` instead.
"""

from collections.abc import AsyncIterable, Iterable

from staffroom import flows
from staffroom.ai import llm_service
from staffroom.api import vector_api
from staffroom.app import App, default_app
from staffroom.cache import vector_cache
from staffroom.content import management
from staffroom.database import vector_ops
from staffroom.database.batch import Row
from staffroom.embedding import generator
from staffroom.types import Answer, ImportReport


class EmbeddingGenerator(generator.EmbeddingGenerator):
    """Text becomes vectors, by the model that the settings name."""

    def __init__(self, app: App | None = None) -> None:
        super().__init__((app or default_app()).embedder)


class VectorCache(vector_cache.VectorCache):
    """The embeddings of that model, each computed once."""

    def __init__(self, app: App | None = None) -> None:
        app = app or default_app()
        super().__init__(app.embedder, app.settings.cache_size)


class VectorOperations(vector_ops.VectorOperations):
    """The library and the interactions of the tenant that the settings name."""

    def __init__(self, app: App | None = None) -> None:
        app = app or default_app()
        super().__init__(
            app.database,
            app.cache,
            tenant_id=app.settings.tenant,
            threshold=app.settings.similarity_threshold,
            author=app.author,
        )


class LLMService(llm_service.LLMService):
    """Answers by the writer that the settings name."""

    def __init__(self, app: App | None = None) -> None:
        app = app or default_app()
        super().__init__(app.writer, app.vector_ops, app.cache, judge=app.judge)


class ContentManager(management.ContentManager):
    """Adds, changes, retires, imports and exports scenarios."""

    def __init__(self, app: App | None = None) -> None:
        app = app or default_app()
        super().__init__(app.vector_ops, batch_size=app.settings.batch_size)


class VectorAPI(vector_api.VectorAPI):
    """Searches the library and answers with plain data."""

    def __init__(self, app: App | None = None) -> None:
        super().__init__((app or default_app()).vector_ops)


async def process_teacher_query(query: str) -> Answer:
    """The question is answered from the library and the exchange is stored.

    The first question of a new installation loads the starter library.
    """
    app = default_app()
    await app.prepare()
    return await flows.process_teacher_query(
        query,
        embedder=app.cache,
        vector_ops=app.vector_ops,
        llm_service=app.llm_service,
        answers=app.answers,
    )


async def update_teaching_content(content_batch: Iterable[Row]) -> ImportReport:
    """Every valid item is embedded and in the library; the report names every other one."""
    app = default_app()
    return await flows.update_teaching_content(
        content_batch, vector_ops=app.vector_ops, batch_size=app.settings.batch_size
    )


async def process_large_dataset(dataset: Iterable[Row] | AsyncIterable[Row]) -> ImportReport:
    """As `update_teaching_content`: a data set of any size takes the memory of one batch.

    Its rows may come asynchronously, too. How far it is goes to the log after each batch.
    """
    app = default_app()
    return await flows.process_large_dataset(
        dataset, vector_ops=app.vector_ops, batch_size=app.settings.batch_size
    )
