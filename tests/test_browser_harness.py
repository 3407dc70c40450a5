"""The browser tests' own nets hold: what a reader must not meet fails a test."""

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator

import psutil
import pytest
from playwright.async_api import Browser, Page
from playwright.async_api import Error as PlaywrightError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from staffroom.api.guards import SECURITY_HEADERS
from tests.browser import Watch, axe, browser_path, need_browser, reading
from tests.serving import Served, serving_asgi

PAGES = {
    "good": "<p>Good.</p>",
    "script": "<script>console.log('fine'); console.error('a broken promise')</script>",
    "throws": "<script>setTimeout(() => { throw new Error('it broke') })</script>",
    "rejects": "<script>Promise.reject(new Error('nobody listens'))</script>",
    "image": "<img src='https://example.org/x.png' alt=''>",
    "address": "<img src='http://192.0.2.1/x.png' alt=''>",
    "port": "<img src='http://127.0.0.1:9/x.png' alt=''>",
    "socket": "<script>new WebSocket('wss://example.org/live')</script>",
    "missing": "<img src='/no-such-image' alt=''>",
    "fails": "<script>fetch('/error?x=1')</script>",
    "data": "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw=' alt=''>",
    "frame": "<iframe src='/script' title='inner'></iframe>",
    "window": "<a href='/script' target='_blank'>open</a>",
    "barriers": "<input name='x'><p style='color:#bbb'>Faint.</p>",
    "strict-good": "<p>Good.</p>",
    "strict-style": "<p style='color:red'>Red.</p>",
    "strict-script": "<script>document.title = 'ran'</script>",
    "strict-image": "<img src='https://example.org/x.png' alt=''>",
}


async def shown(request: Request) -> Response:
    name = request.path_params["name"]
    if name == "error":
        return PlainTextResponse("broken", 500)
    if name not in PAGES:
        return PlainTextResponse("not here", 404)
    text = f"<!doctype html><html lang=en><title>{name}</title><main><h1>{name}</h1>{PAGES[name]}"
    return HTMLResponse(text, headers=SECURITY_HEADERS if name.startswith("strict-") else None)


@pytest.fixture(scope="module")
def faulty() -> Iterator[Served]:
    """A site with one fault on each page."""
    with serving_asgi(Starlette(routes=[Route("/{name}", shown)])) as served:
        yield served


async def problems(browser: Browser, served: Served, name: str, *expected: str) -> list[str]:
    """What is left after half a second of silence."""
    watch = Watch(served.url)
    for pattern in expected:
        watch.expect(pattern)
    async with reading(browser, served.url, watch) as page:
        await page.goto(f"/{name}", wait_until="networkidle")
    return watch.problems()


async def first_problems(browser: Browser, served: Served, name: str) -> list[str]:
    """What was found when something was."""
    watch = Watch(served.url)
    async with reading(browser, served.url, watch) as page, asyncio.timeout(10):
        await page.goto(f"/{name}")
        while not watch.problems():  # noqa: ASYNC110 - the watch is not made to be waited for
            await asyncio.sleep(0.01)
    return watch.problems()


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("script", "console error: a broken promise"),
        ("throws", "script error: Error: it broke"),
        ("rejects", "script error: Error: nobody listens"),
        ("missing", "404 GET /no-such-image"),
        ("fails", "500 GET /error?x=1"),
        ("frame", "console error: a broken promise"),
        ("error", "500 GET /error"),
        ("strict-style", "policy violation: "),
        ("strict-script", "policy violation: "),
        ("strict-image", "policy violation: "),
        ("image", "foreign request: GET https://example.org/x.png"),
        ("address", "foreign request: GET http://192.0.2.1/x.png"),
        ("port", "foreign request: GET http://127.0.0.1:9/x.png"),
        ("socket", "foreign request: WebSocket wss://example.org/live"),
    ],
)
async def test_a_fault_is_found(browser: Browser, faulty: Served, name: str, finding: str) -> None:
    found = await first_problems(browser, faulty, name)

    assert any(line.startswith(finding) for line in found), found


@pytest.mark.parametrize("name", ["good", "data", "barriers"])
async def test_what_is_no_fault_is_not_found(browser: Browser, faulty: Served, name: str) -> None:
    assert await problems(browser, faulty, name) == []


async def test_a_window_that_the_page_opens_is_watched_as_well(
    browser: Browser, faulty: Served
) -> None:
    watch = Watch(faulty.url)
    async with reading(browser, faulty.url, watch) as page:
        await page.goto("/window")
        async with page.expect_popup() as popup:
            await page.get_by_role("link").click()
        await (await popup.value).wait_for_load_state()

    assert watch.problems() == ["console error: a broken promise"]


async def test_a_crash_is_found(browser: Browser, faulty: Served) -> None:
    watch = Watch(faulty.url)
    async with reading(browser, faulty.url, watch) as page, page.expect_event("crash"):
        with pytest.raises(PlaywrightError):
            await page.goto("chrome://crash")

    assert any(line.startswith("crash") for line in watch.problems())


async def test_what_a_test_expects_is_allowed_and_has_to_come(
    browser: Browser, faulty: Served
) -> None:
    assert await problems(browser, faulty, "missing", "^404 GET /no-such-image$") == []
    assert await problems(browser, faulty, "good", "^404 ") == ["expected, but did not come: ^404 "]
    watch = Watch(faulty.url)
    watch.expect("^500 ")
    with pytest.raises(AssertionError, match=r"expected, but did not come: \^500"):
        watch.check()


@pytest.mark.parametrize(
    "address", ["https://example.org/", "http://192.0.2.1/", "http://192.168.0.1:8000/"]
)
async def test_the_browser_itself_cannot_leave_the_machine(
    browser: Browser, faulty: Served, address: str
) -> None:
    watch = Watch(faulty.url)
    async with reading(browser, faulty.url, watch) as page:
        with pytest.raises(PlaywrightError, match="ERR_NAME_NOT_RESOLVED"):
            await page.goto(address)

    assert watch.problems() == [f"foreign request: GET {address}"]


async def test_barriers_are_named_with_their_place(browser: Browser, faulty: Served) -> None:
    async with reading(browser, faulty.url, Watch(faulty.url)) as page:
        await page.goto("/barriers")
        with pytest.raises(AssertionError) as failure:
            await axe(page)

    told = str(failure.value)
    assert f"axe found on {faulty.url}/barriers" in told
    assert "label (critical)" in told
    assert "color-contrast (serious)" in told
    assert "at input: <input name=" in told


async def test_a_page_without_barriers_passes_under_the_strict_policy(
    browser: Browser, faulty: Served
) -> None:
    watch = Watch(faulty.url)
    async with reading(browser, faulty.url, watch) as page:
        await page.goto("/strict-good")
        await axe(page)
        await axe(page, "main")

    assert watch.problems() == []


async def test_the_page_is_on_the_product_with_its_library(page: Page) -> None:
    answer = await page.goto("/api/v1/scenarios?limit=1")

    assert answer is not None
    assert answer.status == 200
    assert len((await answer.json())["items"]) == 1


async def test_a_page_may_be_on_a_server_of_the_tests_own(live_server: Served, page: Page) -> None:
    answer = await page.goto("/api/v1/scenarios")

    assert answer is not None
    assert await answer.json() == {"items": [], "next_cursor": None}
    scenario_id = live_server.run(
        live_server.app.vector_ops.store_scenario("Noise", "The whole class talks at once.")
    )
    answer = await page.goto(f"/api/v1/scenarios/{scenario_id}")
    assert answer is not None
    assert answer.status == 200


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)]
)
def test_without_a_browser_tests_are_skipped_and_fail_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROMIUM", "/nonexistent")
    monkeypatch.setenv("CI", ci)
    browser_path.cache_clear()
    try:
        with pytest.raises(outcome, match="CHROMIUM is /nonexistent, which is no browser"):
            need_browser()
    finally:
        browser_path.cache_clear()


def test_a_server_leaves_nothing_behind() -> None:
    def opened() -> set[int]:
        gc.collect()
        return {item.fd for item in psutil.Process().net_connections()}

    async def hello(request: Request) -> Response:
        return PlainTextResponse("hello")

    threads, before = set(threading.enumerate()), opened()
    with serving_asgi(Starlette(routes=[Route("/", hello)])) as served:
        port = int(served.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in connection.recv(1000)

    assert set(threading.enumerate()) == threads
    assert opened() <= before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


def test_a_server_that_does_not_start_says_why() -> None:
    async def broken(scope: object, receive: object, send: object) -> None:
        raise ValueError("no such thing")

    with pytest.raises(RuntimeError, match="did not start"), serving_asgi(broken):
        pytest.fail("it started")
