"""What the questions of the last days say of the library: what it lacks, and what serves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from staffroom.database.connection import Database
from staffroom.database.gap_refresh import NEWEST_GAPS
from staffroom.database.gaps import GapQuestion, Gaps, GapState
from staffroom.database.statements import statement
from staffroom.errors import InputError
from staffroom.types import Outcome

MAX_DAYS: Final = 366

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
class Stages:
    """What answers that were searched for spent their time on, on average: so the parts make the
    whole. None where there were none."""

    embedding_ms: float | None = None
    search_ms: float | None = None
    writing_ms: float | None = None


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
    stages: Stages = Stages()

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
class AskedGap:
    """What was asked in a period of a group that waits for its answer, most central first.

    `words` tell the group from others; one that is drafted has its scenario being written.
    """

    id: UUID
    state: GapState
    words: Sequence[str]
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

    `gaps` are the groups, largest first, of the newest 2,000 questions that were failed, but for
    those that were answered since or dismissed.
    `scenarios` come most used first; of the `unused_total` that were never used, `unused` names
    the first.
    """

    days: Mapping[date, Tally]
    total: Tally = NOTHING
    gaps: tuple[AskedGap, ...] = ()
    scenarios: tuple[ScenarioUse, ...] = ()
    unused: tuple[UnusedScenario, ...] = ()
    unused_total: int = 0


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the statements found."""

    days: Sequence[Mapping[str, Any]]
    scenarios: Sequence[Mapping[str, Any]]
    gaps: Sequence[Mapping[str, Any]]


class Insights:
    """What the exchanges of one tenant say."""

    def __init__(self, database: Database, tenant_id: UUID, gaps: Gaps) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._gaps = gaps

    async def report(self, days: int, today: date | None = None) -> InsightReport:
        """What was asked on so many days, today being the last of them (in UTC).

        Raises: InputError unless there are 1 to 366 days.
        """
        if not 1 <= days <= MAX_DAYS:
            raise InputError(f"days is {days}; choose 1 to {MAX_DAYS}.")
        last = today or datetime.now(UTC).date()
        dates = [last - timedelta(days=back) for back in reversed(range(days))]
        since = datetime.combine(dates[0], time(), UTC)
        await self._gaps.refresh()
        rows = await self._rows(since, since + timedelta(days=days))
        tallies = {row["day"]: _tally(row) for row in rows.days}
        used = [row for row in rows.scenarios if row["unused"] is None]
        unused = [row for row in rows.scenarios if row["unused"] is not None]
        return InsightReport(
            days={day: tallies.get(day, NOTHING) for day in dates},
            total=tallies.get(None, NOTHING),
            gaps=tuple(_grouped(rows.gaps)),
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
                statement("insight_gaps"), {**parameters, "most": NEWEST_GAPS}
            )
            return _Rows(await days.fetchall(), await scenarios.fetchall(), await gaps.fetchall())


def first_id(moment: datetime) -> UUID:
    """The smallest id that can have been made then: a UUID of version 7 begins with its time."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return UUID(int=milliseconds << 80)


def _tally(row: Mapping[str, Any]) -> Tally:
    timing = Timing(row["p50_ms"], row["p95_ms"], row["first_sentence_p50_ms"])
    stages = Stages(**{name: row[name] for name in Stages.__slots__})
    outcomes = {outcome: row[outcome] for outcome in NOTHING.outcomes}
    return Tally(outcomes, timing, row["timed"], row["from_cache"], stages)


def _use(row: Mapping[str, Any]) -> ScenarioUse:
    return ScenarioUse(**{name: row[name] for name in ScenarioUse.__slots__})


def _grouped(rows: Sequence[Mapping[str, Any]]) -> list[AskedGap]:
    """The questions in their groups, the largest first, and of those the last asked."""
    groups: dict[UUID, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["group_id"], []).append(row)
    asked = [
        AskedGap(
            group_id, same[0]["state"], same[0]["words"], tuple(_question(row) for row in same)
        )
        for group_id, same in groups.items()
    ]
    return sorted(asked, key=lambda gap: (-len(gap.questions), -gap.last.timestamp()))


def _question(row: Mapping[str, Any]) -> GapQuestion:
    return GapQuestion(row["interaction_id"], row["question"], row["created_at"], row["kind"])
