"""The least that one would write by hand: sentence-transformers, psycopg and an HNSW index."""

from typing import Any

from pgvector.psycopg import register_vector
from psycopg_pool import ConnectionPool
from sentence_transformers import SentenceTransformer

PACKAGES = ("psycopg", "pgvector", "sentence-transformers", "torch")

TABLE = """
    CREATE TABLE documents (id text PRIMARY KEY, content text, embedding vector(384));
    CREATE INDEX ON documents USING hnsw (embedding vector_cosine_ops)
"""
ADD = "COPY documents (id, content, embedding) FROM STDIN WITH (FORMAT binary)"
ASK = "SELECT id, content FROM documents ORDER BY embedding <=> %s LIMIT %s"


class Store:
    """A table with one index."""

    def __init__(self, place: dict[str, Any]) -> None:
        self._model = SentenceTransformer(place["model"], device="cpu")
        self._pool = ConnectionPool(
            kwargs={**place["database"], "autocommit": True},
            configure=register_vector,
            min_size=4,
            max_size=16,
            open=True,
        )
        if place["is_new"]:
            with self._pool.connection() as connection:
                for part in TABLE.split(";"):
                    connection.execute(part)

    def add(self, ids: list[str], texts: list[str]) -> None:
        vectors = self._model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        with self._pool.connection() as connection, connection.cursor().copy(ADD) as copy:
            copy.set_types(["text", "text", "vector"])
            for row in zip(ids, texts, vectors, strict=True):
                copy.write_row(row)

    def ask(self, text: str, limit: int) -> list[str]:
        vector = self._model.encode(text, normalize_embeddings=True, show_progress_bar=False)
        with self._pool.connection() as connection:
            rows = connection.execute(ASK, (vector, limit)).fetchall()
        return [row[0] for row in rows]


open_store = Store
