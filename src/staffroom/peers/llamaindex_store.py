"""LlamaIndex: PGVectorStore with an HNSW index."""

from typing import Any

from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.vector_stores.postgres import PGVectorStore

PACKAGES = (
    "llama-index-vector-stores-postgres",
    "llama-index-core",
    "sentence-transformers",
    "torch",
)


class Store:
    """LlamaIndex's own table."""

    def __init__(self, place: dict[str, Any]) -> None:
        at = place["database"]
        rest = f"://{at['user']}@/{at['dbname']}?host={at['host']}&port={at['port']}"
        store = PGVectorStore(
            connection_string=f"postgresql+psycopg2{rest}",
            async_connection_string=f"postgresql+asyncpg{rest}",
            table_name="documents",
            schema_name="public",
            embed_dim=384,
            hnsw_kwargs={
                "hnsw_m": 16,
                "hnsw_ef_construction": 64,
                "hnsw_ef_search": 40,
                "hnsw_dist_method": "vector_cosine_ops",
            },
        )
        self._index = VectorStoreIndex.from_vector_store(
            store, embed_model=HuggingFaceEmbedding(model_name=place["model"], device="cpu")
        )

    def add(self, ids: list[str], texts: list[str]) -> None:
        nodes = [TextNode(id_=each, text=text) for each, text in zip(ids, texts, strict=True)]
        self._index.insert_nodes(nodes)

    def ask(self, text: str, limit: int) -> list[str]:
        found = self._index.as_retriever(similarity_top_k=limit).retrieve(text)
        return [each.node.node_id for each in found]


open_store = Store
