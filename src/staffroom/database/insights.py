"""What the questions of the last days say of the library: what it lacks, and what serves."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

import numpy as np

from staffroom.database.connection import Connection, Database
from staffroom.database.statements import statement
from staffroom.errors import InputError
from staffroom.retrieval.calibration import Calibration, read_calibration, shipped_calibration
from staffroom.retrieval.grouping import group_by_meaning, same_cosine
from staffroom.types import Outcome, Vectors

MAX_DAYS: Final = 366

NEWEST_GAPS: Final = 2_000
"""Questions without an answer that are grouped; older ones are only counted."""

MOST_SCENARIOS: Final = 100
"""Scenarios that are named: of those most used, of those most judged, and of those not used."""

_CLOCKS_APART: Final = timedelta(days=1)
"""How far the clocks of the application and of the database may differ."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long answers took: half of them, and all but one in twenty, were ready by then.

    None where nothing was timed. The first sentence is what a reader waits for.
    """

    p50_ms: float | None = None
    p95_ms: float | None = None
    first_sentence_p50_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What was asked in a time, by outcome; how long it took, and what came from kept answers.

    `timed` are the exchanges whose time was taken, `from_cache` those of them that were
    answered without a search, because the same question had been answered before.
    """

    outcomes: Mapping[Outcome, int]
    timing: Timing = Timing()
    timed: int = 0
    from_cache: int = 0

    @property
    def asked(self) -> int:
        return sum(self.outcomes.values())

    @property
    def abstained(self) -> int:
        return self.outcomes["abstained"]

    @property
    def answered(self) -> int:
        return self.asked - self.abstained


NOTHING: Final = Tally({"written": 0, "direct": 0, "quoted": 0, "abstained": 0})


@dataclass(frozen=True, slots=True)
class GapQuestion:
    """A question without an answer, as it was understood."""

    interaction_id: UUID
    question: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class GapGroup:
    """Questions of one meaning that were not answered, the most central first."""

    questions: tuple[GapQuestion, ...]

    @property
    def label(self) -> str:
        """What the most central one says."""
        return self.questions[0].question

    @property
    def first(self) -> datetime:
        return min(question.created_at for question in self.questions)

    @property
    def last(self) -> datetime:
        return max(question.created_at for question in self.questions)


@dataclass(frozen=True, slots=True)
class ScenarioUse:
    """How many answers cited a scenario, and the verdicts on it.

    A verdict on a whole answer counts for every scenario that the answer cites.
    """

    id: UUID
    name: str
    used: int
    helpful: int
    not_helpful: int
    did_not_fit: int
    worked: int


@dataclass(frozen=True, slots=True)
class UnusedScenario:
    """A published scenario that no answer of the period cited."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightReport:
    """What a period says. `days` has every day from the first to the last, in UTC, oldest first.

    `gaps` are groups, largest first, of the newest 2,000 questions without an answer.
    `scenarios` come most used first; of the `unused_total` that were never used, `unused` names
    the first.
    """

    days: Mapping[date, Tally]
    total: Tally = NOTHING
    gaps: tuple[GapGroup, ...] = ()
    scenarios: tuple[ScenarioUse, ...] = ()
    unused: tuple[UnusedScenario, ...] = ()
    unused_total: int = 0


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the statements found."""

    days: Sequence[Mapping[str, Any]]
    scenarios: Sequence[Mapping[str, Any]]
    gaps: Sequence[Mapping[str, Any]]
    calibrations: Mapping[UUID, Calibration | None] = field(default_factory=dict)


class Insights:
    """What the exchanges of one tenant say."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        self._database = database
        self._tenant_id = tenant_id

    async def report(self, days: int, today: date | None = None) -> InsightReport:
        """What was asked on so many days, today being the last of them (in UTC).

        Raises: InputError unless there are 1 to 366 days.
        """
        if not 1 <= days <= MAX_DAYS:
            raise InputError(f"days is {days}; choose 1 to {MAX_DAYS}.")
        last = today or datetime.now(UTC).date()
        dates = [last - timedelta(days=back) for back in reversed(range(days))]
        since = datetime.combine(dates[0], time(), UTC)
        rows = await self._rows(since, since + timedelta(days=days))
        tallies = {row["day"]: _tally(row) for row in rows.days}
        used = [row for row in rows.scenarios if row["unused"] is None]
        unused = [row for row in rows.scenarios if row["unused"] is not None]
        return InsightReport(
            days={day: tallies.get(day, NOTHING) for day in dates},
            total=tallies.get(None, NOTHING),
            gaps=tuple(await asyncio.to_thread(_grouped, rows)),
            scenarios=tuple(map(_use, used)),
            unused=tuple(UnusedScenario(row["id"], row["name"]) for row in unused),
            unused_total=unused[0]["unused"] if unused else 0,
        )

    async def _rows(self, since: datetime, until: datetime) -> _Rows:
        """The statements are sent together, and only then read."""
        parameters = {
            "tenant_id": self._tenant_id,
            "since": since,
            "until": until,
            "first_id": first_id(since - _CLOCKS_APART),
        }
        async with self._database.read(self._tenant_id) as connection:
            days = await connection.execute(statement("insight_days"), parameters)
            scenarios = await connection.execute(
                statement("insight_scenarios"), {**parameters, "most": MOST_SCENARIOS}
            )
            gaps = await connection.execute(
                statement("insight_gaps"), {**parameters, "most": NEWEST_GAPS}, binary=True
            )
            calibrations = await _calibrations(connection, parameters)
            return _Rows(
                await days.fetchall(),
                await scenarios.fetchall(),
                await gaps.fetchall(),
                calibrations,
            )


def first_id(moment: datetime) -> UUID:
    """The smallest id that can have been made then: a UUID of version 7 begins with its time."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return UUID(int=milliseconds << 80)


async def _calibrations(
    connection: Connection, parameters: Mapping[str, Any]
) -> dict[UUID, Calibration | None]:
    cursor = await connection.execute(statement("insight_generations"), parameters)
    return {
        row["generation_id"]: read_calibration(row["calibration"]) or _shipped(row["model"])
        for row in await cursor.fetchall()
    }


_shipped: Final = cache(shipped_calibration)


def _tally(row: Mapping[str, Any]) -> Tally:
    timing = Timing(row["p50_ms"], row["p95_ms"], row["first_sentence_p50_ms"])
    outcomes = {outcome: row[outcome] for outcome in NOTHING.outcomes}
    return Tally(outcomes, timing, row["timed"], row["from_cache"])


def _use(row: Mapping[str, Any]) -> ScenarioUse:
    return ScenarioUse(**{name: row[name] for name in ScenarioUse.__slots__})


def _grouped(rows: _Rows) -> list[GapGroup]:
    """Vectors of two models are never compared: each model's questions are grouped apart."""
    groups: list[GapGroup] = []
    for generation_id, calibration in rows.calibrations.items():
        asked = [row for row in rows.gaps if row["generation_id"] == generation_id]
        if not asked:
            continue
        vectors: Vectors = np.stack([row["embedding"].to_numpy() for row in asked]).astype(
            np.float32
        )
        groups += (
            GapGroup(tuple(_question(asked[number]) for number in group))
            for group in group_by_meaning(vectors, same_cosine(calibration))
        )
    return sorted(groups, key=lambda group: (-len(group.questions), -group.last.timestamp()))


def _question(row: Mapping[str, Any]) -> GapQuestion:
    return GapQuestion(row["interaction_id"], row["asked"], row["created_at"])
