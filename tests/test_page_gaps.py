"""The gap board in a browser, from questions that nothing fitted to what answers them."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from staffroom.app import App
from staffroom.flows import process_teacher_query
from tests.browser import Watch, axe
from tests.serving import Served

OpenPage = Callable[..., Awaitable[Page]]

GRIEF = (
    "A pupil's mother has died. How do I support the child in class?",
    "How can I help a child whose mum has just died?",
    "A student in my class lost her father last week, what do I say to her?",
    "How do I support a bereaved pupil coming back after the funeral?",
    "What should I do for a child who is grieving a parent's death?",
    "One of my pupils is grieving after her dad's death, how do I support her in lessons?",
)
ADVICE = (
    "1. Speak to the family first and ask what the child wants others to know.\n"
    "2. Greet the child quietly and say that you are sorry.\n"
    "3. Agree a place to go when grief becomes too much."
)
NOISE = "How do I get silence from the whole class?"


async def ask(app: App, *questions: str) -> None:
    """The questions are asked, and what is answered is found wanting."""
    for question in questions:
        answer = await process_teacher_query(
            question, embedder=app.cache, vector_ops=app.vector_ops, llm_service=app.llm_service
        )
        assert answer.interaction_id
        if answer.outcome != "abstained":
            await app.vector_ops.interactions.add_feedback(answer.interaction_id, "did_not_fit")


async def make_golden(app: App) -> None:
    found = (await app.vector_ops.search(NOISE, 1, 0.0)).matches[0].scenario.id
    await app.vector_ops.golden.add(NOISE, {found: 2}, "tester")


@pytest.fixture
def grieving(own_library_server: Served) -> Served:
    """A library that was asked six times about something that it lacks."""
    own_library_server.run(ask(own_library_server.app, *GRIEF))
    own_library_server.run(make_golden(own_library_server.app))
    return own_library_server


async def open_group(page: Page) -> None:
    """From Insights over the board to the group."""
    await page.goto("/insights", wait_until="networkidle")
    await page.get_by_role("link", name="Open the board").click()
    await page.locator(".gap-item a").first.click()
    await expect(page.get_by_role("heading", name="What was asked")).to_be_visible()


async def test_six_questions_lead_to_a_scenario_that_answers_all_six(
    page: Page, grieving: Served
) -> None:
    await open_group(page)
    await expect(page.locator(".gap-table tbody tr")).to_have_count(6)
    await expect(page.get_by_text("poorly rated").first).to_be_visible()
    await expect(page.locator(".gap-words")).to_contain_text("child")
    await axe(page)
    await page.get_by_role("button", name="Draft a scenario").click()

    await page.wait_for_url("**/library/*/edit")
    await page.wait_for_load_state("networkidle")
    assert await page.locator(".question-field").count() == 6
    advice = page.locator("#f-expected_response")
    assert await advice.input_value() == ""
    await page.locator("#f-name").fill("Supporting a bereaved pupil")
    await page.locator("#f-description").fill(
        "Someone close to a pupil has died, and the child comes back to class grieving."
    )
    await advice.fill(ADVICE)
    await page.get_by_role("button", name="Publish").first.click()
    await page.wait_for_url(lambda address: not address.endswith("/edit"))
    told = page.locator(".gap-told")
    await expect(told).to_contain_text("6 of 6 questions that it was written for are answered now.")
    await expect(told).to_contain_text("The gate passed: the golden question fares no worse.")
    await axe(page)
    await told.get_by_role("link").click()
    await expect(page.locator(".gap-state")).to_have_text("Answered")

    await page.goto("/insights/gaps", wait_until="networkidle")
    answered = page.get_by_role("region", name="Answered")
    await expect(answered).to_contain_text("6 of 6 answered")
    await answered.locator("h3 a").click()
    rows = page.locator(".gap-table tbody tr")
    await expect(rows).to_have_count(6)
    await expect(page.locator(".gap-table tr[data-answered='yes']")).to_have_count(6)
    await expect(page.locator("#gate")).to_contain_text("The gate passed")
    await expect(page.locator("main")).to_contain_text("5 of them are golden now")
    await expect(rows.first.locator("td").nth(2)).to_have_text("1")
    await axe(page)
    golden = grieving.run(grieving.app.vector_ops.golden.list())
    assert sum(question.source == "promoted" for question in golden) == 5
    await page.goto("/insights", wait_until="networkidle")
    await expect(page.get_by_text("Every question found something")).to_be_visible()


async def test_two_people_who_draft_for_one_group_write_one_scenario(
    page: Page, open_page: OpenPage, grieving: Served
) -> None:
    other = await open_page()
    addresses = []
    for each in (page, other):
        await open_group(each)
    for each in (page, other):
        await each.get_by_role("button", name="Draft a scenario").click()
        await each.wait_for_url("**/library/*/edit")
        addresses.append(each.url)

    assert addresses[0] == addresses[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_question_that_was_asked_again_and_again_is_one_row(
    open_page: OpenPage, own_library_server: Served, scheme: str
) -> None:
    own_library_server.run(ask(own_library_server.app, *GRIEF[:3], *GRIEF[:1] * 6))
    page = await open_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    await page.goto("/insights/gaps")
    await expect(page.locator(".gap-facts").first).to_contain_text("9 questions")
    await page.locator(".gap-item a").first.click()

    rows = page.locator(".gap-table tbody tr")
    await expect(rows).to_have_count(3)
    await expect(rows.filter(has_text="asked 7 times")).to_contain_text(GRIEF[0])
    beyond = "(each) => each.scrollWidth - each.clientWidth"
    assert await page.locator(".table-wrap").evaluate(beyond) == 0
    await axe(page)
    await page.get_by_role("button", name="Draft a scenario").click()
    await page.wait_for_url("**/library/*/edit")
    await expect(page.locator(".question-field")).to_have_count(3)


async def test_a_group_is_worked_on_without_scripts(
    open_page: OpenPage, grieving: Served, watch: Watch
) -> None:
    page = await open_page(java_script_enabled=False, locale="es-ES")
    await page.goto("/insights/gaps")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Lo que falta en la biblioteca")
    await page.locator(".gap-item a").first.click()

    await page.get_by_label("Nota").fill("Preguntar a la orientadora.")
    await page.get_by_role("button", name="Guardar la nota").click()
    await expect(page.get_by_label("Nota")).to_have_value("Preguntar a la orientadora.")
    await page.get_by_role("button", name="Descartar").click()
    await expect(page.locator(".gap-state")).to_have_text("Descartadas")
    await page.get_by_role("button", name="Volver a abrir").click()

    watch.expect("422 POST")
    await page.get_by_role("button", name="Añadir las preguntas elegidas").click()
    await expect(page.get_by_role("alert")).to_contain_text("Elige al menos una pregunta")
    await page.locator(".gap-near input[type=radio]").first.check()
    await page.get_by_role("button", name="Añadir las preguntas elegidas").click()
    await expect(page.locator(".gap-state")).to_have_text("Con respuesta")
    await expect(page.locator("#gate")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1440])
async def test_the_board_and_a_group_fit_in_both_themes(
    open_page: OpenPage, grieving: Served, width: int, scheme: str
) -> None:
    page = await open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    await page.goto("/insights/gaps")
    await axe(page)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await page.locator(".gap-item a").first.click()
    await axe(page)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_before_the_first_question_the_board_says_that_nothing_is_missing(
    page: Page, live_server: Served
) -> None:
    await page.goto("/insights/gaps")

    await expect(page.get_by_text("Nothing is missing")).to_be_visible()
    await axe(page)


async def test_a_state_that_is_none_is_named(page: Page, grieving: Served, watch: Watch) -> None:
    await open_group(page)
    watch.expect("422 POST")
    await page.evaluate("document.querySelector('[name=state]').value = 'lost'")
    await page.get_by_role("button", name="Dismiss").click()

    await expect(page.locator("main")).to_contain_text("there is no state 'lost'")
