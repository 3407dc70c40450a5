"""Haystack: PgvectorDocumentStore with an HNSW index."""

from typing import Any

from haystack import Document
from haystack.utils import ComponentDevice, Secret
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
from haystack_integrations.components.retrievers.pgvector import PgvectorEmbeddingRetriever
from haystack_integrations.document_stores.pgvector import PgvectorDocumentStore

PACKAGES = ("pgvector-haystack", "haystack-ai", "sentence-transformers", "torch")


class Store:
    """Haystack's own table."""

    def __init__(self, place: dict[str, Any]) -> None:
        at = place["database"]
        self._documents = PgvectorDocumentStore(
            connection_string=Secret.from_token(
                " ".join(f"{name}={at[name]}" for name in ("host", "port", "user", "dbname"))
            ),
            embedding_dimension=384,
            vector_function="cosine_similarity",
            search_strategy="hnsw",
        )
        options: dict[str, Any] = {
            "model": place["model"],
            "device": ComponentDevice.from_str("cpu"),
            "normalize_embeddings": True,
            "progress_bar": False,
        }
        self._passages = SentenceTransformersDocumentEmbedder(**options)
        self._questions = SentenceTransformersTextEmbedder(**options)
        self._questions.warm_up()
        self._retriever = PgvectorEmbeddingRetriever(document_store=self._documents)

    def add(self, ids: list[str], texts: list[str]) -> None:
        self._passages.warm_up()
        rows = [Document(id=each, content=text) for each, text in zip(ids, texts, strict=True)]
        self._documents.write_documents(self._passages.run(documents=rows)["documents"])

    def ask(self, text: str, limit: int) -> list[str]:
        vector = self._questions.run(text=text)["embedding"]
        found = self._retriever.run(query_embedding=vector, top_k=limit)["documents"]
        return [document.id for document in found]


open_store = Store
