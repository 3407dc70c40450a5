"""Reports that advice worked raise a scenario: a little, in sight, and until they are reset."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staffroom.app import App
from staffroom.config import DEFAULT_TENANT
from staffroom.database.connection import Database
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import NotFoundError
from staffroom.retrieval.logistic import log_odds
from staffroom.retrieval.standing import HALFWAY, MOST, raised, weight
from staffroom.types import UNCERTAIN_RELEVANCE, Answer, Match, Sentence, Vector
from tests.api_client import api_client

SCHOOL = UUID("00000000-0000-7000-8000-0000000000aa")
EMBEDDING: Vector = np.eye(1, 64, dtype=np.float32)[0]
ROWS: list[dict[str, Any]] = [
    {"id": "first", "name": "Noise one", "text": "The whole class talks at once after lunch."},
    {"id": "second", "name": "Noise two", "text": "The whole class talks at once after a lunch."},
    {"id": "other", "name": "Late", "text": "Pupils arrive long after the bell rings."},
]
QUESTION = "The whole class talks at once after lunch."


def names(matches: tuple[Match, ...]) -> list[str]:
    return [match.scenario.content.source_id for match in matches]


@pytest.fixture
async def library(vector_ops: VectorOperations) -> VectorOperations:
    await vector_ops.batch_store_content(ROWS)
    return vector_ops


async def asked(library: VectorOperations, *cited: str) -> UUID:
    """An exchange whose answer rests on all scenarios and cites those."""
    matches = (await library.search(QUESTION, 3, 0.0)).matches
    ids = {match.scenario.content.source_id: match.scenario.id for match in matches}
    answer = Answer(
        text="Wait.",
        sentences=(Sentence("Wait.", tuple(ids[name] for name in cited), 1.0),),
        matches=matches,
        outcome="written",
        threshold=0.0,
        best_relevance=matches[0].relevance,
        writer="scripted",
    )
    return await library.store_interaction(QUESTION, EMBEDDING, answer)


async def id_of(library: VectorOperations, name: str) -> UUID:
    matches = (await library.search(QUESTION, 3, 0.0)).matches
    return next(m.scenario.id for m in matches if m.scenario.content.source_id == name)


async def test_what_worked_comes_before_what_fits_as_well(library: VectorOperations) -> None:
    assert names((await library.search(QUESTION, 3, 0.0)).matches)[:2] == ["first", "second"]
    for _ in range(20):
        exchange = await asked(library, "second")
        await library.interactions.add_feedback(exchange, "worked")

    found = (await library.search(QUESTION, 3, 0.0)).matches

    assert names(found) == ["second", "first", "other"]
    assert [match.worked for match in found] == [20, 0, 0]
    assert found[0].relevance > found[1].relevance


async def test_a_report_counts_once_for_what_the_answer_cites(library: VectorOperations) -> None:
    exchange = await asked(library, "first", "second")
    other = await id_of(library, "other")
    version = await library.library_version()
    for verdict in ("worked", "worked", "helpful", "did_not_fit"):
        await library.interactions.add_feedback(exchange, verdict)
    again = await asked(library, "first", "second")
    await library.interactions.add_feedback(again, "worked", scenario_id=other)

    worked = [(await library.standings.get(await id_of(library, row["id"]))).worked for row in ROWS]

    assert worked == [1, 1, 1]
    # Answers that are kept were ordered otherwise. A repeated report changes nothing.
    assert await library.library_version() == version + 2


async def test_a_reset_forgets_what_was_reported_and_is_on_record(
    library: VectorOperations, database: Database
) -> None:
    first = await id_of(library, "first")
    await library.interactions.add_feedback(await asked(library, "first"), "worked")

    standing = await library.standings.reset(first, "Reported by one class only.")

    assert (standing.worked, standing.weight) == (0, 0.0)
    assert standing.reset_at is not None
    await library.interactions.add_feedback(await asked(library, "first"), "worked")
    assert (await library.standings.get(first)).worked == 1
    async with database.read(DEFAULT_TENANT) as connection:
        cursor = await connection.execute(
            "SELECT subject_id, detail FROM staffroom.audit WHERE action = 'standing.reset'"
        )
        assert await cursor.fetchall() == [
            {"subject_id": first, "detail": {"reason": "Reported by one class only."}}
        ]


async def test_another_school_has_reports_of_its_own(library: VectorOperations) -> None:
    first = await id_of(library, "first")
    await library.interactions.add_feedback(await asked(library, "first"), "worked")
    school = library.for_tenant(SCHOOL)
    await school.batch_store_content(ROWS)

    assert [match.worked for match in (await school.search(QUESTION, 3, 0.0)).matches] == [0, 0, 0]
    with pytest.raises(NotFoundError, match=str(first)):
        await school.standings.get(first)
    with pytest.raises(NotFoundError, match=str(first)):
        await school.standings.reset(first)


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    await app.vector_ops.batch_store_content(ROWS)
    async with api_client(app) as client:
        yield client


async def test_a_standing_is_seen_and_reset_over_http(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/api/v1/ask", json={"question": QUESTION})).json()
    (cited,) = answer["sentences"][0]["citations"]
    path = f"/api/v1/scenarios/{cited}/standing"
    assert (await client.get(path)).json() == {"worked": 0, "weight": 0.0, "reset_at": None}

    feedback = f"/api/v1/interactions/{answer['interaction_id']}/feedback"
    assert (await client.post(feedback, json={"verdict": "worked"})).status_code == 201

    seen = (await client.get(path)).json()
    assert seen == {"worked": 1, "weight": round(weight(1), 4), "reset_at": None}
    found = (await client.post("/api/v1/search", json={"query": QUESTION})).json()["matches"]
    assert {match["id"]: match["worked"] for match in found}[cited] == 1

    reset = await client.delete(path, params={"reason": "Tried on one day only."})

    assert reset.json()["worked"] == 0
    assert (await client.get(path)).json() == reset.json()
    missing = await client.delete(f"/api/v1/scenarios/{uuid4()}/standing")
    assert missing.status_code == 404


async def test_the_scenario_page_shows_the_reports_and_resets_them_without_scripts(
    client: httpx.AsyncClient,
) -> None:
    answer = (await client.post("/api/v1/ask", json={"question": QUESTION})).json()
    (cited,) = answer["sentences"][0]["citations"]
    feedback = f"/api/v1/interactions/{answer['interaction_id']}/feedback"
    await client.post(feedback, json={"verdict": "worked"})
    page = f"/library/{cited}"
    shown = (await client.get(page)).text
    assert "In 1 exchange. It comes a little earlier" in shown
    assert ": by 0.02 of at most 0.15." in shown

    reset = await client.post(f"{page}/standing")

    assert (reset.status_code, reset.headers["location"]) == (303, page)
    shown = (await client.get(page)).text
    assert "Nobody since" in shown
    assert "Count anew" not in shown


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_more_reports_are_worth_more_and_never_more_than_the_most(one: int, more: int) -> None:
    assert 0 <= weight(one) <= weight(one + more) <= MOST
    assert weight(HALFWAY) == pytest.approx(MOST / 2)


@given(st.lists(st.floats(0.001, 0.999), max_size=8), st.integers(0, 1000))
def test_only_what_is_likely_about_the_question_is_raised(
    relevances: list[float], worked: int
) -> None:
    found = raised(relevances, [weight(worked)] * len(relevances))

    for before, after in zip(relevances, found, strict=True):
        if before < UNCERTAIN_RELEVANCE or not worked:
            assert after == before
        else:
            assert log_odds(after) == pytest.approx(log_odds(before) + weight(worked))
