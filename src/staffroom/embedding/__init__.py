"""Text becomes vectors: EmbeddingGenerator and the models it runs."""
