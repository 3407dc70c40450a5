"""The view in which files are imported: chosen, mapped, looked through and followed."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Final, get_args
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from staffroom.api.context import Staffroom
from staffroom.api.downloads import download
from staffroom.api.page.rendering import render
from staffroom.content.downloads import csv_lines
from staffroom.content.formats import ENCODINGS, SUFFIXES
from staffroom.content.import_documents import import_document
from staffroom.database.batch import Effect
from staffroom.scenario import ALIASES, LISTS

router = APIRouter(include_in_schema=False)

EFFECTS: Final[tuple[Effect, ...]] = get_args(Effect)
PAST_IMPORTS: Final = 20


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
        encodings=ENCODINGS,
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


def _step(shown: Mapping[str, Any] | None) -> int:
    """Which of the four steps is next: choose a file, say what its columns hold, look at what it
    would do, import it. The second is taken where the file is: in the browser."""
    if shown is None:
        return 1
    return 3 if shown["dry_run"] else 4


def _effects(shown: Mapping[str, Any] | None) -> list[tuple[str, int]]:
    """The effects that the shown rows have, and how many rows have each."""
    counts = Counter(row["effect"] for row in shown["rows"]) if shown else Counter()
    return [(effect, counts[effect]) for effect in EFFECTS if counts[effect]]
