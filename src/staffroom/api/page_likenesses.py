"""Scenarios that may be one, in a browser: beside each other, and decided with plain forms."""

import asyncio
from typing import Annotated, Final, get_args
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from staffroom.api.context import Staffroom
from staffroom.api.likenesses import PlaceCursor
from staffroom.api.page.likenesses import Beside, beside
from staffroom.api.page.rendering import render
from staffroom.app import App
from staffroom.content.likeness_documents import likeness_document, next_place, read_place
from staffroom.content.likenesses import compare_some, decide
from staffroom.database.likenesses import MAX_REASON, NEAR_DUPLICATE, Decision, Likeness
from staffroom.documents import scenario_document
from staffroom.errors import ConflictError, EditConflict, InputError, NotFoundError

PAGE: Final = 8
"""Pairs that are shown at once."""

PLACE: Final = "/library/likenesses"
DECISIONS: Final[tuple[Decision, ...]] = get_args(Decision)

router = APIRouter(include_in_schema=False, prefix=PLACE)


@router.get("")
async def likenesses_page(
    request: Request,
    app: Staffroom,
    decision: Decision = "open",
    cursor: PlaceCursor = None,
    done: Annotated[Decision | None, Query()] = None,
) -> Response:
    """Show the pairs of which that was decided, the most similar first."""
    return await _page(request, app, decision, cursor, done=done)


@router.post("")
async def decide_pair(request: Request, app: Staffroom) -> Response:
    """Keep what was decided of a pair, and show the others; or say why it cannot be decided."""
    async with request.form() as form:
        fields = {name: _text(form, name) for name in form}
    listed = _decision(fields.get("listed", "open"))
    cursor = fields.get("cursor") or None
    keep = fields.get("merge") or None
    wanted: Decision = "merged" if keep else _decision(fields.get("decision", ""))
    one, other = _id(fields.get("one")), _id(fields.get("other"))
    seen = {one: fields.get("one_revision", ""), other: fields.get("other_revision", "")}
    try:
        await decide(
            app.vector_ops,
            one,
            other,
            wanted,
            author=app.author,
            keep=_id(keep) if keep else None,
            reason=fields.get("reason", ""),
            revisions={which: int(text) for which, text in seen.items() if text.isdecimal()},
        )
    except EditConflict:
        return await _page(request, app, listed, cursor, error="changed", status=412)
    except ConflictError:
        return await _page(request, app, listed, cursor, error="conflict", status=409)
    except NotFoundError:
        return await _page(request, app, listed, cursor, error="gone", status=404)
    back = {"decision": listed, "cursor": cursor, "done": wanted}
    return RedirectResponse(f"{PLACE}?{urlencode({k: v for k, v in back.items() if v})}", 303)


async def _page(
    request: Request,
    app: App,
    decision: Decision,
    cursor: str | None,
    *,
    done: Decision | None = None,
    error: str = "",
    status: int = 200,
) -> Response:
    likenesses = app.vector_ops.likenesses
    after = read_place(cursor)
    compared = await compare_some(likenesses)
    rows = await likenesses.page(PAGE + 1, after, decision=decision)
    pairs = [await _beside(app, row) for row in rows[:PAGE]]
    return render(
        request,
        "likenesses.html",
        status=status,
        decision=decision,
        decisions=DECISIONS,
        near=[pair for pair in pairs if pair.likeness["is_near"]],
        far=[pair for pair in pairs if not pair.likeness["is_near"]],
        near_size=await likenesses.near(NEAR_DUPLICATE),
        compared=compared,
        cursor=cursor or "",
        next_cursor=next_place(rows, PAGE),
        done=done or "",
        error=error,
        longest=MAX_REASON,
    )


async def _beside(app: App, row: Likeness) -> Beside:
    one, other = [
        scenario_document(await app.vector_ops.get_scenario(alike.id))
        for alike in (row.one, row.other)
    ]
    return await asyncio.to_thread(beside, likeness_document(row), one, other)


def _decision(text: str) -> Decision:
    for decision in DECISIONS:
        if decision == text:
            return decision
    raise InputError(f"{text!r} is no decision. Choose {', '.join(DECISIONS)}.")


def _text(form: FormData, name: str) -> str:
    """A field of a form; a file in its place counts as nothing."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _id(text: str | None) -> UUID:
    try:
        return UUID(text or "")
    except ValueError as error:
        raise InputError(f"{text!r} is not an id. Go back to the list and try again.") from error
