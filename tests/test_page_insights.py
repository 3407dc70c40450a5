"""The Insights view, as an editor reads it in a browser."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

from staffroom.flows import process_teacher_query
from tests.browser import Watch, axe
from tests.serving import Served

OpenPage = Callable[..., Awaitable[Page]]

DISRUPTION = "How to handle classroom disruption?"
TRACTORS = ("How do I change the oil of a tractor?", "how to change a tractor's oil")
BREAD = "What is the best recipe for sourdough bread?"


async def ask_all(served: Served) -> None:
    app = served.app
    options: dict[str, Any] = {
        "embedder": app.cache,
        "vector_ops": app.vector_ops,
        "llm_service": app.llm_service,
    }
    first = await process_teacher_query(DISRUPTION, **options)
    assert first.interaction_id
    await app.vector_ops.interactions.add_feedback(first.interaction_id, "worked")
    for question in (DISRUPTION, *TRACTORS, BREAD):
        await process_teacher_query(question, **options)


@pytest.fixture
def asked(own_library_server: Served) -> Served:
    """A library of which five questions were asked, two of them alike and without an answer."""
    own_library_server.run(ask_all(own_library_server))
    return own_library_server


async def test_what_was_asked_and_what_is_missing_is_shown(page: Page, asked: Served) -> None:
    await page.goto("/insights")

    await expect(page.locator("#insights")).to_contain_text("5 questions, 2 answered and 3 not")
    await expect(page.locator(".gaps")).to_contain_text(TRACTORS[0])
    await expect(page.locator(".gaps")).to_contain_text(BREAD)
    stages = page.get_by_role("region", name="Where the time goes")
    await expect(stages).to_contain_text("On average, understanding the question took")
    await expect(stages.locator("rect.mark-search_ms").first).to_be_visible()
    await expect(page.get_by_role("region", name="Most used scenarios")).to_contain_text(
        "Several pupils talking and off task at once"
    )
    await expect(
        page.get_by_role("region", name="What teachers say of it").locator("a").first
    ).to_be_visible()
    await expect(page.get_by_role("region", name="Never used", exact=True)).to_contain_text("195")
    await axe(page)


async def test_a_group_of_unanswered_questions_leads_to_its_own_page(
    page: Page, asked: Served
) -> None:
    await page.goto("/insights")
    await page.get_by_role("link", name="Open this group").first.click()
    await page.wait_for_url("**/insights/gaps/*")

    questions = page.locator(".gap-question a")
    await expect(questions.first).to_be_visible()
    assert set(await questions.all_text_contents()) == set(TRACTORS)


async def test_each_chart_can_be_read_as_a_table(page: Page, asked: Served) -> None:
    await page.goto("/insights")
    figures = page.locator("figure[data-chart]")
    assert await figures.count() == 4
    for number in range(4):
        figure = figures.nth(number)
        await figure.locator("summary").click()
        await expect(figure.locator("tbody tr")).to_have_count(30)
        await expect(figure.locator("table caption, [role=region]").first).to_be_visible()
    await axe(page)


async def test_a_chart_can_be_walked_through_by_keyboard(page: Page, asked: Served) -> None:
    await page.goto("/insights")
    cursor = page.get_by_role("slider").first
    await cursor.focus()
    today = await cursor.get_attribute("aria-valuetext")
    await page.keyboard.press("ArrowLeft")
    yesterday = await cursor.get_attribute("aria-valuetext")
    await page.keyboard.press("End")

    assert today
    assert "5" in today
    assert yesterday != today
    assert await cursor.get_attribute("aria-valuetext") == today


async def test_another_period_is_one_press_away(page: Page, asked: Served) -> None:
    await page.goto("/insights")
    await page.locator("#periods a[data-days='7']").click()
    await page.wait_for_url("**/insights?days=7")
    current = page.locator("#periods [aria-current]")
    await expect(current).to_have_attribute("data-days", "7")
    await page.locator("figure[data-chart] summary").first.click()
    await expect(page.locator("figure[data-chart]").first.locator("tbody tr")).to_have_count(7)
    await page.go_back()

    await expect(page.locator("#periods [aria-current]")).to_have_attribute("data-days", "30")


async def test_everything_is_readable_without_scripts(open_page: OpenPage, asked: Served) -> None:
    page = await open_page(java_script_enabled=False, locale="es-ES")
    await page.goto("/insights?days=90")

    await expect(page.locator("html")).to_have_attribute("lang", "es")
    await expect(page.locator("#periods [aria-current]")).to_have_attribute("data-days", "90")
    await expect(page.locator("figure svg").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1440])
async def test_the_view_fits_in_both_themes(
    open_page: OpenPage, asked: Served, width: int, scheme: str
) -> None:
    page = await open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    await page.goto("/insights")
    await axe(page)

    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_before_the_first_question_each_part_says_what_will_be_there(
    page: Page, live_server: Served
) -> None:
    await page.goto("/insights")

    await expect(page.locator(".empty").first).to_be_visible()
    await axe(page)


async def test_a_period_that_is_none_is_named(page: Page, asked: Served, watch: Watch) -> None:
    watch.expect("422")
    await page.goto("/insights?days=0")

    await expect(page.locator("h1")).to_have_text("That cannot be read")
