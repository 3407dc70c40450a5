"""Staffroom: a teacher's question answered from a vetted library, with its sources.

A name's module is imported when the name is first used: whoever needs one waits for that one only.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
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

_MODULES: Final = {
    "app": ("App", "open_app"),
    "config": ("BATCH_SIZE", "SIMILARITY_THRESHOLD", "Settings", "load_settings"),
    "errors": (
        "ConfigError",
        "InputError",
        "InvalidScenario",
        "NotFoundError",
        "SearchError",
        "StaffroomError",
        "UnavailableError",
    ),
    "guide": (
        "ContentManager",
        "EmbeddingGenerator",
        "LLMService",
        "VectorAPI",
        "VectorCache",
        "VectorOperations",
        "process_large_dataset",
        "process_teacher_query",
        "update_teaching_content",
    ),
    "monitoring.error_tracking": ("track_vector_operation",),
    "types": ("Answer", "Filters", "Match", "Metadata", "Scenario", "SearchResult", "Sentence"),
}
_HOMES: Final = {name: module for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:  # which would take every name to be there

    def __getattr__(name: str) -> Any:
        """A public name, or a module of the package."""
        if name in _HOMES:
            found = getattr(import_module(f"staffroom.{_HOMES[name]}"), name)
        elif not name.startswith("_") and find_spec(f"staffroom.{name}"):
            found = import_module(f"staffroom.{name}")
        else:
            raise AttributeError(f"module 'staffroom' has no attribute {name!r}")
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
