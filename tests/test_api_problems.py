"""Whatever goes wrong is told in one form, names what is wrong, and tells nothing of the inside."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from staffroom import errors
from staffroom.api.problems import MOST_ERRORS, kind_of
from staffroom.api.server import create_api
from staffroom.app import App
from staffroom.config import Settings
from staffroom.database.connection import Database
from staffroom.database.vector_ops import VectorOperations
from tests.api_client import api_client, listening
from tests.test_architecture import all_errors

SEARCH = "/api/v1/search"
SCENARIOS = "/api/v1/scenarios"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(app) as client:
        yield client


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document, which has the form that all have."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document.keys() - {"errors"} == {"type", "title", "status", "detail", "request_id"}
    assert document["status"] == status
    assert document["type"].startswith("/docs#")
    assert document["request_id"] == response.headers["x-request-id"]
    return document


async def test_a_body_that_is_no_json_is_told_where(client: httpx.AsyncClient) -> None:
    for body, told in (
        (b'{"query": "x",}', "character 14"),
        (b'{"query": "x"', "character 13"),
        (b"query=x", "character 0"),
    ):
        found = problem(await client.post(SEARCH, content=body, headers=JSON), 400)
        assert found["type"] == "/docs#malformed-json"
        assert told in found["detail"]


async def test_a_body_that_cannot_be_read_is_no_defect(client: httpx.AsyncClient) -> None:
    for body in (
        b"\xff\xfe\xff",
        b'{"query": "\xe9"}',
        b"[" * 100_000,
        b'{"query": "x", "limit": ' + b"9" * 5_000 + b"}",
    ):
        found = problem(await client.post(SEARCH, content=body, headers=JSON), 400)
        assert found["type"] == "/docs#malformed-json"


async def test_a_body_of_another_form_names_what_is_wrong(client: httpx.AsyncClient) -> None:
    for body, field in (
        (b"", ""),
        (b"null", ""),
        (b"[]", ""),
        (b'"text"', ""),
        (b"{}", "query"),
        (b'{"query": "x", "threshold": NaN}', "threshold"),
        (b'{"query": "x", "threshold": 1e999}', "threshold"),
        (b'{"query": "x", "limit": 1e999}', "limit"),
        (b'{"query": "x", "mode": "letters"}', "mode"),
    ):
        found = problem(await client.post(SEARCH, content=body, headers=JSON), 422)
        assert [error["field"] for error in found["errors"]] == [field], body
        assert all(error["reason"] for error in found["errors"])


async def test_a_body_of_another_type_is_415(client: httpx.AsyncClient) -> None:
    body = b'{"query": "x"}'
    for given in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "json",
        "",
    ):
        found = problem(
            await client.post(SEARCH, content=body, headers={"Content-Type": given}), 415
        )
        assert "application/json" in found["detail"]
    for given in ("application/json", "Application/JSON; charset=utf-8"):
        response = await client.post(SEARCH, content=body, headers={"Content-Type": given})
        assert response.status_code == 200


async def test_a_thousand_wrong_fields_are_answered_in_few_words(
    client: httpx.AsyncClient,
) -> None:
    many = {f"field{n}": n for n in range(20_000)}
    long = {"x" * 500_000: 1, "query": "x"}

    told = problem(await client.post(SEARCH, json=many), 422)
    short = await client.post(SEARCH, json=long)

    assert len(told["errors"]) == MOST_ERRORS
    problem(short, 422)
    assert len(short.content) < 1_000


async def test_a_name_that_no_text_can_have_is_no_defect(client: httpx.AsyncClient) -> None:
    body = rb'{"query": "x", "\ud800\u0000": 1}'

    (error,) = problem(await client.post(SEARCH, content=body, headers=JSON), 422)["errors"]

    assert "string" in error["reason"]


async def test_a_path_that_is_not_there_is_named(client: httpx.AsyncClient) -> None:
    for path in ("/api/v1/nothing", "/api/v2/search", "/%00", "/é", "/api/v1/%ff"):
        found = problem(await client.get(path), 404)
        assert found["type"] == "/docs#not-found"
        assert "GET /" in found["detail"]


async def test_a_defect_tells_the_reader_an_id_and_the_log_the_cause(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        async def check_filters(self, filters: object) -> None:
            raise ZeroDivisionError("the password is secret")

    app.vector_ops.catalogue = Broken()  # type: ignore[assignment]
    async with api_client(app) as client:
        with caplog.at_level(logging.ERROR):
            response = await client.post(
                SEARCH, json={"query": "noise"}, headers={"X-Request-ID": "id-7"}
            )

    found = problem(response, 500)
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert found["request_id"] == "id-7"
    (record,) = [r for r in caplog.records if r.name == "staffroom.api.problems"]
    assert "id-7" in record.getMessage()
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError


async def test_a_database_that_is_gone_is_503_with_when_to_return(
    client: httpx.AsyncClient, app: App, settings: Settings
) -> None:
    nowhere = Database(settings.model_copy(update={"database_url": _gone(settings)}))
    app.database = nowhere
    app.vector_ops = VectorOperations(nowhere, app.cache)
    for response in (
        await client.post(SEARCH, json={"query": "noise"}),
        await client.post("/api/v1/ask", json={"question": "noise"}),
        await client.post(
            "/api/v1/ask", json={"question": "noise"}, headers={"Accept": "text/event-stream"}
        ),
        await client.get(SCENARIOS),
        await client.post(SCENARIOS, json={"description": "x"}, headers={"Idempotency-Key": "k"}),
    ):
        found = problem(response, 503)
        assert int(response.headers["retry-after"]) > 0
        assert found["type"] == "/docs#unavailable"
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json() == {
        "status": "unavailable",
        "parts": {"database": "unavailable", "embedding": "ok"},
    }
    assert (await client.get("/healthz")).status_code == 200


def _gone(settings: Settings) -> Any:
    url = settings.database_url
    assert url
    return type(url)(url.get_secret_value().replace("host=", "host=/nowhere"))


def test_every_error_of_the_product_is_some_kind_of_problem() -> None:
    for error in all_errors(errors.StaffroomError):
        is_scenario = error is errors.InvalidScenario
        instance = error("field", "code", "reason") if is_scenario else error("message")
        assert kind_of(instance).status in {404, 409, 412, 422, 503}


async def test_what_is_broken_off_in_the_middle_is_not_stored(app: App) -> None:
    async with listening(create_api(app)) as client:
        host, port = client.base_url.host, client.base_url.port
        _, writer = await asyncio.open_connection(host, port)
        writer.write(
            b"POST /api/v1/scenarios HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
            b'{"description": "whole", "name": "whole"}'
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get(SCENARIOS)).json()["items"] == []


async def test_the_description_is_one_that_tools_can_read(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()

    assert described["openapi"].startswith("3.1")
    assert "HTTPValidationError" not in json.dumps(described["paths"])
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                assert {"type": "null"} not in parameter["schema"].get("anyOf", ())
            place = f"{method} {path}"
            assert operation["summary"], place
            assert operation["description"], place
            assert "421" in operation["responses"], place
            assert ("requestBody" in operation) == ("413" in operation["responses"]), place
    for name in ("ScenarioIn", "ScenarioPatch", "SearchIn", "AskIn", "FeedbackIn"):
        assert described["components"]["schemas"][name]["examples"], name
