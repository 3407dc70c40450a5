"""How fast rows come into a library, beside what bounds that: bare COPY, and the embedder alone.

Both sides take turns, batch by batch, on tables of the same size: what else the machine does
slows both, and their ratio is what carries over.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle, islice
from typing import Any, Final

import numpy as np

from staffroom.content.importer import Importer
from staffroom.content.starter import starter_rows
from staffroom.database.connection import Database
from staffroom.database.copying import copied_beside, count_rows
from staffroom.database.vector_index import build_vector_index, drop_vector_index
from staffroom.evaluation.benchmark import (
    Comparison,
    comparison,
    nearby,
    starter_vectors,
    synthetic_rows,
)
from staffroom.evaluation.scratch import ScratchTables, peak_megabytes, scratch_tables
from staffroom.scenario import embedded_text, scenario_from
from staffroom.types import Embedder, Progress, ProgressListener, Vectors

READY_AT_ONCE: Final = 4_096
"""Rows with ready vectors of a call, which stores them in parts, before it is COPY's turn."""

TEXTS_AT_ONCE: Final = 4_096
"""Rows to be embedded that are imported, then embedded alone, before it is the import's turn."""

WARM_UP: Final = 512
WARM_UP_SEED: Final = 1 << 32

LEAST_READY: Final = 256
LEAST_TEXTS: Final = 64

QUESTIONS: Final = 100
ASKED_BETWEEN: Final = 8
"""Questions in a library that nobody writes to: after the import, and after turns of COPY."""

PAUSE_SECONDS: Final = 0.25
"""Between two questions of one reader: they measure waiting, not what a core can do."""

ASKED_SHARE: Final = 8
"""One part in so many rows to be embedded is imported besides while questions are asked."""


@dataclass(slots=True)
class _Turns:
    """The rows of each turn and the seconds of both sides; what questions had to wait while ours
    was at work, and while it was not."""

    rows: list[int] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)


async def bench_ingest(
    database: Database,
    embedder: Embedder,
    *,
    ready: int,
    texts: int,
    progress: ProgressListener | None = None,
) -> list[Comparison]:
    """Rows with ready vectors against COPY of the same finished rows into the same tables, without
    and with the vector index; rows as long as the starter library's against the embedder alone; how
    long questions take meanwhile; and what memory it takes. Nothing of it is kept.

    Where no rows or no texts are wanted, that part is left out.
    """
    await embedder.embed(["Is the model loaded?"], "query")
    before = peak_megabytes()
    found: list[Comparison] = []
    if ready:
        found += await _bench_ready(database, embedder, ready, progress)
    if texts:
        async with scratch_tables(database, embedder, progress) as scratch:
            imported = await _imported_beside_embedder(scratch, texts)
        found += [
            _rates(f"{texts:,} rows embedded and stored, against the embedder alone", imported),
            *_waits("search while they were imported, against idle", imported),
        ]
    return found + _memory(before)


async def _bench_ready(
    database: Database, embedder: Embedder, rows: int, progress: ProgressListener | None
) -> list[Comparison]:
    async with scratch_tables(database, embedder, progress) as scratch:
        await drop_vector_index(database, scratch.generation)
        bare = await _stored_beside_copy(scratch, rows, "Storing, no vector index")
        built = await build_vector_index(database, scratch.generation)
    async with scratch_tables(database, embedder, progress) as scratch:
        indexed = await _stored_beside_copy(scratch, rows, "Storing", asked=True)
    return [
        _rates(f"{rows:,} ready rows stored without the vector index, against COPY", bare),
        _alone(f"vector index of {rows:,} rows built", built, "s"),
        _rates(f"{rows:,} ready rows stored with it, against COPY with it", indexed),
        _built_afterwards(bare, built, indexed),
        *_waits("search while they were stored, against idle", indexed),
    ]


async def _stored_beside_copy(
    scratch: ScratchTables, rows: int, task: str, *, asked: bool = False
) -> _Turns:
    """Where questions are asked, they are in every second turn, whose time is not counted."""
    turns = _Turns()
    library = scratch.library
    source = synthetic_rows()
    centres = await starter_vectors(scratch.embedder)
    await _warm_up(scratch, centres)
    at_once = min(READY_AT_ONCE, -(-rows // 2))
    async with copied_beside(scratch.database, library.tenant_id, scratch.generation) as copied:
        await copied.copy_new()
        for number, start in enumerate(range(0, rows, at_once)):
            size = min(at_once, rows - start)
            content = list(islice(source, size))
            batch = nearby(centres, size, seed=number)
            storing = asyncio.create_task(_seconds(library.batch_store_content(content, batch)))
            if asked and number % 2:
                turns.busy += await _questions(scratch, until=storing)
                await storing
                await copied.copy_new()
                turns.idle += await _questions(scratch, most=ASKED_BETWEEN)
            else:
                turns.ours.append(await storing)
                turns.theirs.append(await copied.copy_new())
                turns.rows.append(size)
            if scratch.progress:
                scratch.progress(Progress(task, start + size, rows, "rows"))
    return turns


async def _imported_beside_embedder(scratch: ScratchTables, texts: int) -> _Turns:
    turns = _Turns()
    library, embedder = scratch.library, scratch.embedder
    rows = _like_starter()
    await _warm_up(scratch, await starter_vectors(embedder))
    while part := list(islice(rows, min(TEXTS_AT_ONCE, texts - sum(turns.rows)))):
        turns.ours.append(await _seconds(Importer(library).import_rows(part)))
        turns.theirs.append(await _seconds(_embedded(embedder, part)))
        turns.rows.append(len(part))
        if scratch.progress:
            scratch.progress(Progress("Embedding and storing", sum(turns.rows), texts, "rows"))
    turns.idle += await _questions(scratch, most=QUESTIONS)
    part = list(islice(rows, min(TEXTS_AT_ONCE, max(64, texts // ASKED_SHARE))))
    importing = asyncio.create_task(_seconds(Importer(library).import_rows(part)))
    turns.busy += await _questions(scratch, until=importing)
    await importing
    return turns


async def _warm_up(scratch: ScratchTables, centres: Vectors) -> None:
    """A few rows are there, and the planner knows of them: for tables that it holds to be empty, as
    those that were just erased are, any index seems as good, until autovacuum has been there."""
    rows = [{"id": f"first-{n}", "text": f"Scenario {n} of the first."} for n in range(WARM_UP)]
    await scratch.library.batch_store_content(rows, nearby(centres, WARM_UP, seed=WARM_UP_SEED))
    await count_rows(scratch.database, scratch.generation)


async def _embedded(embedder: Embedder, rows: Sequence[Mapping[str, Any]]) -> None:
    contents = [scenario_from(row) for row in rows]
    await embedder.embed([embedded_text(content) for content in contents], "passage")
    await embedder.embed([q for content in contents for q in content.example_questions], "query")


async def _seconds(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def _questions(
    scratch: ScratchTables, *, most: int = sys.maxsize, until: "asyncio.Task[float] | None" = None
) -> list[float]:
    """The seconds that each question took, asked one after the other."""
    times: list[float] = []
    for question in islice(scratch.questions, most):
        times.append(await _seconds(scratch.library.search(question, 5, 0.0)))
        await asyncio.sleep(PAUSE_SECONDS)
        if until and until.done():
            break
    return times


def _like_starter() -> Iterator[Mapping[str, Any]]:
    """Rows without end, as long as those of the starter library and no two alike."""
    for number, row in zip(count(1), cycle(starter_rows()), strict=False):
        yield {**row, "id": f"bench-{number}", "name": f"{row['name']} ({number})"}


def _rates(what: str, turns: _Turns) -> Comparison:
    ours, theirs = (sum(turns.rows) / sum(seconds) for seconds in (turns.ours, turns.theirs))
    each = [theirs / ours for ours, theirs in zip(turns.ours, turns.theirs, strict=True)]
    low, high = (float(np.quantile(each, share)) for share in (0.25, 0.75))
    return Comparison(
        what=what, ours=ours, theirs=theirs, unit="rows/s", ratio=ours / theirs, spread=(low, high)
    )


def _built_afterwards(bare: _Turns, built: float, indexed: _Turns) -> Comparison:
    afterwards = sum(bare.rows) / (sum(bare.ours) + built)
    standing = sum(indexed.rows) / sum(indexed.ours)
    return Comparison(
        what="ready rows stored and the vector index then built, against with it standing",
        ours=afterwards,
        theirs=standing,
        unit="rows/s",
        ratio=afterwards / standing,
    )


def _waits(what: str, turns: _Turns) -> list[Comparison]:
    return [
        comparison(
            f"{what}: {share:.0%} of {len(turns.busy)} ready",
            [1000 * float(np.quantile(times, share)) for times in (turns.busy, turns.idle)],
            "ms",
        )
        for share in (0.5, 0.95)
    ]


def _alone(what: str, ours: float, unit: str) -> Comparison:
    return Comparison(what=what, ours=ours, theirs=None, unit=unit, ratio=None)


def _memory(before: float | None) -> list[Comparison]:
    peak = peak_megabytes()
    if peak is None or before is None:
        return []
    return [comparison("peak memory of this process, against before", [peak, before], "MB")]
