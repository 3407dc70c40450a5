"""How good the search is, as an editor measures it in a browser."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import httpx
import pytest
from playwright.async_api import Page, Route, expect

from staffroom.ai.llm_service import last_answer
from staffroom.app import App
from tests.browser import Watch, axe
from tests.serving import Served

OpenPage = Callable[..., Awaitable[Page]]

QUESTIONS = {
    "How to handle classroom disruption?": "starter/disruption-01",
    "A pupil never hands in homework.": "starter/homework-01",
    "Nobody answers when I ask the class.": "starter/engagement-01",
}
SILENCE = "How do I get silence from the whole class?"
RIGHT = "This is the right scenario"


async def ids_of(app: App) -> dict[str, UUID]:
    scenarios = await app.vector_ops.list_scenarios(limit=500)
    return {scenario.content.source_id: scenario.id for scenario in scenarios}


async def begin(app: App) -> None:
    """Three golden questions, and one that teachers found right."""
    known = await ids_of(app)
    for question, source_id in QUESTIONS.items():
        await app.vector_ops.golden.add(question, {known[source_id]: 2}, "tester")
    answer = await last_answer(app.ask(SILENCE))
    assert answer.interaction_id
    await app.vector_ops.interactions.add_feedback(
        answer.interaction_id, "helpful", scenario_id=answer.matches[0].scenario.id
    )


@pytest.fixture
def golden(own_library_server: Served) -> Served:
    """A library with three golden questions and a suggestion."""
    own_library_server.run(begin(own_library_server.app))
    return own_library_server


@pytest.fixture
def measured(golden: Served) -> Served:
    """The same, evaluated twice."""
    for _ in range(2):
        evaluate(golden)
    return golden


def evaluate(served: Served) -> None:
    assert httpx.post(f"{served.url}/api/v1/evaluations", json={}, timeout=60).is_success


def total(served: Served) -> int:
    return len(served.run(served.app.vector_ops.golden.list()))


async def test_before_the_first_question_the_section_says_how_to_begin(
    page: Page, own_library_server: Served
) -> None:
    await page.goto("/insights", wait_until="networkidle")
    section = page.get_by_role("region", name="How good the search is")

    await expect(section).to_contain_text("No golden questions yet")
    await expect(section).to_contain_text("Nothing to promote")
    await expect(section.get_by_role("button", name="Run the evaluation")).to_have_count(0)
    await expect(section.get_by_label("The question")).to_be_visible()
    await axe(page)


async def test_a_question_is_added_with_a_scenario_that_is_looked_for(
    page: Page, own_library_server: Served
) -> None:
    await page.goto("/insights", wait_until="networkidle")
    await page.get_by_label("The question").fill(SILENCE)
    choice = page.get_by_role("checkbox", name="Getting silence from the whole class")
    await choice.check()
    await page.get_by_label("Look for the right scenario").fill("homework is never handed in")
    await expect(page.get_by_role("checkbox", name="never hands in homework")).to_be_visible()
    await expect(choice).to_be_checked()
    await axe(page)
    await page.get_by_role("button", name="Keep as golden").click()

    await expect(page.locator(".toast")).to_contain_text("The question is golden now.")
    await expect(page.locator(".golden-row .golden-question")).to_have_text(SILENCE)
    await expect(page.locator(".golden-right a")).to_have_text(
        "Getting silence from the whole class"
    )
    await expect(page.locator("#golden-list-title")).to_be_focused()
    assert total(own_library_server) == 1


async def test_a_question_is_added_by_keyboard_alone(
    page: Page, own_library_server: Served
) -> None:
    await page.goto("/insights/golden", wait_until="networkidle")
    await page.locator("#golden-question").focus()
    await page.keyboard.type("Why so loud?")
    await page.keyboard.press("Tab")
    await page.keyboard.type("silence")
    await page.keyboard.press("Enter")
    await expect(page.locator("[name=scenario_id]").first).to_be_visible()
    await page.wait_for_load_state("networkidle")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await expect(page.locator("[name=scenario_id]").first).to_be_checked()
    await page.locator("[name=scenario_id]").last.focus()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")

    await expect(page.locator(".golden-row .golden-question")).to_have_text("Why so loud?")


async def test_a_choice_made_while_the_list_is_found_anew_stays(
    page: Page, own_library_server: Served
) -> None:
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        await held.wait()
        await route.continue_()

    await page.goto("/insights/golden", wait_until="networkidle")
    await page.get_by_label("The question").fill(SILENCE)
    choice = page.get_by_role("checkbox", name="Getting silence from the whole class")
    await expect(choice).to_be_visible()
    await page.route("**/insights/golden", hold)
    async with page.expect_request("**/insights/golden"):
        await page.get_by_role("button", name="Find").click()
    await choice.focus()
    async with page.expect_request("**/insights/golden"):
        await page.keyboard.press("Space")
    async with page.expect_response("**/insights/golden"):
        held.set()

    await expect(page.locator("#golden-candidates")).not_to_have_attribute("aria-busy", "true")
    await expect(choice).to_be_checked()
    await expect(choice).to_be_focused()


async def test_what_is_missing_or_there_already_is_said_in_the_form(
    page: Page, golden: Served, watch: Watch
) -> None:
    watch.expect("409 POST /api/v1/golden")
    await page.goto("/insights/golden", wait_until="networkidle")
    await page.get_by_text("Add a question").click()
    failure = page.locator("#golden-add [data-failure]")
    keep = page.get_by_role("button", name="Keep as golden")
    await keep.click()
    await expect(failure).to_have_text("Write the question first.")
    await page.locator("#golden-question").fill(next(iter(QUESTIONS)))
    await expect(page.locator("[name=scenario_id]").first).to_be_visible()
    await keep.click()
    await expect(failure).to_have_text("Choose at least one scenario that is right.")
    await page.locator("[name=scenario_id]").first.check()
    await keep.click()

    await expect(failure).to_have_text("The same question is golden already.")
    await expect(page.locator("#golden-question")).to_have_value(next(iter(QUESTIONS)))


async def test_the_evaluation_shows_figures_and_the_rank_of_each_question(
    page: Page, golden: Served
) -> None:
    await page.goto("/insights", wait_until="networkidle")
    section = page.locator("#golden")
    await expect(section).to_contain_text("It has not been run yet.")
    await expect(section).to_contain_text("Not asked yet")
    await section.get_by_role("button", name="Run the evaluation").click()

    await expect(page.locator(".toast")).to_contain_text("The evaluation is done.")
    await expect(section).to_contain_text("Last run with 3 questions on")
    await expect(section.locator(".golden-figures tbody tr")).to_have_count(4)
    await expect(section.locator(".golden-figures thead th")).to_have_text(
        ["Both", "Meaning", "Words"]
    )
    await expect(section.locator(".golden-row .ranks")).to_have_count(3)
    await expect(section.locator("figure")).to_have_count(0)
    await expect(page.locator("#golden-title")).to_be_focused()


async def test_while_the_evaluation_runs_the_reader_is_told(page: Page, golden: Served) -> None:
    await page.goto("/insights/golden", wait_until="networkidle")

    async def slow(route: object) -> None:
        await page.wait_for_timeout(400)
        await route.continue_()  # type: ignore[attr-defined] # Playwright's Route

    await page.route("**/api/v1/evaluations", slow)
    button = page.get_by_role("button", name="Run the evaluation")
    await button.click()
    await expect(page.get_by_role("progressbar")).to_be_visible()
    await expect(button).to_be_disabled()
    await expect(page.locator(".toast")).to_contain_text("The evaluation is done.")

    await expect(page.get_by_role("progressbar")).to_have_count(0)


async def test_runs_are_a_chart_and_a_table(page: Page, measured: Served) -> None:
    await page.goto("/insights", wait_until="networkidle")
    figure = page.locator("#golden figure")
    await figure.locator("summary").click()

    await expect(figure.locator("tbody tr")).to_have_count(2)
    await expect(figure.locator(".line")).to_have_count(3)
    cursor = page.get_by_role("slider", name="Right among the first five, run by run: runs")
    await cursor.focus()
    await page.keyboard.press("Home")
    assert "Both" in (await cursor.get_attribute("aria-valuetext") or "")
    await page.locator("#periods a[data-days='7']").click()
    await page.wait_for_url("**/insights?days=7")
    await expect(page.locator("#golden [role=slider]")).to_have_count(1)


async def test_the_questions_that_fare_worst_come_first(page: Page, measured: Served) -> None:
    known = measured.run(ids_of(measured.app))
    wrong = known["starter/gifted-01"]
    measured.run(
        measured.app.vector_ops.golden.add("Why is it so loud in here?", {wrong: 2}, "tester")
    )
    evaluate(measured)
    await page.goto("/insights/golden", wait_until="networkidle")
    first = page.locator(".golden-row").first

    await expect(first).to_contain_text("Why is it so loud in here?")
    await expect(first.locator(".rank-none").first).to_contain_text("not among the first ten")


async def test_a_change_of_the_library_and_a_lost_scenario_are_told(
    page: Page, measured: Served
) -> None:
    known = measured.run(ids_of(measured.app))
    measured.run(measured.app.vector_ops.delete_scenario(known["starter/homework-01"]))
    await page.goto("/insights", wait_until="networkidle")

    await expect(page.locator("[data-run]")).to_contain_text("the library has changed since")
    await expect(page.locator(".golden-row").first).to_contain_text(
        "Its right scenario was deleted; the question is not asked."
    )


async def test_a_suggestion_is_promoted(page: Page, golden: Served) -> None:
    await page.goto("/insights", wait_until="networkidle")
    await page.get_by_role("button", name=f"Make golden: {SILENCE}").click()

    await expect(page.locator("#golden-questions")).to_contain_text(SILENCE)
    await expect(page.locator(".golden-suggestion")).to_have_count(0)
    await expect(page.locator("#golden-suggested-title")).to_be_focused()


async def test_a_question_is_removed_after_asking_once_more(page: Page, golden: Served) -> None:
    question = next(iter(QUESTIONS))
    await page.goto("/insights", wait_until="networkidle")
    await page.get_by_role("button", name=f"Remove: {question}").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(question)
    await axe(page)
    await dialog.get_by_role("button", name="Cancel").click()
    assert total(golden) == len(QUESTIONS)
    await page.get_by_role("button", name=f"Remove: {question}").click()
    await dialog.get_by_role("button", name="Remove").click()

    await expect(page.locator(".toast")).to_contain_text("removed")
    await expect(page.locator("#golden-questions")).not_to_contain_text(question)
    assert total(golden) == len(QUESTIONS) - 1


async def test_everything_works_without_scripts(open_page: OpenPage, golden: Served) -> None:
    page = await open_page(java_script_enabled=False, locale="es-ES")
    await page.goto("/insights")
    await expect(page.locator("#golden-title")).to_have_text("Qué tal busca")
    await page.locator("#golden [data-run] button").click()
    await page.wait_for_url("**/insights/golden")
    await expect(page.locator(".golden-figures tbody tr")).to_have_count(4)
    await page.locator("#golden-add summary").click()
    await page.locator("#golden-question").fill("¿Cómo consigo silencio?")
    await page.locator("#golden-find").fill("silence")
    await page.locator("#golden-find").press("Enter")
    await page.locator("[name=scenario_id]").first.check()
    await page.locator("#golden-add button[value=add]").click()
    await expect(page.locator("#golden-questions .golden-row")).to_have_count(4)
    await page.locator("[data-promote] button").click()
    await expect(page.locator("#golden-questions .golden-row")).to_have_count(5)
    await page.locator("[data-remove] button").first.click()

    await expect(page.locator("#golden-questions .golden-row")).to_have_count(4)


async def test_without_scripts_what_is_wrong_is_said_and_nothing_typed_is_lost(
    open_page: OpenPage, golden: Served, watch: Watch
) -> None:
    watch.expect("422 POST /insights/golden")
    page = await open_page(java_script_enabled=False)
    await page.goto("/insights/golden")
    await page.locator("#golden-add summary").click()
    await page.locator("#golden-question").fill("Why so loud?")
    await page.locator("#golden-add button[value=add]").click()

    await expect(page.locator("#golden-add [data-failure]")).to_have_text(
        "Choose at least one scenario that is right."
    )
    await expect(page.locator("#golden-question")).to_have_value("Why so loud?")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768])
async def test_the_section_fits_in_both_themes(
    open_page: OpenPage, measured: Served, width: int, scheme: str
) -> None:
    page = await open_page(
        viewport={"width": width, "height": 900}, color_scheme=scheme, locale="es-ES"
    )
    await page.goto("/insights/golden", wait_until="networkidle")
    await page.locator("#golden-add summary").click()
    await page.locator("#golden-question").fill("silence")
    await expect(page.locator("[name=scenario_id]").first).to_be_visible()
    await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    await axe(page)

    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_a_teacher_says_which_source_is_the_right_scenario(
    page: Page, own_library_server: Served
) -> None:
    await page.goto("/", wait_until="networkidle")
    await page.locator("#question").fill(SILENCE)
    await page.locator("#question").press("Enter")
    right = page.get_by_role(
        "button", name=f"{RIGHT} \N{EN DASH} Getting silence from the whole class"
    )
    await right.click()
    await expect(right).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(".toast")).to_contain_text("Thank you.")
    await axe(page)
    await page.reload(wait_until="networkidle")

    await expect(right).to_have_attribute("aria-pressed", "true")
    (found,) = own_library_server.run(own_library_server.app.vector_ops.golden.suggested())
    assert found.question == SILENCE


async def test_of_a_private_answer_nothing_can_be_said(
    page: Page, own_library_server: Served
) -> None:
    await page.goto("/", wait_until="networkidle")
    await page.locator("#private").check()
    await page.locator("#question").fill(SILENCE)
    await page.locator("#question").press("Enter")
    await expect(page.locator("[data-foot]")).to_be_visible()

    await expect(page.locator("[data-right]").first).to_be_hidden()


async def fill(app: App) -> None:
    scenario = next(iter((await ids_of(app)).values()))
    for number in range(51):
        await app.vector_ops.golden.add(f"Question number {number}?", {scenario: 2}, "tester")


async def test_many_questions_are_shown_page_by_page(
    page: Page, own_library_server: Served
) -> None:
    own_library_server.run(fill(own_library_server.app))
    await page.goto("/insights", wait_until="networkidle")
    rows = page.locator("#golden-questions .golden-row")
    await expect(rows).to_have_count(8)
    await page.get_by_role("link", name="Show all 51").click()
    await page.wait_for_url("**/insights/golden")
    await expect(rows).to_have_count(50)
    await page.get_by_role("link", name="Next").click()
    await page.wait_for_url("**/insights/golden?skip=50*")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("Question number 0?")
    await axe(page)
    await page.get_by_role("link", name="Previous").click()

    await expect(rows).to_have_count(50)


async def test_what_goes_wrong_on_the_way_is_told_and_can_be_tried_again(
    page: Page, golden: Served, watch: Watch
) -> None:
    watch.expect("console error: .*ERR_FAILED")
    await page.goto("/insights/golden", wait_until="networkidle")
    await page.route("**/api/v1/evaluations", lambda route: route.abort())
    button = page.get_by_role("button", name="Run the evaluation")
    await button.click()
    await expect(page.locator("[data-run] [data-failure]")).to_be_visible()
    await expect(page.get_by_role("progressbar")).to_have_count(0)
    await page.unroute("**/api/v1/evaluations")
    await button.click()

    await expect(page.locator(".golden-figures")).to_be_visible()


def test_forms_that_make_no_sense_are_answered_in_words(
    own_library_server: Served,
) -> None:
    nobody = "01a20570-d955-7766-8cfa-2ca93b94c40b"
    with httpx.Client(base_url=own_library_server.url, headers={"Accept": "text/html"}) as client:
        statuses = [
            client.post(f"/insights{path}", data=data).status_code
            for path, data in (
                ("/golden", {}),
                ("/golden", {"act": "find", "question": "x" * 5_000}),
                ("/golden", {"act": "add", "question": "x" * 5_000, "scenario_id": nobody}),
                ("/golden", {"act": "add", "question": "Why?", "scenario_id": [nobody, "x"]}),
                ("/golden/remove", {"golden_id": "x"}),
                ("/golden/remove", {"golden_id": nobody}),
                ("/golden/promote", {}),
                ("/golden/promote", {"interaction_id": nobody, "scenario_id": nobody}),
                ("/evaluations", {}),
            )
        ]
        assert client.get("/insights/golden", params={"skip": -1}).status_code == 422

    assert statuses == [422, 200, 422, 422, 303, 303, 422, 404, 303]
