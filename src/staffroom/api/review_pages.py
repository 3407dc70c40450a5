"""The views in which the library is reviewed: what is due, and forms that need no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from staffroom.api.author import Author, claimed, remember
from staffroom.api.context import Staffroom
from staffroom.api.library_pages import history_view
from staffroom.api.page.rendering import language_of, render
from staffroom.api.page.texts import Texts
from staffroom.api.paging import DayCursor, day_cursor_after, page_document, read_day_cursor
from staffroom.app import App
from staffroom.database.catalogue import DueCounts
from staffroom.documents import scenario_document
from staffroom.errors import EditConflict, InputError
from staffroom.scenario_life import next_review, today
from staffroom.types import Scenario

ListName = Literal["overdue", "soon", "later", "undated"]

LISTS: Final[tuple[ListName, ...]] = get_args(ListName)
SHOWN: Final = 10
"""Scenarios of each list that are shown where there are several lists."""

PAGE: Final = 30

router = APIRouter(include_in_schema=False)

_Revision = Annotated[int, Form(ge=1, lt=2**31)]
_Reason = Annotated[str, Form(max_length=1_000)]
_Name = Annotated[str, Form()]


@dataclass(frozen=True, slots=True)
class DueList:
    """What is to be reviewed by one time: how many scenarios, and documents of the first."""

    name: ListName
    count: int
    entries: Sequence[Mapping[str, Any]]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Failed:
    """A review that was not noted: why, and what was typed."""

    scenario: Mapping[str, Any]
    problem: str
    next: str
    reason: str
    error: str = ""


@router.get("/library/due")
async def due_page(
    request: Request,
    app: Staffroom,
    only: Annotated[ListName | None, Query()] = None,
    cursor: DayCursor = None,
    reviewed: Annotated[UUID | None, Query()] = None,
) -> Response:
    """Show what is to be reviewed, and what was just noted as reviewed."""
    done = await app.vector_ops.get_scenario(reviewed) if reviewed else None
    return await _due_page(request, app, only=only, cursor=cursor, done=done)


@router.post("/library/{scenario_id:uuid}/standing")
async def reset_standing(scenario_id: UUID, app: Staffroom) -> Response:
    """Let what was reported until now no longer count, and show the scenario again."""
    await app.vector_ops.standings.reset(scenario_id)
    return RedirectResponse(f"/library/{scenario_id}", 303)


@router.post("/library/{scenario_id:uuid}/review")
async def note_review(
    scenario_id: UUID,
    request: Request,
    app: Staffroom,
    known: Author,
    *,
    on: _Revision,
    next_: Annotated[str, Form(alias="next")] = "",
    reason: _Reason = "",
    author: _Name = "",
    back: Annotated[Literal["", "scenario"], Form()] = "",
) -> Response:
    """Note that a scenario was read again, and by when it is to be read next."""
    name = claimed(author) or known
    t = Texts(language_of(request))
    scenario = await app.vector_ops.get_scenario(scenario_id)
    try:
        day = date.fromisoformat(next_)
        await app.content.review(
            scenario_id, day, reason=reason.strip(), author=name, expected_revision=on
        )
    except EditConflict:
        text = t("due.conflict", name=scenario.name)
        failed = Failed(scenario_document(scenario), text, next_, reason)
        return await _due_page(request, app, status=412, failed=failed)
    except (InputError, ValueError):
        text = t("due.date.wrong", day=t.day(today().isoformat()))
        failed = Failed(scenario_document(scenario), text, next_, reason, error=text)
        return await _due_page(request, app, status=422, failed=failed)
    place = f"/library/{scenario_id}" if back else f"/library/due?reviewed={scenario_id}"
    return _after(place, name)


@router.post("/library/{scenario_id:uuid}/restore")
async def restore(
    scenario_id: UUID,
    request: Request,
    app: Staffroom,
    known: Author,
    *,
    revision: _Revision,
    on: _Revision,
    reason: _Reason = "",
    author: _Name = "",
) -> Response:
    """Let a scenario say again what it said in a revision."""
    name = claimed(author) or known
    told = Texts(language_of(request))("history.restore.reason", revision=revision)
    try:
        await app.content.restore(
            scenario_id, revision, reason=reason.strip() or told, author=name, expected_revision=on
        )
    except EditConflict:
        return await history_view(request, app, scenario_id, is_conflict=True)
    return _after(f"/library/{scenario_id}", name)


def _after(place: str, author: str) -> Response:
    response = RedirectResponse(place, 303)
    if author:
        remember(response, author)
    return response


async def _due_page(
    request: Request,
    app: App,
    *,
    status: int = 200,
    only: ListName | None = None,
    cursor: str | None = None,
    done: Scenario | None = None,
    failed: Failed | None = None,
) -> Response:
    counts = await app.vector_ops.catalogue.due_counts()
    names = (only,) if only else LISTS
    return render(
        request,
        "due.html",
        status=status,
        lists=[await _list(app, name, counts, PAGE if only else SHOWN, cursor) for name in names],
        only=only,
        done=done and scenario_document(done),
        failed=failed,
        next_review=next_review(),
    )


async def _list(
    app: App, name: ListName, counts: DueCounts, limit: int, cursor: str | None
) -> DueList:
    catalogue = app.vector_ops.catalogue
    day, last = read_day_cursor(cursor) or (None, None)
    after = (day, last) if day and last else None
    match name:
        case "overdue":
            count, found = counts.overdue, await catalogue.due(-1, limit + 1, after)
        case "soon":
            count = counts.within_30
            found = await catalogue.due(30, limit + 1, after, since=today())
        case "later":
            count, since = counts.within_90, today() + timedelta(31)
            found = await catalogue.due(90, limit + 1, after, since=since)
        case "undated":
            count, found = counts.undated, await catalogue.undated(limit + 1, last)
    document = page_document(found, limit, scenario_document)
    next_cursor = None
    if document["next_cursor"]:
        end = found[limit - 1]
        next_cursor = day_cursor_after(end.content.metadata.review_by, end.id)
    return DueList(name, count, document["items"], next_cursor)
