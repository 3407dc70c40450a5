"""The library as people browse it: found while they type, filtered, continued, exported."""

import html
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from staffroom.app import App
from tests.api_client import api_client
from tests.browser import Watch, axe
from tests.serving import Served

HTML = {"accept": "text/html"}
OpenPage = Callable[..., Awaitable[Page]]

NOISE = {
    "name": "A loud class",
    "description": "The whole class talks at once, and nobody hears the task.",
    "example_questions": ["How do I get a noisy class to be quiet?"],
    "category": "disruption",
    "grade_bands": ["lower-secondary", "early-years"],
    "subjects": ["any"],
    "tags": ["whole-class"],
}
FEVER = {
    "name": "A feverish child",
    "description": "A child has a temperature during the lesson.",
    "category": "bullying",
    "grade_bands": ["early-years"],
    "subjects": ["art"],
}


async def read(app: App, address: str = "/library", **headers: str) -> str:
    """The page as text, with its characters as people see them."""
    async with api_client(app, **HTML, **headers) as client:
        response = await client.get(address)
    assert response.status_code == 200, response.text
    return html.unescape(response.text)


def names(page: str) -> list[str]:
    return re.findall(r'<h3 class="entry-name"><a [^>]*>([^<]*)</a>', page)


def choices(page: str) -> dict[str, int]:
    """The values that can be chosen, each with its count."""
    found = re.findall(
        r'name="\w+" value="([^"]+)" form="library-form".*?facet-count[^>]*>(\d+)<', page, re.DOTALL
    )
    return {value: int(count) for value, count in found}


async def fill(app: App, *rows: dict[str, Any]) -> None:
    for row in rows:
        await app.vector_ops.put_scenario(row)


# What the server renders


async def test_published_scenarios_are_listed_with_what_there_is_to_filter_by(app: App) -> None:
    await fill(app, NOISE, FEVER, {**NOISE, "name": "Not yet", "status": "draft"})

    page = await read(app)

    assert names(page) == ["A loud class", "A feverish child"]
    assert "2 scenarios</h2>" in page
    assert choices(page) == {
        "bullying": 1,
        "disruption": 1,
        "early-years": 2,
        "lower-secondary": 1,
        "any": 1,
        "art": 1,
        "draft": 1,
        "in_review": 0,
        "published": 2,
        "retired": 0,
    }


async def test_a_facet_counts_what_adding_a_value_would_show(app: App) -> None:
    await fill(app, NOISE, FEVER)

    page = await read(app, "/library?category=disruption")

    assert names(page) == ["A loud class"]
    assert choices(page)["bullying"] == 1
    assert "art" not in choices(page)
    assert choices(page)["published"] == 1
    assert len(names(await read(app, "/library?category=disruption&category=bullying"))) == 2


async def test_filters_that_are_set_can_be_taken_away_one_by_one(app: App) -> None:
    await fill(app, NOISE, {**FEVER, "status": "draft"})

    page = await read(app, "/library?q=loud&category=disruption&tag=whole-class&status=draft")

    for kept in (
        "/library?q=loud&tag=whole-class&status=draft",
        "/library?q=loud&category=disruption&status=draft",
        "/library?q=loud&category=disruption&tag=whole-class",
    ):
        assert f'class="filter-chip" href="{kept}"' in page
    assert '<input type="hidden" name="tag" value="whole-class"' in page
    assert "Nothing has all of these filters" in page


async def test_a_search_orders_by_meaning_and_says_how_near(app: App) -> None:
    await fill(app, FEVER, NOISE)

    page = await read(app, "/library?q=how+do+I+quieten+a+noisy+class%3F")

    assert names(page)[0] == "A loud class"
    assert "Close match" in page
    assert "1 scenario comes near</h2>" in page
    assert page.index("Further away") < page.index("A feverish child")


async def test_where_nothing_is_near_it_can_be_written(app: App) -> None:
    await fill(app, FEVER)

    page = await read(app, "/library?q=how+do+I+file+a+%22tax%22+return%3F")

    assert "Nothing in the library is about that yet" in page
    assert 'href="/library/new?question=how+do+I+file+a+%22tax%22+return%3F"' in page.replace(
        "%20", "+"
    )


async def test_an_empty_library_says_how_to_begin(app: App) -> None:
    page = await read(app)

    assert "The library is empty" in page
    assert "Nothing has all" not in page


async def test_without_scripts_the_list_goes_on_page_by_page(app: App) -> None:
    await app.vector_ops.batch_store_content(
        [{**NOISE, "name": f"Number {number}"} for number in range(61)]
    )

    shown: list[str] = []
    address = "/library?category=disruption"
    for size in (30, 30, 1):
        page = await read(app, address)
        assert len(names(page)) == size
        shown += names(page)
        assert ("Back to the beginning" in page) == ("cursor=" in address)
        more = re.search(r'id="more-link" href="([^"]+)"', page)
        address = more[1] if more else ""

    assert address == ""
    assert sorted(shown) == sorted({f"Number {number}" for number in range(61)})


async def test_what_is_shown_can_be_exported(app: App) -> None:
    await fill(app, NOISE, FEVER)

    page = await read(app, "/library?category=disruption")

    assert "/api/v1/scenarios/export?format=csv&category=disruption&status=published" in page
    assert '/api/v1/scenarios/export?format=xlsx"' in page
    assert '<a href="/api/v1/backup" download>' in page


async def test_a_review_that_is_due_is_told(app: App) -> None:
    await fill(app, {**NOISE, "review_by": "2020-03-31"}, {**FEVER, "review_by": "2999-01-01"})

    page = await read(app)

    assert page.count("Review due since") == 1
    assert "Review due since 31 March 2020" in page


async def test_what_editors_wrote_is_shown_as_text(app: App) -> None:
    await fill(app, {**NOISE, "name": "<b>Loud</b>", "category": '"><script>'})
    async with api_client(app, **HTML) as client:
        response = await client.get("/library", params={"q": '"><i>', "category": '"><script>'})

    assert "<script>" not in response.text.replace('<script src="', "").replace("<script type", "")
    assert "&lt;b&gt;Loud&lt;/b&gt;" in response.text
    assert "<i>" not in response.text


@pytest.mark.parametrize(
    "query", ["status=lost", "cursor=x", "q=" + "a" * 4001, "category=" + "a" * 201]
)
async def test_what_cannot_be_asked_for_is_refused_with_a_page(app: App, query: str) -> None:
    async with api_client(app, **HTML) as client:
        response = await client.get(f"/library?{query}")

    assert response.status_code == 422
    assert "That cannot be read" in response.text


async def test_a_value_that_nothing_has_is_a_filter_that_finds_nothing(app: App) -> None:
    await fill(app, NOISE)

    assert "Nothing has all of these filters" in await read(app, "/library?category=cooking")


async def test_the_library_speaks_spanish(app: App) -> None:
    await fill(app, NOISE)

    page = await read(app, **{"accept-language": "es"})

    assert '<html lang="es">' in page
    assert "1 escenario</h2>" in page
    assert "Todavía no hay nada" in await read(app, "/library?q=impuestos&lang=es")


# What happens in the browser


async def test_scenarios_are_found_while_one_types(page: Page) -> None:
    await page.goto("/library")
    await page.locator("#q").press_sequentially("pupils on their phones", delay=10)

    await expect(page.locator(".entry-name").first).to_contain_text("hone")
    await expect(page).to_have_url(re.compile(r"\?q=pupils\+on\+their\+phones$"))
    await expect(page.locator("#q")).to_be_focused()
    await expect(page.locator("#announcer")).to_have_text(re.compile("scenarios, nearest first"))
    await page.locator("#q").fill("")
    await expect(page.locator(".entry")).to_have_count(30)
    await expect(page).to_have_url(re.compile(r"/library$"))


async def test_a_filter_keeps_the_focus_and_can_be_taken_away(page: Page) -> None:
    await page.goto("/library?q=chair")
    choice = page.locator('input[value="bullying"]')
    await choice.focus()
    await page.keyboard.press("Space")

    await expect(page).to_have_url(re.compile(r"\?q=chair&category=bullying$"))
    await expect(choice).to_be_checked()
    await expect(choice).to_be_focused()
    assert set(await page.locator(".entry-category").all_inner_texts()) == {"Bullying"}
    await page.get_by_role("link", name="Remove the filter Bullying").click()
    await expect(page).to_have_url(re.compile(r"\?q=chair$"))
    await expect(choice).not_to_be_checked()
    await expect(page.locator("#result-count")).to_be_focused()


async def test_the_rarer_values_stay_open_while_they_are_chosen(page: Page) -> None:
    await page.goto("/library")
    await page.locator("#more-category summary").click()
    await page.locator("#more-category label").first.click()

    await expect(page.locator(".filter-chip")).to_have_count(1)
    await expect(page.locator("#more-category")).to_have_attribute("open", "")


async def test_more_is_added_below(page: Page) -> None:
    await page.goto("/library")
    await page.get_by_role("link", name="Show more").click()

    await expect(page.locator("#entries > li")).to_have_count(60)
    await expect(page.locator("#entries > li").nth(30).get_by_role("link")).to_be_focused()
    await expect(page.locator("#announcer")).to_have_text("30 more scenarios are shown.")
    await expect(page).to_have_url(re.compile(r"/library$"))


async def test_a_key_goes_to_the_search_unless_it_is_switched_off(page: Page) -> None:
    await page.goto("/library", wait_until="networkidle")
    await page.keyboard.press("/")
    await expect(page.locator("#q")).to_be_focused()
    await page.keyboard.press("/")
    await expect(page.locator("#q")).to_have_value("/")

    await page.get_by_label("The key / goes to the search").uncheck()
    await page.reload(wait_until="networkidle")
    await page.keyboard.press("/")
    await expect(page.locator("#q")).not_to_be_focused()


async def test_what_goes_wrong_is_told_and_can_be_tried_again(page: Page, watch: Watch) -> None:
    async def fail(route: Route) -> None:
        await route.abort()

    watch.expect("console error: Failed to load resource: net::ERR_FAILED")
    await page.goto("/library")
    await page.route("**/library?q=*", fail)
    await page.locator("#q").fill("late")
    note = page.get_by_role("alert")

    await expect(note).to_contain_text("No connection to Staffroom")
    await expect(page.locator(".entry")).to_have_count(30)
    await page.unroute("**/library?q=*")
    await note.get_by_role("button", name="Try again").click()
    await expect(page).to_have_url(re.compile("q=late$"))
    await expect(note).to_have_count(0)


async def test_a_slow_search_is_shown_as_under_way_and_a_newer_one_wins(page: Page) -> None:
    held: list[Route] = []

    async def hold(route: Route) -> None:
        held.append(route)

    await page.goto("/library")
    await page.route("**/library?q=late", hold)
    await page.locator("#q").fill("late")
    await expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
    await expect(page.locator("#announcer")).to_have_text("Searching…")
    await page.locator("#q").fill("phones")

    await expect(page).to_have_url(re.compile("q=phones$"))
    await expect(page.locator("#library-form")).to_have_attribute("aria-busy", "false")
    assert len(held) == 1


async def test_the_menu_of_exports_closes_with_escape_and_elsewhere(page: Page) -> None:
    await page.goto("/library?category=bullying")
    menu = page.locator("#export summary")
    link = page.get_by_role("link", name=re.compile("CSV ?: These 12 scenarios"))
    await menu.click()
    async with page.expect_download() as download:
        await link.click()
    assert (await download.value).suggested_filename == "scenarios.csv"
    await link.focus()
    await page.keyboard.press("Escape")
    await expect(link).to_be_hidden()
    await expect(menu).to_be_focused()
    await menu.click()
    await page.locator("h1").click()
    await expect(link).to_be_hidden()


async def test_on_a_small_screen_filters_come_up_as_a_sheet(open_page: OpenPage) -> None:
    page = await open_page(viewport={"width": 320, "height": 640})
    await page.goto("/library")
    choice = page.locator('input[value="bullying"]')
    await expect(choice).to_be_hidden()
    await page.get_by_role("button", name="Filters").click()
    await expect(page.locator("#filters-title")).to_be_focused()
    await choice.check(force=True)
    done = page.get_by_role("button", name="Show 12 scenarios")
    await expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    await axe(page)
    await done.click()

    await expect(choice).to_be_hidden()
    await expect(page.locator(".entry")).to_have_count(12)
    await expect(page.get_by_role("button", name="1 filter is set")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320


async def test_without_scripts_the_library_is_a_form(open_page: OpenPage) -> None:
    page = await open_page(java_script_enabled=False)
    await page.goto("/library")
    await page.locator("#q").fill("pupils on their phones")
    await page.get_by_label("Technology and AI").check()
    await page.get_by_role("button", name="Search").first.click()

    await expect(page).to_have_url(re.compile("q=pupils.*category=technology-ai"))
    await expect(page.locator(".entry-name").first).to_contain_text("hone")
    await expect(page.get_by_label("The key / goes to the search")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
async def test_the_library_has_no_barriers(open_page: OpenPage, scheme: str, width: int) -> None:
    page = await open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for address in (
        "/library",
        "/library?q=bullying+in+corridors&category=bullying",
        "/library?q=a+tax+return+for+a+company",
        "/library?category=bullying&subject=drama&status=retired",
    ):
        await page.goto(address)
        await axe(page)
    await page.locator("#export summary").click()
    await axe(page)


async def test_an_empty_library_has_no_barriers(live_server: Served, page: Page) -> None:
    await page.goto("/library")
    await expect(page.get_by_role("heading", name="The library is empty")).to_be_visible()
    await axe(page)
