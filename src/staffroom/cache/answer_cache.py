"""AnswerCache: the same question to the same library gets the same answer at once.

Exact only: a question that merely looks alike is another question. Everything that an answer
depends on is in the key, so that a changed library or writer never shows an old answer.
"""

import threading
from collections import OrderedDict
from typing import Final, NamedTuple
from uuid import UUID

from staffroom.monitoring.metrics import (
    ANSWER_CACHE_ENTRIES,
    ANSWER_CACHE_EVICTIONS,
    ANSWER_CACHE_HITS,
    ANSWER_CACHE_MISSES,
)
from staffroom.types import Answer, Filters

KEPT_ANSWERS: Final = 1_000


class AnswerKey(NamedTuple):
    """All that an answer depends on. `library` grows with every change of the tenant's scenarios;
    `recipe` is writer, model and prompt."""

    tenant_id: UUID
    filters: Filters
    limit: int
    threshold: float
    library: int
    model: str
    recipe: str
    question: str


def normalised(question: str) -> str:
    """The question without what makes no difference: case, spacing, a mark at the end."""
    return " ".join(question.casefold().split()).rstrip(" ?!.")


class AnswerCache:
    """At most `size` answers, the least recently used leaving first."""

    def __init__(self, size: int = KEPT_ANSWERS) -> None:
        self._size = size
        self._kept: OrderedDict[AnswerKey, Answer] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: AnswerKey) -> Answer | None:
        """The answer that was given to exactly this before."""
        with self._lock:
            answer = self._kept.get(key)
            if answer is None:
                ANSWER_CACHE_MISSES.inc()
            else:
                self._kept.move_to_end(key)
                ANSWER_CACHE_HITS.inc()
        return answer

    def keep(self, key: AnswerKey, answer: Answer) -> None:
        """The answer is known from now on, if a writer finished it: no stopgap is kept."""
        if answer.outcome not in {"written", "direct"}:
            return
        with self._lock:
            self._kept[key] = answer
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
                ANSWER_CACHE_EVICTIONS.inc()
            ANSWER_CACHE_ENTRIES.set(len(self._kept))
