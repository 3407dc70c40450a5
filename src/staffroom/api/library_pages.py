"""The views in which the library is read: browsed and searched, one scenario, and its history."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from staffroom.api.context import Staffroom
from staffroom.api.page.browsing import Facet, Wish, facets, statuses, wish
from staffroom.api.page.differences import FieldChange, field_changes
from staffroom.api.page.rendering import render
from staffroom.api.paging import Cursor, page_document, read_cursor
from staffroom.app import App
from staffroom.database.likenesses import NEAR_DUPLICATE, Alike
from staffroom.documents import match_document, revision_documents, scenario_document
from staffroom.errors import NotFoundError
from staffroom.retrieval.standing import MOST
from staffroom.scenario import ALIASES
from staffroom.scenario_life import STEPS, next_review
from staffroom.text import MAX_QUESTION
from staffroom.types import STATUSES

PAGE: Final = 30
"""Scenarios that are shown at once, and the most that a search finds."""

DISTANT: Final = 5
"""Scenarios too far to answer from that a search shows nevertheless."""

REVISIONS: Final = 20
"""Revisions that a history shows at once."""

RELATED: Final = 20
"""Linked scenarios that one shows."""

EXPORT_FORMS: Final = ("jsonl", "csv", "xlsx")

router = APIRouter(include_in_schema=False)

Number = Annotated[int | None, Query(ge=1, lt=2**31)]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search or a page of the library holds: documents of scenarios.

    `distant` ones came nearest, but would answer no question. With `next_cursor` there is more.
    """

    near: Sequence[Mapping[str, Any]]
    distant: Sequence[Mapping[str, Any]] = ()
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A revision, and in which fields it differs from the one before."""

    revision: Mapping[str, Any]
    fields: Sequence[FieldChange]
    is_first: bool
    is_newest: bool
    can_return: bool
    """Going back to it would change something besides the status."""


@router.get("/library")
async def library_page(
    request: Request,
    app: Staffroom,
    wished: Annotated[Wish, Depends(wish)],
    cursor: Cursor = None,
) -> Response:
    """Show the library, or what is found in it."""
    catalogue = app.vector_ops.catalogue
    of_status = await statuses(catalogue, wished.filters)
    return render(
        request,
        "library.html",
        wished=wished,
        found=await _found(app, wished, cursor),
        total=sum(choice.count for choice in of_status.shown if choice.is_chosen),
        facets=[*await facets(catalogue, wished.filters), of_status],
        is_empty=not wished.is_narrowed and not _any(of_status),
        is_continued=cursor is not None,
        forms=EXPORT_FORMS,
        longest=MAX_QUESTION,
        overdue=(await catalogue.due_counts()).overdue,
        near=await app.vector_ops.likenesses.near(NEAR_DUPLICATE),
    )


@router.get("/library/{scenario_id:uuid}")
async def scenario_page(scenario_id: UUID, request: Request, app: Staffroom) -> Response:
    """Show a scenario as it is now, and what can be done with it."""
    scenario = await app.vector_ops.get_scenario(scenario_id)
    return render(
        request,
        "scenario.html",
        scenario=scenario_document(scenario),
        statuses=STATUSES,
        steps=STEPS[scenario.content.metadata.status],
        next_review=next_review(),
        related=await _related(app, scenario_id),
        merged=await _merged(app, scenario_id),
        standing=await app.vector_ops.standings.get(scenario_id),
        most_weight=MOST,
        gaps=await app.vector_ops.gaps.of_scenario(scenario_id),
    )


@router.get("/library/{scenario_id:uuid}/history")
async def history_page(
    scenario_id: UUID,
    request: Request,
    app: Staffroom,
    older: Annotated[Number, Query(alias="from")] = None,
    newer: Annotated[Number, Query(alias="to")] = None,
    before: Number = None,
) -> Response:
    """Show what a scenario said in each revision, and how any two of them differ."""
    return await history_view(request, app, scenario_id, older, newer, before)


async def history_view(
    request: Request,
    app: App,
    scenario_id: UUID,
    older: int | None = None,
    newer: int | None = None,
    before: int | None = None,
    *,
    is_conflict: bool = False,
) -> Response:
    """The history as a page; says so, if somebody else's change kept a revision from coming back.

    Raises: NotFoundError if there is no such scenario or revision.
    """
    history = revision_documents(await app.vector_ops.list_revisions(scenario_id))
    by_number = {revision["revision"]: revision for revision in history}
    for number in (older, newer):
        if number is not None and number not in by_number:
            raise NotFoundError(
                f"the scenario has no revision {number}. Its newest is {history[0]['revision']}."
            )
    chosen = sorted((older or 1, newer or history[0]["revision"]))
    shown = [entry for entry in history if before is None or entry["revision"] < before]
    return render(
        request,
        "history.html",
        status=412 if is_conflict else 200,
        is_conflict=is_conflict,
        scenario_id=scenario_id,
        newest=history[0],
        numbers=list(by_number),
        chosen=chosen,
        compared=await asyncio.to_thread(field_changes, *map(by_number.__getitem__, chosen))
        if older or newer
        else None,
        changes=await asyncio.to_thread(_changes, shown[: REVISIONS + 1], history[0]),
        next_before=shown[REVISIONS - 1]["revision"] if len(shown) > REVISIONS else None,
    )


async def _found(app: App, wished: Wish, cursor: str | None) -> Found:
    if not wished.question:
        rows = await app.vector_ops.catalogue.page(wished.filters, PAGE + 1, read_cursor(cursor))
        document = page_document(rows, PAGE, scenario_document)
        return Found(document["items"], next_cursor=document["next_cursor"])
    result = await app.vector_ops.search(wished.question, PAGE, 0, wished.filters, overdue_too=True)
    near = [match for match in result.matches if match.relevance >= app.vector_ops.threshold]
    distant = result.matches[len(near) : len(near) + DISTANT]
    return Found(list(map(match_document, near)), list(map(match_document, distant)))


async def _related(app: App, scenario_id: UUID) -> list[Alike]:
    """The scenarios that an editor has linked with this one."""
    linked = await app.vector_ops.likenesses.page(
        RELATED, decision="linked", scenario_id=scenario_id
    )
    return [
        likeness.other if likeness.one.id == scenario_id else likeness.one for likeness in linked
    ]


async def _merged(app: App, scenario_id: UUID) -> dict[str, list[Alike]]:
    """The scenarios that this one was merged into, and those that were merged into this one."""
    merges = await app.vector_ops.likenesses.page(
        RELATED, decision="merged", scenario_id=scenario_id
    )
    others = [
        (merge.kept == scenario_id, merge.other if merge.one.id == scenario_id else merge.one)
        for merge in merges
    ]
    return {
        "into": [other for is_kept, other in others if not is_kept],
        "others": [other for is_kept, other in others if is_kept],
    }


def _changes(shown: Sequence[Mapping[str, Any]], newest: Mapping[str, Any]) -> list[Change]:
    """Each revision with what it changed; one more than are shown, for what the last changed."""
    previous = [*shown[1:], None]
    return [
        Change(
            revision,
            field_changes(before, revision) if before else (),
            is_first=before is None,
            is_newest=revision is newest,
            can_return=_differs(revision, newest),
        )
        for revision, before in zip(shown, previous, strict=True)
    ][:REVISIONS]


def _differs(revision: Mapping[str, Any], newest: Mapping[str, Any]) -> bool:
    return any(revision[name] != newest[name] for name in ALIASES if name not in {"id", "status"})


def _any(of_status: Facet) -> bool:
    return any(choice.count for choice in of_status.shown)
