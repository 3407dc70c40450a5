"""The scenarios that fit best, by meaning and by words: exact where that is fast, by index else.

A walk through an approximate index can miss neighbours and can return fewer rows
than there are. So a scope that is small is compared whole, and a walk that comes
back short is done again exactly, and counted. The database scores, orders and reads
in one round trip (docs/decisions/0017-one-round-trip.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import numpy as np
from pgvector import HalfVector
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from staffroom.database.canary import RecallCanary
from staffroom.database.connection import Database
from staffroom.database.generations import Generation
from staffroom.database.isolation import EF_SEARCH
from staffroom.database.rows import filter_parameters, scenario_from_row
from staffroom.database.scope_sizes import ScopeSizes
from staffroom.database.statements import statement
from staffroom.monitoring.metrics import STAGE_TIME, UNDER_RETURNED
from staffroom.monitoring.tracing import stage_span
from staffroom.retrieval.calibration import Calibration, Uncalibrated
from staffroom.retrieval.fusion import EXAMPLES_WEIGHT, best_view, diverse
from staffroom.retrieval.standing import raised, weight
from staffroom.types import Array, Filters, Match, Mode, OutOfScope, Vector

EXACT_LIMIT: Final = 2_000
"""Scenarios in scope up to which every vector is compared. From about there on the index is faster
(docs/benchmarks.md)."""

EXACT_FILTERED_LIMIT: Final = 10_000
"""As EXACT_LIMIT, for a filter: a walk passes by what the filter leaves out."""

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
    depth = max(DEPTH, wanted.limit + SPARE)
    return {
        **filter_parameters(tenant_id, wanted.filters),
        "question": wanted.question,
        "embedding": None if wanted.embedding is None else HalfVector(wanted.embedding),
        "depth": depth,
        "most": wanted.limit + SPARE,
        "most_led": LED * depth,
        "most_asked": MOST_ASKED,
        "most_postings": MOST_POSTINGS,
        "examples_weight": EXAMPLES_WEIGHT,
    }


class Searcher:
    """Finds the best matches within one generation."""

    def __init__(
        self,
        database: Database,
        generation: Generation,
        exact_limit: int = EXACT_LIMIT,
        exact_filtered_limit: int = EXACT_FILTERED_LIMIT,
    ) -> None:
        self._database = database
        self._generation = generation
        self._calibration = generation.calibration or Uncalibrated()
        self._sizes = ScopeSizes(exact_limit, exact_filtered_limit)
        # A filter makes a walk pass by what it leaves out, which needs another width.
        self._walks = {narrows: RecallCanary(database, generation) for narrows in (False, True)}

    @STAGE_TIME.awaited("database")
    async def find(self, tenant_id: UUID, wanted: Wanted) -> list[Match]:
        """The `limit` scenarios that fit best, or all that there are, best first.

        By words alone, only those that have one of the question's words.
        """
        with stage_span("search", db__system__name="postgresql"):
            best = await self._best(tenant_id, wanted)
        return [_match(*each) for each in _told_once(_by_standing(best), wanted.limit)]

    async def _best(self, tenant_id: UUID, wanted: Wanted) -> list[tuple[DictRow, float]]:
        """The rows of the best, and some to spare, with their relevances."""
        parameters = search_parameters(tenant_id, wanted)
        weights = self._calibration.word_weights(wanted.mode)
        if weights is None:
            return await self._ranked_here(parameters, wanted)
        by_language, others = weights
        parameters |= {"word_weights": Jsonb(by_language), "other_words": others}
        rows = await self._asked("found", parameters, wanted)
        relevances = self._calibration.relevances([row["score"] for row in rows], wanted.mode)
        return list(zip(rows, relevances, strict=True))

    async def candidates(self, tenant_id: UUID, wanted: Wanted) -> Candidates:
        """What comes into question, with the scores that are fitted on."""
        parameters = search_parameters(tenant_id, wanted)
        return read_candidates(await self._asked("candidates", parameters, wanted))

    async def width(self, filters: Filters) -> int:
        """The candidates that a walk keeps, after what is being measured is known."""
        walk = self._walks[filters.narrows]
        await walk.settled()
        return walk.ef_search

    @STAGE_TIME.labels("scope").time()
    def reason_against(
        self, question: str, embedding: Vector, best_relevance: float | None
    ) -> OutOfScope | None:
        """Why the library should not answer the question, if there is a reason."""
        return self._calibration.reason_against(question, embedding, best_relevance)

    async def _ranked_here(
        self, parameters: dict[str, Any], wanted: Wanted
    ) -> list[tuple[DictRow, float]]:
        """The best rows with their relevances, where the places of all candidates decide."""
        candidates = read_candidates(await self._asked("candidates", parameters, wanted))
        order, relevances = ranked(self._calibration, candidates, wanted.mode)
        chosen = [candidates.ids[place] for place in order[: parameters["most"]]]
        query = statement("told", self._generation.vectors_table)
        key = {"tenant_id": parameters["tenant_id"], "scenario_ids": chosen}
        rows = await self._database.fetch(key["tenant_id"], query, key, keeps_plans=True)
        told = {row["scenario_id"]: row for row in rows}
        # A scenario that was deleted since its scores were read is chosen, and not told of.
        return [
            (told[scenario_id], relevance)
            for scenario_id, relevance in zip(chosen, relevances, strict=False)
            if scenario_id in told
        ]

    async def _asked(self, name: str, parameters: dict[str, Any], wanted: Wanted) -> list[DictRow]:
        """The rows of a statement about all candidates; one that comes back short is asked again
        of every scenario in scope."""
        tenant_id: UUID = parameters["tenant_id"]
        if await self._is_small(parameters, wanted.filters):
            return await self._run(name, parameters, wanted, exactly=True)
        walk = self._walks[wanted.filters.narrows]
        rows = await self._run(name, parameters, wanted, ef_search=walk.ef_search)
        if wanted.mode == "words":
            return rows
        if not rows or rows[0]["near"] < parameters["depth"]:
            UNDER_RETURNED.inc()
            return await self._run(name, parameters, wanted, exactly=True)
        walk.consider(tenant_id, parameters, _given(parameters))
        return rows

    async def _is_small(self, parameters: dict[str, Any], filters: Filters) -> bool:
        """Every scenario in scope is to be compared. Counted anew now and then."""
        tenant_id: UUID = parameters["tenant_id"]
        small = self._sizes.is_small(tenant_id, filters)
        if small is None:
            query = statement("scope_size", given=_given(parameters))
            most = self._sizes.limit(filters)
            rows = await self._database.fetch(tenant_id, query, {**parameters, "at_most": most + 1})
            small = self._sizes.keep(tenant_id, filters, rows[0]["size"])
        return small

    async def _run(
        self,
        name: str,
        parameters: dict[str, Any],
        wanted: Wanted,
        *,
        exactly: bool = False,
        ef_search: int = EF_SEARCH,
    ) -> list[DictRow]:
        query = statement(
            name,
            self._generation.vectors_table,
            legs=_legs(wanted, exactly=exactly),
            scores=_SCORES[wanted.mode],
            given=_given(parameters),
        )
        tenant_id: UUID = parameters["tenant_id"]
        # The rows of a small library are found by their keys, whatever else the tables hold. A walk
        # is planned for the tenant that it is for, and a filter for how much it leaves out.
        keeps_plans = exactly and not wanted.filters.narrows
        return await self._database.fetch(
            tenant_id, query, parameters, ef_search=ef_search, keeps_plans=keeps_plans
        )


_SCORES: Final[dict[Mode, str]] = {
    "hybrid": "scored",
    "meaning": "scored_by_meaning",
    "words": "scored_by_words",
}


def _legs(wanted: Wanted, *, exactly: bool) -> tuple[str, ...]:
    """The ways to the candidates, with what they need."""
    by_meaning = () if wanted.mode == "words" else ("near" if exactly else "walked",)
    if wanted.mode == "meaning":
        return by_meaning
    leads_past = exactly and (wanted.filters.narrows or wanted.mode == "words")
    by_words = "compared" if leads_past else "led_to"
    return ("spoken", "asked", "question", *by_meaning, by_words)


def _given(parameters: Mapping[str, Any]) -> frozenset[str]:
    """The parameters that restrict something: none is empty."""
    return frozenset(name for name, value in parameters.items() if value not in ([], None))


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


@STAGE_TIME.labels("ranking").time()
def _told_once(
    found: Sequence[tuple[DictRow, float]], limit: int
) -> Sequence[tuple[DictRow, float]]:
    """What a list of that length shows of the rows."""
    if len(found) <= limit:
        return found
    vectors = np.stack([row["embedding"].to_numpy() for row, _ in found])
    return [found[place] for place in diverse(vectors, limit)]
