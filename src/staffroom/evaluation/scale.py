"""How searching changes as a library grows: time, recall, the index's size and what it costs.

One library grows from size to size. At each, its index is built anew after the rows are there, the
searches take turns, and what they find is held against a comparison with every vector as it is
stored, in half precision. What that precision itself loses is told apart.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final, Literal, TypedDict
from uuid import UUID

import numpy as np

from staffroom.config import DEFAULT_TENANT
from staffroom.database.connection import Database
from staffroom.database.copying import count_rows
from staffroom.database.generations import open_generation
from staffroom.database.index_kinds import (
    BINARY,
    FULL,
    HALF,
    Built,
    IndexKind,
    Walks,
    index_megabytes,
    indexed,
)
from staffroom.database.search import Searcher, Wanted
from staffroom.database.statements import statement
from staffroom.database.vector_index import build_vector_index, drop_vector_index
from staffroom.evaluation.benchmark import nearby, starter_vectors, synthetic_rows
from staffroom.evaluation.golden import golden_questions
from staffroom.evaluation.scratch import ScratchTables, peak_megabytes, scratch_tables
from staffroom.evaluation.turns import Nearest, Search, Way, take_turns
from staffroom.retrieval.calibration import Calibration
from staffroom.types import Embedder, Filters, Mode, Progress, ProgressListener, Vectors

LEAST_SCENARIOS: Final = 200
MOST_SCENARIOS: Final = 10_000_000

QUESTIONS: Final = 40
ROUNDS: Final = 5
LIMIT: Final = 10
STORED_AT_ONCE: Final = 4_096

PARTS: Final = 50
"""The filter lets one scenario in so many pass."""

MOST_COMPARED: Final = 20_000
"""Up to here both ways are measured, whichever the library takes."""

MOST_KINDS: Final = 100_000
"""Up to here other kinds of index are built and measured too."""

WIDTHS: Final = (40, 100, 200, 400, 800)
WANTED_RECALL: Final = 0.99

LEARNED_FROM: Final = 60
"""Questions after which the library has settled how far its walks go, or goes on to the next."""

PART: Final = 7
ALL: Final = Filters()
FEW: Final = Filters(categories=(f"Part {PART}",))

QUERIES_SEED: Final = 1 << 32


class Kind(TypedDict):
    """An index, and the least width of a walk whose recall is as wanted, or the greatest tried."""

    index: str
    build_s: float
    megabytes: float
    ef_search: int
    recall: float
    p50_ms: float


class Size(TypedDict):
    """A library of so many scenarios. `half` is the share of the nearest ten in full precision that
    are the nearest in half precision, too."""

    rows: int
    half: float
    stored_per_s: float
    build_s: float
    index_mb: float
    searches: list[Search]
    kinds: list[Kind]


class ScaleReport(TypedDict):
    """What was measured at each size, and the most memory that the process had."""

    bench: Literal["scale"]
    dimensions: int
    questions: int
    sizes: list[Size]
    memory_mb: float | None


async def bench_scale(
    database: Database,
    embedder: Embedder,
    sizes: Sequence[int],
    progress: ProgressListener | None = None,
) -> ScaleReport:
    """Search among so many synthetic scenarios, in a scratch library that grows from size to size.
    Nothing of it is kept."""
    centres = await starter_vectors(embedder)
    known = await open_generation(database, DEFAULT_TENANT, embedder.model, embedder.dimensions)
    async with scratch_tables(database, embedder, progress) as scratch:
        growing = _Growing(scratch, centres, known.calibration)
        found = [await growing.measured_at(rows) for rows in sorted(set(sizes))]
    return ScaleReport(
        bench="scale",
        dimensions=embedder.dimensions,
        questions=QUESTIONS,
        sizes=found,
        memory_mb=peak_megabytes(),
    )


class _Growing:
    """A scratch library that grows, and what is nearest in it to each of the questions."""

    def __init__(
        self, scratch: ScratchTables, centres: Vectors, calibration: Calibration | None
    ) -> None:
        self._scratch = scratch
        self._centres = centres
        self._generation = replace(scratch.generation, calibration=calibration)
        self._source = numbered_rows()
        self._rows = 0
        self._queries = nearby(centres, QUESTIONS, seed=QUERIES_SEED)
        halved = in_half(self._queries)
        self._texts = [question.text for question in golden_questions()][:QUESTIONS]
        self._in_full = Nearest.of(self._queries, LIMIT)
        self._of_all = Nearest.of(halved, LIMIT)
        self._of_few = Nearest.of(halved, LIMIT)

    async def measured_at(self, rows: int) -> Size:
        """The library has so many scenarios, and an index that was built when they were there."""
        database, generation = self._scratch.database, self._generation
        await drop_vector_index(database, generation)
        before, started = self._rows, time.perf_counter()
        await self._grow(rows)
        stored = time.perf_counter() - started
        await count_rows(database, generation)
        built = await build_vector_index(database, generation)
        searches = await self._searches()
        megabytes = await index_megabytes(database, generation.vectors_index)
        return Size(
            rows=rows,
            half=self._of_all.agreement(self._in_full),
            stored_per_s=(rows - before) / stored,
            build_s=built,
            index_mb=megabytes,
            searches=searches,
            kinds=await self._kinds(Built(built, megabytes)),
        )

    async def _grow(self, rows: int) -> None:
        while self._rows < rows:
            content = list(islice(self._source, min(STORED_AT_ONCE, rows - self._rows)))
            vectors = nearby(self._centres, len(content), seed=self._rows)
            await self._scratch.library.batch_store_content(content, vectors)
            numbers = np.arange(self._rows, self._rows + len(content))
            few = numbers % PARTS == PART
            halved = in_half(vectors)
            self._in_full.add(numbers, vectors)
            self._of_all.add(numbers, halved)
            self._of_few.add(numbers[few], halved[few])
            self._rows += len(content)
            if self._scratch.progress:
                self._scratch.progress(Progress("Storing", self._rows, rows, "rows"))

    async def _searches(self) -> list[Search]:
        database, generation = self._scratch.database, self._generation
        tenant_id = self._scratch.library.tenant_id
        of_all, of_few = await self._ids(self._of_all), await self._ids(self._of_few)
        searcher = Searcher(database, generation)
        width = await self._learned(searcher, ALL)
        ways = [
            Way("by meaning", self._asked(searcher, ALL), of_all, width),
            Way("by meaning and words", self._asked(searcher, ALL, "hybrid"), None, width),
            Way(
                f"by meaning, one in {PARTS}",
                self._asked(searcher, FEW),
                of_few,
                await self._learned(searcher, FEW),
            ),
        ]
        if self._rows <= MOST_COMPARED:
            walking, comparing = (
                Searcher(database, generation, 0, 0),
                Searcher(database, generation, MOST_COMPARED, MOST_COMPARED),
            )
            ways += [
                Way("by index", self._asked(walking, ALL), of_all, width),
                Way("by comparing all", self._asked(comparing, ALL), of_all),
            ]
        async with database.transaction(tenant_id) as connection:
            bare = Walks(connection, generation, HALF, tenant_id)
            await bare.keep(width)
            ways.append(Way("the bare statement", self._walked(bare), of_all, width))
            await take_turns(ways, QUESTIONS, ROUNDS)
        return [way.told() for way in ways]

    def _asked(
        self, searcher: Searcher, filters: Filters, mode: Mode = "meaning"
    ) -> Callable[[int], Awaitable[list[UUID]]]:
        async def search(number: int) -> list[UUID]:
            wanted = Wanted(self._texts[number], self._queries[number], LIMIT, filters, mode)
            found = await searcher.find(self._scratch.library.tenant_id, wanted)
            return [match.scenario.id for match in found]

        return search

    def _walked(self, walks: Walks) -> Callable[[int], Awaitable[list[UUID]]]:
        return lambda number: walks.nearest(self._queries[number], LIMIT)

    async def _learned(self, searcher: Searcher, filters: Filters) -> int:
        """How far walks go, after so many questions were measured that this does not change."""
        search = self._asked(searcher, filters)
        width, before = await searcher.width(filters), 0
        while width != before:
            before = width
            for number in range(LEARNED_FROM):
                # One in five is sampled: never the same ones again.
                await search(number % (QUESTIONS - 1))
                width = await searcher.width(filters)
        return width

    async def _ids(self, nearest: Nearest) -> list[set[UUID]]:
        """The ids of the scenarios that are nearest to each question."""
        numbers = [str(number) for number in np.unique(nearest.numbers)]
        query = statement("known_scenarios", self._generation.vectors_table)
        tenant_id = self._scratch.library.tenant_id
        key = {"tenant_id": tenant_id, "source_ids": numbers}
        rows = await self._scratch.database.fetch(tenant_id, query, key)
        ids = {row["source_id"]: row["scenario_id"] for row in rows}
        return [{ids[str(number)] for number in each if number >= 0} for each in nearest.numbers]

    async def _kinds(self, half: Built) -> list[Kind]:
        """The index that libraries have, and where they are not too many, others beside it."""
        kinds = [await self._measured(HALF, half)]
        if self._rows <= MOST_KINDS:
            for kind in (FULL, BINARY):
                async with indexed(self._scratch.database, self._generation, kind) as built:
                    kinds.append(await self._measured(kind, built))
        return kinds

    async def _measured(self, kind: IndexKind, built: Built) -> Kind:
        """The least width whose recall is as wanted, or the greatest, with what it takes."""
        tenant_id = self._scratch.library.tenant_id
        nearest = await self._ids(self._in_full if kind is FULL else self._of_all)
        async with self._scratch.database.transaction(tenant_id) as connection:
            walks = Walks(connection, self._generation, kind, tenant_id)
            for width in WIDTHS:
                await walks.keep(width)
                way = Way(kind.name, self._walked(walks), nearest, width)
                await take_turns([way], QUESTIONS, ROUNDS)
                told = way.told()
                if (told["recall"] or 0) >= WANTED_RECALL:
                    break
        return Kind(
            index=kind.name,
            build_s=built.seconds,
            megabytes=built.megabytes,
            ef_search=width,
            recall=told["recall"] or 0,
            p50_ms=told["p50_ms"],
        )


def in_half(vectors: Vectors) -> Vectors:
    """The vectors as they are stored."""
    return vectors.astype(np.float16).astype(np.float32)


def numbered_rows() -> Iterator[Mapping[str, Any]]:
    """Synthetic scenarios without end, one in so many of which the filter lets pass."""
    for number, row in enumerate(synthetic_rows()):
        yield {**row, "category": f"Part {number % PARTS}"}
