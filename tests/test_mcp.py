"""The official client of the Model Context Protocol, over HTTP and over standard streams."""

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import httpx2
import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent, TextResourceContents

from staffroom.ai.llm_service import LLMService
from staffroom.api.mcp_server import LIBRARY, PAGE, create_server
from staffroom.api.mcp_tools import DEFECT, TOOLS
from staffroom.app import App
from staffroom.config import Settings
from staffroom.types import Filters, Match
from tests.serving import Served, serving

REPOSITORY = Path(__file__).parent.parent
DISRUPTION = "How to handle classroom disruption?"
LEGAL = "Can I be sued if a pupil falls off a chair?"
SUGGESTION = {
    "name": "A drone over the playground",
    "description": "A drone hovers over the playground at break, and pupils run after it.",
    "expected_response": "1. Call everyone in.\n2. Tell the office.",
    "category": "routines",
}

Connect = Callable[[Served], AbstractAsyncContextManager[Client]]


def environment(settings: Settings) -> dict[str, str]:
    """What a process needs to work on the same library."""
    assert settings.database_url
    return {
        "STAFFROOM_DATABASE_URL": settings.database_url.get_secret_value(),
        "STAFFROOM_MODELS": str(settings.models),
        "STAFFROOM_TENANT": str(settings.tenant),
        "STAFFROOM_STARTER_LIBRARY": str(settings.starter_library),
    }


COMMAND = (sys.executable, "-m", "staffroom.cli", "mcp")


@asynccontextmanager
async def over_http(served: Served, mode: str = "auto") -> AsyncIterator[Client]:
    async with Client(f"{served.url}/mcp", mode=mode, read_timeout_seconds=30) as client:
        yield client


@asynccontextmanager
async def over_older_http(served: Served) -> AsyncIterator[Client]:
    async with over_http(served, "legacy") as client:
        yield client


@asynccontextmanager
async def over_stdio(served: Served) -> AsyncIterator[Client]:
    parameters = StdioServerParameters(
        command=COMMAND[0], args=list(COMMAND[1:]), env=environment(served.app.settings)
    )
    with tempfile.TemporaryFile("w+") as log:
        async with Client(stdio_client(parameters, log), read_timeout_seconds=30) as client:
            yield client
        log.seek(0)
        assert log.read() == ""


@pytest.fixture(params=[over_http, over_older_http, over_stdio], ids=["http", "older", "stdio"])
def connect(request: pytest.FixtureRequest) -> Connect:
    way: Connect = request.param
    return way


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def used(client: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """The document that a tool gives, found to be as it was announced."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    assert isinstance(result.structured_content, dict)
    schemas = {known.name: known.output_schema for known in (await client.list_tools()).tools}
    schema = schemas[tool]
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(result.structured_content)
    return result.structured_content


async def refused(client: Client, tool: str, /, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert result.structured_content is None
    return text_of(result)


async def read(client: Client, uri: str) -> str:
    (contents,) = (await client.read_resource(uri)).contents
    assert isinstance(contents, TextResourceContents)
    assert contents.mime_type == "text/markdown"
    return contents.text


def test_every_way_serves_everything(connect: Connect, own_library_server: Served) -> None:
    """One connection does all of it, since a process takes a second to start."""

    async def work() -> None:
        async with connect(own_library_server) as client:
            await describes_its_tools(client)
            await answers(client)
            await finds_and_reads(client)
            await keeps_a_suggestion(client, own_library_server)
            await lists_resources(client)
            await refuses_bad_input(client)

    asyncio.run(work())


async def describes_its_tools(client: Client) -> None:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert tools.keys() == {"ask", "search_scenarios", "get_scenario", "suggest_scenario"}
    for name, tool in tools.items():
        assert tool.description
        assert tool.annotations
        assert tool.annotations.read_only_hint is (name != "suggest_scenario")
        assert tool.annotations.destructive_hint is False
        assert tool.annotations.open_world_hint is False
        Draft202012Validator.check_schema(tool.input_schema)
    assert "vetted" in (client.instructions or "")


async def answers(client: Client) -> None:
    answer = await used(client, "ask", question=DISRUPTION)
    (source,) = answer["sources"]
    assert answer["outcome"] == "written"
    assert all(sentence["citations"] == [source["id"]] for sentence in answer["sentences"])
    assert answer["answer"].endswith(f"- [1] {source['name']}: {source['uri']}")

    conversation = answer["conversation_id"]
    further = await used(
        client, "ask", question="and if it keeps happening?", conversation_id=conversation
    )
    assert further["conversation_id"] == conversation
    assert further["sources"][0]["id"] == source["id"]
    assert text_of(await client.call_tool("ask", {"question": DISRUPTION})).startswith(
        answer["answer"]
    )

    legal = await used(client, "ask", question=LEGAL)
    assert legal["abstained"]
    assert legal["sentences"] == legal["sources"] == []
    assert legal["answer"].startswith("This reads like a legal question.")


async def finds_and_reads(client: Client) -> None:
    found = await used(client, "search_scenarios", query=DISRUPTION, limit=3, threshold=0)
    assert len(found["matches"]) == 3
    best = found["matches"][0]
    assert best["relevance"] == found["best_relevance"] or best["relevance"] > 0.5
    filtered = await used(
        client, "search_scenarios", query=DISRUPTION, category=best["category"], threshold=0
    )
    assert {match["category"] for match in filtered["matches"]} == {best["category"]}
    nothing = await used(client, "search_scenarios", query=DISRUPTION, threshold=1)
    assert nothing["matches"] == []
    assert nothing["related"]

    scenario = await used(client, "get_scenario", scenario_id=best["id"])
    assert scenario["name"] == best["name"]
    assert scenario["expected_response"]
    by_address = await used(client, "get_scenario", scenario_id=best["uri"])
    assert by_address == scenario
    markdown = await read(client, best["uri"])
    assert markdown == text_of(await client.call_tool("get_scenario", {"scenario_id": best["id"]}))
    assert f"## Vetted advice\n\n{scenario['expected_response']}" in markdown


async def keeps_a_suggestion(client: Client, served: Served) -> None:
    kept = await used(client, "suggest_scenario", **SUGGESTION)
    again = await used(client, "suggest_scenario", **SUGGESTION)
    named = await used(
        client, "suggest_scenario", **{**SUGGESTION, "name": "Drone", "contributor": "Ms Okoro"}
    )

    assert again == kept
    assert kept["status"] == "draft"
    assert "through MCP" in kept["contributor"]
    assert named["contributor"] == "Ms Okoro"
    stored = served.run(served.app.vector_ops.get_scenario(UUID(kept["id"])))
    assert stored.content.metadata.status == "draft"
    found = await used(client, "search_scenarios", query="a drone over the playground", threshold=0)
    assert kept["id"] not in [match["id"] for match in found["matches"]]
    assert "**This scenario is not published (draft)." in await read(client, kept["uri"])


async def lists_resources(client: Client) -> None:
    addresses: list[str] = []
    cursor = None
    while True:
        page = await client.list_resources(cursor=cursor)
        assert len(page.resources) <= PAGE + 1
        addresses += [str(resource.uri) for resource in page.resources]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert addresses[0] == LIBRARY
    assert len(addresses) == len(set(addresses))
    index = await read(client, LIBRARY)
    assert f"{len(addresses) - 1} published scenarios." in index
    assert set(re.findall(r"scenario://[\w-]+", index)) == set(addresses[1:])
    (template,) = (await client.list_resource_templates()).resource_templates
    assert template.uri_template == "scenario://{id}"


async def refuses_bad_input(client: Client) -> None:
    nobody = str(uuid4())
    assert await refused(client, "ask") == "question: Field required"
    assert "question" in await refused(client, "ask", question="  ")
    assert "4000" in await refused(client, "ask", question="a" * 4_001)
    assert "no conversation" in await refused(client, "ask", question="x?", conversation_id=nobody)
    assert "limit" in await refused(client, "ask", question="x?", limit=0)
    assert "colour" in await refused(client, "ask", question="x?", colour="red")
    assert "scenario_id" in await refused(client, "get_scenario", scenario_id="seven")
    assert f"no scenario {nobody}" in await refused(client, "get_scenario", scenario_id=nobody)
    told = await refused(client, "search_scenarios", query="x", category="nonsense")
    assert told.startswith("category: no scenario has 'nonsense'; there are ")
    told = await refused(client, "search_scenarios", query="x", grade_band="nonsense")
    assert told.startswith("grade_band: no scenario has 'nonsense'; there are ")
    too_long = {**SUGGESTION, "description": "a" * 50_001}
    assert "description" in await refused(client, "suggest_scenario", **too_long)
    assert "There is no tool 'retire'" in await refused(client, "retire")
    for uri, told in (
        (f"scenario://{nobody}", f"no scenario {nobody}"),
        ("scenario://seven", "does not end in the id"),
        ("file:///etc/passwd", "There is no resource"),
    ):
        with pytest.raises(MCPError, match=told) as caught:
            await client.read_resource(uri)
        assert caught.value.code == -32602
    with pytest.raises(MCPError, match="which no page gave out"):
        await client.list_resources(cursor="seven")


def test_two_programs_are_served_at_once(connect: Connect, library_server: Served) -> None:
    questions = (DISRUPTION, "A parent is shouting at me at the gate, what do I do?")

    async def work() -> list[dict[str, Any]]:
        async with connect(library_server) as one, connect(library_server) as other:
            return await asyncio.gather(
                *(used(one, "ask", question=questions[n % 2]) for n in range(4)),
                *(used(other, "ask", question=questions[n % 2]) for n in range(4)),
            )

    found = [answer["answer"] for answer in asyncio.run(work())]
    assert found[0] != found[1]
    assert found == found[:2] * 4


def test_another_tenants_scenarios_are_not_there(own_library_server: Served) -> None:
    settings = own_library_server.app.settings
    theirs = own_library_server.run(own_library_server.app.vector_ops.list_scenarios(Filters(), 1))[
        0
    ].id
    other = Settings(**{**settings.model_dump(), "tenant": uuid4(), "starter_library": False})

    async def work() -> None:
        async with over_http(served) as client:
            assert "no scenario" in await refused(client, "get_scenario", scenario_id=str(theirs))
            with pytest.raises(MCPError, match="no scenario"):
                await client.read_resource(f"scenario://{theirs}")
            assert [r.uri for r in (await client.list_resources()).resources] == [LIBRARY]
            assert "0 published scenarios" in await read(client, LIBRARY)
            found = await used(client, "search_scenarios", query=DISRUPTION, threshold=0)
            assert found["matches"] == found["related"] == []

    with serving(other) as served:
        asyncio.run(work())


class Defect:
    """Fails whatever is wanted of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"a secret of {name}")


class BrokenApp(App):
    """An installation with defects."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.vector_ops = cast("Any", Defect())

    def ask(self, question: str, **_: Any) -> Any:
        raise RuntimeError(f"a secret of {question}")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_defect_tells_nothing_of_itself(settings: Settings, mode: str) -> None:
    async with Client(create_server(BrokenApp(settings)), mode=mode) as client:
        assert await refused(client, "ask", question=DISRUPTION) == DEFECT
        for work in (client.read_resource(LIBRARY), client.list_resources()):
            with pytest.raises(MCPError) as caught:
                await work
            assert caught.value.message == DEFECT


class WaitingWriter:
    """Never says a word."""

    name = "waiting"
    is_queued = False

    def __init__(self) -> None:
        self.heard = threading.Event()
        self.left = threading.Event()

    async def stream(self, question: str, matches: Sequence[Match]) -> AsyncGenerator[str, None]:
        self.heard.set()
        try:
            await asyncio.Event().wait()
            yield ""
        finally:
            self.left.set()

    async def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_work_stops_when_the_program_leaves(live_server: Served, mode: str) -> None:
    app, writer = live_server.app, WaitingWriter()
    app.llm_service = LLMService(writer, app.vector_ops, app.cache)
    live_server.run(
        app.vector_ops.store_scenario("Noise", "The class talks loud after lunch.", "Wait. Thank.")
    )

    async def work() -> None:
        async with over_http(live_server, mode) as client:
            asking = asyncio.create_task(
                client.call_tool("ask", {"question": "My class talks loud after lunch. Help?"})
            )
            assert await asyncio.to_thread(writer.heard.wait, 10)
            asking.cancel()
            await asyncio.wait({asking})

    asyncio.run(work())
    assert writer.left.wait(10)
    with app.llm_service.admission():
        pass


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
ACCEPTED = {"Accept": "application/json, text/event-stream"}


def test_the_address_needs_no_slash_and_is_guarded_as_the_others(library_server: Served) -> None:
    address = f"{library_server.url}/mcp"

    assert httpx.post(address, json=INITIALIZE, headers=ACCEPTED).status_code == 200
    assert httpx.get(address, headers=ACCEPTED).status_code == 405
    for headers, status in (
        ({"Host": "elsewhere.test"}, 421),
        ({"Origin": "https://elsewhere.test"}, 403),
    ):
        response = httpx.post(address, json=INITIALIZE, headers={**ACCEPTED, **headers})
        assert response.status_code == status
    large = {**INITIALIZE, "id": "a" * 1_100_000}
    assert httpx.post(address, json=large, headers=ACCEPTED).status_code == 413
    assert httpx.post(address, content=b"{", headers=ACCEPTED).status_code == 400


def test_with_a_key_only_who_shows_it_is_served(library_server: Served) -> None:
    key = "a key that is long enough"
    settings = Settings(**{**library_server.app.settings.model_dump(), "api_key": key})

    async def work() -> None:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(headers=headers) as http:
            transport = streamable_http_client(f"{served.url}/mcp", http_client=http)
            async with Client(transport) as client:
                assert (await used(client, "ask", question=LEGAL))["abstained"]

    with serving(settings) as served:
        assert httpx.post(f"{served.url}/mcp", json=INITIALIZE).status_code == 401
        asyncio.run(work())


async def test_messages_may_come_from_a_file(library_server: Served, tmp_path: Path) -> None:
    messages = tmp_path / "messages.jsonl"
    messages.write_text(json.dumps(INITIALIZE) + "\n", "utf-8")
    with messages.open() as file:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            env={**os.environ, **environment(library_server.app.settings)},
            stdin=file,
            stdout=asyncio.subprocess.PIPE,
        )
        answer, _ = await process.communicate()

    assert process.returncode == 0
    assert json.loads(answer)["id"] == 1


def test_any_process_answers_any_request(library_server: Served) -> None:
    """A conversation that one process began goes on in another."""

    async def work() -> None:
        async with over_older_http(library_server) as one:
            first = await used(one, "ask", question=DISRUPTION)
        async with over_older_http(other) as two:
            further = await used(
                two, "ask", question="why?", conversation_id=first["conversation_id"]
            )
        assert further["conversation_id"] == first["conversation_id"]

    with serving(library_server.app.settings) as other:
        asyncio.run(work())


async def started(served: Served) -> asyncio.subprocess.Process:
    """The command, after it answered for the first time."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        env={**os.environ, **environment(served.app.settings)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
    answer = json.loads(await process.stdout.readline())
    assert answer["result"]["serverInfo"]["name"] == "staffroom"
    return process


async def test_the_command_ends_with_its_input_and_says_nothing_else(
    library_server: Served,
) -> None:
    process = await started(library_server)
    began = time.monotonic()
    rest, complaints = await process.communicate(b"")

    assert process.returncode == 0
    assert rest == complaints == b""
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_ends_when_it_is_told_to(
    library_server: Served, number: signal.Signals
) -> None:
    process = await started(library_server)
    process.send_signal(number)
    try:
        async with asyncio.timeout(10):
            await process.wait()
    finally:
        await process.communicate(b"")

    assert process.returncode == 128 + number


async def test_what_is_no_message_is_passed_over(library_server: Served) -> None:
    process = await started(library_server)
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"nonsense\n\xff\xfe\n" + b"a" * 1_100_000 + b"\n")
    process.stdin.write(json.dumps({**INITIALIZE, "id": 2, "method": "ping"}).encode() + b"\n")
    answer = json.loads(await process.stdout.readline())
    await process.communicate(b"")

    assert answer["id"] == 2
    assert process.returncode == 0


def test_the_documented_examples_are_right(
    library_server: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (REPOSITORY / "docs" / "mcp.md").read_text("utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (file,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    exec(program.replace("http://127.0.0.1:8000", library_server.url), {})

    assert "Several pupils talking and off task at once" in capsys.readouterr().out
    server = json.loads(file)["mcpServers"]["staffroom"]
    assert server["command"].endswith("/staffroom")
    assert server["args"] == ["mcp"]
    assert all(name[10:].lower() in Settings.model_fields for name in server["env"])
    for tool in TOOLS:
        row = re.search(rf"^\| `{tool.name}` \| (.*?) \|", page, re.MULTILINE)
        assert row
        assert set(re.findall(r"`(\w+)`", row[1])) <= set(tool.arguments.model_fields)
