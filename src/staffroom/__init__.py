"""Staffroom: a teacher's question answered from a vetted library, with its sources."""

from staffroom.app import App, open_app
from staffroom.config import BATCH_SIZE, SIMILARITY_THRESHOLD, Settings, load_settings
from staffroom.errors import (
    ConfigError,
    InputError,
    InvalidScenario,
    NotFoundError,
    SearchError,
    StaffroomError,
    UnavailableError,
)
from staffroom.guide import (
    ContentManager,
    EmbeddingGenerator,
    LLMService,
    VectorAPI,
    VectorCache,
    VectorOperations,
    process_large_dataset,
    process_teacher_query,
    update_teaching_content,
)
from staffroom.monitoring.error_tracking import track_vector_operation
from staffroom.types import Answer, Filters, Match, Metadata, Scenario, SearchResult, Sentence

__all__ = [
    "BATCH_SIZE",
    "SIMILARITY_THRESHOLD",
    "Answer",
    "App",
    "ConfigError",
    "ContentManager",
    "EmbeddingGenerator",
    "Filters",
    "InputError",
    "InvalidScenario",
    "LLMService",
    "Match",
    "Metadata",
    "NotFoundError",
    "Scenario",
    "SearchError",
    "SearchResult",
    "Sentence",
    "Settings",
    "StaffroomError",
    "UnavailableError",
    "VectorAPI",
    "VectorCache",
    "VectorOperations",
    "load_settings",
    "open_app",
    "process_large_dataset",
    "process_teacher_query",
    "track_vector_operation",
    "update_teaching_content",
]
