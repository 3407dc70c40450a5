"""Staffroom for models, by the Model Context Protocol: over standard input and output, or HTTP.

The protocol's lower layer is used, since the library's resources come in pages and errors have to
be ours, word for word.
"""

import asyncio
import logging
import os
import stat
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final, TypeVar
from uuid import UUID

import mcp_types as mcp
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError

from staffroom.api.markdown import SCHEME, library_markdown, scenario_markdown, scenario_uri
from staffroom.api.mcp_tools import DEFECT, TOOLS, failed
from staffroom.api.paging import cursor_after, read_cursor
from staffroom.app import App
from staffroom.errors import InputError, NotFoundError, StaffroomError
from staffroom.text import shorten
from staffroom.types import Filters, Scenario

LIBRARY: Final = "staffroom://library"
PAGE: Final = 50
"""Resources that are listed at once."""

INDEXED: Final = 500
"""Scenarios that the library's index names."""

BODY_BYTES: Final = 1_000_000
MARKDOWN: Final = "text/markdown"
UNKNOWN_CALLER: Final = "a program, through MCP"

_INSTRUCTIONS: Final = (
    "Staffroom answers teachers' questions about their classrooms from a library of vetted "
    "scenarios. What it says is vetted text, cited sentence by sentence: pass it on unchanged and "
    "with its sources. Where it abstains, nothing vetted fits: say that, and do not fill the gap "
    "with advice of your own. Medical, legal and safeguarding questions go to the people that the "
    "abstention names."
)
_SHOWN_OF_DESCRIPTION: Final = 200

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Context = ServerRequestContext[Any, Any]


def create_server(app: App) -> Server[Any]:
    """The server of that installation, for any transport."""
    door = _Door(app)
    return Server(
        "staffroom",
        version=version("staffroom"),
        title="Staffroom",
        description="Vetted advice for teachers, with its sources.",
        instructions=_INSTRUCTIONS,
        on_list_tools=door.list_tools,
        on_call_tool=door.call_tool,
        on_list_resources=door.list_resources,
        on_list_resource_templates=door.list_templates,
        on_read_resource=door.read_resource,
    )


async def serve_stdio(app: App) -> None:
    """A client on standard input and output is served until it leaves."""
    server = create_server(app)
    is_file = stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode)
    lines: Any = None if is_file else _lines()
    async with stdio_server(lines) as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


async def _lines() -> AsyncGenerator[str, None]:
    """The lines of standard input as they come.

    The protocol's own reader, which serves for files, waits for them in a thread that nothing can
    stop: a process that is told to end would stay until its client leaves.
    """
    reader = asyncio.StreamReader(limit=BODY_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while not reader.at_eof():
            try:
                yield (await reader.readline()).decode("utf-8", "replace")
            except ValueError:
                yield f"a line of more than {BODY_BYTES} bytes"
    finally:
        transport.close()


@asynccontextmanager
async def serving_http(app: App) -> AsyncIterator[StreamableHTTPSessionManager]:
    """Requests over HTTP can be handled, each by itself, so that any process can answer any.

    Hosts and origins are checked before a request comes here, for all doors alike.
    """
    manager = StreamableHTTPSessionManager(
        create_server(app),
        stateless=True,
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        max_request_body_size=BODY_BYTES,
    )
    async with manager.run():
        yield manager


class _Door:
    """What a client may ask of one installation."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._tools = {tool.name: tool for tool in TOOLS}

    async def list_tools(
        self, _: _Context, __: mcp.PaginatedRequestParams | None
    ) -> mcp.ListToolsResult:
        """All of them fit on a page."""
        return mcp.ListToolsResult(tools=[tool.described() for tool in TOOLS])

    async def call_tool(
        self, context: _Context, params: mcp.CallToolRequestParams
    ) -> mcp.CallToolResult:
        """What the tool gives; whatever is wrong is told to the model."""
        tool = self._tools.get(params.name)
        if tool is None:
            known = ", ".join(self._tools)
            return failed(f"There is no tool {params.name[:100]!r}; there are {known}.")
        return await tool.call(self._app, params.arguments or {}, _caller(context))

    async def list_resources(
        self, _: _Context, params: mcp.PaginatedRequestParams | None
    ) -> mcp.ListResourcesResult:
        """The published scenarios page by page; before the first, the library's index."""
        cursor = params.cursor if params else None
        scenarios = await _or_error(lambda: self._page(cursor))
        resources = [_resource(scenario) for scenario in scenarios]
        if cursor is None:
            resources.insert(0, _INDEX)
        following = cursor_after(scenarios[-1].id) if len(scenarios) == PAGE else None
        return mcp.ListResourcesResult(resources=resources, next_cursor=following)

    async def list_templates(
        self, _: _Context, __: mcp.PaginatedRequestParams | None
    ) -> mcp.ListResourceTemplatesResult:
        """Every scenario has an address."""
        return mcp.ListResourceTemplatesResult(resource_templates=[_TEMPLATE])

    async def read_resource(
        self, _: _Context, params: mcp.ReadResourceRequestParams
    ) -> mcp.ReadResourceResult:
        """The scenario, or the index, as Markdown."""
        uri = str(params.uri)
        text = await _or_error(lambda: self._text(uri), uri)
        contents = mcp.TextResourceContents(uri=uri, mime_type=MARKDOWN, text=text)
        return mcp.ReadResourceResult(contents=[contents])

    async def _page(self, cursor: str | None) -> list[Scenario]:
        return await self._app.vector_ops.list_scenarios(Filters(), PAGE, read_cursor(cursor))

    async def _text(self, uri: str) -> str:
        if uri == LIBRARY:
            scenarios = await self._app.vector_ops.list_scenarios(Filters(), INDEXED)
            counts = (await self._app.vector_ops.catalogue.facets())["status"]
            total = next((found.count for found in counts if found.value == "published"), 0)
            return library_markdown(scenarios, max(total, len(scenarios)))
        if not uri.startswith(SCHEME):
            raise NotFoundError(f"There is no resource {uri[:200]!r}. List what there is.")
        try:
            scenario_id = UUID(uri.removeprefix(SCHEME))
        except ValueError as error:
            raise InputError(f"{uri[:200]!r} does not end in the id of a scenario.") from error
        return scenario_markdown(await self._app.vector_ops.get_scenario(scenario_id))


async def _or_error(work: Callable[[], Awaitable[_T]], uri: str = "") -> _T:
    """What the work returns. An error of ours is the protocol's, with our words and no others."""
    data = {"uri": uri} if uri else None
    try:
        return await work()
    except (InputError, NotFoundError) as error:
        raise MCPError(mcp.INVALID_PARAMS, str(error), data) from error
    except StaffroomError as error:
        raise MCPError(mcp.INTERNAL_ERROR, str(error), data) from error
    except Exception as error:
        _log.exception("a resource could not be served")
        raise MCPError(mcp.INTERNAL_ERROR, DEFECT, data) from error


def _caller(context: _Context) -> str:
    """The program that calls, as far as it said who it is."""
    client = context.session.client_params
    name = shorten(client.client_info.name, 100).strip() if client else ""
    return f"{name}, through MCP" if name else UNKNOWN_CALLER


def _resource(scenario: Scenario) -> mcp.Resource:
    return mcp.Resource(
        uri=scenario_uri(scenario.id),
        name=scenario.name,
        description=shorten(scenario.content.description, _SHOWN_OF_DESCRIPTION),
        mime_type=MARKDOWN,
    )


_INDEX: Final = mcp.Resource(
    uri=LIBRARY,
    name="The library",
    description="The published scenarios by category.",
    mime_type=MARKDOWN,
)
_TEMPLATE: Final = mcp.ResourceTemplate(
    uri_template=SCHEME + "{id}",
    name="Scenario",
    description="A scenario: the situation, the vetted advice and what it rests on.",
    mime_type=MARKDOWN,
)
