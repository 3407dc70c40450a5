"""The Insights view in each of its states: what its numbers are, and what it says without any."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page, expect
from uuid_utils.compat import uuid7

from staffroom.api.page.amounts import Words
from staffroom.api.page.texts import LANGUAGES, Texts
from staffroom.app import App
from staffroom.types import Answer
from tests.browser import Watch, axe
from tests.serving import Served

NOISE = "How do I get silence from the whole class?"
VAPING = (
    "Vaping in the toilets is out of control, any ideas?",
    "how do we stop vaping at school",
    "What works against vaping on the school site?",
)
CHICKEN = "How do I roast a two kilo chicken?"

OpenPage = Callable[..., Awaitable[Page]]


async def ask(app: App, question: str) -> Answer:
    """The answer to a question of now, stored."""
    answer = None
    async for part in app.ask(question, interaction_id=uuid7()):
        answer = part
    assert isinstance(answer, Answer)
    return answer


async def school_day(app: App) -> Answer:
    """Two questions that are answered, one of them judged, and four that nothing fits."""
    answer = await ask(app, NOISE)
    await ask(app, NOISE)
    assert answer.interaction_id
    await app.vector_ops.interactions.add_feedback(answer.interaction_id, "worked")
    await app.vector_ops.interactions.add_feedback(answer.interaction_id, "did_not_fit")
    for question in (*VAPING, VAPING[0], CHICKEN):
        assert (await ask(app, question)).abstained
    return answer


@pytest.fixture
def judged(own_library_server: Served) -> Answer:
    """The answer that was judged, on a server on which a school day was had."""
    return own_library_server.run(school_day(own_library_server.app))


async def test_before_the_first_question_the_view_says_how_to_begin(
    live_server: Served, page: Page
) -> None:
    await page.goto("/insights")

    await expect(page.get_by_role("heading", name="No questions in this period")).to_be_visible()
    await expect(page.get_by_role("link", name="Ask a question", exact=True)).to_have_attribute(
        "href", "/"
    )
    await expect(page.locator("#periods [aria-current]")).to_have_text("30 days")
    await axe(page)


@pytest.mark.parametrize(("width", "theme"), [(320, "light"), (768, "dark")])
async def test_with_everything_unfolded_the_view_has_no_barrier_and_fits_its_screen(
    judged: Answer, open_page: OpenPage, width: int, theme: str
) -> None:
    page = await open_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    await page.goto("/insights?days=7")
    await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")

    await axe(page)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_the_sums_are_those_of_the_day(judged: Answer, page: Page) -> None:
    await page.goto("/insights")

    assert await page.locator(".sum dd").all_text_contents() == ["7", "29%", "3", "50%"]
    await expect(page.locator("#questions-summary")).to_contain_text(
        "7 questions, 2 answered and 5 not."
    )
    await expect(page.locator("#cache-summary")).to_contain_text("1 of 7 answers")
    await expect(page.locator("#latency-summary")).to_contain_text("Half of the answers")


async def test_every_chart_is_told_as_a_table(judged: Answer, page: Page) -> None:
    await page.goto("/insights?days=7")

    summaries = page.get_by_text("As a table")
    for number in range(await summaries.count()):
        await summaries.nth(number).click()
    questions = page.get_by_role("table", name="Questions over time")
    rows = await questions.locator("tbody tr").all_inner_texts()
    assert len(rows) == 7
    assert sum(int(row.split()[2]) for row in rows) == 7
    assert sum(int(row.split()[4]) for row in rows) == 5
    verdicts = page.get_by_role("table", name="What teachers say of it")
    cited = judged.matches[0].scenario.name
    assert await verdicts.locator("tbody tr", has_text=cited).locator("td").all_inner_texts() == [
        "0",
        "1",
        "0",
        "1",
    ]
    for title in ("Most used scenarios", "How long answers take", "Answers given again"):
        await expect(page.get_by_role("table", name=title)).to_be_visible()
    await expect(page.get_by_role("table", name="How answers came about")).to_contain_text("71%")


async def test_a_group_of_gaps_leads_to_its_answers_and_to_a_scenario_made_of_its_questions(
    judged: Answer, page: Page, own_library_server: Served
) -> None:
    await page.goto("/insights")

    card = page.locator(".gap")
    await expect(card).to_have_count(1)
    await expect(card.locator(".gap-size")).to_contain_text("4 questions")
    await card.get_by_text("Show the questions").click()
    listed = card.locator(".asked li")
    assert {await item.locator("a").inner_text() for item in await listed.all()} == set(VAPING)
    await expect(listed.filter(has_text=VAPING[0])).to_contain_text("2 times, last on")
    answer = await listed.first.locator("a").get_attribute("href")
    assert answer
    gaps = own_library_server.run(own_library_server.app.vector_ops.interactions.gaps())
    assert answer.removeprefix("/answers/") in {str(gap.interaction_id) for gap in gaps}
    (group, *_) = own_library_server.run(own_library_server.app.vector_ops.gaps.largest("open", 1))
    opened = card.get_by_role("link", name="Open this group")
    await expect(opened).to_have_attribute("href", f"/insights/gaps/{group.id}")
    await page.get_by_text("2 questions that were each asked once").click()
    await expect(page.get_by_role("link", name=CHICKEN, exact=True)).to_be_visible()


async def test_used_and_unused_scenarios_lead_to_the_library(judged: Answer, page: Page) -> None:
    await page.goto("/insights")

    scenario = judged.matches[0].scenario
    used = page.get_by_role("region", name="Most used scenarios", exact=True)
    await expect(used.get_by_role("link", name=scenario.name).first).to_have_attribute(
        "href", f"/library/{scenario.id}"
    )
    unused = page.get_by_role("region", name="Never used")
    await expect(unused.locator("#unused-summary")).to_contain_text(
        "published scenarios were cited"
    )
    await unused.get_by_text("Show more").click()
    assert await unused.get_by_role("link").count() == 100
    await expect(unused.get_by_text("The first 100 are listed.")).to_be_visible()
    await expect(unused.get_by_role("link", name=scenario.name)).to_have_count(0)


async def test_a_day_is_read_from_a_chart_with_the_keyboard(judged: Answer, page: Page) -> None:
    await page.goto("/insights?days=7")

    cursor = page.get_by_role("slider", name="Questions over time")
    tip = page.locator(".chart-tip").first
    await expect(cursor).to_have_attribute(
        "aria-valuetext", f"{shown_day(0)}, Asked 7, Answered 2, Nothing fitted 5"
    )
    await page.locator("#periods a").last.focus()
    await page.keyboard.press("Tab")
    await expect(cursor).to_be_focused()
    await expect(tip).to_contain_text(shown_day(0))
    await page.keyboard.press("ArrowLeft")
    await expect(tip).to_contain_text(shown_day(1))
    await expect(cursor).to_have_attribute("aria-valuenow", "6")
    await page.keyboard.press("Home")
    await expect(tip).to_contain_text(shown_day(6))
    await page.keyboard.press("ArrowLeft")
    await expect(cursor).to_have_attribute("aria-valuenow", "1")
    await page.keyboard.press("Escape")
    await expect(tip).to_be_hidden()
    await page.keyboard.press("End")
    await page.keyboard.press("Tab")
    await expect(tip).to_be_hidden()


def shown_day(back: int) -> str:
    return Words(Texts("en")).day(datetime.now(UTC).date() - timedelta(days=back))


async def test_a_day_is_read_from_a_chart_with_the_pointer(judged: Answer, page: Page) -> None:
    await page.goto("/insights?days=7")

    await page.get_by_role("slider", name="Questions over time").hover()
    tip = page.locator(".chart-tip").first
    await expect(tip).to_contain_text(shown_day(3))
    await page.get_by_role("heading", level=1).hover()
    await expect(tip).to_be_hidden()


async def test_another_period_comes_without_a_new_page(judged: Answer, page: Page) -> None:
    await page.goto("/insights")
    await page.evaluate("window.same = true")

    await page.get_by_role("link", name="90 days").click()

    current = page.locator("#periods [aria-current]")
    await expect(current).to_have_text("90 days")
    await expect(current).to_be_focused()
    await expect(page.locator("#announcer")).to_have_text("Insights of 90 days are shown.")
    await expect(page.locator("#questions-title ~ p, #questions-summary").first).to_be_visible()
    await expect(page.get_by_role("slider", name="Questions over time")).to_have_attribute(
        "aria-valuemax", "90"
    )
    assert page.url.endswith("/insights?days=90")
    await page.go_back()
    await expect(current).to_have_text("30 days")
    assert await page.evaluate("window.same")


async def test_the_view_is_dimmed_while_a_period_loads_and_stays_if_that_fails(
    judged: Answer, page: Page, watch: Watch
) -> None:
    await page.goto("/insights")
    watch.expect(r"503 GET /insights\?days=7")

    async def refused(route: Any) -> None:
        await expect(page.locator("#insights")).to_have_attribute("aria-busy", "true")
        await route.fulfill(status=503, body="busy")

    await page.route("**/insights?days=7", refused)
    await page.get_by_role("link", name="7 days").click()

    await expect(page.locator(".toast")).to_contain_text("Staffroom is busy")
    await expect(page.locator("#insights")).not_to_have_attribute("aria-busy", "true")
    await expect(page.locator("#periods [aria-current]")).to_have_text("30 days")
    assert page.url.endswith("/insights")


async def test_sections_without_content_say_so(own_library_server: Served, page: Page) -> None:
    own_library_server.run(ask(own_library_server.app, NOISE))
    await page.goto("/insights")

    await expect(page.get_by_text("Every question found something")).to_be_visible()
    await expect(page.get_by_text("No verdicts yet")).to_be_visible()
    assert await page.locator(".sum dd").last.inner_text() == "\u2013"
    await axe(page)


async def test_where_nothing_was_answered_the_view_says_so(
    own_library_server: Served, page: Page
) -> None:
    own_library_server.run(ask(own_library_server.app, CHICKEN))
    await page.goto("/insights")

    await expect(page.get_by_text("Nothing was cited")).to_be_visible()
    await expect(page.locator(".once")).to_be_visible()


async def test_the_view_speaks_spanish(judged: Answer, open_page: OpenPage) -> None:
    page = await open_page(locale="es-ES")
    await page.goto("/insights")

    await expect(page.get_by_role("heading", level=1)).to_have_text("Panorama")
    await expect(page.get_by_role("link", name="Abrir este grupo").first).to_be_visible()
    assert (await page.locator(".sum dd").all_text_contents())[1] == "29\u00a0%"
    await axe(page)


def test_amounts_are_written_as_the_language_does() -> None:
    english, spanish = (Words(Texts(language)) for language in LANGUAGES)

    assert (english.count(1_234_567), spanish.count(1_234_567)) == ("1,234,567", "1.234.567")
    assert (english.percent(1, 3), spanish.percent(1, 3)) == ("33%", "33\u00a0%")
    assert english.percent(0, 0) == english.duration(None) == "\u2013"
    milliseconds = (0.0, 6.25, 10.4, 999.4, 999.6, 12_345.0)
    assert [english.duration(value).replace("\u00a0", " ") for value in milliseconds] == [
        "0 ms",
        "6.2 ms",
        "10 ms",
        "999 ms",
        "1.0 s",
        "12.3 s",
    ]
    assert spanish.duration(1_500.0) == "1,5\u00a0s"
    day = datetime(2026, 5, 9, 23, tzinfo=UTC)
    assert english.days(day, day) == "9\u00a0May"
    assert english.days(day, day + timedelta(days=1)) == "9\u00a0May \u2013 10\u00a0May"
