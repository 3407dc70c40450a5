"""The gap board in a browser: what the library lacks, group by group, until it is answered."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, get_args
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from staffroom.api.context import Staffroom
from staffroom.api.gaps import decide
from staffroom.api.page.amounts import Words
from staffroom.api.page.rendering import language_of, render
from staffroom.api.page.texts import Texts
from staffroom.app import App
from staffroom.content.gap_draft import draft_scenario, nearest
from staffroom.database.gaps import GAP_STATES, MAX_NOTE, GapGroup, GapState
from staffroom.errors import ConflictError, InputError
from staffroom.evaluation.gap_documents import gap_document, lost_questions
from staffroom.evaluation.learning import (
    MOST_CHECKED,
    CheckedQuestion,
    check_group,
    extend_scenario,
)

MOST_SHOWN: Final = 30
"""Groups of a state that the board shows, the largest."""

router = APIRouter(include_in_schema=False, prefix="/insights/gaps")


@router.get("")
async def board_page(request: Request, app: Staffroom) -> Response:
    """Show the groups by what became of them."""
    words = Words(Texts(language_of(request)))
    gaps = app.vector_ops.gaps
    shown = {state: await gaps.largest(state, MOST_SHOWN) for state in GAP_STATES}
    counts = await gaps.counts()
    columns = [
        {
            "state": state,
            "count": counts[state],
            "groups": [_card(group, words) for group in groups],
        }
        for state, groups in shown.items()
    ]
    return render(
        request,
        "gaps.html",
        words=words,
        columns=columns,
        most=MOST_SHOWN,
        all=sum(counts.values()),
    )


@router.get("/{group_id:uuid}")
async def group_page(group_id: UUID, request: Request, app: Staffroom) -> Response:
    """Show a group's questions, what is near them, and whether they are answered."""
    return await _page(request, app, group_id)


@router.post("/{group_id:uuid}/draft")
async def draft(group_id: UUID, app: Staffroom) -> Response:
    """Store a draft for the group, and go on in the editor: with somebody else's, if it has one."""
    try:
        scenario_id: UUID | None = (
            await draft_scenario(app.vector_ops, group_id, app.drafter)
        ).scenario_id
    except ConflictError:
        scenario_id = (await app.vector_ops.gaps.get(group_id)).scenario_id
        if scenario_id is None:
            raise
    return RedirectResponse(f"/library/{scenario_id}/edit", 303)


@router.post("/{group_id:uuid}/state")
async def change_state(group_id: UUID, request: Request, app: Staffroom) -> Response:
    """Decide on the group, or keep a note with it."""
    async with request.form() as form:
        state, note = _text(form, "state"), _text(form, "note")
    group = await decide(app, group_id, get_state(state) if state else None, note)
    return RedirectResponse(_place(group.id), 303)


@router.post("/{group_id:uuid}/examples")
async def add_examples(group_id: UUID, request: Request, app: Staffroom) -> Response:
    """Give questions of the group to a scenario that is there already."""
    async with request.form() as form:
        scenarios = list(_ids(form.getlist("scenario_id")))
        questions = list(_ids(form.getlist("interaction_id")))
    if not (scenarios and questions):
        error = Texts(language_of(request))("gaps.examples.none")
        return await _page(request, app, group_id, error=error)
    await extend_scenario(app.vector_ops, group_id, scenarios[0], questions)
    return RedirectResponse(_place(group_id), 303)


def get_state(given: object) -> GapState:
    """The state of that name. Raises: InputError."""
    for state in get_args(GapState):
        if given == state:
            known: GapState = state
            return known
    raise InputError(f"there is no state {given!r}; choose {', '.join(GAP_STATES)}.")


async def _page(request: Request, app: App, group_id: UUID, *, error: str = "") -> Response:
    words = Words(Texts(language_of(request)))
    group = await app.vector_ops.gaps.get(group_id)
    checked = await check_group(app.vector_ops, group)
    return render(
        request,
        "gap.html",
        status=422 if error else 200,
        words=words,
        group=_card(group, words),
        outcome=await _outcome(app, group, words),
        rows=_rows(checked, words),
        asked=len(checked),
        answered=sum(found.is_answered for found in checked),
        near=[
            {
                "id": str(match.scenario.id),
                "name": match.scenario.name,
                "language": match.scenario.content.metadata.language,
                "status": match.scenario.content.metadata.status,
                "relevance": match.relevance,
            }
            for match in await nearest(app.vector_ops, group)
        ],
        is_cut=group.size > MOST_CHECKED,
        drafter=app.drafter.name if app.drafter else "",
        longest_note=MAX_NOTE,
        error=error,
    )


def _card(group: GapGroup, words: Words) -> dict[str, Any]:
    return {
        "id": str(group.id),
        "address": _place(group.id),
        "state": group.state,
        "label": group.label,
        "words": list(group.words),
        "size": group.size,
        "poorly_rated": group.poorly_rated,
        "answered": group.answered,
        "days": words.days(group.first, group.last),
        "note": group.note,
        "scenario": group.scenario_id
        and {
            "id": str(group.scenario_id),
            "name": group.scenario_name,
            "status": group.scenario_status,
        },
        "has_failed": bool(
            group.outcome and group.outcome["gate"] and not group.outcome["gate"]["passed"]
        ),
    }


async def _outcome(app: App, group: GapGroup, words: Words) -> dict[str, Any] | None:
    """What publishing brought, with figures as the reader's language writes them."""
    lost = await lost_questions(app.vector_ops, [group])
    outcome: dict[str, Any] | None = gap_document(group, lost)["outcome"]
    if outcome is None:
        return None
    gate = outcome["gate"]
    return {
        **outcome,
        "golden": len(outcome["golden"]),
        "figures": [
            {
                "name": name.partition("@")[0],
                "before": words.decimal(value["before"]),
                "after": words.decimal(value["after"]),
            }
            for name, value in (gate["figures"] if gate else {}).items()
        ],
    }


def _rows(checked: Sequence[CheckedQuestion], words: Words) -> list[dict[str, Any]]:
    """A row for each question, however often it was asked in these words."""
    alike: dict[str, list[CheckedQuestion]] = {}
    for found in checked:
        alike.setdefault(found.asked.question.casefold(), []).append(found)
    return [_row(times, words) for times in alike.values()]


def _row(times: Sequence[CheckedQuestion], words: Words) -> dict[str, Any]:
    found = max(times, key=lambda each: each.asked.created_at)
    asked = found.asked
    return {
        "id": str(asked.interaction_id),
        "question": asked.question,
        "times": len(times),
        "day": words.day(asked.created_at),
        "at": asked.created_at.date().isoformat(),
        "poorly_rated": any(each.asked.kind == "poorly_rated" for each in times),
        "is_answered": found.is_answered,
        "rank": found.rank,
        "relevance": found.relevance,
        "reason": found.reason or "",
    }


def _place(group_id: UUID) -> str:
    return f"/insights/gaps/{group_id}"


def _text(form: FormData, name: str) -> str | None:
    """A field of a form; a file in its place counts as nothing."""
    value = form.get(name)
    return value if isinstance(value, str) else None


def _ids(values: Sequence[object]) -> Iterable[UUID]:
    """Those of the values that are ids."""
    for value in values:
        try:
            yield UUID(str(value))
        except ValueError:
            continue
