"""The learning loop: from a group to a draft, to a published scenario, to answered questions."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from staffroom.ai import load_writer
from staffroom.ai.situation import capable, describe_situation
from staffroom.app import App
from staffroom.config import Settings
from staffroom.content.gap_draft import draft_scenario
from staffroom.database.connection import Database
from staffroom.database.gaps import GapGroup
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import ConflictError, InputError, SearchError
from staffroom.evaluation import learning
from staffroom.evaluation.gap_documents import whole_gap_document
from staffroom.evaluation.learning import (
    answer_group,
    check_group,
    compare,
    extend_scenario,
    update_scenario,
)
from staffroom.evaluation.own import OwnEvaluation, QuestionRanks
from tests.api_client import api_client
from tests.fakes import WordEmbedder
from tests.openai_server import SILENT, OpenAIServer, refuses, says
from tests.test_gaps import PENSION, VAPES, fail, the_group

ADVICE = "1. Stand where the vapes are.\n2. Tell everybody what happens next."


async def started(vector_ops: VectorOperations) -> GapGroup:
    """A library that knows noise, and a group of questions about vapes."""
    await vector_ops.batch_process(
        [
            {"id": "noise", "text": "The class is loud", "category": "behaviour"},
            {"id": "late", "text": "Pupils come late", "category": "behaviour"},
        ]
    )
    await fail(vector_ops, *VAPES)
    return await the_group(vector_ops)


async def publish(vector_ops: VectorOperations, scenario_id: UUID) -> None:
    changes = {"status": "published", "expected_response": ADVICE}
    await update_scenario(vector_ops, scenario_id, changes, reason="Read and vetted.")


async def test_a_draft_is_filled_in_but_for_the_advice(vector_ops: VectorOperations) -> None:
    group = await started(vector_ops)

    draft = await draft_scenario(vector_ops, group.id)

    scenario = await vector_ops.get_scenario(draft.scenario_id)
    content = scenario.content
    assert content.name == group.label == VAPES[0]
    assert set(content.example_questions) == set(VAPES)
    assert (content.metadata.status, content.metadata.category) == ("draft", "behaviour")
    assert content.expected_response == ""
    assert set(content.description.split("\n")) == set(VAPES)
    assert draft.drafted_by == ""
    (revision,) = await vector_ops.list_revisions(scenario.id)
    assert revision.reason == (
        "Drafted for 3 questions of teachers; situation still in the teachers' own words."
    )
    group = await vector_ops.gaps.get(group.id)
    assert (group.state, group.scenario_id) == ("drafted", scenario.id)
    assert group.scenario_status == "draft"


async def test_a_group_is_drafted_once(vector_ops: VectorOperations) -> None:
    group = await started(vector_ops)
    draft = await draft_scenario(vector_ops, group.id)

    with pytest.raises(ConflictError, match=f"leads to scenario {draft.scenario_id} already"):
        await draft_scenario(vector_ops, group.id)


async def test_a_dismissed_group_is_not_drafted(vector_ops: VectorOperations) -> None:
    group = await started(vector_ops)
    await vector_ops.gaps.change(group.id, state="dismissed")

    with pytest.raises(ConflictError, match=r"is dismissed\. Open it again"):
        await draft_scenario(vector_ops, group.id)


async def test_publishing_answers_the_questions_and_makes_some_golden(
    vector_ops: VectorOperations,
) -> None:
    group = await started(vector_ops)
    noise = (await vector_ops.search("class loud", 1, 0.0)).matches[0].scenario.id
    await vector_ops.golden.add("The class is loud", {noise: 2}, "tester")
    draft = await draft_scenario(vector_ops, group.id)
    group = await vector_ops.gaps.get(group.id)
    assert not any(found.is_answered for found in await check_group(vector_ops, group))

    await publish(vector_ops, draft.scenario_id)

    group = await vector_ops.gaps.get(group.id)
    assert (group.state, group.answered) == ("answered", 3)
    assert group.outcome
    assert (group.outcome["asked"], group.outcome["answered"]) == (3, 3)
    assert group.outcome["gate"] == {
        "passed": True,
        "questions": 1,
        "lost": [],
        "figures": {
            "recall@5": {"before": 1.0, "after": 1.0},
            "ndcg@10": {"before": 1.0, "after": 1.0},
        },
    }
    golden = await vector_ops.golden.list()
    assert {question.question for question in golden} == {"The class is loud", *VAPES}
    promoted = [question for question in golden if question.source == "promoted"]
    assert [str(question.id) for question in promoted] == sorted(
        group.outcome["golden"], reverse=True
    )
    assert all(question.grades == {draft.scenario_id: 2} for question in promoted)
    checked = await check_group(vector_ops, group)
    assert [(found.is_answered, found.rank) for found in checked] == [(True, 1)] * 3
    assert all((found.relevance or 0) >= vector_ops.threshold for found in checked)
    assert (await vector_ops.insights.report(1)).gaps == ()


async def test_a_change_that_does_not_publish_asks_nothing_again(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    group = await started(vector_ops)
    draft = await draft_scenario(vector_ops, group.id)
    embedder.embedded.clear()

    await update_scenario(vector_ops, draft.scenario_id, {"category": "health"})

    assert not set(VAPES) & set(embedder.embedded) - set(VAPES)
    group = await vector_ops.gaps.get(group.id)
    assert (group.state, group.outcome) == ("drafted", None)


async def test_a_scenario_that_pushes_another_out_fails_the_gate_and_stays_published(
    vector_ops: VectorOperations,
) -> None:
    """Its examples are what another scenario was found by, again and again."""
    group = await started(vector_ops)
    rows = [
        {
            "id": f"chairs {n}",
            "text": "Chairs in rows or tables in groups for the room",
            "tags": [str(n)],
        }
        for n in range(4)
    ]
    await vector_ops.batch_process([*rows, {"id": "right", "text": "Chairs for the room today"}])
    right = next(s for s in await vector_ops.list_scenarios() if s.content.source_id == "right")
    asked = "Chairs in rows or tables in groups for the room"
    await vector_ops.golden.add(asked, {right.id: 2}, "tester")
    draft = await draft_scenario(vector_ops, group.id)
    await vector_ops.update_scenario(
        draft.scenario_id, {"description": asked, "example_questions": [asked, *VAPES]}
    )

    await publish(vector_ops, draft.scenario_id)

    group = await vector_ops.gaps.get(group.id)
    assert group.outcome
    gate = group.outcome["gate"]
    assert not gate["passed"]
    (lost,) = gate["lost"]
    assert (lost["before"], lost["after"]) == (5, 6)
    told = (await whole_gap_document(vector_ops, group))["outcome"]
    assert told["gate"]["lost"][0]["question"] == asked
    assert "with the fields of revision 2" in told["undo"]
    assert group.scenario_status == "published"


def ranked(*ranks: int | None, recall: float = 1.0, ndcg: float = 1.0) -> OwnEvaluation:
    measures: Any = {"recall@5": recall, "ndcg@10": ndcg}
    return OwnEvaluation(
        threshold=0.05,
        measures={"hybrid": measures},
        questions=tuple(
            QuestionRanks(UUID(int=number), f"Q{number}", {"hybrid": rank})
            for number, rank in enumerate(ranks)
        ),
    )


@pytest.mark.parametrize(
    ("before", "after", "passed", "lost"),
    [
        (ranked(1, 5, None), ranked(2, 5, None), True, []),
        (ranked(1, 5), ranked(1, 6), False, [1]),
        (ranked(1, 5), ranked(1, None), False, [1]),
        (ranked(6), ranked(None), True, []),
        (ranked(1), ranked(1, recall=0.98), True, []),
        (ranked(1), ranked(1, recall=0.979), False, []),
        (ranked(1), ranked(1, ndcg=0.979), False, []),
    ],
)
def test_the_gate_holds_what_was_found_and_the_means(
    before: OwnEvaluation, after: OwnEvaluation, passed: bool, lost: list[int]
) -> None:
    gate = compare(before, after)

    assert gate["passed"] is passed
    assert [each["golden_id"] for each in gate["lost"]] == [str(UUID(int=n)) for n in lost]


def test_without_golden_questions_the_gate_has_nothing_to_say() -> None:
    nothing = OwnEvaluation(threshold=0.05)

    assert compare(nothing, nothing) == {
        "passed": True,
        "questions": 0,
        "lost": [],
        "figures": {},
    }


async def test_a_group_waits_until_all_of_its_questions_are_answered(
    vector_ops: VectorOperations,
) -> None:
    group = await started(vector_ops)
    draft = await draft_scenario(vector_ops, group.id)
    group = await vector_ops.gaps.get(group.id)
    asked = [question.interaction_id for question in await vector_ops.gaps.questions(group.id, 10)]
    outcome = {"gate": None}

    await vector_ops.gaps.settle(group, {**dict.fromkeys(asked, True), asked[0]: False}, outcome)
    waiting = await vector_ops.gaps.get(group.id)
    assert (waiting.state, waiting.answered) == ("drafted", 2)
    await publish(vector_ops, draft.scenario_id)

    assert (await vector_ops.gaps.get(group.id)).state == "answered"


async def test_a_group_whose_scenario_was_taken_back_is_being_written_again(
    vector_ops: VectorOperations,
) -> None:
    group = await started(vector_ops)
    draft = await draft_scenario(vector_ops, group.id)
    await publish(vector_ops, draft.scenario_id)
    await vector_ops.update_scenario(draft.scenario_id, {"status": "retired"})

    again = await vector_ops.gaps.get(group.id)
    assert (again.state, again.answered, again.outcome) == ("drafted", 0, None)
    await publish(vector_ops, draft.scenario_id)

    assert (await vector_ops.gaps.get(group.id)).state == "answered"


async def test_what_is_called_answered_lets_the_other_questions_go(
    database: Database, embedder: WordEmbedder
) -> None:
    """The scenario was published by an import, of which the loop does not hear."""
    strict = VectorOperations(database, embedder, threshold=0.75)
    group = await started(strict)
    odd = (await fail(strict, "vapes everywhere in every room at noon"))[0]
    assert (await strict.gaps.get(group.id)).size == 4
    scenario = await strict.store_scenario("vapes", "everywhere now", ADVICE)
    await strict.gaps.lead_to(group.id, scenario)

    answered = await answer_group(strict, group.id)

    assert (answered.state, answered.size) == ("answered", answered.answered)
    assert answered.outcome
    assert (answered.outcome["asked"], answered.outcome["gate"]) == (4, None)
    left = [
        question.interaction_id
        for other in await strict.gaps.largest("open", 5)
        for question in await strict.gaps.questions(other.id, 5)
    ]
    assert odd in left
    assert len(left) + answered.size == 4


async def test_a_scenario_that_answers_nothing_makes_no_group_answered(
    database: Database, embedder: WordEmbedder
) -> None:
    strict = VectorOperations(database, embedder, threshold=0.9)
    group = await started(strict)
    late = (await strict.search("Pupils come late", 1, 0.0)).matches[0].scenario.id
    await strict.update_scenario(late, {"status": "in_review"})
    await strict.gaps.lead_to(group.id, late)
    with pytest.raises(ConflictError, match="nothing answers"):
        await answer_group(strict, group.id)
    await strict.update_scenario(late, {"status": "published"})

    with pytest.raises(ConflictError, match="answers none of the questions"):
        await answer_group(strict, group.id)


async def test_a_scenario_that_was_there_gets_the_questions_as_examples(
    vector_ops: VectorOperations,
) -> None:
    group = await started(vector_ops)
    noise = (await vector_ops.search("class loud", 1, 0.0)).matches[0].scenario.id
    asked = [q.interaction_id for q in await vector_ops.gaps.questions(group.id, 10)]

    scenario = await extend_scenario(vector_ops, group.id, noise, asked)

    assert set(scenario.content.example_questions) == set(VAPES)
    group = await vector_ops.gaps.get(group.id)
    assert (group.state, group.answered, group.scenario_id) == ("answered", 3, noise)
    assert group.outcome
    assert group.outcome["gate"]["passed"]


async def test_questions_of_another_group_are_no_examples(vector_ops: VectorOperations) -> None:
    group = await started(vector_ops)
    (other,) = await fail(vector_ops, PENSION)
    noise = (await vector_ops.search("class loud", 1, 0.0)).matches[0].scenario.id

    with pytest.raises(InputError, match="none of those questions"):
        await extend_scenario(vector_ops, group.id, noise, [other])


async def test_a_scenario_has_room_for_so_many_examples(vector_ops: VectorOperations) -> None:
    group = await started(vector_ops)
    full = await vector_ops.store_scenario(
        "Full", "Text", example_questions=[f"Question {n}" for n in range(49)]
    )
    asked = [q.interaction_id for q in await vector_ops.gaps.questions(group.id, 10)]

    with pytest.raises(InputError, match="would have 52 example questions; 50 fit"):
        await extend_scenario(vector_ops, group.id, full, asked)

    assert (await vector_ops.gaps.get(group.id)).state == "open"


async def test_a_search_that_fails_publishes_all_the_same(
    vector_ops: VectorOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = await started(vector_ops)
    draft = await draft_scenario(vector_ops, group.id)

    async def broken(*_: object, **__: object) -> None:
        raise SearchError("the model is gone")

    monkeypatch.setattr(learning, "evaluate_own", broken)
    monkeypatch.setattr(learning, "check_group", broken)
    await publish(vector_ops, draft.scenario_id)

    group = await vector_ops.gaps.get(group.id)
    assert (group.state, group.scenario_status, group.outcome) == ("drafted", "published", None)


SITUATION = "Pupils vape in the toilets between lessons, and it is hard to see who."


def with_model(settings: Settings, server: OpenAIServer) -> Settings:
    return settings.model_copy(update={"writer": "openai:some", "openai_base_url": server.url})


async def test_a_capable_model_words_the_situation_and_never_the_advice(
    settings: Settings, vector_ops: VectorOperations
) -> None:
    group = await started(vector_ops)
    async with OpenAIServer(says(SITUATION[:20], SITUATION[20:])).serving() as server:
        writer = load_writer(with_model(settings, server), WordEmbedder())
        draft = await draft_scenario(vector_ops, group.id, capable(writer))
        (request,) = server.requests
        await writer.close()

    scenario = await vector_ops.get_scenario(draft.scenario_id)
    assert scenario.content.description == SITUATION
    assert scenario.content.expected_response == ""
    assert draft.drafted_by == "openai:some"
    (revision,) = await vector_ops.list_revisions(scenario.id)
    assert "situation worded by openai:some, to be read" in revision.reason
    assert all(f"- {question}\n" in request.prompt for question in VAPES)
    assert "Give no advice" in request.prompt


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [(refuses(401), 10.0), (SILENT, 0.05), (says("word " * 600), 10.0), (says(" "), 10.0)],
    ids=["refused", "silent", "endless", "empty"],
)
async def test_a_model_that_fails_leaves_the_teachers_words(
    settings: Settings, reply: Any, seconds: float
) -> None:
    async with OpenAIServer(reply).serving() as server:
        writer = load_writer(with_model(settings, server), WordEmbedder())
        model = capable(writer)
        assert model
        assert await describe_situation(model, VAPES, seconds) == ""
        await writer.close()


def test_only_a_model_that_somebody_chose_is_capable(settings: Settings, home: Any) -> None:
    tiny, large = home / "tiny.gguf", home / "large.gguf"
    for path, size in ((tiny, 1), (large, 600_000_001)):
        with path.open("wb") as file:
            file.truncate(size)

    def is_capable(spec: str) -> bool:
        writer = load_writer(settings.model_copy(update={"writer": spec}), WordEmbedder())
        return capable(writer) is not None

    assert not is_capable("extractive")
    assert not is_capable("llama:SmolLM2-135M-Instruct")
    assert not is_capable(f"llama:{tiny}")
    assert not is_capable(f"llama:{home}/missing.gguf")
    assert is_capable(f"llama:{large}")
    assert is_capable("openai:some")


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(app) as client:
        yield client


TRACTORS = ("How do I change the oil of a tractor?", "how to change a tractor's oil")


async def test_the_api_leads_from_the_question_to_its_answer(client: httpx.AsyncClient) -> None:
    for question in TRACTORS:
        await client.post("/api/v1/ask", json={"question": question})

    (group,) = (await client.get("/api/v1/gaps", params={"state": "open"})).json()["items"]
    assert (group["size"], group["state"], group["scenario"]) == (2, "open", None)
    assert "tractor" in " ".join(group["words"])
    place = f"/api/v1/gaps/{group['id']}"
    whole = (await client.get(place)).json()
    assert {question["question"] for question in whole["questions"]} == set(TRACTORS)
    assert whole["nearest"] == []

    drafted = await client.post(f"{place}/draft", json={}, headers={"Idempotency-Key": "once"})
    again = await client.post(f"{place}/draft", json={}, headers={"Idempotency-Key": "once"})
    assert (drafted.status_code, again.json()) == (201, drafted.json())
    assert drafted.json()["drafted_by"] is None
    assert (await client.post(f"{place}/draft", json={})).status_code == 409
    scenario = drafted.headers["location"]
    checked = (await client.post(f"{place}/check", json={})).json()
    assert (checked["asked"], checked["answered"]) == (2, 0)
    published = await client.patch(
        scenario,
        json={"status": "published", "expected_response": "1. Drain it.\n2. Fill it."},
        headers={"If-Match": '"1"'},
    )
    assert published.status_code == 200

    whole = (await client.get(place)).json()
    assert (whole["state"], whole["answered"]) == ("answered", 2)
    assert whole["outcome"]["gate"]["passed"]
    assert len(whole["outcome"]["golden"]) == 2
    assert f"staffroom scenario retire {drafted.json()['scenario_id']}" in whole["outcome"]["undo"]
    checked = (await client.post(f"{place}/check", json={})).json()
    assert [item["rank"] for item in checked["items"]] == [1, 1]
    assert checked["answered"] == 2


async def test_the_api_keeps_decisions(client: httpx.AsyncClient) -> None:
    await client.post("/api/v1/ask", json={"question": TRACTORS[0]})
    (group,) = (await client.get("/api/v1/gaps")).json()["items"]
    place = f"/api/v1/gaps/{group['id']}"

    refused = await client.patch(place, json={"state": "answered"})
    changed = await client.patch(place, json={"state": "dismissed", "note": "Not ours."})

    assert refused.status_code == 409
    assert "Publish a scenario for it" in refused.json()["detail"]
    assert (changed.json()["state"], changed.json()["note"]) == ("dismissed", "Not ours.")
    assert (await client.get("/api/v1/gaps", params={"state": "open"})).json()["items"] == []
    missing = await client.get(f"/api/v1/gaps/{uuid4()}")
    assert missing.status_code == 404
    assert "staffroom gaps list" in missing.json()["detail"]
    unknown = await client.get("/api/v1/gaps", params={"state": "lost"})
    assert unknown.status_code == 422


async def test_the_api_adds_questions_to_a_scenario(client: httpx.AsyncClient) -> None:
    await client.post("/api/v1/ask", json={"question": TRACTORS[0]})
    (group,) = (await client.get("/api/v1/gaps")).json()["items"]
    place = f"/api/v1/gaps/{group['id']}"
    asked = (await client.get(place)).json()["questions"][0]["interaction_id"]
    row = {"name": "Machines", "description": "Care of farm machines."}
    scenario = (await client.post("/api/v1/scenarios", json=row)).json()["id"]

    body = {"scenario_id": scenario, "interaction_ids": [asked]}
    extended = (await client.post(f"{place}/examples", json=body)).json()

    assert (extended["state"], extended["scenario"]["id"]) == ("answered", scenario)
    body["scenario_id"] = str(uuid4())
    assert (await client.post(f"{place}/examples", json=body)).status_code == 404
