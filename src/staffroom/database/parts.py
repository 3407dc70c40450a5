"""Rows are stored part by part, and the next part is prepared while one is stored."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Final, TypeVar

from staffroom.database.batch import (
    Effect,
    NumberedContent,
    Row,
    RowEffect,
    RowReader,
    errors_of,
    report,
)
from staffroom.database.items import Ahead
from staffroom.database.library import Library
from staffroom.database.seen import SeenKeys
from staffroom.errors import StaffroomError
from staffroom.types import ImportReport, RowError, Vectors

T = TypeVar("T")

ROWS_AT_ONCE: Final = 512
"""Rows of a part: about half a second of writing, for which an editor's save has to wait."""


@asynccontextmanager
async def one_ahead(make: Callable[[], Awaitable[T]]) -> AsyncIterator[Callable[[], Awaitable[T]]]:
    """What is made one after the other: each is begun when the one before it is taken.

    What nobody took is given up at the end of the block.
    """
    begun = asyncio.ensure_future(make())

    async def following() -> T:
        nonlocal begun
        made = await begun
        begun = asyncio.ensure_future(make())
        return made

    try:
        yield following
    finally:
        begun.cancel()
        await asyncio.gather(begun, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows to be stored, with what is made of them already, and the effects of the others."""

    due: Sequence[NumberedContent]
    others: Sequence[RowEffect]
    ready: Vectors | None
    ahead: Ahead


async def store_in_parts(
    library: Library, content: Sequence[Row], embeddings: Vectors | None
) -> ImportReport:
    """Every valid row is stored, in the order of the rows, with its ready embedding if one is
    given. Returns what became of them, numbered from 1.

    Each part is one transaction.
    Raises: StaffroomError, which says how far it came, if a part cannot be stored: those before it
        are, and those after it are not.
    """
    counts: Counter[Effect] = Counter()
    errors: list[RowError] = []
    starts = iter(range(0, len(content), ROWS_AT_ONCE))
    with closing(SeenKeys()) as seen, closing(SeenKeys()) as contents:
        reader = RowReader(seen, contents)

        async def prepare() -> _Part | None:
            start = next(starts, None)
            if start is None:
                return None
            valid, others = reader.read(enumerate(content[start : start + ROWS_AT_ONCE], start + 1))
            return await _prepared(library, valid, others, embeddings)

        try:
            async with library.loading(len(content)), one_ahead(prepare) as following:
                while part := await following():
                    effects = await library.store_numbered(part.due, part.ready, ahead=part.ahead)
                    effects = sorted([*effects, *part.others], key=lambda effect: effect.row)
                    counts.update(effect.effect for effect in effects)
                    errors += errors_of(effects)
        except StaffroomError as error:
            if done := counts.total():
                error.args = (_with_progress(str(error), done, len(content)),)
            raise
    return report(counts, errors)


async def _prepared(
    library: Library,
    valid: Sequence[NumberedContent],
    others: Sequence[RowEffect],
    embeddings: Vectors | None,
) -> _Part:
    repeated = await library.repeated(valid)
    due = [row for row in valid if row.row not in repeated]
    contents = [row.content for row in due]
    if embeddings is None:
        ready, ahead = None, await library.embed_ahead(contents)
    else:
        ready = embeddings[[row.row - 1 for row in due]]
        ahead = await library.words_ahead(contents, ready)
    return _Part(due, [*others, *repeated.values()], ready, ahead)


def _with_progress(message: str, done: int, total: int) -> str:
    return (
        f"{message} The first {done:,} of {total:,} rows are dealt with: those that are valid are "
        "stored. Give all rows again, and it goes on from there."
    )
