"""The page as the server renders it, for who reads it without scripts."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import staffroom.api
from staffroom.api.page.rendering import LANGUAGE_COOKIE
from staffroom.app import App
from tests.api_client import BASE, api_client

API = Path(staffroom.api.__file__).parent
CONVERSATION = "01900000-0000-7000-8000-000000000000"
QUESTION = "What do I do about purple zebras drawn on windows?"
SCENARIO = {
    "name": "Purple zebras on the windows",
    "description": "Pupils draw purple zebras on the windows of the classroom.",
    "expected_response": "1. Give them a sponge.\n2. Ask why zebras. Listen to the answer.",
    "example_questions": [QUESTION],
    "category": "disruption",
}


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without scripts, on an empty library."""
    async with api_client(app, Accept="text/html") as client:
        yield client


async def scenario(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await client.post("/api/v1/scenarios", json={**SCENARIO, **fields})
    assert response.status_code == 201
    document: dict[str, Any] = response.json()
    return document


async def answered(client: httpx.AsyncClient, question: str = QUESTION) -> str:
    """The address of the answer that a form led to."""
    response = await client.post("/ask", data={"question": question})
    assert response.status_code == 303
    return str(response.headers["location"])


async def change(client: httpx.AsyncClient, found: dict[str, Any], **fields: Any) -> None:
    response = await client.patch(
        f"/api/v1/scenarios/{found['id']}",
        json=fields,
        headers={"If-Match": f'"{found["revision"]}"'},
    )
    assert response.status_code == 200


def plain(page: httpx.Response) -> str:
    """The words of the page's main part, without its templates."""
    main = page.text.partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


def shown(page: httpx.Response, mark: str) -> bool:
    """A source card has that mark, and it is not hidden."""
    return re.search(rf'data-mark="{mark}">', page.text.partition("<template")[0]) is not None


async def test_the_first_page_offers_examples_of_several_categories(
    client: httpx.AsyncClient,
) -> None:
    await scenario(client)
    await scenario(
        client,
        description="A pupil sleeps in every lesson.",
        example_questions=["Who sleeps in lessons?", "no question"],
        category="engagement",
    )
    await scenario(
        client, description="A second one of a category.", example_questions=["And this?"]
    )
    page = await client.get("/")

    assert page.status_code == 200
    assert page.text.count('class="example ') == 2
    assert QUESTION in page.text
    assert "Who sleeps in lessons?" in page.text


async def test_a_new_scenario_is_an_example_at_once(client: httpx.AsyncClient) -> None:
    assert 'class="example ' not in (await client.get("/")).text
    await scenario(client)

    assert QUESTION in (await client.get("/")).text


async def test_a_form_leads_to_an_answer_with_its_sources(client: httpx.AsyncClient) -> None:
    found = await scenario(client)
    page = await client.get(await answered(client))

    assert page.status_code == 200
    assert "1 Give them a sponge. 2 Ask why zebras. Listen to the answer." in plain(page)
    assert f'id="source-{found["id"]}"' in page.text
    assert f'href="#source-{found["id"]}"' in page.text
    assert "tint-1" in page.text
    assert not shown(page, "changed")
    assert not shown(page, "unused")


async def test_a_source_that_was_changed_since_says_so(client: httpx.AsyncClient) -> None:
    found = await scenario(client)
    address = await answered(client)
    await change(client, found, name="Zebras on glass")
    page = await client.get(address)

    assert shown(page, "changed")
    assert "Zebras on glass" in plain(page)


async def test_an_answer_outlives_its_source_and_says_so(client: httpx.AsyncClient) -> None:
    found = await scenario(client)
    address = await answered(client)
    deleted = await client.delete(
        f"/api/v1/scenarios/{found['id']}", headers={"If-Match": f'"{found["revision"]}"'}
    )
    page = await client.get(address)

    assert deleted.status_code == 204
    assert page.status_code == 200
    assert "From a scenario that is no longer in the library" in plain(page)
    assert "Give them a sponge." in plain(page)
    assert found["id"] not in page.text.partition('class="said"')[0]


async def test_a_question_without_answer_shows_what_is_near_it(client: httpx.AsyncClient) -> None:
    await scenario(client)
    page = await client.get(await answered(client, "How do I change the oil of a tractor?"))

    assert "Nothing in the library fits" in plain(page)
    assert "Perhaps related Purple zebras on the windows" in plain(page)
    assert "/library/new?question=How+do+I+change+the+oil+of+a+tractor%3F" in page.text.replace(
        "%20", "+"
    )


@pytest.mark.parametrize("conversation", ["", "of no form", CONVERSATION])
async def test_a_conversation_that_is_gone_does_not_stop_a_question(
    client: httpx.AsyncClient, conversation: str
) -> None:
    await scenario(client)
    form = {"question": QUESTION, "conversation_id": conversation}
    response = await client.post("/ask", data=form)

    assert response.status_code == 303


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"question": "  "}},
        {"data": {}},
        {"data": {"question": "a " * 9_000}},
        {"json": {"question": QUESTION}},
        {"files": {"question": ("question.txt", b"What now?")}},
    ],
)
async def test_a_form_without_a_readable_question_comes_back_with_the_reason(
    client: httpx.AsyncClient, sent: dict[str, Any]
) -> None:
    page = await client.post("/ask", **sent)

    assert page.status_code == 422
    assert 'aria-invalid="true"' in page.text
    assert re.search(r'id="question-error" role="alert">the question', page.text)


async def test_a_broken_form_is_refused_in_words(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=abc"}
    page = await client.post("/ask", content=b"no part", headers=headers)

    assert page.status_code == 400
    assert "That did not work" in plain(page)


async def test_what_a_question_says_is_text_and_nothing_else(client: httpx.AsyncClient) -> None:
    await scenario(client, name="<b>bold</b>", description="<script>alert(1)</script> zebras")
    page = await client.get(await answered(client, '<img src=x onerror="alert(1)"> zebras?'))

    assert "&lt;img src=x" in page.text
    assert "<img" not in page.text
    assert "<b>" not in page.text
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    ("address", "headers", "language"),
    [
        ("/", {}, "en"),
        ("/", {"Accept-Language": "es-MX,es;q=0.9"}, "es"),
        ("/?lang=es", {}, "es"),
        ("/?lang=xx", {"Accept-Language": "es"}, "es"),
        ("/", {"Cookie": f"{LANGUAGE_COOKIE}=es"}, "es"),
        ("/?lang=en", {"Cookie": f"{LANGUAGE_COOKIE}=es"}, "en"),
        ("/", {"Cookie": f"{LANGUAGE_COOKIE}=../x"}, "en"),
    ],
)
async def test_the_address_then_a_cookie_then_the_browser_choose_the_language(
    client: httpx.AsyncClient, address: str, headers: dict[str, str], language: str
) -> None:
    page = await client.get(address, headers=headers)

    assert f'<html lang="{language}">' in page.text
    assert "Accept-Language" in page.headers["vary"]
    assert "Cookie" in page.headers["vary"]


async def test_a_chosen_language_is_kept(client: httpx.AsyncClient) -> None:
    page = await client.get("/?question=noise&lang=es")

    assert 'href="/?question=noise&amp;lang=en"' in page.text
    assert "Biblioteca" in (await client.get("/nowhere")).text


async def test_who_reads_pages_is_told_of_problems_in_a_page(client: httpx.AsyncClient) -> None:
    page = await client.get(f"/answers/{CONVERSATION}")

    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "There is no such page" in plain(page)
    assert page.headers["x-request-id"] in plain(page)


@pytest.mark.parametrize(
    ("path", "accept"),
    [("/api/v1/nowhere", "text/html"), ("/nowhere", "application/json"), ("/nowhere", "*/*")],
)
async def test_programs_are_told_of_problems_in_a_document(
    client: httpx.AsyncClient, path: str, accept: str
) -> None:
    response = await client.get(path, headers={"Accept": accept})

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


async def test_files_are_asked_for_each_time_and_sent_only_if_changed(
    client: httpx.AsyncClient,
) -> None:
    first = await client.get("/static/js/dom.js")
    again = await client.get("/static/js/dom.js", headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["cache-control"] == "no-cache"
    assert "javascript" in first.headers["content-type"]
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/static/", "/static/../pages.py", "/static/%2e%2e/pages.py"])
async def test_nothing_but_the_pages_files_is_served(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize(
    "path", sorted(API.glob("templates/*.html")), ids=lambda path: str(path.name)
)
def test_no_template_holds_what_the_content_security_policy_forbids(path: Path) -> None:
    text = path.read_text("utf-8")

    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"\son[a-z]+=[\"']", text)
    assert "<style" not in text
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)


TEXT_ON = {
    "ink": "paper surface sunken green-wash care-wash bad-wash "
    "yellow coral sky lilac mint yellow-soft coral-soft sky-soft lilac-soft mint-soft",
    "ink-soft": "paper surface sunken green-wash yellow-soft coral-soft sky-soft "
    "lilac-soft mint-soft",
    "green": "paper surface green-wash",
    "green-deep": "paper surface green-wash",
    "on-green": "green green-deep",
    "bad": "paper surface bad-wash",
    "care": "paper surface care-wash",
    **{f"{pen}-edge": "paper surface" for pen in ("yellow", "coral", "sky", "lilac", "mint")},
}
LINES_ON = {"line-strong": "paper surface", "focus": "paper surface sunken"}


def themes() -> dict[str, dict[str, str]]:
    """The colours of the light theme, of the dark one that is chosen, and of the system's."""
    text = (API / "static/css/base.css").read_text("utf-8")
    light, chosen = text.split(':root[data-theme="dark"]', 1)
    chosen, system = chosen.split("@media (prefers-color-scheme: dark)", 1)
    system = system.partition("/* The five pens")[0]
    return {
        name: dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6});", part))
        for name, part in (("light", light), ("chosen", chosen), ("system", system))
    }


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG 2.2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_dark_theme_is_the_same_whether_chosen_or_the_systems() -> None:
    assert themes()["chosen"] == themes()["system"]
    assert len(themes()["chosen"]) > 20


@pytest.mark.parametrize("theme", ["light", "chosen"])
def test_every_colour_can_be_read_on_what_it_stands_on(theme: str) -> None:
    colours = themes()[theme]
    for least, pairs in ((4.5, TEXT_ON), (3.0, LINES_ON)):
        for front, backs in pairs.items():
            for back in backs.split():
                assert contrast(colours[front], colours[back]) >= least, f"{front} on {back}"


async def test_no_link_leads_to_another_host_whatever_the_address(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get(f"{BASE}//evil.example//")).text

    assert 'href="/evil.example//?lang=es"' in page
    assert 'href="//' not in page
