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
