"""Chromium for tests, and a watch that nothing happens in it which a reader must not meet."""

import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    WebError,
    WebSocket,
    async_playwright,
)

FINDER = Path(__file__).parent.parent / "scripts" / "browser"

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever else a page names does not exist, so that nothing can leave this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

AXE_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice")
"""The rules of WCAG 2.2 AA, and what is good practice besides."""

SETTLED = """() => document.getAnimations().every((each) =>
  each.playState !== "running" || each.effect.getComputedTiming().endTime === Infinity)"""
"""No animation or transition runs but those that run for ever."""

WIDE = {"width": 1440, "height": 900}

_FAILED_LOAD = re.compile(r"Failed to load resource: the server responded with a status of \d+")


@cache
def browser_path() -> tuple[str, str]:
    """Where Chromium lies, or an empty path and why there is none."""
    found = subprocess.run([FINDER], capture_output=True, text=True, check=False)
    return found.stdout.strip(), found.stderr.strip()


def need_browser() -> str:
    """Where Chromium lies; without one the test is skipped, in CI it fails."""
    path, reason = browser_path()
    if not path and os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    if not path:
        pytest.skip(reason)
    return path


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """A Chromium without a window that reaches this machine only."""
    path = need_browser()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        await browser.close()


class Watch:
    """Keeps what a reader must not meet: each finding is a line of text that says its kind.

    `console error: …`, `script error: …`, `policy violation: …`, `foreign request: …`,
    `404 GET /path` (any status of 400 and above), `crash: …`.
    """

    def __init__(self, origin: str) -> None:
        self._origin = urlsplit(origin).netloc
        self._expected: dict[str, re.Pattern[str]] = {}
        self._found: list[str] = []

    def expect(self, pattern: str) -> None:
        """Findings like this belong to the test: at least one has to come."""
        self._expected[pattern] = re.compile(pattern)

    def follow(self, context: BrowserContext) -> None:
        """What happens in any page of the context is seen."""
        context.on("console", self._console)
        context.on("weberror", self._script)
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("page", self._page)

    def problems(self) -> list[str]:
        """What was found and not expected, then what was expected and did not come."""
        expected = self._expected.values()
        return [
            *(found for found in self._found if not any(map(_searching(found), expected))),
            *(
                f"expected, but did not come: {text}"
                for text, pattern in self._expected.items()
                if not any(map(pattern.search, self._found))
            ),
        ]

    def check(self) -> None:
        """Nothing was found but what was expected."""
        problems = self.problems()
        assert not problems, "in the browser: " + "\n".join(problems)

    def _console(self, message: ConsoleMessage) -> None:
        text = message.text
        if message.type != "error" or _FAILED_LOAD.match(text):
            return
        kind = "policy violation" if "Content Security Policy" in text else "console error"
        self._found.append(f"{kind}: {text}")

    def _script(self, error: WebError) -> None:
        self._found.append(f"script error: {error.error.stack or error.error.message}")

    def _request(self, request: Request) -> None:
        self._address(request.url, request.method)

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            address = urlsplit(response.url)
            path = address.path + (f"?{address.query}" if address.query else "")
            self._found.append(f"{response.status} {response.request.method} {path}")

    def _page(self, page: Page) -> None:
        page.on("websocket", self._socket)
        page.on("crash", lambda crashed: self._found.append(f"crash: {crashed.url}"))

    def _socket(self, opened: WebSocket) -> None:
        self._address(opened.url, "WebSocket")

    def _address(self, url: str, method: str) -> None:
        address = urlsplit(url)
        if address.scheme in {"data", "blob", "about"} or address.netloc == self._origin:
            return
        self._found.append(f"foreign request: {method} {url}")


def _searching(text: str) -> Any:
    return lambda pattern: pattern.search(text)


@asynccontextmanager
async def reading(
    browser: Browser, origin: str, watch: Watch, **options: Any
) -> AsyncIterator[Page]:
    """A page of a fresh, empty profile, under the watch.

    `options` are those of Playwright's `new_context`: viewport, color_scheme, locale,
    java_script_enabled and so on. Addresses may begin with a slash.
    """
    chosen = {"locale": "en-GB", "timezone_id": "Europe/London", "viewport": WIDE, **options}
    context = await browser.new_context(base_url=origin, **chosen)
    try:
        context.set_default_timeout(10_000)
        watch.follow(context)
        yield await context.new_page()
    finally:
        await context.close()


async def axe(page: Page, context: str | None = None) -> None:
    """An automatic examiner finds no barrier on the page, or in the part that a selector names.

    It looks when what fades or slides in has come to rest: halfway, every text is pale.
    """
    await page.wait_for_function(SETTLED, polling=50)
    options = {"runOnly": {"type": "tag", "values": AXE_TAGS}, "resultTypes": ["violations"]}
    results = await Axe().run(page, context, options)
    found = [_told(violation) for violation in results.response["violations"]]
    assert not found, "\n\n".join([f"axe found on {page.url}:", *found])


def _told(violation: dict[str, Any]) -> str:
    lines = [f"{violation['id']} ({violation['impact']}): {violation['help']}"]
    for node in violation["nodes"]:
        lines.append(f"  at {' '.join(map(str, node['target']))}: {node['html'][:200]}")
        lines += [f"    {line.strip()}" for line in node["failureSummary"].splitlines()]
    return "\n".join(lines)
