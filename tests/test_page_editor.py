"""The editor: a scenario is written, checked while it is written, and nothing typed is lost."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from staffroom.app import App
from staffroom.types import STATUSES, Filters, Scenario
from tests.api_client import api_client
from tests.browser import axe
from tests.serving import Served

HTML = {"accept": "text/html"}
SCENARIO_PAGE = re.compile(r"/library/[0-9a-f-]{36}$")
CHATTER = (
    "Ten minutes into a lesson, disruption breaks out all over the classroom. Three tables are "
    "chatting, two pupils have turned right round, and only half the class has started the task. "
    "Nobody is rude or unsafe. You have said quiet please many times, and it works for a moment."
)
OpenPage = Callable[..., Awaitable[Page]]


def store(served: Served, **fields: Any) -> UUID:
    """The id of a scenario that the library has."""
    row = {"name": "Late", "description": "A pupil is late every morning.", **fields}
    return served.run(served.app.vector_ops.put_scenario(row)).scenario_id


def library(served: Served) -> list[Scenario]:
    return served.run(served.app.vector_ops.catalogue.page(Filters(statuses=STATUSES)))


# What the server renders


async def test_questions_of_the_address_are_the_first_examples(app: App) -> None:
    async with api_client(app) as client:
        asked = {"question": ["Why <b>now</b>?", " What then? ", "", "What then?"]}
        page = (await client.get("/library/new", params=asked)).text

    assert page.count('class="question-row"') == 3  # two, and the template
    assert "Why &lt;b&gt;now&lt;/b&gt;?</textarea>" in page
    assert page.count("What then?</textarea>") == 1


async def test_the_editor_holds_what_the_library_holds(app: App) -> None:
    stored = await app.vector_ops.put_scenario(
        {
            "name": 'A "quoted" name',
            "description": "First line.\nSecond <line>.",
            "grade_bands": ["early-years"],
            "tags": ["calm"],
            "review_by": "2027-05-31",
        }
    )
    async with api_client(app) as client:
        page = (await client.get(f"/library/{stored.scenario_id}/edit")).text
        missing = await client.get(f"/library/{UUID(int=1)}/edit", headers=HTML)

    assert 'value="A &#34;quoted&#34; name"' in page
    assert "First line.\nSecond &lt;line&gt;.</textarea>" in page
    assert 'data-value="early-years"' in page
    assert "Remove calm" in page
    assert 'value="2027-05-31"' in page
    assert 'data-save="retired"' in page
    assert missing.status_code == 404


async def test_the_editor_speaks_spanish(app: App) -> None:
    async with api_client(app, **{"accept-language": "es"}) as client:
        page = (await client.get("/library/new")).text

    assert "Escribir un escenario" in page
    assert 'name="language" type="text" value="es"' in page


async def test_without_scripts_the_scenario_can_be_read(
    live_server: Served, open_page: OpenPage
) -> None:
    scenario_id = store(live_server, expected_response="1. Greet the pupil.\n2. Ask why.")
    page = await open_page(java_script_enabled=False)
    await page.goto(f"/library/{scenario_id}/edit")

    await expect(page.get_by_text("Writing here needs JavaScript")).to_be_visible()
    await expect(page.get_by_text("1. Greet the pupil.", exact=True)).to_be_visible()
    await expect(page.locator("#editor")).to_be_hidden()


# Writing


async def test_a_scenario_is_written_with_the_keyboard_and_published(
    live_server: Served, page: Page
) -> None:
    await page.goto("/library/new")
    await page.get_by_label("Name", exact=True).fill("Chairs scrape")
    await page.get_by_label("Situation").fill("Thirty chairs scrape at the end of each lesson.")
    await page.get_by_label("Advice", exact=True).press_sequentially(
        "1. Stop.\nLift chairs.\n\nEnd."
    )
    await page.get_by_label("Question 1", exact=True).fill("How do I stop the scraping?")
    await page.keyboard.press("Enter")
    await page.keyboard.type("Why so loud?")
    await page.get_by_label("Category").fill("Routines and transitions")
    await page.get_by_label("Grade bands", exact=True).press_sequentially("early")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await page.get_by_label("Tags", exact=True).press_sequentially("noise,chairs,end")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Backspace")
    await expect(page.get_by_text("2 steps")).to_be_visible()
    await page.get_by_role("button", name="Publish").click()
    await page.wait_for_url(SCENARIO_PAGE)

    await expect(page.locator(".toast")).to_have_text("It is published. Teachers can find it now.")
    (stored,) = library(live_server)
    found = stored.content
    assert found.expected_response == "1. Stop.\n2. Lift chairs.\nEnd."
    assert found.example_questions == ("How do I stop the scraping?", "Why so loud?")
    assert found.metadata.category == "routines-transitions"
    assert found.metadata.grade_bands == ("early-years",)
    assert found.metadata.tags == ("noise", "chairs")
    assert found.metadata.status == "published"


async def test_example_questions_are_pasted_moved_and_removed(
    live_server: Served, page: Page
) -> None:
    await page.goto("/library/new")
    await page.get_by_label("Question 1", exact=True).focus()
    await page.evaluate(
        """() => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text", "1. One?\\n- Two?\\n\\n  Three?");
            const options = { clipboardData, bubbles: true, cancelable: true };
            document.activeElement.dispatchEvent(new ClipboardEvent("paste", options));
        }"""
    )
    rows = page.locator(".question-field")
    await expect(rows).to_have_count(3)
    await expect(page.get_by_label("Question 3", exact=True)).to_be_focused()
    await page.get_by_label("Move question 3 up").click()
    await page.get_by_label("Remove question 1").click()

    assert [await row.input_value() for row in await rows.all()] == ["Three?", "Two?"]
    await expect(page.get_by_label("Question 1", exact=True)).to_be_focused()


async def test_what_is_wrong_is_told_at_its_field_and_led_to(
    live_server: Served, page: Page
) -> None:
    await page.goto("/library/new")
    name = page.get_by_label("Name", exact=True)
    situation = page.get_by_label("Situation")
    await name.fill("x" * 501)
    await name.blur()
    await expect(page.locator("#f-name-error")).to_have_text(
        "This has 501 characters; 500 are allowed. Shorten or split it."
    )
    await expect(situation).not_to_have_attribute("aria-invalid", "true")
    await page.get_by_role("button", name="Save draft").click()

    failed = page.locator("#failed")
    await expect(failed).to_be_focused()
    await expect(failed).to_contain_text("Not saved yet: 2 things to mend")
    await axe(page)
    await failed.get_by_role("link", name="Situation: Say what the situation is.").click()
    await expect(situation).to_be_focused()
    await expect(situation).to_have_attribute("aria-invalid", "true")
    await page.keyboard.type("Chairs scrape.")
    await expect(situation).not_to_have_attribute("aria-invalid", "true")
    await name.fill("Chairs")
    await page.get_by_role("button", name="Save draft").click()
    await page.wait_for_url(SCENARIO_PAGE)


async def test_a_new_draft_sees_who_would_find_it_and_what_it_repeats(
    own_library_server: Served, page: Page
) -> None:
    await page.goto("/library/new?question=How+do+I+stop+a+class+that+keeps+chatting%3F")
    panel = page.get_by_role("complementary")
    await page.get_by_label("Situation").fill(CHATTER)

    similar = panel.locator("#similar")
    await expect(similar).to_contain_text("Several pupils talking and off task at once")
    await expect(similar).to_contain_text(re.compile(r"similar · \d\d% · Published"))
    assert await similar.get_by_role("link").first.get_attribute("target") == "_blank"
    await expect(panel.locator(".placed")).to_have_count(1)
    await expect(panel.locator(".placed")).to_contain_text("How do I stop a class that keeps")
    await expect(panel.locator(".rank")).to_be_visible()
    await axe(page)


async def test_a_draft_sees_the_questions_that_teachers_asked(
    own_library_server: Served, page: Page
) -> None:
    question = "What do I do about a goose that walks into my classroom?"
    await page.request.post("/api/v1/ask", data={"question": question})
    await page.goto("/library/new")
    await page.get_by_label("Name", exact=True).fill("A goose in the classroom")
    await page.get_by_label("Situation").fill("A goose walks into the classroom in a lesson.")

    asked = page.locator("#placed-asked")
    await expect(asked).to_contain_text("Questions teachers have really asked")
    await expect(asked).to_contain_text(question)
    await expect(asked.locator(".rank")).to_have_text("Comes first")


# How it looks


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768, 1440])
async def test_the_editor_has_no_barrier_and_fits(
    library_server: Served, open_page: OpenPage, width: int, theme: str
) -> None:
    scenario = library(library_server)[0]
    page = await open_page(viewport={"width": width, "height": 800}, color_scheme=theme)
    for path in ("/library/new", f"/library/{scenario.id}/edit"):
        await page.goto(path)
        await expect(page.locator(".placed, #preview-empty:visible").first).to_be_visible()
        await axe(page)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_the_panel_stands_beside_the_form_where_there_is_room(
    library_server: Served, open_page: OpenPage
) -> None:
    for width, is_beside in ((1440, True), (768, False)):
        page = await open_page(viewport={"width": width, "height": 900})
        await page.goto("/library/new")
        form = await page.locator("#editor").bounding_box()
        panel = await page.locator(".panel").bounding_box()
        assert form
        assert panel
        assert (panel["x"] >= form["x"] + form["width"]) is is_beside


async def test_suggestions_have_no_barrier_while_they_are_open(page: Page) -> None:
    await page.goto("/library/new")
    subjects = page.get_by_role("combobox", name="Subjects")
    await subjects.press_sequentially("eng")
    await page.keyboard.press("ArrowDown")

    option = page.get_by_role("option", name="English")
    await expect(option).to_have_attribute("aria-selected", "true")
    assert await subjects.get_attribute("aria-activedescendant") == await option.get_attribute("id")
    await axe(page)
    await page.keyboard.press("Escape")
    await expect(subjects).to_have_attribute("aria-expanded", "false")
