"""How many rows are dealt with together: by their length, not by their number alone."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from staffroom.content.formats import FileRow
from staffroom.types import ScenarioContent

MAX_TOKENS: Final = 64_000
"""Of a batch, but for its last row. About 140 long scenarios with their questions: a checkpoint
every few seconds, and no memory for thousands of long rows."""

CHARACTERS_PER_TOKEN: Final = 4
"""Of prose. Tokenising everything twice would cost more than a better guess is worth."""


def next_batch(rows: Iterator[FileRow], most: int) -> list[FileRow]:
    """The next rows, as many as the budget allows and one at least; none at the end."""
    taken: list[FileRow] = []
    left = MAX_TOKENS * CHARACTERS_PER_TOKEN
    for row in islice(rows, most):
        taken.append(row)
        left -= _characters(row.values)
        if left <= 0:
            break
    return taken


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, ScenarioContent):
        questions = sum(map(len, value.example_questions))
        return len(value.description) + len(value.expected_response) + questions
    if isinstance(value, Mapping):
        return sum(map(_characters, value.values()))
    return sum(map(_characters, value)) if isinstance(value, list | tuple) else 0
