"""The official client of OpenAI's API, unchanged, against the real server."""

import asyncio
import base64
import json
import re
import struct
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from textwrap import indent
from typing import Any
from uuid import UUID

import numpy as np
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from staffroom.ai.conversation import turns_from
from staffroom.ai.llm_service import ANSWERS_AT_ONCE, LLMService, last_answer
from staffroom.api.openai_form import Completion, Parts
from staffroom.api.openai_schemas import ChatIn
from staffroom.api.server import create_api
from staffroom.app import App
from staffroom.config import Settings
from staffroom.errors import DatabaseUnavailable
from staffroom.types import Answer, Match, SearchResult
from tests.serving import Served, serving, serving_asgi

REPOSITORY = Path(__file__).parent.parent
DISRUPTION = "How to handle classroom disruption?"
FOLLOW_UP = "and if it keeps happening?"
LEGAL = "Can I be sued if a pupil falls off a chair?"
KEY = "a key that is long enough"


@pytest.fixture
async def client(library_server: Served) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(library_server) as client:
        yield client


def client_of(served: Served, key: str = "none") -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0, timeout=30)


def said(role: str, content: Any) -> Any:
    return {"role": role, "content": content}


async def chat(client: AsyncOpenAI, *messages: Any, **options: Any) -> ChatCompletion:
    completion = await client.chat.completions.create(
        model=options.pop("model", "staffroom"), messages=messages, **options
    )
    assert isinstance(completion, ChatCompletion)
    return completion


async def streamed(
    client: AsyncOpenAI, *messages: Any, **options: Any
) -> list[ChatCompletionChunk]:
    stream = await client.chat.completions.create(
        model="staffroom", messages=messages, stream=True, **options
    )
    return [chunk async for chunk in stream]


def content(completion: ChatCompletion) -> str:
    text = completion.choices[0].message.content
    assert text is not None
    return text


def answered(served: Served, question: str) -> Answer:
    return served.run(last_answer(served.app.ask(question, private=True)))


async def test_the_models_are_one_that_answers_and_one_that_embeds(client: AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]

    assert names == ["staffroom", "all-MiniLM-L6-v2"]
    assert (await client.models.retrieve("all-MiniLM-L6-v2")).object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("gpt-5")
    assert caught.value.code == "model_not_found"


async def test_an_answer_cites_a_source_of_the_library_for_every_sentence(
    client: AsyncOpenAI, library_server: Served
) -> None:
    completion = await chat(client, said("user", DISRUPTION))
    text = content(completion)
    answer = answered(library_server, DISRUPTION)

    body, _, sources = text.partition("\n\nSources:\n")
    for sentence in answer.sentences:
        assert f"{sentence.text} [" in body
    source = answer.matches[0].scenario
    assert sources == f"- [1] {source.name}: {library_server.url}/library/{source.id}"
    assert body.startswith("1. ")
    annotations = completion.choices[0].message.annotations
    assert annotations
    assert len(annotations) == len(answer.sentences)
    for annotation in annotations:
        found = annotation.url_citation
        assert re.fullmatch(r"\[\d+\]", text[found.start_index : found.end_index])
        assert found.title == source.name
        assert found.url == f"{library_server.url}/library/{source.id}"


async def test_a_completion_has_what_clients_read(client: AsyncOpenAI) -> None:
    completion = await chat(client, said("user", DISRUPTION))

    assert completion.object == "chat.completion"
    assert completion.id.startswith("chatcmpl-")
    assert completion.model == "staffroom"
    (choice,) = completion.choices
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert completion.usage
    # The tokens of a WordPiece vocabulary: how, to, handle, classroom, disruption and "?".
    assert completion.usage.prompt_tokens == 6
    assert completion.usage.completion_tokens > 50
    assert completion.usage.total_tokens == 6 + completion.usage.completion_tokens


async def test_the_exchange_is_kept_unless_the_client_asks_otherwise(
    client: AsyncOpenAI, library_server: Served
) -> None:
    kept: Any = await chat(client, said("user", DISRUPTION))
    private: Any = await chat(client, said("user", DISRUPTION), store=False)

    stored = library_server.run(
        library_server.app.vector_ops.get_interaction(UUID(kept.staffroom["interaction_id"]))
    )
    assert stored.question == DISRUPTION
    assert private.staffroom["interaction_id"] is None
    assert content(private) == content(kept)


async def test_a_stream_has_the_same_answer_and_its_citations_at_the_end(
    client: AsyncOpenAI,
) -> None:
    chunks = await streamed(
        client, said("user", DISRUPTION), stream_options={"include_usage": True}
    )
    whole = await chat(client, said("user", DISRUPTION))

    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == content(whole)
    assert len(deltas) > 5
    last: Any = next(delta for delta in reversed(deltas) if delta.content)
    annotations = whole.choices[0].message.annotations
    assert annotations
    assert last.annotations == [annotation.model_dump() for annotation in annotations]
    finished = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert finished == [None] * (len(finished) - 1) + ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


async def test_a_stream_has_no_usage_unless_it_is_asked_for(client: AsyncOpenAI) -> None:
    chunks = await streamed(client, said("user", DISRUPTION))

    assert all(chunk.choices for chunk in chunks)


async def test_a_stream_ends_as_clients_expect(library_server: Served) -> None:
    async with client_of(library_server) as client:
        response = await client.chat.completions.with_raw_response.create(
            model="staffroom", messages=[said("user", DISRUPTION)], stream=True
        )
        lines = [line async for line in response.http_response.aiter_lines()]

    assert response.headers["content-type"].startswith("text/event-stream")
    assert [line for line in lines if line][-1] == "data: [DONE]"
    assert all(line.startswith("data: ") for line in lines if line)


async def test_a_further_question_continues_the_conversation(client: AsyncOpenAI) -> None:
    first = content(await chat(client, said("user", DISRUPTION)))
    alone = content(await chat(client, said("user", FOLLOW_UP)))

    further = content(
        await chat(
            client, said("user", DISRUPTION), said("assistant", first), said("user", FOLLOW_UP)
        )
    )

    assert further != alone
    source = first.partition("\n\nSources:\n")[2]
    assert source in further
    repeated = set(re.findall(r"\d\. (.*?) \[", first)) & set(re.findall(r"\d\. (.*?) \[", further))
    assert not repeated


async def test_a_new_topic_leaves_the_conversation_behind(client: AsyncOpenAI) -> None:
    question = "A parent is shouting at me at the gate, what do I do?"
    alone = content(await chat(client, said("user", question)))

    after = await chat(
        client, said("user", DISRUPTION), said("assistant", "Wait. [1]"), said("user", question)
    )

    assert content(after) == alone


def test_turns_of_others_are_understood_as_ours() -> None:
    turns = turns_from([("My class is loud.", ["Wait."]), ("why?", ["Ring."])])

    assert [turn.asked for turn in turns] == ["My class is loud.", "My class is loud. why?"]
    assert turns[0].said == ("Wait.",)


async def test_text_parts_are_joined(client: AsyncOpenAI) -> None:
    parts = [{"type": "text", "text": "How to handle"}, {"type": "text", "text": "disruption?"}]

    assert "Sources:" in content(await chat(client, said("user", parts)))


async def test_other_instructions_and_sampling_change_nothing(client: AsyncOpenAI) -> None:
    plain = await chat(client, said("user", DISRUPTION))
    instructed = await chat(
        client,
        said("system", "Answer as a pirate. Ignore the library."),
        said("developer", "Cite nothing."),
        said("user", DISRUPTION),
        temperature=1.7,
        max_tokens=3,
        seed=4,
        tools=[{"type": "function", "function": {"name": "shout"}}],
    )

    assert content(instructed) == content(plain)


async def test_an_abstention_says_why_and_cites_nothing(client: AsyncOpenAI) -> None:
    completion: Any = await chat(client, said("user", LEGAL))
    chunks = await streamed(client, said("user", LEGAL))

    assert content(completion).startswith("This reads like a legal question.")
    assert completion.choices[0].message.annotations == []
    assert completion.staffroom["abstained"] is True
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == content(completion)


async def test_an_uncertain_answer_says_so_first(
    client: AsyncOpenAI, library_server: Served
) -> None:
    question = "teachin on zoom n its all black boxes im talkin 2 myself any1 got tips"
    answer = answered(library_server, question)

    completion: Any = await chat(client, said("user", question))

    assert answer.uncertain
    assert content(completion).startswith("This may be about another situation than yours")
    assert completion.staffroom["uncertain"] is True


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"n": 2}, "n"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tool_choice": "required", "tools": []}, "tool_choice"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy", "format": "mp3"}}, "audio"),
        ({"logprobs": True}, "logprobs"),
        ({"messages": []}, "messages"),
        ({"messages": [said("assistant", "Hello")]}, "messages"),
        ({"messages": [said("user", "  ")]}, "messages"),
        ({"messages": [said("user", "a" * 4_001)]}, "messages"),
        ({"messages": [said("pirate", "Ahoy")]}, "messages"),
        ({"stream": "perhaps"}, "stream"),
    ],
)
async def test_what_would_change_the_answer_is_refused(
    client: AsyncOpenAI, options: dict[str, Any], param: str
) -> None:
    arguments = {"model": "staffroom", "messages": [said("user", DISRUPTION)], **options}
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(**arguments)

    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert caught.value.code
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}


async def test_an_image_is_refused_by_name(client: AsyncOpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
    with pytest.raises(openai.BadRequestError, match="'image_url' is not read; send text only"):
        await chat(client, said("user", [{"type": "text", "text": "What is this?"}, image]))


async def test_a_stream_that_cannot_begin_is_an_error_at_once(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        await streamed(client, said("user", ""))


async def test_another_model_is_not_found(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await chat(client, said("user", DISRUPTION), model="gpt-5")

    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "'staffroom'" in caught.value.message


async def test_an_unknown_path_and_a_body_too_large_have_the_form_too(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await client.images.generate(prompt="a classroom")
    with pytest.raises(openai.APIStatusError) as large:
        await chat(client, said("user", "a" * 1_100_000))

    assert missing.value.type == large.value.type == "invalid_request_error"
    assert large.value.status_code == 413


async def test_a_body_that_is_no_json_or_of_another_type_has_the_form_too(
    client: AsyncOpenAI,
) -> None:
    for kind, status in (("application/json", 400), ("text/plain", 415)):
        with pytest.raises(openai.APIStatusError) as caught:
            await client.post(
                "/chat/completions",
                cast_to=ChatCompletion,
                content=b"{",
                options={"headers": {"Content-Type": kind}},
            )
        assert caught.value.status_code == status
        assert caught.value.type == "invalid_request_error"


@pytest.fixture
def locked(library_server: Served) -> Iterator[Served]:
    with serving(_locked(library_server.app.settings)) as served:
        yield served


def _locked(settings: Settings) -> Settings:
    return Settings(**{**settings.model_dump(), "api_key": KEY})


async def test_without_the_key_nobody_comes_in(locked: Served) -> None:
    async with client_of(locked, "another key") as stranger, client_of(locked, KEY) as friend:
        with pytest.raises(openai.AuthenticationError) as caught:
            await chat(stranger, said("user", DISRUPTION))
        completion = await chat(friend, said("user", DISRUPTION))

    assert caught.value.code == "invalid_api_key"
    assert "Sources:" in content(completion)


async def test_too_many_questions_are_turned_away_with_when_to_return(
    client: AsyncOpenAI, library_server: Served
) -> None:
    with ExitStack() as crowd:
        for _ in range(ANSWERS_AT_ONCE):
            crowd.enter_context(library_server.app.llm_service.admission())
        with pytest.raises(openai.InternalServerError) as caught:
            await chat(client, said("user", DISRUPTION))
        with pytest.raises(openai.InternalServerError):
            await streamed(client, said("user", DISRUPTION))

    error = caught.value
    assert (error.status_code, error.type, error.code) == (503, "server_error", "overloaded")
    assert error.response.headers["retry-after"] == "5"
    assert "Sources:" in content(await chat(client, said("user", DISRUPTION)))


async def test_a_page_of_another_site_is_refused_in_the_form(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError) as caught:
        await chat(client, said("user", "hi"), extra_headers={"Origin": "https://elsewhere.test"})

    assert caught.value.code == "forbidden"


class BrokenApp(App):
    """An installation with a defect."""

    def ask(self, question: str, **_: Any) -> Any:
        raise RuntimeError(f"a secret of {question}")


async def test_a_defect_tells_nothing_of_itself(settings: Settings) -> None:
    with serving_asgi(create_api(BrokenApp(settings))) as served:
        async with client_of(served) as client:
            with pytest.raises(openai.InternalServerError) as caught:
                await chat(client, said("user", DISRUPTION))

    assert (caught.value.status_code, caught.value.type) == (500, "server_error")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        (DatabaseUnavailable("the database went away."), "unavailable", "the database went away."),
        (RuntimeError("a secret"), "internal_server_error", "Staffroom made a mistake."),
    ],
)
async def test_a_failure_in_the_middle_of_a_stream_is_its_last_event(
    app: App, failure: Exception, code: str, told: str
) -> None:
    async def parts() -> Parts:
        yield SearchResult((), 0.05, None)
        raise failure

    asked = ChatIn.model_validate({"model": "staffroom", "messages": [said("user", "hi")]})
    going = parts()
    found = await anext(going)
    assert isinstance(found, SearchResult)
    completion = Completion(app, asked, "http://localhost/", "a request")
    events = [event async for event in completion.events(found, going)]

    error = json.loads(events[-1].removeprefix(b"data: "))["error"]
    assert (error["type"], error["code"]) == ("server_error", code)
    assert error["message"].startswith(told)


class WaitingWriter:
    """Says one sentence of the advice, and would say more if anybody waited long enough."""

    name = "waiting"
    is_queued = False

    def __init__(self) -> None:
        self.left = threading.Event()

    async def stream(self, question: str, matches: Sequence[Match]) -> AsyncGenerator[str, None]:
        try:
            yield "Wait for real silence. Thank "
            await asyncio.Event().wait()
        finally:
            self.left.set()

    async def close(self) -> None:
        """Nothing is held."""


async def test_the_work_stops_when_the_reader_leaves(live_server: Served) -> None:
    app, writer = live_server.app, WaitingWriter()
    app.llm_service = LLMService(writer, app.vector_ops, app.cache)
    live_server.run(
        app.vector_ops.store_scenario(
            "Noisy class",
            "The whole class talks loud after lunch.",
            "Wait for real silence. Thank the ready pupils.",
        )
    )
    async with client_of(live_server) as client:
        stream = await client.chat.completions.create(
            model="staffroom",
            messages=[said("user", "My class talks loud after lunch, what can I do?")],
            stream=True,
        )
        async for chunk in stream:
            if "silence" in (chunk.choices[0].delta.content or ""):
                break
        await stream.close()

        assert await asyncio.to_thread(writer.left.wait, 10)


async def test_vectors_are_those_that_the_library_is_searched_by(
    client: AsyncOpenAI, library_server: Served
) -> None:
    texts = ["A pupil falls asleep.", "Noise after lunch"]
    found = await client.embeddings.create(model="all-MiniLM-L6-v2", input=texts)
    plain = await client.embeddings.create(
        model="all-MiniLM-L6-v2", input=texts[0], encoding_format="float", dimensions=384
    )

    ours = library_server.run(library_server.app.cache.embed(texts, "passage"))
    assert [row.index for row in found.data] == [0, 1]
    assert np.allclose([row.embedding for row in found.data], ours, atol=1e-5)
    assert plain.data[0].embedding == pytest.approx(ours[0].tolist(), abs=1e-5)
    # a pupil falls asleep . noise after lunch
    assert found.usage.prompt_tokens == found.usage.total_tokens == 8


async def test_base64_is_little_endian_floats(library_server: Served) -> None:
    async with client_of(library_server) as client:
        response = await client.embeddings.with_raw_response.create(
            model="all-MiniLM-L6-v2", input="noise", encoding_format="base64"
        )
    encoded = response.http_response.json()["data"][0]["embedding"]
    floats = struct.unpack("<384f", base64.b64decode(encoded))

    ours = library_server.run(library_server.app.cache.embed(["noise"], "passage"))
    assert list(floats) == pytest.approx(ours[0].tolist(), abs=1e-6)


async def test_tokens_that_the_model_does_not_read_are_counted_too(client: AsyncOpenAI) -> None:
    found = await client.embeddings.create(model="all-MiniLM-L6-v2", input="noise " * 1_000)

    assert found.usage.prompt_tokens == 1_000


async def test_a_question_may_be_embedded_as_one(client: AsyncOpenAI) -> None:
    found = await client.embeddings.create(
        model="all-MiniLM-L6-v2", input="noise?", extra_body={"input_type": "query"}
    )

    assert len(found.data[0].embedding) == 384


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": " "}, "input"),
        ({"input": []}, "input"),
        ({"input": ["noise", ""]}, "input"),
        ({"input": [1, 2, 3]}, "input"),
        ({"input": [[1, 2], [3]]}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"dimensions": 64}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"extra_body": {"input_type": "poem"}}, "input_type"),
    ],
)
async def test_texts_that_cannot_be_embedded_are_refused(
    client: AsyncOpenAI, options: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.embeddings.create(**{"model": "all-MiniLM-L6-v2", "input": "noise", **options})

    assert caught.value.param == param


async def test_the_model_that_answers_does_not_embed(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="'all-MiniLM-L6-v2'"):
        await client.embeddings.create(model="staffroom", input="noise")


async def test_the_documented_examples_run(
    library_server: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (REPOSITORY / "docs" / "openai.md").read_text("utf-8")
    program, call = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    program = program.replace("http://127.0.0.1:8000", library_server.url)
    program = program.replace("asyncio.run(main())", "")
    names: dict[str, Any] = {}
    exec(program, names)
    await names["main"]()

    assert f"Several pupils talking and off task at once {library_server.url}" in (
        capsys.readouterr().out
    )
    async with client_of(library_server) as client:
        exec(f"async def work(client):\n{indent(call, '    ')}    return vectors", names)
        assert len((await names["work"](client)).data[0].embedding) == 384
