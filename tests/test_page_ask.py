"""The Ask view, as a teacher uses it in a browser."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser import Watch, axe
from tests.serving import Served

QUESTION = "How to handle classroom disruption?"
TRACTOR = "How do I change the oil of a tractor?"
ASK = "**/api/v1/ask"

OpenPage = Callable[..., Awaitable[Page]]


async def ask(page: Page, question: str = QUESTION) -> None:
    await page.goto("/", wait_until="networkidle")
    await page.locator("#question").fill(question)
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-foot]")).to_be_visible()


def interactions(served: Served) -> list[Any]:
    return served.run(served.app.vector_ops.interactions.page(200))


async def test_an_answer_shows_its_steps_and_the_scenarios_that_they_rest_on(page: Page) -> None:
    await ask(page)

    await expect(page.locator("[data-runs] .step")).to_have_count(5)
    await expect(page.locator("[data-runs] .step").first).to_contain_text("Stop talking over")
    await expect(page.locator(".source-name").first).to_have_text(
        "Several pupils talking and off task at once"
    )
    await expect(page.locator(".source").first).to_contain_text("Close match")
    await expect(page.locator('[data-slot="outcome"]')).to_have_text(
        "The vetted advice itself, word for word"
    )
    await expect(page.locator("#announcer")).to_have_text("The answer is ready: 5 steps.")
    await axe(page)


async def test_matches_are_shown_before_the_first_sentence(page: Page) -> None:
    await page.goto("/")
    await page.evaluate(
        """() => {
          window.seen = [];
          new MutationObserver((changes) => {
            for (const node of changes.flatMap((change) => [...change.addedNodes])) {
              if (node.matches?.(".source")) window.seen.push("source");
              if (node.matches?.(".said")) window.seen.push("sentence");
            }
          }).observe(document.getElementById("exchanges"), { childList: true, subtree: true });
        }"""
    )
    await page.locator("#question").fill(QUESTION)
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-foot]")).to_be_visible()

    seen = await page.evaluate("window.seen")
    assert seen.index("source") < seen.index("sentence")


async def test_a_sentence_and_its_source_light_each_other_up(page: Page) -> None:
    await ask(page)
    said, source = page.locator("[data-runs] .said"), page.locator(".source")

    await said.first.hover()
    await expect(source.first).to_have_class(re.compile("is-lit"))
    await expect(source.nth(1)).not_to_have_class(re.compile("is-lit"))
    await page.locator("h1").hover()
    await expect(source.first).not_to_have_class(re.compile("is-lit"))
    await page.locator(".source-name a").first.focus()
    await expect(said.first).to_have_class(re.compile("is-lit"))


async def test_a_source_number_can_be_reached_and_followed_by_keyboard(page: Page) -> None:
    await ask(page)
    await page.locator("[data-cite]").first.focus()
    await expect(page.locator(".source").first).to_have_class(re.compile("is-lit"))
    await page.keyboard.press("Enter")

    assert "#source-" in page.url


async def test_where_nothing_fits_the_page_says_so_and_leads_on(page: Page) -> None:
    await ask(page, TRACTOR)

    await expect(page.locator("[data-nothing]")).to_be_visible()
    await expect(page.locator("[data-nothing] .related a")).to_have_count(3)
    link = await page.locator("[data-suggest]").get_attribute("href")
    assert link
    assert link.startswith("/library/new?question=How+do+I+change")
    await expect(page.locator("[data-sources]")).to_be_hidden()
    await expect(page.locator("#follow")).to_be_hidden()
    await axe(page)


async def test_an_empty_question_is_not_sent(page: Page) -> None:
    await page.goto("/")
    await page.locator("#submit").click()

    await expect(page.locator("#question-error")).to_have_text("Write your question first.")
    await expect(page.locator("#question")).to_be_focused()
    await expect(page.locator("#question")).to_have_attribute("aria-invalid", "true")


async def test_an_example_is_asked_with_one_press(page: Page) -> None:
    await page.goto("/")
    example = page.locator(".example").first
    question = await example.locator(".example-text").inner_text()
    await example.press("Enter")

    await expect(page.locator('[data-slot="question"]').first).to_have_text(question)
    await expect(page.locator("[data-foot]")).to_be_visible()


async def test_a_further_question_continues_the_conversation(
    page: Page, library_server: Served
) -> None:
    await ask(page)
    await page.locator("#follow-question").fill("and if it keeps happening?")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-exchange]")).to_have_count(2)
    await expect(page.locator("[data-exchange]").nth(1).locator("[data-foot]")).to_be_visible()

    further, first = interactions(library_server)[:2]
    stored = library_server.run(library_server.app.vector_ops.get_interaction(further.id))
    assert stored.conversation_id == first.id
    assert stored.asked.startswith(QUESTION)


async def test_each_answer_of_a_conversation_leads_to_its_own_sources(page: Page) -> None:
    await ask(page)
    await page.locator("#follow-question").fill("and if it keeps happening?")
    await page.keyboard.press("Enter")
    further = page.locator("[data-exchange]").nth(1)
    await expect(further.locator("[data-foot]")).to_be_visible()

    ids = await page.evaluate("[...document.querySelectorAll('[id]')].map((found) => found.id)")
    assert len(set(ids)) == len(ids)
    mark = further.locator("[data-cite]").first
    target = str(await mark.get_attribute("href"))
    await expect(further.locator(target)).to_have_count(1)
    await mark.focus()
    await expect(further.locator(target)).to_have_class(re.compile("is-lit"))
    await axe(page)


async def test_in_private_nothing_is_stored_anywhere(page: Page, library_server: Served) -> None:
    before = interactions(library_server)
    await page.goto("/")
    await page.locator("#private").check()
    await page.locator("#question").fill(QUESTION)
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-foot]")).to_be_visible()

    await expect(page.locator("[data-share]")).to_be_hidden()
    await expect(page.locator("[data-feedback]")).to_be_hidden()
    await expect(page.locator("#follow")).to_be_hidden()
    await expect(page.locator("#past")).to_be_hidden()
    assert interactions(library_server) == before
    assert QUESTION not in await page.evaluate("JSON.stringify(localStorage)")


async def test_what_was_asked_is_remembered_on_this_device_until_it_is_removed(
    page: Page, open_page: OpenPage
) -> None:
    await ask(page)
    await page.goto("/")
    past = page.locator("#past-list a")
    await expect(past).to_have_text([QUESTION])
    elsewhere = await open_page()
    await elsewhere.goto("/")
    await expect(elsewhere.locator("#past")).to_be_hidden()
    await past.click()
    await expect(page.locator("[data-runs] .step")).to_have_count(5)
    await page.goto("/")
    await page.locator("#past-list button").click()

    await expect(page.locator("#past")).to_be_hidden()


async def test_feedback_is_kept_with_the_answer(page: Page, library_server: Served) -> None:
    await ask(page)
    await page.get_by_role("button", name="Not helpful").click()
    await page.locator(".feedback-why .choice", has_text="Too general").click()
    await page.locator(".feedback-why textarea").fill("We tried all that.")
    await axe(page)
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("[data-thanks]")).to_be_visible()

    newest = interactions(library_server)[0]
    stored = library_server.run(library_server.app.vector_ops.get_interaction(newest.id))
    (said,) = stored.feedback
    assert (said.verdict, said.reason, said.comment) == (
        "not_helpful",
        "too_general",
        "We tried all that.",
    )


async def test_an_answer_can_be_copied_with_its_sources_and_shared(
    open_page: OpenPage, library_server: Served
) -> None:
    page = await open_page(permissions=["clipboard-read", "clipboard-write"])
    await ask(page)
    await page.get_by_role("button", name="Copy").click()
    await expect(page.locator(".toast")).to_have_text("The answer is on your clipboard.")
    copied = await page.evaluate("navigator.clipboard.readText()")
    await page.get_by_role("button", name="Share a link").click()
    await expect(page.locator(".toast").nth(1)).to_contain_text("link")
    link = await page.evaluate("navigator.clipboard.readText()")

    assert copied.startswith(f"{QUESTION}\n\n1. Stop talking over the noise.")
    assert (
        f"[1] Several pupils talking and off task at once, {library_server.url}/library/" in copied
    )
    assert link == f"{library_server.url}/answers/{interactions(library_server)[0].id}"


async def test_a_question_under_way_can_be_stopped(page: Page) -> None:
    held: asyncio.Queue[Route] = asyncio.Queue()

    await page.goto("/")
    await page.route(ASK, held.put)
    await page.locator("#question").fill(QUESTION)
    await page.keyboard.press("Enter")
    await expect(page.locator("#stop")).to_be_visible()
    await expect(page.locator("[data-skeleton]")).to_be_visible()
    await axe(page)
    await page.keyboard.press("Escape")

    await expect(page.locator('[data-slot="state"]')).to_contain_text("Stopped")
    await expect(page.locator("#submit")).to_be_visible()
    await (await held.get()).abort()


async def test_a_busy_server_is_told_of_and_asked_again(page: Page, watch: Watch) -> None:
    watch.expect("503")

    async def busy(route: Route) -> None:
        problem = {"title": "Service Unavailable", "status": 503, "detail": "busy"}
        await route.fulfill(
            status=503,
            body=json.dumps(problem),
            headers={"Content-Type": "application/problem+json", "Retry-After": "5"},
        )

    await page.goto("/")
    await page.route(ASK, busy, times=1)
    await page.locator("#question").fill(QUESTION)
    await page.keyboard.press("Enter")
    failed = page.locator("[data-failed]")
    await expect(failed).to_contain_text("busy")
    await expect(failed).to_contain_text("Try again in 5 s.")
    await axe(page)
    await page.locator("[data-retry]").click()

    await expect(page.locator("[data-runs] .step")).to_have_count(5)


async def test_an_answer_whose_connection_was_lost_is_fetched_from_where_it_was_stored(
    page: Page, library_server: Served
) -> None:
    await ask(page)
    newest = interactions(library_server)[0]
    found = {"matches": [], "related": [], "uncertain": False, "interaction_id": str(newest.id)}

    async def cut(route: Route) -> None:
        body = f"event: matches\ndata: {json.dumps(found)}\n\n"
        await route.fulfill(body=body, headers={"Content-Type": "text/event-stream"})

    await page.goto("/")
    await page.route(ASK, cut)
    await page.locator("#question").fill(QUESTION)
    await page.keyboard.press("Enter")

    await expect(page.locator("[data-runs] .step")).to_have_count(5)
    await expect(page.locator("[data-failed]")).to_be_hidden()


async def test_an_error_in_the_middle_says_that_the_answer_is_not_whole(page: Page) -> None:
    sentence = {"text": "Wait for silence.", "citations": [], "support": 1, "step": 1}
    events: list[tuple[str, dict[str, Any]]] = [
        ("matches", {"matches": [], "uncertain": False, "interaction_id": None}),
        ("sentence", sentence),
        ("error", {"title": "x", "status": 500, "detail": "x"}),
    ]
    body = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)

    async def broken(route: Route) -> None:
        await route.fulfill(body=body, headers={"Content-Type": "text/event-stream"})

    await page.goto("/")
    await page.route(ASK, broken)
    await page.locator("#question").fill(QUESTION)
    await page.keyboard.press("Enter")

    await expect(page.locator("[data-failed]")).to_contain_text("before the answer was complete")
    await expect(page.locator(".said")).to_have_text(["Wait for silence."])


async def test_asking_and_reading_work_without_scripts(open_page: OpenPage) -> None:
    page = await open_page(java_script_enabled=False)
    await page.goto("/")
    await page.locator("#question").fill(QUESTION)
    await page.get_by_role("button", name="Ask", exact=True).click()
    await page.wait_for_url("**/answers/*")
    await expect(page.locator("[data-runs] .step")).to_have_count(5)
    await page.locator("#follow-question").fill("and if it keeps happening?")
    await page.get_by_role("button", name="Ask further").click()

    await expect(page.locator('[data-slot="understood"]')).to_contain_text(QUESTION)


async def test_a_question_that_cannot_be_read_comes_back_with_the_reason(
    open_page: OpenPage, watch: Watch
) -> None:
    watch.expect("422")
    page = await open_page(java_script_enabled=False)
    await page.goto("/")
    await page.locator("#question").evaluate("field => field.removeAttribute('required')")
    await page.locator("#question").fill("  ")
    await page.get_by_role("button", name="Ask", exact=True).click()

    await expect(page.locator("#question-error")).to_contain_text("the question is empty")


async def test_a_stored_answer_can_be_opened_by_its_link(
    page: Page, open_page: OpenPage, library_server: Served
) -> None:
    await ask(page)
    reader = await open_page(locale="es-ES")
    await reader.goto(f"/answers/{interactions(library_server)[0].id}")

    await expect(reader.locator("[data-runs] .step")).to_have_count(5)
    await expect(reader.locator("html")).to_have_attribute("lang", "es")
    await expect(reader.locator(".steps").first).to_have_attribute("lang", "en")
    await expect(reader.locator(".source").first).to_contain_text("Muy cercana")
    await axe(reader)


async def test_a_link_to_no_answer_is_a_page_that_leads_on(page: Page, watch: Watch) -> None:
    watch.expect("404")
    await page.goto("/answers/01900000-0000-7000-8000-000000000000")

    await expect(page.locator("h1")).to_have_text("There is no such page")
    await axe(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768])
async def test_the_view_fits_narrow_screens_in_both_themes(
    open_page: OpenPage, width: int, scheme: str
) -> None:
    page = await open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    await page.goto("/")
    await axe(page)
    await ask(page)
    await axe(page)

    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_an_empty_library_asks_for_its_first_scenario(
    page: Page, live_server: Served
) -> None:
    await page.goto("/")

    await expect(page.locator(".empty")).to_contain_text("The library is empty")
    await axe(page)


async def test_loading_the_page_again_shows_the_same_answer(
    page: Page, library_server: Served
) -> None:
    await ask(page)
    await page.reload()

    assert page.url.endswith(f"/answers/{interactions(library_server)[0].id}")
    await expect(page.locator("[data-runs] .step")).to_have_count(5)
