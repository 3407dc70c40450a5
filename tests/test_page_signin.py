"""The sign-in: the key opens a session, nothing else does, and its reader goes on from there."""

from collections.abc import AsyncIterator, Iterator
from http.cookies import SimpleCookie

import httpx
import pytest
from playwright.async_api import Browser, expect
from pydantic import SecretStr

from staffroom.api.access import COOKIE, SESSION_SECONDS, is_session
from staffroom.api.server import create_api
from staffroom.api.signin_pages import MAX_ADDRESS, local_address
from staffroom.app import App
from staffroom.config import Settings
from tests.api_client import BASE, api_client, started
from tests.browser import Watch, axe, reading
from tests.serving import Served, serving

KEY = "correct horse battery"


@pytest.fixture
async def keyed(settings: Settings) -> AsyncIterator[App]:
    """An installation that wants a key."""
    app = App(settings.model_copy(update={"api_key": SecretStr(KEY)}))
    yield app
    await app.close()


@pytest.fixture
async def client(keyed: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(keyed, Accept="text/html") as client:
        yield client


@pytest.fixture
def site(settings: Settings) -> Iterator[Served]:
    """A server that wants a key."""
    with serving(settings.model_copy(update={"api_key": SecretStr(KEY)})) as served:
        yield served


async def test_the_form_asks_for_the_key_and_keeps_the_way(client: httpx.AsyncClient) -> None:
    response = await client.get("/sign-in", params={"next": '/library?q="noise"&status=draft'})

    assert response.status_code == 200
    assert 'name="next" value="/library?q=&#34;noise&#34;&amp;status=draft"' in response.text
    assert 'name="key" type="password"' in response.text
    assert "aria-invalid" not in response.text
    assert "/sign-out" not in response.text


async def test_the_key_opens_a_session_and_leads_on(client: httpx.AsyncClient) -> None:
    response = await client.post("/sign-in", data={"key": f" {KEY}\n", "next": "/library?q=a b"})

    assert response.status_code == 303
    assert response.headers["location"] == "/library?q=a%20b"
    cookie = SimpleCookie(response.headers["set-cookie"])[COOKIE]
    assert is_session(KEY, cookie.value)
    assert cookie["httponly"]
    assert not cookie["secure"]
    assert cookie["samesite"].lower() == "strict"
    assert (cookie["path"], cookie["domain"]) == ("/", "")
    assert int(cookie["max-age"]) == SESSION_SECONDS
    assert (await client.get("/library")).status_code == 200
    assert "/sign-out" in (await client.get("/library")).text


async def test_over_tls_the_session_never_travels_without(keyed: App) -> None:
    api = create_api(keyed)
    async with started(api):
        base = BASE.replace("http:", "https:")
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            opened = await client.post("/sign-in", data={"key": KEY})
            ended = await client.post("/sign-out")

    for response in (opened, ended):
        assert SimpleCookie(response.headers["set-cookie"])[COOKIE]["secure"]


@pytest.mark.parametrize(
    "data",
    [
        {"key": "wrong"},
        {"key": KEY[:-1]},
        {"key": KEY + "x"},
        {"key": KEY.upper()},
        {"key": ""},
        {},
    ],
)
async def test_nothing_else_does_and_nothing_tells_how_near_it_was(
    client: httpx.AsyncClient, data: dict[str, str]
) -> None:
    response = await client.post("/sign-in", data={**data, "next": "/insights"})
    empty = await client.post("/sign-in", data={"next": "/insights"})

    assert response.status_code == 401
    assert response.text == empty.text
    assert 'aria-invalid="true"' in response.text
    assert "That is not the key." in response.text
    assert 'value="/insights"' in response.text
    assert "set-cookie" not in response.headers
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert KEY not in response.text


async def test_a_page_of_another_site_cannot_sign_anybody_in_or_out(
    client: httpx.AsyncClient,
) -> None:
    for path in ("/sign-in", "/sign-out"):
        for origin in ("https://elsewhere.example", "null"):
            response = await client.post(path, data={"key": KEY}, headers={"Origin": origin})
            assert response.status_code == 403
            assert "set-cookie" not in response.headers
    own = await client.post("/sign-in", data={"key": KEY}, headers={"Origin": BASE})
    assert own.status_code == 303


async def test_signing_out_ends_the_session_of_this_browser(client: httpx.AsyncClient) -> None:
    await client.post("/sign-in", data={"key": KEY})
    response = await client.post("/sign-out")

    assert response.status_code == 303
    assert response.headers["location"] == "/sign-in"
    assert COOKIE not in client.cookies
    assert (await client.get("/library")).headers["location"].startswith("/sign-in")


async def test_without_a_key_there_is_nothing_to_sign_in_to(app: App) -> None:
    async with api_client(app) as client:
        shown = await client.get("/sign-in")
        sent = await client.post("/sign-in", data={"key": "x", "next": "/library"})

    assert (shown.status_code, shown.headers["location"]) == (303, "/")
    assert (sent.status_code, sent.headers["location"]) == (303, "/library")
    assert "set-cookie" not in sent.headers


@pytest.mark.parametrize(
    "wanted",
    ["/", "/library", "/library?q=a&status=draft", "/?next=//x", "/library/café", "/answers/1#two"],
)
def test_the_way_on_may_lead_anywhere_here(wanted: str) -> None:
    assert local_address(wanted) == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "library",
        "//elsewhere.example",
        "///elsewhere.example",
        "/\\elsewhere.example",
        "/\\/elsewhere.example",
        "\\\\elsewhere.example",
        "https://elsewhere.example/",
        "https:/elsewhere.example",
        "javascript:alert(1)",
        " //elsewhere.example",
        "/\t/elsewhere.example",
        "/\n/elsewhere.example",
        "/\r\nSet-Cookie: a=b",
        "/\x00",
        "/\x7f",
        "/\u2028",
        "/" + "x" * MAX_ADDRESS,
    ],
)
async def test_the_way_on_never_leads_elsewhere(client: httpx.AsyncClient, wanted: str) -> None:
    assert local_address(wanted) == "/"
    response = await client.post("/sign-in", data={"key": KEY, "next": wanted})
    assert response.headers["location"] == "/"


# In the browser


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_reader_signs_in_with_and_without_scripts(
    browser: Browser, site: Served, scripts: bool
) -> None:
    watch = Watch(site.url)
    watch.expect("^401 POST /sign-in$")
    async with reading(browser, site.url, watch, java_script_enabled=scripts) as page:
        await page.goto("/library?status=draft")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.get_by_label("API key").fill("not this one")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_label("API key")).to_have_attribute("aria-invalid", "true")
        await expect(page.get_by_label("API key")).to_have_accessible_description(
            "Capital and small letters matter. That is not the key. Enter it again, or ask whoever "
            "runs this Staffroom."
        )
        await page.get_by_label("API key").fill(KEY)
        await page.get_by_label("API key").press("Enter")
        await page.wait_for_url("**/library?status=draft")
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url("**/sign-in")
    watch.check()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1440])
async def test_the_sign_in_has_no_barrier_and_fits(
    browser: Browser, site: Served, width: int, theme: str
) -> None:
    watch = Watch(site.url)
    watch.expect("^401 POST /sign-in$")
    viewport = {"width": width, "height": 700}
    async with reading(browser, site.url, watch, viewport=viewport, color_scheme=theme) as page:
        await page.goto("/sign-in")
        await axe(page)
        await page.get_by_label("API key").fill("wrong")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_text("That is not the key.")).to_be_visible()
        await axe(page)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
    watch.check()


async def test_the_sign_in_speaks_spanish(browser: Browser, site: Served) -> None:
    watch = Watch(site.url)
    async with reading(browser, site.url, watch, locale="es-ES") as page:
        await page.goto("/sign-in")
        await expect(page.get_by_role("heading", name="Iniciar sesión")).to_be_visible()
    watch.check()
