"""Many rows in one call are stored in parts, one after the other, each in one transaction."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from staffroom.database.batch import Effect, Row, RowEffect, RowReader, errors_of, report
from staffroom.database.library import Library
from staffroom.database.seen import SeenKeys
from staffroom.errors import StaffroomError
from staffroom.types import ImportReport, RowError, Vectors

ROWS_AT_ONCE: Final = 512
"""Rows of a part: about half a second of writing, for which an editor's save has to wait."""


async def store_in_parts(
    library: Library, content: Sequence[Row], embeddings: Vectors | None
) -> ImportReport:
    """Every valid row is stored, in the order of the rows, with its ready embedding if one is
    given. Returns what became of them, numbered from 1.

    Raises: StaffroomError, which says how far it came, if a part cannot be stored: those before it
        are, and those after it are not.
    """
    counts: Counter[Effect] = Counter()
    errors: list[RowError] = []
    with closing(SeenKeys()) as seen, closing(SeenKeys()) as contents:
        reader = RowReader(seen, contents)
        for start in range(0, len(content), ROWS_AT_ONCE):
            rows = content[start : start + ROWS_AT_ONCE]
            ready = None if embeddings is None else embeddings[start : start + ROWS_AT_ONCE]
            try:
                effects = await _store_part(library, reader, start, rows, ready)
            except StaffroomError as error:
                if start:
                    error.args = (_with_progress(str(error), start, len(content)),)
                raise
            counts.update(effect.effect for effect in effects)
            errors += errors_of(effects)
    return report(counts, errors)


async def _store_part(
    library: Library, reader: RowReader, start: int, rows: Sequence[Row], ready: Vectors | None
) -> list[RowEffect]:
    valid, others = reader.read(enumerate(rows, start=start + 1))
    repeated = await library.repeated(valid)
    due = [row for row in valid if row.row not in repeated]
    theirs = None if ready is None else ready[[row.row - start - 1 for row in due]]
    effects = [*await library.store_numbered(due, theirs), *others, *repeated.values()]
    return sorted(effects, key=lambda effect: effect.row)


def _with_progress(message: str, done: int, total: int) -> str:
    return (
        f"{message} The first {done:,} of {total:,} rows are dealt with: those that are valid are "
        "stored. Give all rows again, and it goes on from there."
    )
