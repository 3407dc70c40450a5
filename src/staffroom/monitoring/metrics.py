"""Every instrument of Staffroom. The first three bear the guide's names.

Labels come from closed sets: operation and error class, never a text or an id.
"""

from prometheus_client import Counter, Histogram

EMBEDDING_TIME = Histogram(
    "embedding_generation_seconds", "Time spent generating embeddings, one batch or question each"
)
SEARCH_TIME = Histogram("vector_search_seconds", "Time spent on vector similarity search")
CACHE_HITS = Counter("vector_cache_hits_total", "Embeddings found in the vector cache")
CACHE_MISSES = Counter("vector_cache_misses_total", "Embeddings the vector cache did not hold")
OPERATION_TIME = Histogram(
    "vector_operation_seconds", "Time spent on any other tracked operation", ["operation"]
)
OPERATION_ERRORS = Counter(
    "vector_operation_errors_total",
    "Operations that failed, by error class",
    ["operation", "error"],
)
UNDER_RETURNED = Counter(
    "vector_search_under_returned_total",
    "Index walks that found fewer scenarios than asked for and were done again exactly",
)
INDEX_RECALL = Histogram(
    "vector_index_recall",
    "Share of the true nearest scenarios that a sampled index walk found",
    buckets=(0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0),
)
ANSWERS = Counter("answers_total", "Answers given, by how they came about", ["outcome"])
SENTENCES = Counter(
    "answer_sentences_total",
    "Sentences that a writer wrote, by what the grounding check did with them",
    ["verdict"],
)
WRITER_FAILURES = Counter("writer_failures_total", "Writers that failed, by error class", ["error"])
FIRST_SENTENCE_TIME = Histogram(
    "answer_first_sentence_seconds", "Time from a question to the first sentence of its answer"
)
ANSWER_CACHE_HITS = Counter("answer_cache_hits_total", "Answers found in the answer cache")
