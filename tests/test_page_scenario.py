"""One scenario as a page, the steps of its status, and its history."""

import html
import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from staffroom.app import App
from staffroom.types import Scenario
from tests.api_client import api_client
from tests.browser import Watch, axe
from tests.serving import Served

HTML = {"accept": "text/html"}
OpenPage = Callable[..., Awaitable[Page]]

LATE: dict[str, Any] = {
    "id": "late",
    "name": "Late every morning",
    "description": "A pupil is late every morning.\nThe register is closed by then.",
    "expected_response": "1. Greet the pupil.\n2. Ask why, alone.\nAvoid: Do not shout.",
    "example_questions": ["What if a pupil is & stays late?"],
    "category": "attendance",
    "grade_bands": ["lower-secondary"],
    "subjects": ["any"],
    "tags": ["morning"],
    "evidence_note": "Years of practice.",
    "contributor": "The Tuesday group",
    "review_by": "2999-05-31",
    "status": "published",
}


async def read(app: App, scenario_id: UUID, rest: str = "", **headers: str) -> str:
    """The page as text, with its characters as people see them."""
    async with api_client(app, **HTML, **headers) as client:
        response = await client.get(f"/library/{scenario_id}{rest}")
    assert response.status_code == 200, response.text
    return html.unescape(response.text)


async def store(app: App, *changes: dict[str, Any], **fields: Any) -> UUID:
    """The id of a scenario that was changed so many times."""
    stored = await app.vector_ops.put_scenario({**LATE, **fields})
    for change in changes:
        reason = change.get("reason", "")
        changed = {name: value for name, value in change.items() if name != "reason"}
        await app.vector_ops.update_scenario(stored.scenario_id, changed, reason=reason)
    return stored.scenario_id


def stored(served: Served, *changes: dict[str, Any], **fields: Any) -> UUID:
    return served.run(store(served.app, *changes, **fields))


def now(served: Served, scenario_id: UUID) -> Scenario:
    return served.run(served.app.vector_ops.get_scenario(scenario_id))


# What the server renders


async def test_a_scenario_says_everything_that_is_known_of_it(app: App) -> None:
    page = await read(app, await store(app))

    for text in (
        "Late every morning</h1>",
        "<p>The register is closed by then.</p>",
        '<span class="step-number number">2.</span> <span>Ask why, alone.</span>',
        '<p class="aside-line">Avoid: Do not shout.</p>',
        "Years of practice.",
        "The Tuesday group",
        "31 May 2999",
        'href="/library?category=attendance">Attendance</a>',
        'href="/library?grade_band=lower-secondary">Lower secondary</a>',
        'href="/library?tag=morning">morning</a>',
        'href="/?question=What+if+a+pupil+is+%26+stays+late%3F"',
        "Revision 1, changed on",
        '<dd class="fact-code">late</dd>',
    ):
        assert text in page, text
    assert "The review is due" not in page


async def test_what_is_missing_or_due_is_told(app: App) -> None:
    page = await read(
        app,
        await store(app, id="", expected_response="", example_questions=[], review_by="2020-01-31"),
    )

    assert "There is no advice yet" in page
    assert "There are no example questions yet" in page
    assert "The review is due since 31 January 2020" in page
    assert "sha256" not in page


@pytest.mark.parametrize(
    ("status", "steps"),
    [
        ("draft", ["in_review", "published"]),
        ("in_review", ["draft", "published"]),
        ("published", ["in_review", "retired"]),
        ("retired", ["draft", "published"]),
    ],
)
async def test_the_steps_from_a_status_are_offered(app: App, status: str, steps: list[str]) -> None:
    page = await read(app, await store(app, status=status))

    assert re.findall(r'data-open="step-(\w+)"', page) == steps
    assert re.findall(r'<form class="stack" data-step="(\w+)"', page) == steps
    assert len(re.findall(r'<li aria-current="step">', page)) == 1


async def test_what_editors_wrote_is_shown_as_text(app: App) -> None:
    bad = "</h1><script>alert(1)</script>"
    scenario_id = await store(
        app,
        {"name": bad + "2", "evidence_note": bad, "reason": bad},
        **dict.fromkeys(("name", "description", "expected_response", "category"), bad),
    )
    async with api_client(app, **HTML) as client:
        for rest in ("", "/history", "/history?from=1&to=2"):
            page = (await client.get(f"/library/{scenario_id}{rest}")).text
            assert "<script>" not in page
            assert "&lt;/h1&gt;&lt;script&gt;" in page


async def test_what_is_not_there_is_404_with_a_page(app: App) -> None:
    scenario_id = await store(app)
    async with api_client(app, **HTML) as client:
        for path in (
            f"/library/{UUID(int=1)}",
            f"/library/{UUID(int=1)}/history",
            f"/library/{scenario_id}/history?from=1&to=2",
            "/library/late",
        ):
            response = await client.get(path)
            assert response.status_code == 404
            assert "There is no such page" in response.text


async def test_a_history_shows_who_changed_what_and_why(app: App) -> None:
    scenario_id = await store(
        app,
        {
            "description": LATE["description"].replace("every", "every single"),
            "reason": "It is each day.",
        },
        {"status": "retired", "tags": ["evening"]},
    )

    page = await read(app, scenario_id, "/history")

    titles = re.findall(r'class="revision-title">Revision (\d)<', page)
    assert titles == ["3", "2", "1"]
    assert "It is each day." in page
    assert f"by {app.author}" in page
    assert re.search(r"<ins><span [^>]*>\[added\] </span>single <span", page)
    assert re.search(r"<del><span [^>]*>\[removed\] </span>morning</del>", page)
    assert re.search(r"before\] </span>Published</del>.*now\] </span>Retired</ins>", page)
    assert "The first version." in page
    assert re.findall(r'data-restore="(\d)"', page) == ["2", "1"]


async def test_any_two_revisions_can_be_compared(app: App) -> None:
    scenario_id = await store(app, {"name": "Early"}, {"name": "Often late"}, {"name": "Early"})

    page = await read(app, scenario_id, "/history?from=3&to=1")
    assert "From revision 1 to revision 3" in page
    comparison = page[page.index('id="comparison"') : page.index("All revisions")]
    assert "Often late" in comparison
    assert "Early" not in comparison
    assert "These two revisions say the same." in await read(
        app, scenario_id, "/history?from=2&to=4"
    )


async def test_what_differs_in_its_status_only_has_nothing_to_restore(app: App) -> None:
    scenario_id = await store(app, {"status": "in_review"}, {"status": "published"})

    assert "data-restore" not in await read(app, scenario_id, "/history")


async def test_a_long_history_is_read_page_by_page(app: App) -> None:
    scenario_id = await store(app, *({"name": f"Name {number}"} for number in range(24)))

    first = await read(app, scenario_id, "/history")
    assert len(re.findall('class="revision-title"', first)) == 20
    assert f'href="/library/{scenario_id}/history?before=6"' in first
    assert "The first version." not in first

    rest = await read(app, scenario_id, "/history?before=6")
    assert re.findall(r'class="revision-title">Revision (\d)<', rest) == ["5", "4", "3", "2", "1"]
    assert "Back to the newest" in rest
    assert "Show older ones" not in rest


async def test_scenario_and_history_speak_spanish(app: App) -> None:
    scenario_id = await store(app, {"name": "Siempre tarde", "tags": [], "review_by": None})

    page = await read(app, scenario_id, **{"accept-language": "es"})
    assert "Qué hacer" in page
    assert 'lang="en">Siempre tarde</h1>' in page
    assert "[añadido]" in await read(app, scenario_id, "/history", **{"accept-language": "es"})


# What happens in the browser


async def test_a_draft_is_published_with_a_reason(live_server: Served, page: Page) -> None:
    scenario_id = stored(live_server, status="draft")
    await page.goto(f"/library/{scenario_id}")
    await page.get_by_role("button", name="Publish").click()
    dialog = page.get_by_role("dialog", name="Publish this scenario?")
    await dialog.get_by_label("Reason").fill("Read by two of us")
    await axe(page)
    await page.keyboard.press("Enter")

    await expect(dialog).to_be_hidden()
    await expect(page.locator(".path [aria-current]")).to_have_text("Published")
    await expect(page.locator("#status-title")).to_be_focused()
    await expect(page.locator("#announcer")).to_have_text(
        "It is published. Teachers can find it now."
    )
    assert now(live_server, scenario_id).content.metadata.status == "published"
    await page.get_by_role("link", name="History").click()
    await expect(page.locator(".revision-reason").first).to_contain_text("Read by two of us")
    await page.go_back()
    await page.get_by_role("button", name="Retire").click()
    await page.get_by_role("dialog").get_by_role("button", name="Retire").click()
    await expect(page.get_by_role("button", name="Back to draft")).to_be_visible()


async def test_a_change_by_somebody_else_is_not_overwritten(
    live_server: Served, page: Page, watch: Watch
) -> None:
    scenario_id = stored(live_server)
    watch.expect("^412 PATCH ")
    await page.goto(f"/library/{scenario_id}")
    live_server.run(live_server.app.vector_ops.update_scenario(scenario_id, {"name": "Theirs"}))
    await page.get_by_role("button", name="Retire").click()
    await page.get_by_role("dialog").get_by_role("button", name="Retire").click()

    conflict = page.get_by_role("dialog", name="Somebody changed this scenario in the meantime")
    await expect(conflict).to_contain_text("You are looking at revision 1")
    await axe(page)
    await conflict.get_by_role("button", name="Load the newest").click()
    await expect(page.locator("h1")).to_have_text("Theirs")
    assert now(live_server, scenario_id).content.metadata.status == "published"


async def test_deleting_says_what_retiring_would_do_and_then_deletes(
    live_server: Served, page: Page
) -> None:
    scenario_id = stored(live_server)
    await page.goto(f"/library/{scenario_id}")
    await page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete this scenario for good?")
    await expect(dialog).to_contain_text("Retiring takes it out of use and keeps it")
    await axe(page)
    await dialog.get_by_role("button", name="Retire it instead").click()
    await expect(page.get_by_role("dialog", name="Retire this scenario?")).to_be_visible()
    await page.keyboard.press("Escape")

    await page.get_by_role("button", name="Delete").click()
    await dialog.get_by_role("button", name="Delete for good").click()
    await page.wait_for_url("**/library")
    await expect(page.locator(".toast")).to_have_text("“Late every morning” is deleted.")
    await expect(page.get_by_role("heading", name="The library is empty")).to_be_visible()


async def test_what_is_gone_or_out_of_reach_is_told_in_the_dialog(
    live_server: Served, page: Page, watch: Watch
) -> None:
    scenario_id = stored(live_server)
    watch.expect("^404 PATCH ")
    watch.expect("console error: Failed to load resource: net::ERR_INTERNET_DISCONNECTED")
    await page.goto(f"/library/{scenario_id}")
    await page.get_by_role("button", name="Retire").click()
    dialog = page.get_by_role("dialog")
    await page.context.set_offline(True)
    await dialog.get_by_role("button", name="Retire").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("No connection to Staffroom")
    await page.context.set_offline(False)
    live_server.run(live_server.app.vector_ops.delete_scenario(scenario_id))
    await dialog.get_by_role("button", name="Retire").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("Somebody has deleted this scenario")


async def test_an_old_revision_is_restored_and_the_status_stays(
    live_server: Served, page: Page
) -> None:
    scenario_id = stored(
        live_server,
        {"name": "Worse", "review_by": None, "tags": []},
        {"description": "Nothing.", "status": "in_review"},
    )
    before = now(live_server, scenario_id)
    await page.goto(f"/library/{scenario_id}/history")
    await page.get_by_role("button", name="Restore revision 1").click()
    await axe(page)
    await page.get_by_role("button", name="Restore", exact=True).click()

    await page.wait_for_url(f"**/library/{scenario_id}")
    await expect(page.locator("h1")).to_have_text("Late every morning")
    await expect(page.locator(".toast")).to_have_text("Revision 1 is restored.")
    restored = now(live_server, scenario_id)
    assert restored.revision == before.revision + 1
    assert restored.content.metadata.status == "in_review"
    assert restored.content.metadata.tags == ("morning",)
    assert str(restored.content.metadata.review_by) == "2999-05-31"
    history = live_server.run(live_server.app.vector_ops.list_revisions(scenario_id))
    assert history[-1].reason == "restored revision 1"


async def test_times_are_those_of_the_readers_clock(
    live_server: Served, open_page: OpenPage
) -> None:
    scenario_id = stored(live_server)
    page = await open_page(timezone_id="Asia/Kathmandu")
    await page.goto(f"/library/{scenario_id}/history")
    time = page.locator("time").first
    stamp = await time.get_attribute("datetime")
    told = await page.evaluate(
        """stamp => new Date(stamp).toLocaleTimeString("en-GB",
            {hour: "2-digit", minute: "2-digit", timeZone: "Asia/Kathmandu"})""",
        stamp,
    )

    await expect(time).to_contain_text(told)
    await expect(time).not_to_contain_text("UTC")


async def test_the_link_is_copied(open_page: OpenPage, live_server: Served) -> None:
    scenario_id = stored(live_server)
    page = await open_page(permissions=["clipboard-read", "clipboard-write"])
    await page.goto(f"/library/{scenario_id}?lang=en")
    await page.get_by_role("button", name="Copy link").click()

    await expect(page.locator(".toast")).to_have_text("The link is copied.")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == f"{live_server.url}/library/{scenario_id}"


async def test_without_scripts_everything_can_be_read(
    live_server: Served, open_page: OpenPage
) -> None:
    scenario_id = stored(live_server, {"name": "Later"})
    page = await open_page(java_script_enabled=False)
    await page.goto(f"/library/{scenario_id}")
    await expect(page.locator("h1")).to_have_text("Later")
    for button in await page.get_by_role("button").all():
        await expect(button).to_be_hidden()
    await page.get_by_role("link", name="History").click()
    await page.get_by_label("to revision").select_option("1")
    await page.get_by_role("button", name="Compare").click()
    await expect(page.get_by_text("These two revisions say the same.")).to_be_visible()


async def test_on_paper_there_is_what_to_read_and_nothing_to_press(
    live_server: Served, page: Page
) -> None:
    await page.goto(f"/library/{stored(live_server)}")
    await page.emulate_media(media="print")

    await expect(page.get_by_text("Ask why, alone.")).to_be_visible()
    for control in await page.locator("button, .button, .status-card").all():
        await expect(control).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 720, 1440])
async def test_scenario_and_history_have_no_barriers(
    live_server: Served, open_page: OpenPage, scheme: str, width: int
) -> None:
    endless = "Donaudampfschifffahrtsgesellschaftskapitän" * 4
    scenario_id = stored(
        live_server,
        {"name": endless, "expected_response": f"1. {endless}\n2. Ask.", "tags": [endless[:200]]},
        {"status": "in_review", "evidence_note": "", "worked_with": endless, "reason": endless},
        review_by="2020-01-01",
    )
    page = await open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for rest in ("", "/history", "/history?from=1&to=3"):
        await page.goto(f"/library/{scenario_id}{rest}")
        await axe(page)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
