"""A draft is told what is wrong with it, what it repeats and who would find it."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from staffroom.app import App
from tests.api_client import api_client

PREVIEW = "/api/v1/scenarios/preview"

PHONES: dict[str, Any] = {
    "name": "Phones under the desk",
    "description": "Pupils look at their phones under the desk during the lesson.",
    "expected_response": "1. Agree a place for phones.\n2. Remind quietly.",
    "example_questions": ["How do I stop pupils using phones in class?"],
}
CARPET: dict[str, Any] = {
    "name": "Wriggling at story time",
    "description": "Young children cannot sit still on the carpet during story time.",
    "expected_response": "1. Shorten the story.\n2. Let them move.",
    "example_questions": ["What do I do when children wriggle on the carpet?"],
}
AGAIN: dict[str, Any] = {
    "name": "Mobile phones in laps",
    "description": "Pupils have their mobile phones in their laps in the lesson and look at them.",
    "example_questions": ["My pupils keep texting under the desk, what now?"],
}
OTHER_TENANT = UUID("00000000-0000-7000-8000-000000000002")


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    await app.vector_ops.store_scenario(**PHONES)
    await app.vector_ops.store_scenario(**CARPET)
    async with api_client(app) as client:
        yield client


async def preview(client: httpx.AsyncClient, draft: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(PREVIEW, json=draft)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def scenario_id(app: App, name: str) -> UUID:
    return next(s.id for s in await app.vector_ops.list_scenarios() if s.name == name)


async def test_every_field_that_is_wrong_is_named_at_once(client: httpx.AsyncClient) -> None:
    found = await preview(
        client,
        {
            "name": "N" * 501,
            "description": " ",
            "category": "bad \0 character",
            "language": "Englisch!",
            "status": "lost",
            "review_by": "soon",
            "tags": [str(number) for number in range(51)],
        },
    )

    assert [error["field"] for error in found["errors"]] == [
        "name", "description", "category", "tags", "language", "status", "review_by",
    ]  # fmt: skip
    assert all(error["reason"] for error in found["errors"])


async def test_what_is_wrong_hides_nothing_of_the_rest(client: httpx.AsyncClient) -> None:
    found = await preview(client, {**AGAIN, "language": "Englisch!", "tags": ["a" * 201]})

    assert [error["field"] for error in found["errors"]] == ["tags", "language"]
    assert [duplicate["name"] for duplicate in found["duplicates"]] == ["Phones under the desk"]
    assert [question["question"] for question in found["questions"]] == AGAIN["example_questions"]


@pytest.mark.parametrize("draft", [{}, {"name": " "}, {"category": "noise"}])
async def test_an_empty_draft_has_an_error_and_nothing_else(
    client: httpx.AsyncClient, draft: dict[str, Any]
) -> None:
    found = await preview(client, draft)

    assert [error["field"] for error in found["errors"]] == ["description"]
    assert (found["duplicates"], found["questions"]) == ([], [])


async def test_a_situation_that_is_there_already_is_named(
    client: httpx.AsyncClient, app: App
) -> None:
    await app.content.retire(await scenario_id(app, "Phones under the desk"))

    found = await preview(client, AGAIN)

    (duplicate,) = found["duplicates"]
    assert duplicate["name"] == "Phones under the desk"
    assert duplicate["status"] == "retired"
    assert 0.75 <= duplicate["similarity"] <= 1


async def test_an_edit_is_not_a_duplicate_of_itself(client: httpx.AsyncClient, app: App) -> None:
    own = await scenario_id(app, "Phones under the desk")

    found = await preview(client, {**PHONES, "scenario_id": str(own)})

    assert found["duplicates"] == []
    (question,) = found["questions"]
    assert question["rank"] == 1
    assert question["best"]["name"] == "Wriggling at story time"
    assert question["best"]["relevance"] < question["relevance"]


async def test_the_place_that_is_told_is_the_one_that_the_draft_gets(
    client: httpx.AsyncClient, app: App
) -> None:
    question = "What do I do when children wriggle on the carpet?"
    draft = {**AGAIN, "example_questions": [question]}

    (placed,) = (await preview(client, draft))["questions"]

    stored = await app.vector_ops.store_scenario(**{"expected_response": "", **draft})
    matches = (await app.vector_ops.search(question, threshold=0)).matches
    rank = [match.scenario.id for match in matches].index(stored) + 1
    assert (placed["source"], placed["rank"]) == ("example", rank) == ("example", 2)
    assert placed["relevance"] == pytest.approx(matches[1].relevance, abs=1e-3)
    assert placed["best"]["name"] == matches[0].scenario.name
    assert placed["best"]["relevance"] == pytest.approx(matches[0].relevance, abs=1e-3)


async def test_questions_that_were_asked_are_told_once_and_stay_in_their_school(
    client: httpx.AsyncClient, app: App
) -> None:
    for question in ("Phones in class again?", "phones in class again?", "How do I bake a cake?"):
        await client.post("/api/v1/ask", json={"question": question})
    embedding = (await app.cache.embed(["Secret phones in class?"], "query"))[0]
    foreign = app.vector_ops.for_tenant(OTHER_TENANT)
    await foreign.store_scenario(**PHONES)
    async for part in app.ask("Any phones?"):
        answer = part
    await foreign.store_interaction("Secret phones in class?", embedding, answer)  # type: ignore[arg-type] # the last part

    found = await preview(client, AGAIN)

    asked = [q["question"] for q in found["questions"] if q["source"] == "asked"]
    assert sorted(asked) == ["Any phones?", "phones in class again?"]
    assert len((await preview(client, {**AGAIN, "name": "Phones again"}))["questions"]) == 3


async def test_nothing_of_a_preview_is_stored(client: httpx.AsyncClient, app: App) -> None:
    version = await app.vector_ops.library_version()

    await preview(client, AGAIN)

    assert await app.vector_ops.library_version() == version
    assert await app.vector_ops.interactions.page() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": 5}, 422),
        ({"colour": "red"}, 422),
        ({"scenario_id": "none"}, 422),
        ({"tags": "a"}, 422),
        ([], 422),
    ],
)
async def test_a_body_of_another_form_is_refused(
    client: httpx.AsyncClient, body: Any, status: int
) -> None:
    assert (await client.post(PREVIEW, json=body)).status_code == status


async def test_a_library_without_scenarios_has_no_best_one(app: App) -> None:
    async with api_client(app) as client:
        found = await preview(client, PHONES)

    (question,) = found["questions"]
    assert (question["rank"], question["best"], found["duplicates"]) == (1, None, [])
