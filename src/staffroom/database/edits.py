"""A person's change of one scenario, made on what the scenario says at that moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from staffroom.database.catalogue import Catalogue
from staffroom.database.library import Library
from staffroom.database.store import check_revision
from staffroom.errors import EditConflict, InvalidScenario
from staffroom.scenario import row_from, scenario_from, unknown_fields
from staffroom.scenario_life import check_step
from staffroom.types import Scenario


@dataclass(frozen=True, slots=True)
class Edit:
    """Why a scenario changes, by whom, and on which revision; on any, if none is expected."""

    reason: str = ""
    author: str = ""
    expected_revision: int | None = None


async def edit_scenario(
    library: Library,
    catalogue: Catalogue,
    scenario_id: UUID,
    changes: Mapping[str, Any],
    edit: Edit,
) -> Scenario:
    """As `VectorOperations.update_scenario`."""
    unknown = unknown_fields(changes)
    if unknown:
        raise InvalidScenario(unknown[0], "no_field", "is no field of a scenario")
    while True:
        scenario = await catalogue.get(scenario_id)
        check_revision(scenario_id, scenario.revision, edit.expected_revision)
        content = scenario_from({**row_from(scenario.content), **changes})
        if content.source_id != scenario.content.source_id:
            reason = "of a stored scenario cannot be changed; add a new one"
            raise InvalidScenario("id", "id_fixed", reason)
        check_step(scenario.content.metadata.status, content.metadata.status)
        try:
            await library.store(
                [content],
                reason=edit.reason,
                author=edit.author,
                expected_revision=scenario.revision,
            )
        except EditConflict:
            # Somebody else's edit came between. Made on that, this one takes nothing of it back.
            if edit.expected_revision is not None:
                raise
            continue
        return await catalogue.get(scenario_id)
