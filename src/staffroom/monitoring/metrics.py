"""Every instrument of Staffroom, defined once. The first three bear the guide's names.

`docs/monitoring.md`, `deploy/` and `staffroom metrics` are made from these definitions or held
against them. Labels come from closed sets: no label holds a text, a name or an id of anything that
people wrote.
"""

from typing import Final, get_args

from staffroom import errors
from staffroom.monitoring.instruments import (
    OTHER,
    Configured,
    Counter,
    Gauge,
    Histogram,
    Instrument,
    Reading,
    Values,
)
from staffroom.types import Outcome

_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_WAITED: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)
_REQUEST: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


def _all_errors(family: type[errors.StaffroomError]) -> list[str]:
    kin = family.__subclasses__()
    return [family.__name__, *(name for error in kin for name in _all_errors(error))]


ERRORS: Final = Values(*_all_errors(errors.StaffroomError)[1:], OTHER)
"""Classes of the error tree; any other one is a defect of the program."""

OPERATIONS: Final = Values()
"""What `track_vector_operation` was put before."""

OUTCOMES: Final = Values(*get_args(Outcome), "degraded", "safeguarding", "failed")
"""degraded: the writer failed, and what it had not said was quoted; safeguarding: the question was
one for the safeguarding lead; failed: there was no answer."""

WRITERS: Final = Values("extractive", "llama", "openai", "kept", "none", OTHER)
"""Kinds of writers. kept: the answer had been written before; none: nothing fitted."""

STAGES: Final = Values("embedding", "database", "ranking", "scope")
ROUTES: Final = Values(OTHER)
"""Templates of the routes that are served, admitted when the API is put together."""

METHODS: Final = Values("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OTHER)
STATUSES: Final = Values("1xx", "2xx", "3xx", "4xx", "5xx", OTHER)
"""Classes of HTTP statuses; other: the client left before there was one."""

REFUSALS: Final = Values("load", "queue", "host", "origin", "key", "size", "slow_body", "timeout")
TABLES: Final = Values(
    *("scenarios", "scenario_revisions", "vectors", "postings", "scenario_words", "vocabulary"),
    *("interactions", "interaction_matches", "feedback", "imports", "import_parts", OTHER),
)
"""Tables that grow; those of vectors, one per model, count together."""

EMBEDDING_TIME: Final = Histogram(
    "embedding_generation_seconds",
    "Time to embed",
    "time to embed one question or one batch, waiting for its turn included",
    "embedding",
    unit="seconds",
    bounds=_QUICK,
)
SEARCH_TIME: Final = Histogram(
    "vector_search_seconds",
    "Time to search",
    "time of a search, embedding of the question included where it was not given",
    "search",
    unit="seconds",
    bounds=_QUICK,
)
CACHE_HITS: Final = Counter(
    "vector_cache_hits_total",
    "Embeddings known",
    "embeddings that were found in the cache",
    "embedding",
)
CACHE_MISSES: Final = Counter(
    "vector_cache_misses_total",
    "Embeddings computed",
    "embeddings that the cache did not hold",
    "embedding",
)
CACHE_ENTRIES: Final = Gauge(
    "vector_cache_entries",
    "Embeddings kept",
    "embeddings in the cache",
    "embedding",
)
CACHE_EVICTIONS: Final = Counter(
    "vector_cache_evictions_total",
    "Embeddings pushed out",
    "embeddings that left a full cache for newer ones",
    "embedding",
)
EMBEDDING_QUEUE: Final = Gauge(
    "embedding_queue_length",
    "Being embedded",
    "calls that are being embedded or wait for it, questions and batches each by themselves",
    "embedding",
    labels={"lane": Values("question", "batch")},
)
OPERATION_TIME: Final = Histogram(
    "vector_operation_seconds",
    "Time of operations",
    "time of any other tracked operation",
    "search",
    unit="seconds",
    bounds=_QUICK,
    labels={"operation": OPERATIONS},
)
OPERATION_ERRORS: Final = Counter(
    "vector_operation_errors_total",
    "Failed operations",
    "tracked operations that failed, by class of error",
    "search",
    labels={"operation": OPERATIONS, "error": ERRORS},
)
STAGE_TIME: Final = Histogram(
    "retrieval_stage_seconds",
    "Time of a search by stage",
    "time of a part of a search: embedding the question, finding in the database, ranking what was "
    "found (which lies within the database's part), and deciding whether the question is in scope",
    "search",
    unit="seconds",
    bounds=_QUICK,
    labels={"stage": STAGES},
)
UNDER_RETURNED: Final = Counter(
    "vector_search_under_returned_total",
    "Searches done again",
    "index walks that came back short and were done again exactly",
    "search",
)
INDEX_RECALL: Final = Histogram(
    "vector_index_recall",
    "Recall of the index",
    "of one large search in 200: the share of the ten nearest scenarios that the index walk found",
    "search",
    unit="share",
    bounds=(0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0),
)
ANSWERS: Final = Counter(
    "answers_total",
    "Questions by outcome",
    "questions by how their answer came about: written; direct (an editor foresaw the question); "
    "quoted (the writer said too little); degraded (the writer failed, the advice was quoted); "
    "abstained; safeguarding; failed (no answer at all)",
    "questions",
    labels={"outcome": OUTCOMES},
)
FIRST_SENTENCE_TIME: Final = Histogram(
    "answer_first_sentence_seconds",
    "Time to the first sentence",
    "time from a question to the first sentence of its answer, by kind of writer",
    "questions",
    unit="seconds",
    bounds=_WAITED,
    labels={"writer": WRITERS},
)
ANSWER_TIME: Final = Histogram(
    "answer_seconds",
    "Time to the whole answer",
    "time from a question to its whole answer, by kind of writer",
    "questions",
    unit="seconds",
    bounds=_WAITED,
    labels={"writer": WRITERS},
)
SENTENCES: Final = Counter(
    "answer_sentences_total",
    "Sentences by verdict",
    "what the grounding check did with a writer's sentences",
    "questions",
    labels={"verdict": Values("passed", "replaced", "dropped")},
)
WRITER_FAILURES: Final = Counter(
    "writer_failures_total",
    "Failed writers",
    "writers that failed, by class of error",
    "questions",
    labels={"error": ERRORS},
)
ANSWER_CACHE_HITS: Final = Counter(
    "answer_cache_hits_total",
    "Answers given again",
    "answers that were given again without being written again",
    "questions",
)
ANSWER_CACHE_MISSES: Final = Counter(
    "answer_cache_misses_total",
    "Answers not known",
    "questions that could have been answered from memory and were not known",
    "questions",
)
ANSWER_CACHE_ENTRIES: Final = Gauge(
    "answer_cache_entries", "Answers kept", "answers in memory", "questions"
)
ANSWER_CACHE_EVICTIONS: Final = Counter(
    "answer_cache_evictions_total",
    "Answers pushed out",
    "answers that left a full memory for newer ones",
    "questions",
)
IMPORT_ROWS: Final = Counter(
    "import_rows_total",
    "Imported rows by result",
    "rows of imports by what became of them, dry runs left out",
    "imports",
    labels={"result": Values("new", "changed", "unchanged", "duplicate", "invalid")},
)
IMPORT_QUEUE: Final = Reading(
    "import_queue_length",
    "Imports under way",
    "imports that wait for a runner, are run or were paused",
    "imports",
    labels={"state": Values("waiting", "running", "paused")},
)
IMPORT_AGE: Final = Reading(
    "import_oldest_age_seconds",
    "Age of the oldest import",
    "how long ago the oldest import in that state came in; 0 if there is none",
    "imports",
    unit="seconds",
    labels={"state": Values("waiting", "running")},
)
DATABASE_UP: Final = Reading(
    "database_up",
    "Database answers",
    "1 if the database answered the scrape in time; 0 leaves out what is read from it",
    "database",
)
DATABASE_SIZE: Final = Reading(
    "database_size_bytes",
    "Size of the database",
    "what the database takes on its disk",
    "database",
    unit="bytes",
)
LIVE_ROWS: Final = Reading(
    "database_live_rows",
    "Rows by table",
    "rows that PostgreSQL's statistics count",
    "database",
    labels={"table": TABLES},
)
DEAD_ROWS: Final = Reading(
    "database_dead_rows",
    "Dead rows by table",
    "rows that were deleted or replaced and wait for a vacuum (PostgreSQL's dead tuples)",
    "database",
    labels={"table": TABLES},
)
POOL_CONNECTIONS: Final = Gauge(
    "database_pool_connections",
    "Database connections",
    "connections of the pools, idle or in use",
    "database",
    labels={"state": Values("idle", "used")},
)
POOL_LIMIT: Final = Gauge(
    "database_pool_limit", "Most connections", "connections that the pools may open", "database"
)
POOL_WAITING: Final = Gauge(
    "database_pool_waiting",
    "Waiting for a connection",
    "requests that wait for a database connection",
    "database",
)
POOL_REQUESTS: Final = Counter(
    "database_pool_requests_total",
    "Connections asked for",
    "times that a database connection was asked for",
    "database",
)
POOL_QUEUED: Final = Counter(
    "database_pool_queued_total",
    "Connections waited for",
    "times that none was free at once",
    "database",
)
POOL_WAIT: Final = Counter(
    "database_pool_wait_seconds_total",
    "Time waited for connections",
    "time that was spent waiting for a database connection",
    "database",
    unit="seconds",
)
POOL_FAILURES: Final = Counter(
    "database_pool_failures_total",
    "Connections not given",
    "times that no connection came in time or too many waited already",
    "database",
)
REQUESTS: Final = Counter(
    "http_requests_total",
    "Requests",
    "HTTP requests by route template, method and class of status",
    "server",
    labels={"route": ROUTES, "method": METHODS, "status": STATUSES},
    zeros=False,
)
REQUEST_TIME: Final = Histogram(
    "http_request_seconds",
    "Time of requests",
    "time from a request to the end of its response, streams of events to their last one",
    "server",
    unit="seconds",
    bounds=_REQUEST,
    labels={"route": ROUTES, "method": METHODS},
    zeros=False,
)
REFUSED: Final = Counter(
    "http_requests_refused_total",
    "Refused requests",
    "requests that were turned away: load (more than the process works on), queue (one inside was "
    "full), host, origin, key, size, slow_body (it stopped coming), timeout (no response began)",
    "server",
    labels={"reason": REFUSALS},
)
PROCESSES: Final = Gauge(
    "server_processes", "Processes", "processes of the server that answer", "server"
)
LIBRARY_VERSION: Final = Reading(
    "library_version",
    "Version of the library",
    "number of changes to the library of the tenant that is served",
    "server",
)
INFO: Final = Reading(
    "staffroom_info",
    "Versions",
    "1, with versions and models in its labels",
    "server",
    labels={
        name: Configured()
        for name in ("version", "embedder", "writer", "postgresql", "pgvector", "schema")
    },
)

INSTRUMENTS: Final[tuple[Instrument, ...]] = tuple(
    value for value in tuple(globals().values()) if isinstance(value, Instrument)
)
"""All of them, in the order of this file."""


def writer_kind(name: str) -> str:
    """The kind of the writer that has this name: what stands before the model's."""
    return WRITERS.member(name.partition(":")[0])
