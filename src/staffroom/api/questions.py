"""`search` and `ask`: what teachers do."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, Depends, Request, Response
from uuid_utils.compat import uuid7

from staffroom.ai.llm_service import last_answer
from staffroom.api.content_type import require_json
from staffroom.api.context import Staffroom
from staffroom.api.description import problems
from staffroom.api.events import MEDIA_TYPE, Event, event_response, wants_events
from staffroom.api.idempotency import Once
from staffroom.api.problems import Problem
from staffroom.api.quick_json import QuickJSON
from staffroom.api.schemas import AnswerOut, AskIn, FiltersIn, SearchIn, SearchOut
from staffroom.app import App
from staffroom.documents import answer_document, search_document, sentence_document
from staffroom.types import Answer, Filters, SearchResult, Sentence, is_uncertain

router = APIRouter(prefix="/api/v1", tags=["questions"], dependencies=[Depends(require_json)])

Parts = AsyncGenerator[SearchResult | Sentence | Answer, None]


@router.post("/search", response_model=SearchOut, responses=problems(422))
async def search(body: SearchIn, app: Staffroom) -> QuickJSON:
    """List the published scenarios that fit a question, best first."""
    filters = await checked_filters(app, body.filters)
    result = await app.vector_ops.search(
        body.query, body.limit, body.threshold, filters, mode=body.mode
    )
    return QuickJSON(search_document(result))


@router.post(
    "/ask",
    response_model=AnswerOut,
    responses={
        **problems(404, 409, 422),
        200: {
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
            "description": "The answer; or, if the client accepts text/event-stream, the events "
            "`matches` (what was found, with the id that the exchange will be stored under), "
            "`sentence` (each with its citations), `answer` (the whole document), or `error`.",
        },
    },
)
async def ask(body: AskIn, request: Request, app: Staffroom, once: Once) -> Response:
    """Answer a question from the library, with the scenario behind every sentence."""
    filters = await checked_filters(app, body.filters)
    interaction_id = None if body.private else uuid7()
    parts = app.ask(
        body.question,
        limit=body.limit,
        filters=filters,
        conversation_id=body.conversation_id,
        interaction_id=interaction_id,
        private=body.private,
    )
    if wants_events(request):
        if once.key:
            raise Problem(422, "Idempotency-Key goes with answers as JSON, not as events.")
        # What fails before the first part keeps its status code.
        found = await anext(parts)
        assert isinstance(found, SearchResult)
        heading = {
            **search_document(found),
            "uncertain": bool(found.matches) and is_uncertain(found.best_relevance),
            "interaction_id": interaction_id and str(interaction_id),
        }
        return event_response(request, _events(heading, parts))

    async def answered() -> Response:
        return QuickJSON(answer_document(await last_answer(parts)))

    if body.private:
        # The key would keep the answer for a day; without it, asking twice changes nothing.
        return await answered()
    return await once.respond(answered)


async def checked_filters(app: App, given: FiltersIn | None) -> Filters:
    """The filters, each of whose values some scenario has. Raises: InputError."""
    filters = given.filters() if given else Filters()
    await app.vector_ops.catalogue.check_filters(filters)
    return filters


async def _events(heading: dict[str, object], parts: Parts) -> AsyncGenerator[Event, None]:
    async with aclosing(parts):
        yield Event("matches", heading)
        async for part in parts:
            if isinstance(part, Sentence):
                yield Event("sentence", sentence_document(part))
            elif isinstance(part, Answer):
                yield Event("answer", answer_document(part))
