"""What the insights say is what was stored: by day, by outcome, by scenario, by meaning."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import psycopg
import pytest
from uuid_utils.compat import uuid7

from staffroom.app import App
from staffroom.database.connection import Database
from staffroom.database.insights import (
    MAX_DAYS,
    MOST_SCENARIOS,
    NOTHING,
    Stages,
    Tally,
    Timing,
    first_id,
)
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError
from staffroom.types import STATUSES, Answer, Filters, Outcome, Scenario, Sentence, Vector
from tests.api_client import api_client
from tests.fakes import WordEmbedder

TODAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EMBEDDING: Vector = np.eye(1, 64, dtype=np.float32)[0]


@pytest.fixture
async def scenarios(vector_ops: VectorOperations) -> list[Scenario]:
    """Three published scenarios and a draft, in the order in which they were written."""
    await vector_ops.batch_process(
        [
            {"id": "noise", "name": "Noise", "description": "The class is loud."},
            {"id": "late", "name": "Late", "description": "Pupils come late."},
            {"id": "phone", "name": "Phones", "description": "Phones are out."},
            {"id": "plan", "name": "Plan", "description": "To be written.", "status": "draft"},
        ]
    )
    return await vector_ops.list_scenarios(Filters(statuses=STATUSES))


class Diary:
    """Stores exchanges as if they had happened at another time."""

    def __init__(self, vector_ops: VectorOperations, database_url: str) -> None:
        self._vector_ops = vector_ops
        self._database_url = database_url

    async def add(
        self,
        when: datetime = NOON,
        cites: Sequence[Scenario] = (),
        *,
        outcome: Outcome = "direct",
        question: str = "Why?",
        embedding: Vector = EMBEDDING,
        timings: Mapping[str, float] | None = None,
    ) -> UUID:
        """An exchange of that time, whose answer cites those scenarios."""
        exchange = Answer(
            text="So.",
            sentences=tuple(Sentence("So.", (scenario.id,), 1.0) for scenario in cites),
            matches=(),
            outcome=outcome,
            threshold=0.05,
            best_relevance=0.5,
            writer="none",
            timings=timings or {},
            interaction_id=uuid7(int(when.timestamp()), 1),
        )
        stored = await self._vector_ops.store_interaction(question, embedding, exchange)
        with psycopg.connect(self._database_url, autocommit=True) as connection:
            connection.execute(
                "UPDATE staffroom.interactions SET created_at = %s WHERE interaction_id = %s",
                [when, stored],
            )
        return stored


@pytest.fixture
def diary(vector_ops: VectorOperations, database_url: str) -> Diary:
    return Diary(vector_ops, database_url)


@pytest.mark.parametrize("days", [1, 7, MAX_DAYS])
async def test_before_the_first_question_every_day_is_empty(
    vector_ops: VectorOperations, days: int
) -> None:
    report = await vector_ops.insights.report(days, TODAY)

    assert list(report.days) == [TODAY - timedelta(days=n) for n in reversed(range(days))]
    assert set(map(id, report.days.values())) == {id(NOTHING)}
    assert (report.total, report.gaps, report.scenarios, report.unused) == (NOTHING, (), (), ())
    assert report.unused_total == 0


@pytest.mark.parametrize("days", [-1, 0, MAX_DAYS + 1])
async def test_a_period_that_nobody_can_mean_is_refused(
    vector_ops: VectorOperations, days: int
) -> None:
    with pytest.raises(InputError, match=f"days is {days}; choose 1 to 366"):
        await vector_ops.insights.report(days)


async def test_the_last_day_is_today(vector_ops: VectorOperations) -> None:
    await vector_ops.batch_process([{"text": "A"}])
    before = datetime.now(UTC).date()
    report = await vector_ops.insights.report(2)

    assert list(report.days)[-1] in {before, datetime.now(UTC).date()}


async def test_outcomes_are_counted_by_day_and_in_all(
    vector_ops: VectorOperations, diary: Diary
) -> None:
    yesterday = NOON - timedelta(days=1)
    todays: tuple[Outcome, ...] = ("written", "direct", "direct", "abstained")
    for outcome in todays:
        await diary.add(outcome=outcome)
    await diary.add(yesterday, outcome="quoted")
    await diary.add(yesterday, outcome="abstained")

    report = await vector_ops.insights.report(3, TODAY)

    assert list(report.days.values()) == [
        NOTHING,
        Tally({"written": 0, "direct": 0, "quoted": 1, "abstained": 1}),
        Tally({"written": 1, "direct": 2, "quoted": 0, "abstained": 1}),
    ]
    assert report.total.outcomes == {"written": 1, "direct": 2, "quoted": 1, "abstained": 2}
    assert (report.total.asked, report.total.answered, report.total.abstained) == (6, 4, 2)


async def test_a_period_begins_and_ends_at_midnight(
    vector_ops: VectorOperations, diary: Diary, scenarios: list[Scenario]
) -> None:
    since = datetime(2026, 2, 28, tzinfo=UTC)
    until = datetime(2026, 3, 3, tzinfo=UTC)
    moment = timedelta(milliseconds=1)
    for when in (since - moment, since, until - moment, until):
        await diary.add(when, scenarios[:1])
        await diary.add(when, outcome="abstained")

    report = await vector_ops.insights.report(3, TODAY)

    assert [tally.asked for tally in report.days.values()] == [2, 0, 2]
    assert report.total.asked == 4
    assert [use.used for use in report.scenarios] == [2]
    assert [len(group.questions) for group in report.gaps] == [2]


async def test_clocks_that_differ_lose_no_exchange(
    vector_ops: VectorOperations, diary: Diary, database_url: str
) -> None:
    """The application's clock, which ids are made by, is behind the database's."""
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    stored = await diary.add(midnight - timedelta(hours=3))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE staffroom.interactions SET created_at = %s WHERE interaction_id = %s",
            [midnight, stored],
        )

    assert (await vector_ops.insights.report(1, TODAY)).total.asked == 1


def test_no_id_of_a_moment_comes_before_its_first() -> None:
    first = first_id(NOON)

    assert first < uuid7(int(NOON.timestamp()), 0)
    assert first > uuid7(int(NOON.timestamp()) - 1, 999_999_999)
    assert first_id(datetime(1969, 1, 1, tzinfo=UTC)) == UUID(int=0)


async def test_latency_and_kept_answers_are_told_by_day(
    vector_ops: VectorOperations, diary: Diary
) -> None:
    searched = {"embedded_ms": 1.0, "found_ms": 2.0}
    for answered in (10.0, 20.0, 30.0):
        timings = {**searched, "first_sentence_ms": answered / 2, "answered_ms": answered}
        await diary.add(timings=timings)
    await diary.add(timings={"first_sentence_ms": 1.0, "answered_ms": 2.0})
    await diary.add(timings={})
    await diary.add(NOON - timedelta(days=1), outcome="abstained", timings={"answered_ms": 7.5})

    report = await vector_ops.insights.report(2, TODAY)

    before, today = report.days.values()
    assert before.timing == Timing(7.5, 7.5, None)
    assert (before.timed, before.from_cache) == (1, 1)
    assert today.timing.p50_ms == pytest.approx(15.0)
    assert today.timing.p95_ms == pytest.approx(28.5)
    assert today.timing.first_sentence_p50_ms == pytest.approx(7.5)
    assert (today.timed, today.from_cache) == (4, 1)
    assert report.total.timing.p50_ms == pytest.approx(10.0)
    assert (report.total.timed, report.total.from_cache) == (5, 2)


async def test_where_the_time_went_is_told_in_parts_that_make_the_whole(
    vector_ops: VectorOperations, diary: Diary
) -> None:
    for embedded, found, answered in ((2.0, 5.0, 20.0), (4.0, 11.0, 40.0)):
        await diary.add(
            timings={"embedded_ms": embedded, "found_ms": found, "answered_ms": answered}
        )
    given_again = {"embedded_ms": 500.0, "first_sentence_ms": 501.0, "answered_ms": 502.0}
    await diary.add(timings=given_again)
    await diary.add(NOON - timedelta(days=1), timings=given_again)

    report = await vector_ops.insights.report(2, TODAY)

    before, today = report.days.values()
    assert before.stages == Stages()
    assert today.stages == report.total.stages == Stages(3.0, 5.0, 22.0)


async def test_a_scenario_is_used_once_by_each_answer_that_cites_it(
    vector_ops: VectorOperations, diary: Diary, scenarios: list[Scenario]
) -> None:
    noise, late, *_ = scenarios
    await diary.add(cites=[late, noise, late])
    await diary.add(cites=[late])

    report = await vector_ops.insights.report(1, TODAY)

    assert [(use.name, use.used) for use in report.scenarios] == [("Late", 2), ("Noise", 1)]
    assert [scenario.name for scenario in report.unused] == ["Phones"]
    assert report.unused_total == 1


async def test_what_is_not_published_is_not_missed_but_told_if_it_was_used(
    vector_ops: VectorOperations, diary: Diary, scenarios: list[Scenario]
) -> None:
    noise, late, phone, plan = scenarios
    await diary.add(cites=[noise])
    await vector_ops.update_scenario(noise.id, {"status": "retired", "name": "Quiet"})

    report = await vector_ops.insights.report(1, TODAY)

    assert [use.name for use in report.scenarios] == ["Quiet"]
    assert {scenario.id for scenario in report.unused} == {late.id, phone.id}
    assert plan.id not in {scenario.id for scenario in report.unused}


async def test_a_deleted_scenario_is_not_named(
    vector_ops: VectorOperations, diary: Diary, scenarios: list[Scenario]
) -> None:
    await diary.add(cites=scenarios[:2])
    await vector_ops.delete_scenario(scenarios[0].id)

    report = await vector_ops.insights.report(1, TODAY)

    assert [use.name for use in report.scenarios] == ["Late"]


async def test_a_verdict_on_an_answer_counts_for_what_it_cites_and_one_on_a_scenario_for_that(
    vector_ops: VectorOperations, diary: Diary, scenarios: list[Scenario]
) -> None:
    noise, late, phone, _ = scenarios
    found = await vector_ops.search("Phones are out", 4, 0.0)
    exchange = await diary.add(cites=[noise, late])
    other = await vector_ops.store_interaction(
        "Phones?",
        EMBEDDING,
        replace(ABSTAINED, outcome="direct", matches=found.matches, text="So."),
    )
    add = vector_ops.interactions.add_feedback
    await add(exchange, "helpful")
    await add(exchange, "worked")
    await add(exchange, "not_helpful")
    await add(other, "did_not_fit", scenario_id=phone.id)
    await add(other, "helpful")

    report = await vector_ops.insights.report(30)
    assert {use.name: verdicts(use) for use in report.scenarios} == {"Phones": (0, 0, 0, 1, 0)}
    report = await vector_ops.insights.report(1, TODAY)
    assert {use.name: verdicts(use) for use in report.scenarios} == {
        "Noise": (1, 1, 1, 0, 1),
        "Late": (1, 1, 1, 0, 1),
    }


def verdicts(use: Any) -> tuple[int, ...]:
    return (use.used, use.helpful, use.not_helpful, use.did_not_fit, use.worked)


ABSTAINED = Answer(
    text="Nothing fits.",
    sentences=(),
    matches=(),
    outcome="abstained",
    threshold=0.05,
    best_relevance=None,
    writer="none",
)


async def test_only_so_many_scenarios_are_named_but_all_are_counted(
    vector_ops: VectorOperations, diary: Diary
) -> None:
    extra = 5
    rows = [
        {"name": f"S{n}", "description": f"Text {n}"} for n in range(2 * MOST_SCENARIOS + extra)
    ]
    await vector_ops.batch_process(rows)
    known = await vector_ops.list_scenarios(limit=500)
    used = known[: MOST_SCENARIOS + extra]
    await diary.add(cites=used)
    judged = await diary.add(cites=used[-1:])
    await vector_ops.interactions.add_feedback(judged, "helpful")

    report = await vector_ops.insights.report(1, TODAY)

    assert (len(report.scenarios), len(report.unused)) == (MOST_SCENARIOS, MOST_SCENARIOS)
    assert report.scenarios[0].id == used[-1].id
    assert report.unused_total == len(rows) - len(used)


async def test_gaps_are_grouped_by_meaning_and_the_largest_group_comes_first(
    vector_ops: VectorOperations, diary: Diary
) -> None:
    embedder = WordEmbedder()
    texts = [
        "vapes everywhere",
        "pension part time",
        "vapes everywhere now",
        "so many vapes everywhere",
    ]
    vectors = await embedder.embed(texts, "query")
    for hour, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
        when = NOON + timedelta(hours=hour)
        await diary.add(when, outcome="abstained", question=text, embedding=vector)

    first, second = (await vector_ops.insights.report(1, TODAY)).gaps

    assert first.label == "vapes everywhere"
    assert {asked.question for asked in first.questions} == set(texts) - {"pension part time"}
    assert (first.first, first.last) == (NOON, NOON + timedelta(hours=3))
    assert second.label == "pension part time"
    stored = await vector_ops.get_interaction(second.questions[0].interaction_id)
    assert stored.question == "pension part time"


async def test_a_question_that_continued_a_conversation_is_told_as_it_was_understood(
    vector_ops: VectorOperations,
) -> None:
    await vector_ops.store_interaction("And then?", EMBEDDING, ABSTAINED, asked="Vapes. And then?")

    assert (await vector_ops.insights.report(1)).gaps[0].label == "Vapes. And then?"


async def test_gaps_of_two_models_are_not_compared(
    database: Database, vector_ops: VectorOperations
) -> None:
    wider = VectorOperations(database, WordEmbedder("wide", 96))
    for operations, size in ((vector_ops, 64), (wider, 96)):
        vector = np.eye(1, size, dtype=np.float32)[0]
        await operations.batch_process([{"text": "A"}])
        for _ in range(2):
            await operations.store_interaction("Vapes?", vector, ABSTAINED)

    report = await wider.insights.report(1)

    assert [(group.label, len(group.questions)) for group in report.gaps] == [("Vapes?", 2)] * 2


async def test_another_tenant_learns_nothing(
    vector_ops: VectorOperations, diary: Diary, scenarios: list[Scenario]
) -> None:
    stored = await diary.add(cites=scenarios[:1])
    await diary.add(outcome="abstained")
    await vector_ops.interactions.add_feedback(stored, "helpful")
    other = vector_ops.for_tenant(uuid4())
    await other.batch_process([{"name": "Theirs", "description": "Text"}])

    report = await other.insights.report(30, TODAY)

    assert (report.total, report.gaps, report.scenarios) == (NOTHING, (), ())
    assert [scenario.name for scenario in report.unused] == ["Theirs"]


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(app) as client:
        yield client


async def test_the_api_tells_it_as_a_document(client: httpx.AsyncClient, app: App) -> None:
    await app.content.add_teaching_scenario(
        {
            "name": "Noise",
            "description": "The class is too loud and nobody listens.",
            "expected_response": "1. Wait for silence.\n2. Thank those who are ready.",
        }
    )
    await app.content.add_teaching_scenario({"name": "Vaping", "description": "Pupils vape."})
    question = {"question": "The class is too loud and nobody listens."}
    answered = (await client.post("/api/v1/ask", json=question)).json()
    await client.post("/api/v1/ask", json=question)
    missed = await client.post("/api/v1/ask", json={"question": "How do I roast a chicken?"})
    address = f"/api/v1/interactions/{answered['interaction_id']}/feedback"
    await client.post(address, json={"verdict": "helpful"})

    response = await client.get("/api/v1/insights", params={"days": 2})

    assert response.status_code == 200
    told = response.json()
    noise = answered["sentences"][0]["citations"][0]
    assert told["days"] == len(told["questions"]) == len(told["latency"]) == len(told["cache"]) == 2
    assert sum(day["answered"] for day in told["questions"]) == 2
    assert sum(day["abstained"] for day in told["questions"]) == 1
    assert sum(told["outcomes"].values()) == 3
    assert sum(day["answers"] for day in told["cache"]) == 3
    assert sum(day["from_cache"] for day in told["cache"]) == 1
    assert {day["date"] for day in told["cache"] if day["answers"]} <= {
        day["date"] for day in told["latency"] if day["p50_ms"] is not None
    }
    assert [len(told["stages"]), set(told["stages"][0])] == [
        2,
        {"date", "embedding_ms", "search_ms", "writing_ms"},
    ]
    assert {day["date"] for day in told["stages"] if day["search_ms"]} <= {
        day["date"] for day in told["latency"] if day["p50_ms"]
    }
    assert told["gap_groups"] == 1
    (gap,) = told["gaps"]
    assert (gap["label"], gap["size"]) == ("How do I roast a chicken?", 1)
    assert gap["questions"][0]["interaction_id"] == missed.json()["interaction_id"]
    assert told["scenarios"] == [
        {
            "id": noise,
            "name": "Noise",
            "used": 2,
            "helpful": 1,
            "not_helpful": 0,
            "did_not_fit": 0,
            "worked": 0,
        }
    ]
    assert [scenario["name"] for scenario in told["never_used"]] == ["Vaping"]
    assert told["never_used_total"] == 1


async def test_the_api_tells_of_thirty_days_unless_asked_otherwise(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/api/v1/insights")).json()["days"] == 30


@pytest.mark.parametrize("days", ["0", "367", "-7", "many", "7.5", ""])
async def test_the_api_names_a_period_that_it_cannot_tell_of(
    client: httpx.AsyncClient, days: str
) -> None:
    response = await client.get("/api/v1/insights", params={"days": days})

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "days"
