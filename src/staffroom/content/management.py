"""ContentManager: what an editor does with the library."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, NotRequired, TypedDict
from uuid import UUID

from staffroom.config import BATCH_SIZE
from staffroom.content.formats import Reading, open_rows
from staffroom.content.importer import Importer
from staffroom.content.starter import starter_rows
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InvalidScenario, NotFoundError, StaffroomError
from staffroom.scenario import row_from
from staffroom.scenario_life import today
from staffroom.types import Filters, ImportReport, ProgressListener, Scenario, Status

PAGE: Final = 500

REVIEWED: Final = "reviewed"
"""The reason of a review that nobody gave one for."""


class AddResult(TypedDict):
    """The guide's answer to one new scenario."""

    status: Literal["success", "error"]
    scenario_id: NotRequired[str]
    message: NotRequired[str]


class ContentManager:
    """Adds, changes, retires, imports and exports scenarios of one library."""

    def __init__(self, vector_ops: VectorOperations, *, batch_size: int = BATCH_SIZE) -> None:
        self._vector_ops = vector_ops
        self._batch_size = batch_size

    async def add_teaching_scenario(self, scenario_data: Mapping[str, Any]) -> AddResult:
        """The scenario is in the library, or the message says why not and what to do."""
        try:
            fields = {"name": "", "description": "", **scenario_data}
            scenario_id = await self._vector_ops.store_scenario(**fields)
        except StaffroomError as error:
            return AddResult(status="error", message=str(error))
        return AddResult(status="success", scenario_id=str(scenario_id))

    async def retire(self, scenario_id: UUID, *, reason: str = "") -> Scenario:
        """The scenario is kept, but no search returns it. Raises: as `move`."""
        return await self.move(scenario_id, "retired", reason=reason)

    async def move(self, scenario_id: UUID, status: Status, *, reason: str = "") -> Scenario:
        """The scenario has that status. Raises: NotFoundError; StepRefused if it cannot follow."""
        return await self._vector_ops.update_scenario(
            scenario_id, {"status": status}, reason=reason
        )

    async def review(
        self,
        scenario_id: UUID,
        next_review: date,
        *,
        reason: str = "",
        author: str = "",
        expected_revision: int | None = None,
    ) -> Scenario:
        """Somebody has read the scenario, and will read it again by the day that is named.

        Raises: InvalidScenario unless that day is to come; NotFoundError; EditConflict.
        """
        if next_review <= today():
            reason = "is {value}; the next review has to be after today, {today}"
            raise InvalidScenario(
                "review_by", "review_past", reason, value=str(next_review), today=str(today())
            )
        return await self._vector_ops.update_scenario(
            scenario_id,
            {"review_by": next_review},
            reason=reason or REVIEWED,
            author=author,
            expected_revision=expected_revision,
        )

    async def restore(
        self,
        scenario_id: UUID,
        revision: int,
        *,
        reason: str = "",
        author: str = "",
        expected_revision: int | None = None,
    ) -> Scenario:
        """What the scenario said in that revision is what it says now. Its status stays.

        Raises: NotFoundError if there is no such scenario or revision; EditConflict.
        """
        history = await self._vector_ops.list_revisions(scenario_id)
        found = next((entry for entry in history if entry.number == revision), None)
        if found is None:
            raise NotFoundError(
                f"scenario {scenario_id} has no revision {revision}. "
                f"Its newest is {history[-1].number}."
            )
        said = row_from(found.content)
        return await self._vector_ops.update_scenario(
            scenario_id,
            {name: value for name, value in said.items() if name not in {"id", "status"}},
            reason=reason or f"restored revision {revision}",
            author=author,
            expected_revision=expected_revision,
        )

    async def import_files(
        self,
        paths: Sequence[Path],
        *,
        dry_run: bool = False,
        keep_duplicates: bool = False,
        progress: ProgressListener | None = None,
        reading: Reading | None = None,
    ) -> ImportReport:
        """Every valid row of the files is in the library. A dry run only tells what would be.

        New rows that say the same as another scenario are left out, unless duplicates are kept.
        `reading` says how all of them are read, as far as that is not to be found out.

        Raises: UnreadableFile for any of them, before anything is stored.
        """
        importer = Importer(
            self._vector_ops,
            batch_size=self._batch_size,
            dry_run=dry_run,
            keep_duplicates=keep_duplicates,
            progress=progress,
        )
        return await importer.import_opened(
            [open_rows(path, reading=reading or Reading()) for path in paths]
        )

    async def load_starter_library(self, progress: ProgressListener | None = None) -> ImportReport:
        """The scenarios that ship with Staffroom are in the library, if they never were before."""
        importer = Importer(self._vector_ops, batch_size=self._batch_size, progress=progress)
        if await self._vector_ops.needs_starter_library():
            await importer.import_rows(starter_rows(), "starter library")
            if not importer.stopped:
                await self._vector_ops.mark_starter_library()
        return importer.report()

    async def export(self, filters: Filters | None = None) -> AsyncGenerator[dict[str, Any], None]:
        """Every scenario that the filters allow, as the row that an import reads."""
        after = None
        while page := await self._vector_ops.list_scenarios(filters, PAGE, after):
            for scenario in page:
                yield row_from(scenario.content)
            after = page[-1].id
