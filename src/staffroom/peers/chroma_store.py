"""Chroma in the same process, which keeps its index in a folder."""

from typing import Any

import chromadb
from chromadb.config import Settings
from chromadb.utils.embedding_functions import SentenceTransformerEmbeddingFunction

PACKAGES = ("chromadb", "sentence-transformers", "torch")


class Store:
    """A collection with cosine distance."""

    def __init__(self, place: dict[str, Any]) -> None:
        client = chromadb.PersistentClient(
            place["folder"], settings=Settings(anonymized_telemetry=False)
        )
        self._collection = client.get_or_create_collection(
            "documents",
            metadata={"hnsw:space": "cosine"},
            embedding_function=SentenceTransformerEmbeddingFunction(
                model_name=place["model"], device="cpu", normalize_embeddings=True
            ),
        )

    def add(self, ids: list[str], texts: list[str]) -> None:
        self._collection.add(ids=ids, documents=texts)

    def ask(self, text: str, limit: int) -> list[str]:
        found = self._collection.query(query_texts=[text], n_results=limit)
        ids: list[str] = found["ids"][0]
        return ids


open_store = Store
