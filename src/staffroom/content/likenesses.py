"""Scenarios that may be one: compared as far as the time goes, and decided by a person."""

import time
from typing import Final
from uuid import UUID

from staffroom.database.likenesses import (
    Compared,
    Decision,
    Likeness,
    Likenesses,
    clean_reason,
    pair_of,
)
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError
from staffroom.types import Progress, ProgressListener

BUDGET_SECONDS: Final = 0.5
"""How long whoever opens the list waits for what was not compared yet; a batch more at most."""


async def compare_some(likenesses: Likenesses, seconds: float = BUDGET_SECONDS) -> Compared:
    """As many scenarios as the time allows stand beside their nearest others. Returns how far that
    is; the next call goes on. While somebody writes to the library, nothing is compared."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and await likenesses.compare():
        pass
    return await likenesses.compared()


async def compare_all(likenesses: Likenesses, progress: ProgressListener | None = None) -> Compared:
    """Every scenario stands beside its nearest others."""
    while await likenesses.compare(patient=True):
        if progress:
            compared = await likenesses.compared()
            progress(Progress("Comparing scenarios", compared.done, compared.total, "rows"))
    return await likenesses.compared()


async def decide(
    vector_ops: VectorOperations,
    one: UUID,
    other: UUID,
    decision: Decision,
    *,
    author: str,
    keep: UUID | None = None,
    reason: str = "",
    revisions: dict[UUID, int] | None = None,
) -> Likeness:
    """That is decided of the two scenarios; of a merge, `keep` is the one that stays.

    `revisions` are those that whoever decides has read. Raises: InputError if a merge keeps none
    of them, or another decision one; NotFoundError; EditConflict if one has another revision by
    now; ConflictError if something else was decided before, or one is retired.
    """
    pair = pair_of(one, other, revisions)
    because = clean_reason(reason)
    if decision == "merged":
        if keep is None:
            raise InputError(f"a merge keeps one of the two. Say which: {one} or {other}.")
        return await vector_ops.merging.merge(pair, keep, author=author, reason=because)
    if keep is not None:
        raise InputError("only a merge keeps one of the two; this decision keeps both.")
    return await vector_ops.likenesses.decide(pair, decision, author=author, reason=because)
