"""The golden questions in a browser: all of them, and what is done with them without scripts."""

from collections.abc import Iterable
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from staffroom.api.context import Staffroom
from staffroom.api.evaluations import run_evaluation
from staffroom.api.page.amounts import Words
from staffroom.api.page.golden import GoldenForm, golden_section
from staffroom.api.page.rendering import language_of, render
from staffroom.api.page.texts import Texts
from staffroom.app import App
from staffroom.database.golden import MAX_GOLDEN, RIGHT
from staffroom.errors import ConflictError, InputError, NotFoundError
from staffroom.types import Match

ALL_SHOWN: Final = 50
CANDIDATES: Final = 8
PLACE: Final = "/insights/golden"

router = APIRouter(include_in_schema=False, prefix="/insights")


@router.get("/golden")
async def golden_page(
    request: Request, app: Staffroom, skip: Annotated[int, Query(ge=0, le=MAX_GOLDEN)] = 0
) -> Response:
    """Show the golden questions, those that fare worst first."""
    return await _page(request, app, GoldenForm(), skip=skip)


@router.post("/golden")
async def add_golden(request: Request, app: Staffroom) -> Response:
    """Look for the scenarios that a question may mean, or keep it with those that were chosen."""
    async with request.form() as form:
        question, find, act = (_text(form, name) for name in ("question", "find", "act"))
        chosen = tuple(_ids(form.getlist("scenario_id")))
    if act == "find":
        found = await _candidates(app, find.strip() or question.strip(), chosen)
        return await _page(request, app, GoldenForm(question, find, chosen, found))
    error = await _add(app, Texts(language_of(request)), question, chosen)
    if not error:
        return RedirectResponse(PLACE, 303)
    found = await _candidates(app, find.strip() or question.strip(), chosen)
    return await _page(request, app, GoldenForm(question, find, chosen, found, error), status=422)


@router.post("/golden/remove")
async def remove_golden(request: Request, app: Staffroom) -> Response:
    """Remove a golden question; one that is gone already is what was wanted."""
    async with request.form() as form:
        ids = list(_ids(form.getlist("golden_id")))
    for golden_id in ids[:1]:
        try:
            await app.vector_ops.golden.remove(golden_id)
        except NotFoundError:
            continue
    return RedirectResponse(PLACE, 303)


@router.post("/golden/promote")
async def promote(request: Request, app: Staffroom) -> Response:
    """Make a suggestion golden."""
    async with request.form() as form:
        interactions = list(_ids(form.getlist("interaction_id")))
        scenarios = list(_ids(form.getlist("scenario_id")))
    if not (interactions and scenarios):
        raise InputError("the suggestion names no question or no scenario. Go back and try again.")
    await app.vector_ops.golden.promote(interactions[0], scenarios[0], RIGHT, app.author)
    return RedirectResponse(PLACE, 303)


@router.post("/evaluations")
async def evaluate(request: Request, app: Staffroom) -> Response:
    """Ask the library every golden question, then show how it did."""
    await run_evaluation(request, app)
    return RedirectResponse(PLACE, 303)


async def _page(
    request: Request, app: App, form: GoldenForm, *, skip: int = 0, status: int = 200
) -> Response:
    words = Words(Texts(language_of(request)))
    golden = await golden_section(app.vector_ops, words, form, most=ALL_SHOWN, skip=skip)
    return render(request, "insights_golden.html", status=status, golden=golden)


async def _add(app: App, t: Texts, question: str, chosen: Iterable[UUID]) -> str:
    """The question is golden, or what is wrong with it."""
    if not question.strip():
        return t("golden.error.empty")
    relevant = dict.fromkeys(chosen, RIGHT)
    if not relevant:
        return t("golden.error.none")
    try:
        await app.vector_ops.golden.add(question, relevant, app.author)
    except ConflictError:
        return t("golden.error.conflict")
    except (InputError, NotFoundError) as error:
        return str(error)
    return ""


async def _candidates(app: App, text: str, chosen: tuple[UUID, ...]) -> tuple[Match, ...] | None:
    """The scenarios that a text finds, and those that were chosen before; None without a text."""
    if not text:
        return None
    try:
        found = (await app.vector_ops.search(text, CANDIDATES, 0.0)).matches
    except InputError:
        return ()
    known = {match.scenario.id for match in found}
    kept = []
    for scenario_id in chosen:
        if scenario_id not in known:
            try:
                kept.append(Match(await app.vector_ops.get_scenario(scenario_id), 0.0))
            except NotFoundError:
                continue
    return (*kept, *found)


def _text(form: FormData, name: str) -> str:
    """A field of a form; a file in its place counts as nothing."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _ids(values: Iterable[object]) -> Iterable[UUID]:
    """Those of the values that are ids."""
    for value in values:
        try:
            yield UUID(str(value))
        except ValueError:
            continue
