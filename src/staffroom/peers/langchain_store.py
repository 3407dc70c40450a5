"""LangChain: PGVectorStore with an HNSW index."""

from typing import Any

from langchain_huggingface import HuggingFaceEmbeddings
from langchain_postgres import PGEngine, PGVectorStore
from langchain_postgres.v2.indexes import HNSWIndex

PACKAGES = ("langchain-postgres", "langchain-core", "sentence-transformers", "torch")

TABLE = "documents"


class Store:
    """LangChain's own table."""

    def __init__(self, place: dict[str, Any]) -> None:
        at = place["database"]
        engine = PGEngine.from_connection_string(
            f"postgresql+psycopg://{at['user']}@/{at['dbname']}?host={at['host']}&port={at['port']}"
        )
        if place["is_new"]:
            engine.init_vectorstore_table(TABLE, vector_size=384)
        embeddings = HuggingFaceEmbeddings(
            model_name=place["model"],
            model_kwargs={"device": "cpu"},
            encode_kwargs={"normalize_embeddings": True},
        )
        self._store = PGVectorStore.create_sync(engine, embeddings, TABLE)
        if place["is_new"]:
            self._store.apply_vector_index(HNSWIndex())

    def add(self, ids: list[str], texts: list[str]) -> None:
        self._store.add_texts(texts, metadatas=[{"document": each} for each in ids])

    def ask(self, text: str, limit: int) -> list[str]:
        found = self._store.similarity_search(text, k=limit)
        return [document.metadata["document"] for document in found]


open_store = Store
