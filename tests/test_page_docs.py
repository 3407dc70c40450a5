"""The API reference says of every operation what it takes, and of every problem what it means."""

import ast
import json
import re
import shlex
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect
from pydantic import SecretStr

import staffroom.api
from staffroom.api.docs_page import PROBLEMS
from staffroom.api.page.reference import groups
from staffroom.api.page.shapes import fields_of, type_of
from staffroom.api.page.texts import LANGUAGES, read_catalogue
from staffroom.api.problems import problem_document
from staffroom.app import App
from staffroom.config import Settings
from tests.api_client import api_client
from tests.browser import axe

OpenPage = Callable[..., Awaitable[Page]]

SOURCE = Path(staffroom.api.__file__).parent
NOBODY = "01a20570-d955-7766-8cfa-2ca93b94c40b"
SCENARIOS = "/api/v1/scenarios"
BASE = "http://127.0.0.1:8000"


def ids(page: str) -> list[str]:
    return re.findall(r'\sid="([^"]+)"', page)


def raised() -> Iterator[tuple[str, str]]:
    """Every problem that the rooms of the API name in their source, as place and fragment."""
    makers = {"Problem", "problem_response", "HTTPException"}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in makers:
                continue
            status = node.args[0] if node.args else None
            if not isinstance(status, ast.Constant) or not isinstance(status.value, int):
                continue
            names = [
                keyword.value.value
                for keyword in node.keywords
                if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
            ]
            document = problem_document(status.value, "", name=str(names[0]) if names else "")
            yield f"{path.name}:{node.lineno}", document["type"].partition("#")[2]


# Problems


async def test_the_type_of_every_problem_leads_to_its_entry(app: App) -> None:
    text = {"Content-Type": "text/plain"}
    written = {"description": "Chairs scrape."}
    async with api_client(app) as client:
        stored = await client.post(SCENARIOS, json=written, headers={"Idempotency-Key": "a"})
        there = stored.headers["location"]
        met = [
            await client.get(f"{SCENARIOS}/{NOBODY}"),
            await client.get("/api/v1/nothing"),
            await client.put(SCENARIOS, json={}),
            await client.post(SCENARIOS, content="{", headers={"Content-Type": "application/json"}),
            await client.post(SCENARIOS, content="x", headers=text),
            await client.post(SCENARIOS, json={}),
            await client.post(
                SCENARIOS, json={"description": "Other."}, headers={"Idempotency-Key": "a"}
            ),
            await client.patch(there, json={"name": "x"}),
            await client.patch(there, json={"name": "x"}, headers={"If-Match": '"9"'}),
            await client.post(SCENARIOS, json=written, headers={"Origin": "https://x.example"}),
            await client.get(SCENARIOS, headers={"Host": "x.example"}),
            await client.post(SCENARIOS, content=b"x" * 1_000_001),
            await client.post(
                "/api/v1/ask",
                json={"question": "Chairs?"},
                headers={"Idempotency-Key": "b", "Accept": "text/event-stream"},
            ),
        ]
        found = ids((await client.get("/docs")).text)

    types = [response.json()["type"] for response in met]
    assert len(set(types)) == 12, types
    for given in types:
        path, _, fragment = given.partition("#")
        assert path == "/docs"
        assert fragment in found


async def test_whoever_lacks_the_key_can_read_what_that_means(settings: Settings) -> None:
    app = App(settings.model_copy(update={"api_key": SecretStr("correct horse battery")}))
    try:
        async with api_client(app) as client:
            refused = (await client.get(SCENARIOS)).json()["type"]
            page = await client.get("/docs")
    finally:
        await app.close()

    assert refused.partition("#")[2] in ids(page.text)
    assert "-H &#34;Authorization: Bearer $STAFFROOM_API_KEY&#34;" in page.text
    assert "Needs the API key." in page.text


def test_no_room_raises_a_problem_that_has_no_entry() -> None:
    found = dict(raised())
    known = {kind.name for kind in PROBLEMS}

    assert len(found) > 10
    assert {place: name for place, name in found.items() if name not in known} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_problem_has_its_meaning_and_next_step_in_each_language(language: str) -> None:
    texts = read_catalogue(language)

    for kind in PROBLEMS:
        assert HTTPStatus(kind.status)
        assert texts[f"docs.problem.{kind.name}"]
        assert texts[f"docs.problem.{kind.name}.next"]


# Operations


async def test_every_described_operation_and_each_of_its_fields_is_on_the_page(app: App) -> None:
    async with api_client(app) as client:
        described = (await client.get("/openapi.json")).json()
        page = (await client.get("/docs")).text

    found = ids(page)
    assert len(found) == len(set(found))
    operations = [one for group in groups(described, BASE) for one in group.operations]
    assert len(operations) == sum(len(methods) for methods in described["paths"].values())
    for one in operations:
        assert one.id in found
        assert one.description
        assert one.answers
        for field in one.body.fields if one.body else ():
            assert f"<code>{field.name}</code>" in page
    assert "<script>" not in page
    assert "style=" not in page
    assert set(re.findall(r'(?:href|src)="(?!/|#)([^"]*)"', page)) == set()


async def test_links_within_the_page_lead_somewhere(app: App) -> None:
    async with api_client(app) as client:
        page = (await client.get("/docs")).text

    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids(page))


async def test_the_commands_do_what_they_say(app: App) -> None:
    """Those that need nothing filled in are sent as they are."""
    async with api_client(app) as client:
        described = (await client.get("/openapi.json")).json()
        for group in groups(described, BASE):
            for one in group.operations:
                for command in filter(None, (one.command, one.events_command)):
                    if re.search(r"[A-Z]_ID|@FILE", command):
                        continue
                    response = await send(client, command)
                    assert response.status_code in {a.status for a in one.answers}, command
                    is_events = "event-stream" in response.headers.get("content-type", "")
                    assert is_events == (command == one.events_command), command


async def send(client: httpx.AsyncClient, command: str) -> httpx.Response:
    words = shlex.split(command.replace("\\\n", ""))
    headers, content, method, url = {}, None, "GET", ""
    rest = iter(words[1:])
    for word in rest:
        if word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word == "-d":
            content, method = next(rest), "POST"
        elif word == "-X":
            method = next(rest)
        elif word != "-N":
            url = word
    return await client.request(method, url, headers=headers, content=content)


# Schemas

SCHEMAS: dict[str, Any] = {
    "Leaf": {
        "title": "Leaf",
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 1000},
            "note": {"anyOf": [{"type": "string", "maxLength": 1}, {"type": "null"}]},
        },
    },
    "Tree": {
        "title": "Tree",
        "type": "object",
        "properties": {
            "leaves": {"type": "array", "items": {"$ref": "#/components/schemas/Leaf"}},
            "parent": {"anyOf": [{"$ref": "#/components/schemas/Tree"}, {"type": "null"}]},
            "kind": {"type": "string", "enum": ["oak", "ash"], "default": "oak"},
        },
    },
}


def test_a_reference_is_followed_and_a_circle_is_left() -> None:
    leaves, parent, kind = fields_of({"$ref": "#/components/schemas/Tree"}, SCHEMAS)

    assert leaves.type == "list of object"
    assert [(one.name, one.type, one.required, one.limits) for one in leaves.fields] == [
        ("size", "integer", True, ("1 to 1,000",)),
        ("note", "string or null", False, ("up to 1 character",)),
    ]
    assert (parent.type, parent.fields) == ("object or null", ())
    assert (kind.type, kind.default) == ('"oak" or "ash"', json.dumps("oak"))


def test_a_field_of_several_forms_may_be_what_it_is_in_any() -> None:
    forms = [
        {"title": "A", "required": ["x"], "properties": {"x": {"type": "string"}}},
        {"title": "B", "properties": {"x": {"type": "integer"}, "y": {"const": 1}}},
    ]
    x, y = fields_of({"oneOf": forms}, {})

    assert (x.type, x.required) == ("string or integer", False)
    assert y.type == "1"


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "string", "format": "uuid"}, "UUID"),
        ({"type": "string", "format": "date-time"}, "time"),
        ({"type": "string", "contentMediaType": "application/octet-stream"}, "file"),
        ({"type": "array", "items": {"type": "number"}}, "list of number"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({}, "anything"),
    ],
)
def test_types_are_told_in_words(schema: dict[str, Any], told: str) -> None:
    assert type_of(schema, {}) == told


# In the browser


# Both themes and both layouts, but not all four: it takes half a minute to examine this page once.
@pytest.mark.parametrize(("width", "theme"), [(320, "dark"), (1440, "light")])
async def test_the_reference_has_no_barrier_and_fits(
    open_page: OpenPage, width: int, theme: str
) -> None:
    page = await open_page(viewport={"width": width, "height": 800}, color_scheme=theme)
    await page.goto("/docs")
    await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    await axe(page)

    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_operations_are_found_while_one_types(page: Page) -> None:
    await page.goto("/docs")
    shown = page.locator(".operation:visible")
    everything = await shown.count()
    await page.get_by_label("Find an operation").fill("Scenario REVISIONS")

    await expect(shown).to_have_count(1)
    await expect(shown.get_by_role("heading", level=3)).to_contain_text("/revisions")
    await expect(page.locator("#announcer")).to_have_text("1 operation")
    await page.get_by_label("Find an operation").fill("zebra")
    await expect(shown).to_have_count(0)
    await expect(page.get_by_text("No operation has these words.")).to_be_visible()
    await page.get_by_role("link", name="Problems", exact=True).click()
    await expect(shown).to_have_count(everything)
    await expect(page.locator("#problems")).to_be_in_viewport()


async def test_without_scripts_the_reference_is_whole(open_page: OpenPage) -> None:
    page = await open_page(java_script_enabled=False)
    await page.goto("/docs#edit-conflict")

    await expect(page.locator("#edit-conflict")).to_be_in_viewport()
    await expect(page.get_by_label("Find an operation")).to_be_hidden()
    details = page.locator("#post-api-v1-search details").first
    await details.locator("summary").first.click()
    await expect(details.get_by_text("statuses")).to_be_visible()


async def test_the_reference_speaks_spanish_around_its_english(open_page: OpenPage) -> None:
    page = await open_page(locale="es-ES")
    await page.goto("/docs")

    await expect(page.get_by_role("heading", name="Referencia de la API")).to_be_visible()
    about = page.locator("#post-api-v1-search .operation-about span")
    await expect(about).to_have_attribute("lang", "en")
