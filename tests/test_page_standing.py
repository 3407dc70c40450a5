"""Reports that advice worked, as an editor sees them at a scenario and counts them anew."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from staffroom.flows import process_teacher_query
from tests.browser import axe
from tests.serving import Served

OpenPage = Callable[..., Awaitable[Page]]

QUESTION = "How do I get silence from the whole class?"


async def report(served: Served) -> str:
    """The advice for a question worked, twice. Returns the scenario that the answer cites."""
    app = served.app
    for _ in range(2):
        answer = await process_teacher_query(
            QUESTION, embedder=app.cache, vector_ops=app.vector_ops, llm_service=app.llm_service
        )
        assert answer.interaction_id
        await app.vector_ops.interactions.add_feedback(answer.interaction_id, "worked")
    return str(answer.sentences[0].citations[0])


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
async def test_reports_are_seen_with_their_weight_and_counted_anew(
    open_page: OpenPage, own_library_server: Served, width: int, scheme: str
) -> None:
    scenario_id = own_library_server.run(report(own_library_server))
    page = await open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    await page.goto(f"/library/{scenario_id}", wait_until="networkidle")
    facts = page.locator(".scenario-facts")
    await expect(facts).to_contain_text("In 2 exchanges.")
    await expect(facts).to_contain_text("by 0.04 of at most 0.15.")
    await axe(page)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width

    await page.get_by_role("button", name="Count anew from now on").click()

    await expect(facts).to_contain_text("Nobody since")
    await expect(page.get_by_role("button", name="Count anew from now on")).to_have_count(0)
    await axe(page)
