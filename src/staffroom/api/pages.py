"""The page: what people see in a browser, rendered here, enhanced by scripts, readable without."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import UploadFile

from staffroom.ai.extractive import ExtractiveWriter
from staffroom.ai.llm_service import last_answer
from staffroom.api.context import Staffroom
from staffroom.api.page.answers import BLANK_SOURCE, runs
from staffroom.api.page.rendering import language_of, render, static_files
from staffroom.api.page.texts import Texts
from staffroom.app import App
from staffroom.documents import interaction_document, match_document, scenario_document
from staffroom.errors import InputError, NotFoundError, UnavailableError
from staffroom.types import Interaction, Verdict, is_uncertain

EXAMPLES: Final = 4
"""Questions that the page suggests, each of another category."""

READ_FOR_EXAMPLES: Final = 500

GOOD_VERDICTS: Final[frozenset[Verdict]] = frozenset(("helpful", "worked"))
"""On a single source: that it is the right scenario."""

_BLANK: Final[Mapping[str, Any]] = {
    "id": "",
    "question": "",
    "understood": "",
    "answer": "",
    "uncertain": False,
    "abstained": False,
    "finished": False,
    "outcome_text": "",
    "runs": [],
    "more_runs": [],
    "matches": [],
    "related": [],
}
"""What an exchange is rendered from when a script will fill it."""

router = APIRouter(include_in_schema=False)


def register(api: FastAPI) -> None:
    """The page and its files are served, and its readers are told of problems in words."""
    api.include_router(router)
    api.mount("/static", static_files())
    api.state.problem_page = render_problem


def render_problem(request: Request, problem: Mapping[str, Any]) -> Response:
    """A problem as a page for who reads it in a browser."""
    t = Texts(language_of(request))
    key = f"error.{problem['status']}"
    return render(
        request,
        "error.html",
        status=problem["status"],
        title=t(key) if t.has(key) else t("error.other"),
        detail=t(f"{key}.next") if t.has(f"{key}.next") else problem["detail"],
        request_id=problem.get("request_id", ""),
    )


@router.get("/")
async def ask_page(request: Request, app: Staffroom, question: str = "") -> Response:
    """Show the field for a question, with examples from the library."""
    return await _ask_page(request, app, question)


@router.get("/ask")
async def ask_again() -> Response:
    """Lead back to the field: only a form is sent here."""
    return RedirectResponse("/", 303)


@router.post("/ask")
async def ask_without_script(request: Request, app: Staffroom) -> Response:
    """Answer a question that was sent as a form, and lead to its answer."""
    async with request.form() as form:
        question, given = (_text(form.get(name)) for name in ("question", "conversation_id"))
    try:
        conversation_id = UUID(given) if given else None
        answer = await last_answer(app.ask(question, conversation_id=conversation_id))
    except InputError as error:
        return await _ask_page(request, app, question, error=str(error))
    except (NotFoundError, ValueError):
        # The conversation is gone; the question may still be asked on its own.
        answer = await last_answer(app.ask(question))
    return RedirectResponse(f"/answers/{answer.interaction_id}", 303)


@router.get("/answers/{interaction_id}")
async def answer_page(request: Request, app: Staffroom, interaction_id: UUID) -> Response:
    """Show an answer as it was stored, with its sources as they are now."""
    found = await app.vector_ops.get_interaction(interaction_id)
    t = Texts(language_of(request))
    answer = interaction_document(found)
    matches = await _sources(app, found)
    return render(
        request,
        "answer.html",
        answer={
            **answer,
            "matches": matches,
            "related": await _related(app, found),
            "runs": runs(answer["sentences"], matches),
            "more_runs": runs(answer["more"], matches),
            "understood": found.asked if found.asked != found.question else "",
            "uncertain": is_uncertain(found.best_relevance) and not found.abstained,
            "finished": True,
            "outcome_text": outcome_text(t, found.outcome, found.writer),
        },
        today=datetime.now(UTC).date().isoformat(),
    )


def outcome_text(t: Texts, outcome: str, writer: str) -> str:
    """How an answer came about, in words."""
    if outcome == "written" and writer == ExtractiveWriter.name:
        return t("answer.outcome.read")
    return t(f"answer.outcome.{outcome}", writer=writer)


async def _ask_page(request: Request, app: App, question: str, error: str = "") -> Response:
    return render(
        request,
        "ask.html",
        status=422 if error else 200,
        question=question,
        error=error,
        examples=await _examples(request, app),
        blank=_BLANK,
        blank_source=BLANK_SOURCE,
    )


async def _examples(request: Request, app: App) -> list[dict[str, str]]:
    """Questions of several categories, others tomorrow; chosen once per state of the library."""
    key = (await app.vector_ops.library_version(), datetime.now(UTC).toordinal())
    kept = getattr(request.app.state, "examples", None)
    if kept is None or kept[0] != key:
        kept = request.app.state.examples = (key, await _chosen_examples(app, key[1]))
    chosen: list[dict[str, str]] = kept[1]
    return chosen


async def _chosen_examples(app: App, day: int) -> list[dict[str, str]]:
    first_of: dict[str, dict[str, str]] = {}
    for scenario in await app.vector_ops.list_scenarios(limit=READ_FOR_EXAMPLES):
        content = scenario.content
        asked = [text for text in content.example_questions if text.endswith("?")]
        if asked:
            question = asked[day % len(asked)]
            first_of.setdefault(
                content.metadata.category,
                {
                    "question": question,
                    "category": content.metadata.category,
                    "language": content.metadata.language,
                },
            )
    kinds = list(first_of.values())
    start = day % len(kinds) if kinds else 0
    return (kinds[start:] + kinds[:start])[:EXAMPLES]


def _text(value: UploadFile | str | None) -> str:
    """A field of a form; a file in its place counts as nothing."""
    return value if isinstance(value, str) else ""


async def _related(app: App, found: Interaction) -> list[dict[str, Any]]:
    """What is nearest today to a question that had no answer, if that can be looked up."""
    if found.abstained:
        with suppress(UnavailableError):
            result = await app.vector_ops.search(found.asked)
            return list(map(match_document, result.related))
    return []


async def _sources(app: App, found: Interaction) -> list[dict[str, Any]]:
    """The scenarios that an answer rested on, as they are now."""
    cited = {citation for sentence in found.sentences for citation in sentence.citations}
    right = {said.scenario_id for said in found.feedback if said.verdict in GOOD_VERDICTS}
    sources = []
    for match in found.matches:
        scenario = await app.vector_ops.get_scenario(match.scenario_id)
        sources.append(
            {
                **scenario_document(scenario),
                "relevance": match.relevance,
                "used": match.scenario_id in cited,
                "changed": scenario.revision != match.revision,
                "is_right": match.scenario_id in right,
            }
        )
    return sources
