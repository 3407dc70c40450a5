"""The views in which the library is written: the editor of a scenario, and the import of files."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Final, get_args
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from staffroom.api.context import Staffroom
from staffroom.api.downloads import download
from staffroom.api.page.rendering import language_of, render
from staffroom.api.page.texts import read_catalogue
from staffroom.app import App
from staffroom.content.downloads import csv_lines
from staffroom.content.formats import SUFFIXES
from staffroom.content.import_documents import import_document
from staffroom.database.batch import Effect
from staffroom.documents import scenario_document
from staffroom.scenario import ALIASES, LISTS, MAX_ITEMS, row_from
from staffroom.scenario_life import STEPS
from staffroom.types import STATUSES, Filters, Metadata, ScenarioContent, Status

router = APIRouter(include_in_schema=False)

EFFECTS: Final[tuple[Effect, ...]] = get_args(Effect)
PAST_IMPORTS: Final = 20


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


@router.get("/library/import")
async def import_page(
    request: Request,
    app: Staffroom,
    import_id: Annotated[UUID | None, Query(alias="id")] = None,
    effect: Annotated[Effect | None, Query()] = None,
) -> Response:
    """Show where files are imported, what became of one of them, and the imports so far."""
    imports = app.vector_ops.imports
    shown = import_document(await imports.get(import_id)) if import_id else None
    past = [import_document(record) for record in await imports.page(PAST_IMPORTS)]
    return render(
        request,
        "import.html",
        shown=shown,
        step=_step(shown),
        effects=_effects(shown),
        effect=effect or "",
        past=past,
        fields=ALIASES,
        lists=LISTS,
        suffixes=SUFFIXES,
        megabytes=app.settings.upload_megabytes,
    )


@router.get("/library/import/template.csv")
async def import_template() -> Response:
    """Download a table that has a column for each field of a scenario, and no rows yet."""
    return await download(csv_lines(_no_rows()), "csv", "scenarios-template")


async def _no_rows() -> AsyncIterator[Mapping[str, Any]]:
    none: tuple[Mapping[str, Any], ...] = ()
    for row in none:
        yield row


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


def _step(shown: Mapping[str, Any] | None) -> int:
    """Which of the three steps is next: choose a file, look at what it would do, import it."""
    if shown is None:
        return 1
    return 2 if shown["dry_run"] else 3


def _effects(shown: Mapping[str, Any] | None) -> list[tuple[str, int]]:
    """The effects that the shown rows have, and how many rows have each."""
    counts = Counter(row["effect"] for row in shown["rows"]) if shown else Counter()
    return [(effect, counts[effect]) for effect in EFFECTS if counts[effect]]
