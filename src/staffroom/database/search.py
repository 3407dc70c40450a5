"""The scenarios that fit best, by meaning and by words: exact where that is fast, by index else.

A walk through an approximate index can miss neighbours and can return fewer rows
than there are. So a scope that is small is compared whole, and a walk that comes
back short is done again exactly, and counted.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import numpy as np
from pgvector import HalfVector
from psycopg.rows import DictRow

from staffroom.database.canary import RecallCanary
from staffroom.database.connection import Connection, Database
from staffroom.database.generations import Generation
from staffroom.database.rows import filter_parameters, scenario_from_row
from staffroom.database.statements import statement
from staffroom.monitoring.metrics import UNDER_RETURNED
from staffroom.retrieval.calibration import Calibration, Uncalibrated
from staffroom.retrieval.fusion import best_view, diverse
from staffroom.retrieval.standing import raised, weight
from staffroom.types import Array, Filters, Match, Mode, OutOfScope, Vector

EXACT_LIMIT: Final = 10_000
"""Scenarios in scope up to which every vector is compared."""

SIZE_SECONDS: Final = 5.0
"""How long a scope is remembered as small or large. Both ways stay correct meanwhile."""

MAX_REMEMBERED: Final = 1_000

DEPTH: Final = 50
"""Scenarios that each way contributes at least."""

SPARE: Final = 5
"""Matches beyond the limit that may take the place of near-identical ones."""

MOST_ASKED: Final = 64
"""Words of a question that are looked for, the rarest first."""

MOST_POSTINGS: Final = 4_000
"""Entries of the word index that a question reads, shared by its words. To read five times as many
changes no fused list of the first ten."""

LED: Final = 5
"""How many times as many scenarios as are wanted the way by words leads to, before the filters."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for. By words alone needs no embedding, by meaning alone no question."""

    question: str
    embedding: Vector | None
    limit: int
    filters: Filters
    mode: Mode = "hybrid"


@dataclass(frozen=True, slots=True)
class Candidates:
    """Scenarios that come into question, in no order, with the cosine to the best view and the
    share of the question's words of each; a part that was not asked for is 0."""

    ids: list[UUID]
    similarities: Array
    shares: Array
    languages: list[str]


def search_parameters(tenant_id: UUID, wanted: Wanted) -> dict[str, Any]:
    """What the statements that search take."""
    embedding = wanted.embedding if wanted.mode != "words" else None
    depth = max(DEPTH, wanted.limit + SPARE)
    return {
        **filter_parameters(tenant_id, wanted.filters),
        "question": wanted.question if wanted.mode != "meaning" else "",
        "embedding": None if embedding is None else HalfVector(embedding),
        "by_meaning": embedding is not None,
        "depth": depth,
        "most_led": LED * depth,
        "most_asked": MOST_ASKED,
        "most_postings": MOST_POSTINGS,
    }


class Searcher:
    """Finds the best matches within one generation."""

    def __init__(
        self, database: Database, generation: Generation, exact_limit: int = EXACT_LIMIT
    ) -> None:
        self._exact_limit = exact_limit
        self._database = database
        self._generation = generation
        self._calibration = generation.calibration or Uncalibrated()
        self._canary = RecallCanary(database, generation)
        self._small: dict[tuple[UUID, Filters], tuple[float, bool]] = {}

    async def find(self, tenant_id: UUID, wanted: Wanted) -> list[Match]:
        """The `limit` scenarios that fit best, or all that there are, best first.

        By words alone, only those that have one of the question's words.
        """
        async with self._database.read(tenant_id) as connection:
            candidates = await self._candidates(connection, tenant_id, wanted)
            order, relevances = ranked(self._calibration, candidates, wanted.mode)
            chosen = [candidates.ids[place] for place in order[: wanted.limit + SPARE]]
            rows = await self._matched(connection, tenant_id, chosen)
        # A scenario that was deleted since its scores were read is among the chosen, not the rows.
        found = [
            (rows[scenario_id], relevance)
            for scenario_id, relevance in zip(chosen, relevances, strict=False)
            if scenario_id in rows
        ]
        return [_match(*each) for each in _told_once(_by_standing(found), wanted.limit)]

    async def candidates(self, tenant_id: UUID, wanted: Wanted) -> Candidates:
        """What comes into question, with the scores that are fitted on."""
        async with self._database.read(tenant_id) as connection:
            return await self._candidates(connection, tenant_id, wanted)

    def reason_against(
        self, question: str, embedding: Vector, best_relevance: float | None
    ) -> OutOfScope | None:
        """Why the library should not answer the question, if there is a reason."""
        return self._calibration.reason_against(question, embedding, best_relevance)

    async def _candidates(
        self, connection: Connection, tenant_id: UUID, wanted: Wanted
    ) -> Candidates:
        parameters = search_parameters(tenant_id, wanted)
        leads_past = wanted.filters.narrows or wanted.mode == "words"
        exact = "candidates_compared" if leads_past else "candidates_exact"
        if await self._is_small(connection, (tenant_id, wanted.filters), parameters):
            return read_candidates(await self._run(connection, exact, parameters))
        rows = await self._run(connection, "candidates_nearest", parameters)
        if parameters["by_meaning"] and (not rows or rows[0]["near"] < parameters["depth"]):
            UNDER_RETURNED.inc()
            return read_candidates(await self._run(connection, exact, parameters))
        if parameters["by_meaning"]:
            self._canary.consider(tenant_id, parameters, _column(rows, "similarity", 0.0))
        return read_candidates(rows)

    async def _matched(
        self, connection: Connection, tenant_id: UUID, chosen: Sequence[UUID]
    ) -> dict[UUID, DictRow]:
        if not chosen:
            return {}
        parameters = {"tenant_id": tenant_id, "scenario_ids": list(chosen)}
        rows = await self._run(connection, "matched", parameters)
        return {row["scenario_id"]: row for row in rows}

    async def _is_small(
        self, connection: Connection, scope: tuple[UUID, Filters], parameters: dict[str, Any]
    ) -> bool:
        now = time.monotonic()
        expires, small = self._small.get(scope, (0.0, False))
        if now < expires:
            return small
        cursor = await connection.execute(
            statement("scope_size"), {**parameters, "at_most": self._exact_limit + 1}
        )
        row = await cursor.fetchone()
        small = row is None or row["size"] <= self._exact_limit
        if len(self._small) >= MAX_REMEMBERED:
            self._small.clear()
        self._small[scope] = (now + SIZE_SECONDS, small)
        return small

    async def _run(
        self, connection: Connection, name: str, parameters: dict[str, Any]
    ) -> list[DictRow]:
        query = statement(name, self._generation.vectors_table)
        cursor = await connection.execute(query, parameters)
        return await cursor.fetchall()


def read_candidates(rows: Sequence[DictRow]) -> Candidates:
    """The candidates that rows of the fragment `scored` describe."""
    return Candidates(
        [row["scenario_id"] for row in rows],
        best_view(_column(rows, "similarity", 0.0), _column(rows, "example", -1.0)),
        _column(rows, "share", 0.0),
        [row["language"] for row in rows],
    )


def _column(rows: Sequence[DictRow], name: str, missing: float) -> Array:
    values = (missing if row[name] is None else row[name] for row in rows)
    return np.fromiter(values, np.float64, len(rows))


def ranked(
    calibration: Calibration | Uncalibrated, candidates: Candidates, mode: Mode
) -> tuple[list[int], list[float]]:
    """The places of the candidates, best first and by id where equal, with their relevances."""
    scores = calibration.scores(
        candidates.similarities, candidates.shares, candidates.languages, mode
    )
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], candidates.ids[place]))
    return order, calibration.relevances([float(scores[place]) for place in order], mode)


def _by_standing(found: Sequence[tuple[DictRow, float]]) -> Sequence[tuple[DictRow, float]]:
    """The rows with the relevance that reports of success leave them with, best first."""
    relevances = raised(
        [relevance for _, relevance in found], [weight(row["worked"]) for row, _ in found]
    )
    rows = (row for row, _ in found)
    return sorted(zip(rows, relevances, strict=True), key=lambda each: -each[1])


def _match(row: DictRow, relevance: float) -> Match:
    return Match(scenario_from_row(row), relevance, row["worked"])


def _told_once(
    found: Sequence[tuple[DictRow, float]], limit: int
) -> Sequence[tuple[DictRow, float]]:
    """What a list of that length shows of the rows."""
    if len(found) <= limit:
        return found
    vectors = np.stack([row["embedding"].to_numpy() for row, _ in found])
    return [found[place] for place in diverse(vectors, limit)]
