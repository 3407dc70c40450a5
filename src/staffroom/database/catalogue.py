"""The library as editors browse it: scenarios page by page, their history, and what there is to
filter by."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from staffroom.database.connection import Database
from staffroom.database.rows import content_from_row, filter_parameters, scenario_from_row
from staffroom.database.statements import statement
from staffroom.errors import InputError, NotFoundError
from staffroom.retrieval.aliases import grade_names, subject_names
from staffroom.scenario_life import today
from staffroom.types import Filters, Revision, Scenario

FACETS: Final = ("category", "grade_band", "subject", "status")


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a facet, and how many scenarios have it."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class DueCounts:
    """How many scenarios are past their review date, will be within so many days, or have none.
    None of them is retired."""

    overdue: int
    within_30: int
    within_90: int
    undated: int


class Catalogue:
    """The scenarios of one tenant, in the order in which they were written."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        self._database = database
        self._tenant_id = tenant_id

    async def get(self, scenario_id: UUID) -> Scenario:
        """The scenario as it is now. Raises: NotFoundError."""
        rows = await self._rows("get_scenario", {"scenario_id": scenario_id})
        if not rows:
            raise no_scenario(scenario_id)
        return scenario_from_row(rows[0])

    async def page(
        self, filters: Filters | None = None, limit: int = 100, after: UUID | None = None
    ) -> list[Scenario]:
        """The `limit` scenarios that follow the id `after`, oldest first."""
        parameters = filter_parameters(self._tenant_id, filters or Filters())
        rows = await self._rows("list_scenarios", {**parameters, "limit": limit, "after": after})
        return [scenario_from_row(row) for row in rows]

    async def count(self, filters: Filters) -> int:
        """How many scenarios are within the filters."""
        parameters = filter_parameters(self._tenant_id, filters)
        (row,) = await self._rows("scope_size", {**parameters, "at_most": None})
        return int(row["size"])

    async def due(
        self,
        days: int,
        limit: int = 100,
        after: tuple[date, UUID] | None = None,
        *,
        since: date | None = None,
    ) -> list[Scenario]:
        """What is to be reviewed within so many days from now, the most overdue first.

        Nothing that was to be before `since`, nor up to what has that date and id. What is retired
        waits for no review.
        """
        after_day, after_id = after or (None, None)
        until = today() + timedelta(days)
        bounds = {"since": since, "until": until, "after_day": after_day, "after": after_id}
        rows = await self._rows("list_due", {**bounds, "limit": limit})
        return [scenario_from_row(row) for row in rows]

    async def undated(self, limit: int = 100, after: UUID | None = None) -> list[Scenario]:
        """What has no review date and is not retired, oldest first."""
        rows = await self._rows("list_undated", {"limit": limit, "after": after})
        return [scenario_from_row(row) for row in rows]

    async def due_counts(self) -> DueCounts:
        """How much there is to be reviewed, and by when."""
        days = [today() + timedelta(ahead) for ahead in (-1, 30, 90)]
        counts = {row["day"]: row["size"] for row in await self._rows("count_due", {"days": days})}
        overdue, within_30, within_90 = (counts[day] for day in days)
        return DueCounts(overdue, within_30 - overdue, within_90 - within_30, counts[None])

    async def revisions(self, scenario_id: UUID) -> list[Revision]:
        """What the scenario said in each revision, oldest first. Raises: NotFoundError."""
        rows = await self._rows("list_revisions", {"scenario_id": scenario_id})
        if not rows:
            raise no_scenario(scenario_id)
        return [
            Revision(
                number=row["revision"],
                content=content_from_row(row),
                author=row["author"],
                reason=row["reason"],
                created_at=row["created_at"],
            )
            for row in rows
        ]

    async def facets(self, filters: Filters | None = None) -> dict[str, list[FacetValue]]:
        """Which values the scenarios within the filters have, the most frequent first.

        Statuses are counted as if they were not filtered by, so that another can be chosen.
        """
        parameters = filter_parameters(self._tenant_id, filters or Filters())
        found: dict[str, list[FacetValue]] = {facet: [] for facet in FACETS}
        for row in await self._rows("facets", parameters):
            found[row["facet"]].append(FacetValue(row["value"], row["size"]))
        return found

    async def check_filters(self, filters: Filters) -> None:
        """Each value that is filtered by exists, so that nothing found means nothing there.

        Raises: InputError naming the filter and the value that no scenario has.
        """
        if filters == Filters(statuses=filters.statuses):
            return
        rows = await self._rows("unknown_values", filter_parameters(self._tenant_id, filters))
        unknown = {(row["filter"], row["value"]) for row in rows}
        told = [
            f"{name}: nothing has {value!r}"
            for name in ("categories", "grade_bands", "subjects", "settings", "tags", "languages")
            for value in dict.fromkeys(getattr(filters, name))
            if unknown.issuperset((name, each) for each in _names(name, value))
        ]
        if told:
            raise InputError(
                f"{'; '.join(told)}. The facets of the library list the values that there are."
            )

    async def _rows(self, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return await self._database.fetch(
            self._tenant_id, statement(name), {"tenant_id": self._tenant_id, **parameters}
        )


def _names(filter_name: str, value: str) -> tuple[str, ...]:
    """What a value that is filtered by goes by."""
    match filter_name:
        case "grade_bands":
            return grade_names(value)
        case "subjects":
            return subject_names(value)
        case _:
            return (value,)


def no_scenario(scenario_id: UUID) -> NotFoundError:
    """The error that names a scenario which is not there."""
    return NotFoundError(
        f"there is no scenario {scenario_id}. `staffroom scenario list` shows all."
    )
