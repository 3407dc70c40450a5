"""Staffroom as a server that clients of OpenAI's API use unchanged: chat, embeddings, models."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import Any, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import format_sse_event

from staffroom.ai.conversation import turns_from
from staffroom.ai.llm_service import last_answer
from staffroom.api.content_type import require_json
from staffroom.api.context import Staffroom
from staffroom.api.events import CONTENT, stream_response
from staffroom.api.openai_errors import openai_error
from staffroom.api.openai_schemas import (
    ChatIn,
    ChatOut,
    EmbeddingsIn,
    EmbeddingsOut,
    Message,
    ModelOut,
    ModelsOut,
    errors,
)
from staffroom.api.problems import Problem, defect_response, error_response, request_id
from staffroom.api.prose import Prose, said_in
from staffroom.app import App
from staffroom.database.interactions import REMEMBERED_TURNS
from staffroom.errors import InputError, StaffroomError
from staffroom.scenario_life import is_overdue
from staffroom.text import MAX_QUESTION, clean_question, mend
from staffroom.types import Answer, SearchResult, Sentence, Turn, Vectors

CHAT_MODEL: Final = "staffroom"

_STARTED: Final = int(time.time())
_REFUSALS: Final = errors(400, 404, 413, 415, 503)
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": CONTENT,
        "description": "The completion; or, with `stream`, its chunks.",
    }
}

router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"], dependencies=[Depends(require_json)])

Parts = AsyncGenerator[SearchResult | Sentence | Answer, None]


@router.get("/models", response_model=ModelsOut, responses=errors(503))
async def list_models(app: Staffroom) -> ModelsOut:
    """List the models that requests can name: one answers, one embeds."""
    return ModelsOut(data=[_model(name) for name in (CHAT_MODEL, embedding_model(app))])


@router.get("/models/{model_id:path}", response_model=ModelOut, responses=errors(404, 503))
async def get_model(model_id: str, app: Staffroom) -> ModelOut:
    """Tell whether there is such a model."""
    _check_model(model_id, CHAT_MODEL, embedding_model(app))
    return _model(model_id)


@router.post("/chat/completions", response_model=ChatOut, responses=_REFUSALS | _STREAM)
async def chat(body: ChatIn, request: Request, app: Staffroom) -> Response:
    """Answer the last message of a user from the library, with the source of every sentence.

    Earlier messages are the conversation that it continues. With `stream`, the answer comes as
    server-sent events.
    """
    _check_model(body.model, CHAT_MODEL)
    question, turns = conversation(body.messages)
    parts = app.ask(question, turns=turns, private=body.store is False)
    completion = Completion(app, body, str(request.base_url), request_id(request))
    if body.stream:
        # What fails before the first part keeps its status code.
        found = await anext(parts)
        assert isinstance(found, SearchResult)
        return stream_response(completion.events(found, parts))
    return JSONResponse(await completion.document(await last_answer(parts)))


@router.post("/embeddings", response_model=EmbeddingsOut, responses=_REFUSALS)
async def embeddings(body: EmbeddingsIn, app: Staffroom) -> Response:
    """Embed texts with the model that the library is searched by."""
    name = embedding_model(app)
    _check_model(body.model, name)
    texts = [body.input] if isinstance(body.input, str) else body.input
    try:
        vectors = await app.cache.embed(texts, body.input_type or "passage")
    except InputError as error:
        raise Problem(400, str(error), name="invalid-input", field="input") from error
    if body.dimensions not in {None, vectors.shape[1]}:
        raise Problem(
            400,
            f"{name} has {vectors.shape[1]} dimensions, not {body.dimensions}. Leave them out.",
            name="unsupported-value",
            field="dimensions",
        )
    tokens = await app.embedder.count_tokens(texts)
    encoded = await asyncio.to_thread(_encoded, vectors, body.encoding_format == "base64")
    document = {
        "object": "list",
        "model": name,
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(encoded)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    content = await asyncio.to_thread(json.dumps, document, separators=(",", ":"))
    return Response(content, media_type="application/json")


def embedding_model(app: App) -> str:
    """The name of the model that the library is searched by, without a digest or a server."""
    return app.embedder.model.partition("@")[0]


def conversation(messages: Sequence[Message]) -> tuple[str, list[Turn]]:
    """The question, which is the last message of a user, and what was said before it.

    Raises: Problem, 400, naming `messages` if no question is there, or one that is too long.
    """
    places = [place for place, message in enumerate(messages) if message.role == "user"]
    try:
        question = clean_question(messages[places[-1]].text if places else "")
    except InputError as error:
        told = str(error) if places else "no message is a user's, and theirs is the question."
        raise Problem(400, told, name="invalid-input", field="messages") from error
    exchanges = []
    for place, following in pairwise(places):
        asked = mend(messages[place].text[:MAX_QUESTION])
        answers = (m.text for m in messages[place:following] if m.role == "assistant")
        exchanges.append((asked, [said for text in answers for said in said_in(text)]))
    return question, turns_from(exchanges[-REMEMBERED_TURNS:])


class Completion:
    """One answer on its way to the client."""

    def __init__(self, app: App, asked: ChatIn, base_url: str, request_id: str) -> None:
        self._app = app
        self._asked = asked
        self._base_url = base_url
        self._request_id = request_id
        self._head = {
            "id": f"chatcmpl-{uuid4().hex}",
            "created": int(time.time()),
            "model": CHAT_MODEL,
        }

    async def document(self, answer: Answer) -> dict[str, Any]:
        """The answer in one piece."""
        found = SearchResult(answer.matches, answer.threshold, answer.best_relevance)
        prose = Prose(found, self._address)
        message = {
            "role": "assistant",
            "content": prose.whole(answer),
            "refusal": None,
            "annotations": _annotations(prose, self._address),
        }
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": await self._usage(prose.text),
            "staffroom": _about(answer),
        }

    async def events(self, found: SearchResult, parts: Parts) -> AsyncGenerator[bytes, None]:
        """The answer sentence by sentence; citations come with the last delta."""
        prose = Prose(found, self._address)
        try:
            async with aclosing(parts):
                yield self._chunk({"role": "assistant", "content": prose.begin()})
                async for part in parts:
                    if isinstance(part, Sentence):
                        yield self._chunk({"content": prose.add(part)})
                    elif isinstance(part, Answer):
                        ending = prose.end(part)
                        annotations = _annotations(prose, self._address)
                        yield self._chunk({"content": ending, "annotations": annotations})
                        yield self._chunk({}, "stop", staffroom=_about(part))
        except StaffroomError as error:
            yield _error_event(error_response(error))
            return
        except Exception as error:  # noqa: BLE001 - a defect is told, as before the first byte
            yield _error_event(defect_response(error, self._request_id))
            return
        if self._asked.stream_options and self._asked.stream_options.include_usage:
            yield self._event(choices=[], usage=await self._usage(prose.text))
        yield format_sse_event(data_str="[DONE]")

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return self._event(choices=[choice], **more)

    def _event(self, **fields: Any) -> bytes:
        return _event({**self._head, "object": "chat.completion.chunk", **fields})

    async def _usage(self, content: str) -> dict[str, int]:
        count = self._app.embedder.count_tokens
        prompt = await count([message.text for message in self._asked.messages])
        completion = await count([content])
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }

    def _address(self, scenario_id: UUID) -> str:
        return f"{self._base_url}library/{scenario_id}"


def _about(answer: Answer) -> dict[str, Any]:
    return {
        "outcome": answer.outcome,
        "abstained": answer.abstained,
        "uncertain": answer.uncertain,
        "best_relevance": answer.best_relevance,
        "overdue": [str(scenario_id) for scenario_id in _overdue(answer)],
        "interaction_id": answer.interaction_id and str(answer.interaction_id),
    }


def _overdue(answer: Answer) -> list[UUID]:
    """What the answer rests on that is past its review date."""
    cited = {citation for sentence in answer.sentences for citation in sentence.citations}
    scenarios = (match.scenario for match in answer.matches)
    return [
        scenario.id
        for scenario in scenarios
        if scenario.id in cited and is_overdue(scenario.content.metadata)
    ]


def _annotations(prose: Prose, address: Callable[[UUID], str]) -> list[dict[str, Any]]:
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": mark.start,
                "end_index": mark.end,
                "title": mark.match.scenario.name,
                "url": address(mark.match.scenario.id),
            },
        }
        for mark in prose.marks
    ]


def _encoded(vectors: Vectors, in_base64: bool) -> list[Any]:
    """The vectors as numbers, or as the base64 of little-endian 32-bit floats."""
    if not in_base64:
        encoded: list[Any] = vectors.tolist()
        return encoded
    return [base64.b64encode(vector.tobytes()).decode() for vector in vectors.astype("<f4")]


def _error_event(problem: Response) -> bytes:
    return _event(openai_error(json.loads(bytes(problem.body))))


def _event(document: dict[str, Any]) -> bytes:
    return format_sse_event(data_str=json.dumps(document, ensure_ascii=False))


def _model(name: str) -> ModelOut:
    return ModelOut(id=name, created=_STARTED)


def _check_model(given: str, *known: str) -> None:
    if given not in known:
        raise Problem(
            404,
            f"There is no model {given[:100]!r} for this; name {' or '.join(map(repr, known))}.",
            name="model-not-found",
            field="model",
        )
