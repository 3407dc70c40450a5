"""The view in which a scenario is written."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from staffroom.api.context import Staffroom
from staffroom.api.page.rendering import language_of, render
from staffroom.api.page.texts import read_catalogue
from staffroom.app import App
from staffroom.documents import scenario_document
from staffroom.scenario import MAX_ITEMS, row_from
from staffroom.scenario_life import STEPS
from staffroom.types import STATUSES, Filters, Metadata, ScenarioContent, Status

router = APIRouter(include_in_schema=False)


@router.get("/library/new")
async def new_page(
    request: Request, app: Staffroom, question: Annotated[list[str] | None, Query()] = None
) -> Response:
    """Show the editor without a scenario; the questions are its first examples."""
    asked = tuple(dict.fromkeys(text for given in question or () if (text := given.strip())))
    content = ScenarioContent(
        name="",
        description="",
        example_questions=asked[:MAX_ITEMS],
        metadata=Metadata(status="draft", language=language_of(request)),
    )
    scenario = {**row_from(content), "id": "", "revision": 0, "updated_at": ""}
    return await _editor(request, app, scenario, STEPS[None])


@router.get("/library/{scenario_id:uuid}/edit")
async def edit_page(scenario_id: UUID, request: Request, app: Staffroom) -> Response:
    """Show the editor with a scenario of the library."""
    scenario = await app.vector_ops.get_scenario(scenario_id)
    steps = STEPS[scenario.content.metadata.status]
    return await _editor(request, app, scenario_document(scenario), steps)


async def _editor(
    request: Request, app: App, scenario: Mapping[str, Any], steps: tuple[Status, ...]
) -> Response:
    return render(
        request,
        "editor.html",
        scenario=scenario,
        steps=steps,
        known=await _known(app, language_of(request)),
    )


async def _known(app: App, language: str) -> dict[str, list[str]]:
    """The words to suggest for each kind: those of the library first, then those we know."""
    facets = await app.vector_ops.catalogue.facets(Filters(statuses=STATUSES))
    known = {}
    for kind in ("category", "grade_band", "subject", "setting"):
        used = [facet.value for facet in facets.get(kind, ())]
        named = [
            key.partition(".")[2] for key in read_catalogue(language) if key.startswith(f"{kind}.")
        ]
        known[kind] = list(dict.fromkeys([*used, *named]))
    return known
