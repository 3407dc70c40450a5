"""ContentManager: what an editor does with the library."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NotRequired, TypedDict
from uuid import UUID

from staffroom.config import BATCH_SIZE
from staffroom.content.formats import open_rows
from staffroom.content.importer import Importer
from staffroom.content.starter import starter_rows
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import StaffroomError
from staffroom.scenario import row_from
from staffroom.types import Filters, ImportReport, ProgressListener, Scenario

PAGE: Final = 500


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
        """The scenario is kept, but no search returns it. Raises: NotFoundError."""
        return await self._vector_ops.update_scenario(
            scenario_id, {"status": "retired"}, reason=reason
        )

    async def import_files(
        self,
        paths: Sequence[Path],
        *,
        dry_run: bool = False,
        progress: ProgressListener | None = None,
    ) -> ImportReport:
        """Every valid row of the files is in the library. A dry run only tells what would be.

        Raises: UnreadableFile for any of them, before anything is stored.
        """
        importer = Importer(
            self._vector_ops, batch_size=self._batch_size, dry_run=dry_run, progress=progress
        )
        return await importer.import_opened([open_rows(path) for path in paths])

    async def load_starter_library(self, progress: ProgressListener | None = None) -> ImportReport:
        """The scenarios that ship with Staffroom are in the library, if they never were before."""
        importer = Importer(self._vector_ops, batch_size=self._batch_size, progress=progress)
        if await self._vector_ops.needs_starter_library():
            await importer.import_rows(starter_rows(), "starter library")
            if not importer.stopped:
                await self._vector_ops.mark_starter_library()
        return importer.report()

    async def export(self, filters: Filters | None = None) -> AsyncIterator[dict[str, Any]]:
        """Every scenario that the filters allow, as the row that an import reads."""
        after = None
        while page := await self._vector_ops.list_scenarios(filters, PAGE, after):
            for scenario in page:
                yield row_from(scenario.content)
            after = page[-1].id
