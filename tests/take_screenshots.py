"""Takes the pictures of docs/images: every view, at three widths, in both themes.

Run by scripts/screenshots. Each run starts from the starter library and the same questions.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

import httpx
from playwright.async_api import Page, async_playwright

from staffroom.cli.serve import served_beside
from tests.browser import ARGUMENTS, need_browser

FOLDER: Final = Path(__file__).parent.parent / "docs" / "images"
SIZES: Final = ((360, 780), (768, 1024), (1440, 900))
QUALITY: Final = 55

QUESTION: Final = "How to handle classroom disruption?"
UNANSWERED: Final = ("How do I change the oil of a tractor?", "My tractor leaks oil, what now?")
ASKED: Final = (
    QUESTION,
    "a pupil told me something worrying and asked me to keep it secret",
    "parent shouting at me at the gate",
    "phones under the desk",
    "nobody does the homework",
    QUESTION,
    *UNANSWERED,
)
ROWS: Final = (
    {"id": "late", "name": "Late again", "description": "A pupil is late every Monday."},
    {"id": "monday", "name": "Late again", "description": "A pupil is late every Monday."},
    {"id": "chairs", "name": "Chairs", "description": "Chairs scrape in every lesson."},
    {
        "id": "trip",
        "name": "A school trip",
        "description": "Two miss the bus.",
        "review_by": "soon",
    },
    {"id": "empty", "name": "Nothing said yet"},
)


async def ask(page: Page, question: str) -> None:
    await page.goto("/")
    await page.fill("#question", question)
    await page.press("#question", "Enter")
    await page.wait_for_selector("[data-foot]:not([hidden])")
    await page.evaluate("scrollTo(0, 0)")


async def take(page: Page, name: str, place: str) -> None:
    """The view of that name as it looks in this window."""
    match name:
        case "answer":
            await ask(page, QUESTION)
            await page.hover(".said")
        case "nothing":
            await ask(page, UNANSWERED[0])
        case _:
            await page.goto(place)
    await page.wait_for_load_state("networkidle")


async def maintain(client: httpx.AsyncClient) -> dict[str, str]:
    """What editors look after is there: advice to read again, a file to import, pairs, a gap."""
    found = (await client.post("/api/v1/search", json={"query": "phones under the desk"})).json()
    overdue = {"review_by": "2026-01-05", "reason": "the phone policy changes"}
    scenario = f"/api/v1/scenarios/{found['matches'][0]['id']}"
    (await client.patch(scenario, json=overdue, headers={"If-Match": "*"})).raise_for_status()
    file = {"file": ("week.jsonl", "\n".join(map(json.dumps, ROWS)))}
    sent = await client.post("/api/v1/imports", files=file, data={"dry_run": "true"})
    place = sent.raise_for_status().headers["location"]
    # The events end when the file is looked through.
    await client.get(place, headers={"accept": "text/event-stream"})
    group = (await client.get("/api/v1/gaps")).json()["items"][0]["id"]
    return {
        "checked": f"/library/import?id={sent.json()['id']}",
        "due": "/library/due",
        "likenesses": "/library/likenesses",
        "gaps": "/insights/gaps",
        "gap": f"/insights/gaps/{group}",
    }


async def views(client: httpx.AsyncClient) -> dict[str, str]:
    """The name of each view and its path, after everything was asked that Insights should show."""
    for question in ASKED:
        answer = (await client.post("/api/v1/ask", json={"question": question})).json()
        verdict = {"verdict": "helpful" if answer["sentences"] else "not_helpful"}
        await client.post(f"/api/v1/interactions/{answer['interaction_id']}/feedback", json=verdict)
    found = await client.post("/api/v1/search", json={"query": QUESTION})
    scenario = found.json()["matches"][0]["id"]
    for change in ({"name": "Half the class talks and is off task"}, {"status": "in_review"}):
        await client.patch(
            f"/api/v1/scenarios/{scenario}",
            json={**change, "reason": "clearer for new teachers"},
            headers={"If-Match": "*"},
        )
    return {
        # Taken first: "nothing" asks anew each time, and the gap would fill with one question.
        **await maintain(client),
        "ask": "/",
        "answer": "/",
        "nothing": "/",
        "library": "/library",
        "search": "/library?q=noise",
        "scenario": f"/library/{scenario}",
        "history": f"/library/{scenario}/history",
        "editor": f"/library/{scenario}/edit",
        "import": "/library/import",
        "insights": "/insights",
        "docs": "/docs",
    }


async def main() -> None:
    os.environ["STAFFROOM_HOME"] = tempfile.mkdtemp(prefix="sr-")
    FOLDER.mkdir(exist_ok=True)
    async with served_beside() as server, async_playwright() as playwright:
        url = f"http://{server.host}:{server.port}"
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            places = await views(client)
        browser = await playwright.chromium.launch(executable_path=need_browser(), args=ARGUMENTS)
        for name, place in places.items():
            for scheme in ("light", "dark"):
                for width, height in SIZES:
                    page = await browser.new_page(
                        base_url=url,
                        viewport={"width": width, "height": height},
                        color_scheme=scheme,
                        locale="en-GB",
                    )
                    await take(page, name, place)
                    path = FOLDER / f"{name}-{width}-{scheme}.jpg"
                    await page.screenshot(path=path, type="jpeg", quality=QUALITY)
                    await page.close()
            sys.stdout.write(f"{name}\n")
        await browser.close()


asyncio.run(main())
