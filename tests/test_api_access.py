"""With a key set, nobody gets anywhere without it."""

import re
import time
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from staffroom.api.access import (
    COOKIE,
    SESSION_SECONDS,
    _signed,
    is_session,
    knows_key,
    new_session,
)
from staffroom.app import App
from staffroom.config import Settings
from tests.api_client import api_client

KEY = "correct horse battery"
BEARER = {"Authorization": f"Bearer {KEY}"}
SCENARIOS = "/api/v1/scenarios"


@pytest.fixture
async def keyed(settings: Settings) -> AsyncIterator[App]:
    """An installation that wants a key."""
    app = App(settings.model_copy(update={"api_key": SecretStr(KEY)}))
    yield app
    await app.close()


@pytest.fixture
async def client(keyed: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(keyed) as client:
        yield client


async def test_every_described_operation_wants_the_key_unless_it_is_open(
    client: httpx.AsyncClient,
) -> None:
    described = (await client.get("/openapi.json")).json()["paths"]
    told: dict[str, int] = {}
    for path, operations in described.items():
        there = re.sub(r"\{\w+\}", "01a20570-d955-7766-8cfa-2ca93b94c40b", path)
        for method, operation in operations.items():
            response = await client.request(method, there, json={})
            told[f"{method.upper()} {path}"] = response.status_code
            is_closed = response.status_code == 401
            assert is_closed == ("security" in operation) == ("401" in operation["responses"])
            if is_closed:
                assert response.headers["www-authenticate"].startswith("Bearer")
                assert KEY not in response.text

    open_paths = {path for path, status in told.items() if status != 401}
    assert open_paths == {"GET /healthz", "GET /readyz"}
    assert len(told) > 15
    assert "GET /metrics" in told


async def test_closed_doors_are_closed_whether_or_not_there_is_something_behind_them(
    client: httpx.AsyncClient,
) -> None:
    for path in (
        "/api/v1/nothing",
        "/v1/nothing",
        "/mcp",
        "/mcp/",
        "//api/v1/scenarios",
        "/api//v1/scenarios",
        "/API/v1/scenarios",
        "/healthz/",
        "/healthz/../api/v1/scenarios",
        "/static/../api/v1/scenarios",
        "/staticx",
        "/api/v1/scenarios/",
    ):
        response = await client.get(path)
        assert response.status_code in {303, 401, 404}, path
        assert "items" not in response.text
        assert response.status_code != 404 or path.startswith("/static/"), path


async def test_the_key_opens_in_any_writing_of_the_scheme(client: httpx.AsyncClient) -> None:
    for value, status in (
        (f"Bearer {KEY}", 200),
        (f"bearer   {KEY} ", 200),
        (f"Bearer {KEY[:-1]}", 401),
        (f"Bearer {KEY}x", 401),
        (f"Bearer {KEY.upper()}", 401),
        ("Bearer", 401),
        (f"Basic {KEY}", 401),
        (KEY, 401),
        ("", 401),
        (b"Bearer \xff\xfe", 401),
    ):
        sent = value if isinstance(value, bytes) else value.encode()
        response = await client.get(SCENARIOS, headers={b"Authorization": sent})
        assert response.status_code == status, value


async def test_a_key_need_not_be_english(settings: Settings) -> None:
    key = "Schlüssel für Lehrer 😀"
    app = App(settings.model_copy(update={"api_key": SecretStr(key)}))
    try:
        async with api_client(app) as client:
            headers = {b"Authorization": f"Bearer {key}".encode()}
            assert (await client.get(SCENARIOS, headers=headers)).status_code == 200
    finally:
        await app.close()


async def test_clients_of_openai_are_told_in_their_form(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/models")

    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"


async def test_a_session_opens_until_it_is_too_old(client: httpx.AsyncClient) -> None:
    good = new_session(KEY)
    expires, _, proof = good.partition(".")
    later = str(int(expires) + 3600)
    for value, status in (
        (good, 200),
        (f"{later}.{proof}", 401),
        (f"{expires}.{proof[:-1]}0" if proof[-1] != "0" else f"{expires}.{proof[:-1]}1", 401),
        (new_session("another key of length"), 401),
        (expires, 401),
        (f"{expires}.", 401),
        (f".{proof}", 401),
        (f"-1.{proof}", 401),
        (f"{'9' * 400}.{proof}", 401),
        (f"²{expires}.{proof}".encode(), 401),
        (KEY, 401),
        ("", 401),
    ):
        cookie = value if isinstance(value, bytes) else value.encode()
        headers = {b"Cookie": b"other=1; " + COOKIE.encode() + b"=" + cookie}
        assert (await client.get(SCENARIOS, headers=headers)).status_code == status, value
    for header in (f"{COOKIE}", "=;;=", f'{COOKIE}="', "a\x01=b"):
        assert (await client.get(SCENARIOS, headers={"Cookie": header})).status_code == 401


@pytest.mark.parametrize("other", ['a={"b":1}', "a[1]=x", "a=b c", "novalue", "=x", 'a="un'])
async def test_a_cookie_of_another_program_keeps_nobody_out(
    client: httpx.AsyncClient, other: str
) -> None:
    cookies = {"Cookie": f"{other}; {COOKIE}={new_session(KEY)}"}

    assert (await client.get(SCENARIOS, headers=cookies)).status_code == 200


async def test_a_wrong_key_is_not_made_good_by_a_session(client: httpx.AsyncClient) -> None:
    headers = {"Authorization": "Bearer wrong", "Cookie": f"{COOKIE}={new_session(KEY)}"}

    assert (await client.get(SCENARIOS, headers=headers)).status_code == 401


def test_a_session_lasts_half_a_day_and_shows_nothing_of_the_key() -> None:
    session = new_session(KEY)
    expires = int(session.partition(".")[0])

    assert SESSION_SECONDS == 12 * 3600
    assert abs(expires - time.time() - SESSION_SECONDS) < 5
    assert is_session(KEY, session)
    assert KEY not in session


def test_a_session_that_has_run_out_is_worth_nothing() -> None:
    now = int(time.time())

    assert is_session(KEY, _signed(KEY, now + 60))
    assert not is_session(KEY, _signed(KEY, now))


def test_only_the_key_itself_is_known() -> None:
    assert knows_key(KEY, KEY)
    for wrong in ("", KEY[:-1], KEY + " ", "\udcff", KEY.upper()):
        assert not knows_key(KEY, wrong)


async def test_a_reader_is_led_to_the_sign_in_and_back(client: httpx.AsyncClient) -> None:
    for path in ("/", "/library?q=noise&status=draft", "/library/a%20b", "/insights"):
        response = await client.get(path, headers={"Accept": "text/html"})
        assert response.status_code == 303
        place = urlsplit(response.headers["location"])
        assert (place.scheme, place.netloc, place.path) == ("", "", "/sign-in")
        (wanted,) = parse_qs(place.query)["next"]
        assert httpx.URL(f"http://x{wanted}") == httpx.URL(f"http://x{path}")


async def test_a_write_without_the_key_does_nothing(client: httpx.AsyncClient) -> None:
    response = await client.post(SCENARIOS, json={"description": "x"})

    assert response.status_code == 401
    assert (await client.get(SCENARIOS, headers=BEARER)).json()["items"] == []


async def test_a_preflight_needs_no_key_and_a_refusal_can_be_read_by_the_named_site(
    keyed: App,
) -> None:
    site = "https://school.example"
    app = App(keyed.settings.model_copy(update={"cors_origins": (site,)}))
    app.vector_ops, app.database = keyed.vector_ops, keyed.database
    app.import_runner = keyed.import_runner
    async with api_client(app) as client:
        headers = {"Origin": site, "Access-Control-Request-Method": "GET"}
        preflight = await client.options(
            SCENARIOS, headers=headers | {"Access-Control-Request-Headers": "authorization"}
        )
        refused = await client.get(SCENARIOS, headers={"Origin": site})

    assert preflight.status_code == 200
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == site


async def test_without_a_key_nothing_is_said_of_one(app: App) -> None:
    async with api_client(app) as client:
        described = (await client.get("/openapi.json")).json()

    assert "securitySchemes" not in described["components"]
    for operations in described["paths"].values():
        for operation in operations.values():
            assert "security" not in operation
            assert "401" not in operation["responses"]
