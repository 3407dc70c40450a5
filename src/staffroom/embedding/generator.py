"""EmbeddingGenerator: the guide's names for turning text into vectors."""

from collections.abc import Sequence

from staffroom.config import Settings
from staffroom.embedding import ClosableEmbedder, TokenCounter, load_embedder
from staffroom.monitoring.error_tracking import track_vector_operation
from staffroom.monitoring.metrics import EMBEDDING_QUEUE
from staffroom.monitoring.tracing import stage_span
from staffroom.types import Embedder, Role, Vector, Vectors


class EmbeddingGenerator:
    """Turns text into vectors by the model that the settings name, or by a given embedder.

    Texts must be strings with something in them. They are brought to normal form C, and
    what cannot be stored, such as NUL or half of a surrogate pair, becomes U+FFFD. A text
    that is longer than the model can read is embedded by its beginning.

    A given embedder stays its owner's to close.
    """

    def __init__(self, source: Settings | Embedder) -> None:
        self._own: ClosableEmbedder | None = None
        self._embedder: Embedder
        if isinstance(source, Settings):
            self._own = self._embedder = load_embedder(
                source.embedder,
                models=source.models,
                base_url=source.openai_base_url,
                api_key=source.openai_api_key,
                precision=source.embedding_precision,
            )
        else:
            self._embedder = source.wrapped if isinstance(source, EmbeddingGenerator) else source

    @property
    def wrapped(self) -> Embedder:
        """The embedder that does the work."""
        return self._embedder

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    @track_vector_operation("embedding")
    async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        """As Embedder."""
        lane = "question" if len(texts) == 1 else "batch"
        named = {"gen_ai__operation__name": "embeddings", "gen_ai__request__model": self.model}
        with EMBEDDING_QUEUE.labels(lane).track_inprogress(), stage_span("embed", **named):
            return await self._embedder.embed(texts, role)

    async def get_embedding(self, text: str, role: Role = "query") -> Vector:
        """The vector of one text.

        Raises: InputError if the text is empty or not a string; EmbedderUnavailable.
        """
        vector: Vector = (await self.embed([text], role))[0]
        return vector

    async def batch_get_embeddings(self, texts: Sequence[str], role: Role = "passage") -> Vectors:
        """The vectors of the texts, in their order.

        Raises: InputError naming the position of a text that is empty or not a string;
            EmbedderUnavailable.
        """
        return await self.embed(texts, role)

    async def count_tokens(self, texts: Sequence[str]) -> int:
        """How many tokens the texts have; words where a server runs the model, whose tokens are
        not known here."""
        if isinstance(self._embedder, TokenCounter):
            return await self._embedder.count_tokens(texts)
        return sum(len(text.split()) for text in texts)

    async def close(self) -> None:
        """The model is unloaded, if it was loaded by this object."""
        if self._own is not None:
            await self._own.close()
