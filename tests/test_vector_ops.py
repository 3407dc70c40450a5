"""The library: what goes in comes out, once, and only to its tenant."""

import asyncio
from dataclasses import replace
from typing import Any, get_args
from uuid import uuid4

import numpy as np
import pytest

from staffroom.database.connection import Database
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError, InvalidScenario, NotFoundError
from staffroom.retrieval.calibration import Calibration, Reading
from staffroom.retrieval.scope import BUCKETS, KINDS, Scope
from staffroom.types import Answer, Filters, Match, Mode, OutOfScope, Sentence
from tests.fakes import WordEmbedder

NOISE: dict[str, Any] = {
    "id": "noise",
    "name": "Noisy class",
    "description": "The whole class talks at once.",
    "expected_response": "Wait for silence.",
}
LATE: dict[str, Any] = {
    "id": "late",
    "name": "Late pupils",
    "description": "Pupils arrive after the bell rings.",
    "category": "attendance",
    "tags": ["late", "bell"],
}


async def names(
    vector_ops: VectorOperations, query: str, filters: Filters | None = None
) -> list[str]:
    found = await vector_ops.find_similar_scenarios(query, 10, 0.0, filters)
    return [match.scenario.name for match in found]


async def test_a_stored_scenario_is_found_by_its_words(vector_ops: VectorOperations) -> None:
    stored = await vector_ops.store_scenario(
        "Noisy class", "The whole class talks at once.", "Wait."
    )
    await vector_ops.batch_process([LATE])

    matches = await vector_ops.find_similar_scenarios("class talks at once", 2, threshold=0)

    assert matches[0].scenario.id == stored
    assert matches[0].relevance > matches[1].relevance
    assert matches[0].scenario.content.expected_response == "Wait."


async def test_a_batch_answers_for_every_row(vector_ops: VectorOperations) -> None:
    rows: list[Any] = [
        NOISE,
        {"id": "x"},
        LATE,
        {"text": "bad\x00"},
        {**NOISE, "name": "Other"},
        NOISE,
        "row",
    ]

    report = await vector_ops.batch_store_content(rows)

    assert report["status"] == "partial"
    counts = [report[effect] for effect in ("read", "stored", "unchanged", "duplicate", "failed")]
    assert counts == [7, 2, 0, 1, 4]
    assert [(error["row"], error["field"]) for error in report["errors"]] == [
        (2, "description"),
        (4, "description"),
        (5, "id"),
        (7, ""),
    ]


async def test_storing_again_changes_and_embeds_nothing(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    await vector_ops.batch_process([NOISE, LATE])
    embedder.embedded.clear()

    report = await vector_ops.batch_process([NOISE, LATE])

    assert (report["stored"], report["unchanged"]) == (0, 2)
    assert embedder.embedded == []


async def test_a_changed_row_is_a_new_revision_and_found_by_its_new_words(
    vector_ops: VectorOperations,
) -> None:
    await vector_ops.batch_process([NOISE, LATE])
    report = await vector_ops.batch_process(
        [{**NOISE, "description": "Phones ring everywhere."}, LATE]
    )

    assert (report["stored"], report["unchanged"]) == (1, 1)
    found = await vector_ops.find_similar_scenarios("phones ring everywhere", 1, 0.0)
    assert found[0].scenario.revision == 2
    history = await vector_ops.list_revisions(found[0].scenario.id)
    assert [revision.content.description for revision in history] == [
        "The whole class talks at once.",
        "Phones ring everywhere.",
    ]


async def test_content_without_an_id_is_stored_once_and_keeps_its_edits(
    vector_ops: VectorOperations,
) -> None:
    row = {"text": "Example scenario"}
    await vector_ops.batch_process([row])
    (scenario,) = await vector_ops.list_scenarios()
    await vector_ops.update_scenario(scenario.id, {"name": "Edited"}, reason="clearer")

    report = await vector_ops.batch_process([row])

    assert report["unchanged"] == 1
    assert [item.name for item in await vector_ops.list_scenarios()] == ["Edited"]


async def test_ready_embeddings_are_stored_as_they_are(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    vectors = np.eye(2, embedder.dimensions, dtype=np.float32)

    await vector_ops.batch_store_content([NOISE, LATE], vectors)

    assert embedder.embedded == []
    found = await vector_ops.find_similar_scenarios(vectors[1], 2, 0.0)
    assert [(match.scenario.name, round(match.relevance, 3)) for match in found] == [
        ("Late pupils", 1.0),
        ("Noisy class", 0.0),
    ]


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (np.zeros((1, 64)), "length 0"),
        (np.full((1, 64), np.nan), "length nan"),
        (np.full((1, 64), np.inf), "length inf"),
        (np.eye(1, 63), "expected 1 embeddings of 64 dimensions"),
        (np.eye(2, 64), "shape \\(2, 64\\)"),
    ],
)
async def test_vectors_that_would_spoil_the_index_are_refused(
    vector_ops: VectorOperations, vectors: np.ndarray[Any, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        await vector_ops.batch_store_content([NOISE], vectors.astype(np.float32))

    assert await vector_ops.list_scenarios() == []


async def test_a_row_that_the_database_refuses_costs_only_itself(
    vector_ops: VectorOperations, database: Database
) -> None:
    async with database.owner_transaction() as connection:
        await connection.execute(
            "ALTER TABLE staffroom.scenarios ADD CHECK (category <> 'forbidden')"
        )
    rows = [{"id": str(n), "text": f"Situation {n}", "category": "forbidden" if n == 5 else ""}
            for n in range(9)]  # fmt: skip

    report = await vector_ops.batch_process(rows)

    assert (report["stored"], report["failed"]) == (8, 1)
    assert report["errors"][0]["row"] == 6
    assert "violates check constraint" in report["errors"][0]["reason"]


async def test_the_same_rows_stored_at_once_are_stored_once(vector_ops: VectorOperations) -> None:
    rows = [{"id": str(n), "text": f"Situation {n}"} for n in range(20)]

    reports = await asyncio.gather(*(vector_ops.batch_process(rows) for _ in range(4)))

    assert sum(report["stored"] for report in reports) == 20
    assert len(await vector_ops.list_scenarios()) == 20


async def test_an_update_changes_what_it_names_and_nothing_else(
    vector_ops: VectorOperations,
) -> None:
    await vector_ops.batch_process([LATE])
    (before,) = await vector_ops.list_scenarios()

    after = await vector_ops.update_scenario(before.id, {"tags": "bell | door"})

    assert after.revision == 2
    assert after.content.metadata.tags == ("bell", "door")
    assert after.content.description == before.content.description
    assert (await vector_ops.update_scenario(before.id, {"tags": ["bell", "door"]})).revision == 2


async def test_an_update_that_is_wrong_changes_nothing(vector_ops: VectorOperations) -> None:
    await vector_ops.batch_process([LATE])
    (scenario,) = await vector_ops.list_scenarios()

    with pytest.raises(InvalidScenario, match="status"):
        await vector_ops.update_scenario(scenario.id, {"status": "gone"})
    with pytest.raises(InvalidScenario, match="is no field"):
        await vector_ops.update_scenario(scenario.id, {"colour": "red"})
    with pytest.raises(InvalidScenario, match="cannot be changed"):
        await vector_ops.update_scenario(scenario.id, {"id": "other"})

    assert (await vector_ops.get_scenario(scenario.id)).revision == 1


async def test_a_deleted_scenario_leaves_no_row_anywhere(
    vector_ops: VectorOperations, database: Database
) -> None:
    await vector_ops.batch_process([NOISE, LATE])
    match = (await vector_ops.find_similar_scenarios("class talks", 1, 0.0))[0]
    await vector_ops.store_interaction(
        "why?", np.eye(1, 64, dtype=np.float32)[0], answer_from(match)
    )

    await vector_ops.delete_scenario(match.scenario.id)

    assert await names(vector_ops, "class talks") == ["Late pupils"]
    with pytest.raises(NotFoundError):
        await vector_ops.get_scenario(match.scenario.id)
    async with database.owner_transaction() as connection:
        await connection.execute("RESET ROLE")
        cursor = await connection.execute(
            "SELECT table_name FROM information_schema.columns "
            "WHERE table_schema = 'staffroom' AND column_name = 'scenario_id'"
        )
        tables = [row["table_name"] for row in await cursor.fetchall()]
        assert len(tables) >= 7
        for table in tables:
            cursor = await connection.execute(
                f"SELECT count(*) AS n FROM staffroom.{table} WHERE scenario_id = %s",
                [match.scenario.id],
            )
            assert (await cursor.fetchone() or {})["n"] == 0, table


@pytest.mark.parametrize(
    "call", ["get_scenario", "delete_scenario", "list_revisions", "get_interaction"]
)
async def test_an_unknown_id_is_said_to_be_unknown(vector_ops: VectorOperations, call: str) -> None:
    unknown = uuid4()
    with pytest.raises(NotFoundError, match=str(unknown)):
        await getattr(vector_ops, call)(unknown)


async def test_a_page_of_the_list_follows_the_one_before(vector_ops: VectorOperations) -> None:
    await vector_ops.batch_process([{"text": f"Situation {n}"} for n in range(5)])

    first = await vector_ops.list_scenarios(limit=3)
    second = await vector_ops.list_scenarios(limit=3, after=first[-1].id)

    assert [s.name for s in first + second] == [f"Situation {n}" for n in range(5)]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), "Noisy class, Late pupils, Bavardage"),
        (Filters(categories=("attendance", "none")), "Late pupils"),
        (Filters(tags=("bell",)), "Late pupils"),
        (Filters(tags=("none",)), ""),
        (Filters(languages=("fr",)), "Bavardage"),
        (Filters(grade_bands=("upper-primary",), subjects=("music",)), "Noisy class"),
        (Filters(settings=("online",)), ""),
        (Filters(statuses=("draft",)), "Draft"),
        (Filters(statuses=("draft", "published")), "Noisy class, Late pupils, Draft, Bavardage"),
    ],
)
async def test_filters_let_pass_what_they_say(
    vector_ops: VectorOperations, filters: Filters, expected: str
) -> None:
    await vector_ops.batch_process(
        [
            {**NOISE, "grade_bands": ["upper-primary", "post-16"], "subjects": ["music"]},
            LATE,
            {"name": "Draft", "text": "Not yet checked.", "status": "draft"},
            {"name": "Bavardage", "text": "La classe parle.", "language": "fr"},
        ]
    )

    assert set(await names(vector_ops, "class", filters)) == set(filter(None, expected.split(", ")))


async def test_one_tenant_sees_and_changes_nothing_of_another(vector_ops: VectorOperations) -> None:
    other = vector_ops.for_tenant(uuid4())
    await vector_ops.batch_process([NOISE])
    await other.batch_process([{**NOISE, "name": "Theirs"}, LATE])
    (own,) = await vector_ops.list_scenarios()

    assert await names(vector_ops, "pupils") == ["Noisy class"]
    assert set(await names(other, "pupils")) == {"Theirs", "Late pupils"}
    for call in (other.get_scenario, other.delete_scenario, other.list_revisions):
        with pytest.raises(NotFoundError):
            await call(own.id)
    with pytest.raises(NotFoundError):
        await other.update_scenario(own.id, {"name": "taken"})


async def test_the_threshold_decides_and_zero_lets_everything_pass(
    vector_ops: VectorOperations,
) -> None:
    await vector_ops.batch_process([NOISE, LATE])

    everything = await vector_ops.search("class talks", 10, 0.0)
    strict = await vector_ops.search("class talks", 10, 0.99)

    assert len(everything.matches) == 2
    assert strict.matches == ()
    assert strict.best_relevance == everything.matches[0].relevance
    assert strict.threshold == 0.99


async def test_where_nothing_passes_the_closest_are_named_as_perhaps_related(
    vector_ops: VectorOperations,
) -> None:
    await vector_ops.batch_process([{"text": f"Class situation {n}"} for n in range(5)])

    everything = await vector_ops.search("class situation", 10, 0.0)
    strict = await vector_ops.search("class situation", 10, 1.0)

    assert everything.related == ()
    assert strict.related == everything.matches[:3]


async def test_a_calibration_is_kept_for_everybody_who_uses_the_model(
    vector_ops: VectorOperations, database: Database
) -> None:
    await vector_ops.batch_process([NOISE, LATE])
    scores = await relevances(vector_ops)
    assert not await vector_ops.is_calibrated()

    await vector_ops.calibrate(fitted_as(Reading(slope=4.0, behind=1.0, bias=-2.0)))

    fitted = await relevances(vector_ops)
    odds = [4 * score - min(scores[0] - score, 0.3) - 2 for score in scores]
    assert fitted == pytest.approx([1 / (1 + np.exp(-value)) for value in odds], abs=1e-6)
    later = VectorOperations(database, WordEmbedder())
    assert await later.is_calibrated()
    assert await relevances(later) == fitted
    assert not await VectorOperations(database, WordEmbedder("other words")).is_calibrated()


async def relevances(vector_ops: VectorOperations) -> list[float]:
    return [
        match.relevance
        for match in await vector_ops.find_similar_scenarios("class", 2, 0.0, mode="meaning")
    ]


async def test_what_vetted_advice_must_not_answer_is_found_but_set_aside(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    await vector_ops.batch_process([NOISE, LATE])
    plain = fitted_as(Reading(1.0, 0.0, 0.0))
    await vector_ops.calibrate(replace(plain, scope=scope_that_refuses("medical")))

    found = await vector_ops.retrieve("class talks")

    assert (found.reason, found.matches) == ("medical", ())
    assert found.related == (await vector_ops.search("class talks")).matches
    assert found.best_relevance == found.related[0].relevance
    ready = (await embedder.embed(["class talks"], "query"))[0]
    assert await vector_ops.retrieve("class talks", ready) == found


async def test_without_a_calibration_nothing_is_set_aside(vector_ops: VectorOperations) -> None:
    await vector_ops.batch_process([NOISE])

    found = await vector_ops.retrieve("class talks")

    assert (found.reason, len(found.matches)) == (None, 1)


def fitted_as(reading: Reading) -> Calibration:
    return Calibration(dict.fromkeys(get_args(Mode), reading), {})


def scope_that_refuses(kind: OutOfScope) -> Scope:
    """One that takes every question for one of that kind."""
    biases = np.array([0.0, -9.0, *(float(own == kind) for own in KINDS)])
    letters = np.zeros(64 + BUCKETS)
    return Scope(letters, letters, np.zeros((len(KINDS), 64)), biases, np.array([0, 0, -9.0]), 0.5)


async def test_an_empty_library_has_no_best_relevance(vector_ops: VectorOperations) -> None:
    result = await vector_ops.search("anything")

    assert (result.matches, result.best_relevance) == ((), None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("",), "is empty"),
        (("  \n\u200b ",), "is empty"),
        (("word " * 1000,), "4,999 characters"),
        (("fine", 0), "limit is 0"),
        (("fine", 1001), "limit is 1001"),
        (("fine", 5, 1.5), "threshold is 1.5"),
        (("fine", 5, float("nan")), "threshold is nan"),
    ],
)
async def test_a_search_that_cannot_be_meant_is_refused(
    vector_ops: VectorOperations, arguments: tuple[Any, ...], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        await vector_ops.search(*arguments)


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE x; --", "\x00\ud800", "& | ! <->", "🤷", "كيف", "%s %(a)s"]
)
async def test_any_text_can_be_searched_for(vector_ops: VectorOperations, text: str) -> None:
    await vector_ops.batch_process([NOISE])

    assert await names(vector_ops, text) == ["Noisy class"]


def answer_from(match: Match) -> Answer:
    return Answer(
        text="Wait.",
        sentences=(Sentence("Wait.", (match.scenario.id,), 1.0),),
        matches=(match,),
        outcome="quoted",
        threshold=0.3,
        best_relevance=match.relevance,
        writer="extractive",
    )


async def test_an_interaction_is_kept_with_what_it_rested_on(vector_ops: VectorOperations) -> None:
    await vector_ops.batch_process([NOISE])
    (match,) = await vector_ops.find_similar_scenarios("class talks", 1, 0.0)
    embedding = np.eye(1, 64, dtype=np.float32)[0]

    stored = await vector_ops.store_interaction("Why so noisy?", embedding, answer_from(match))
    await vector_ops.update_scenario(match.scenario.id, {"name": "Renamed"})

    kept = await vector_ops.get_interaction(stored)
    assert (kept.question, kept.answer, kept.writer) == ("Why so noisy?", "Wait.", "extractive")
    assert kept.sentences == (Sentence("Wait.", (match.scenario.id,), 1.0),)
    assert [(used.name, used.revision) for used in kept.matches] == [("Noisy class", 1)]


async def test_a_new_model_gets_vectors_of_its_own(
    vector_ops: VectorOperations, database: Database
) -> None:
    await vector_ops.batch_process([NOISE, LATE])
    changed = VectorOperations(database, WordEmbedder("other words", 32))

    assert await names(changed, "class") == []
    assert await changed.embed_missing() == 2
    assert await changed.embed_missing() == 0
    assert len(await names(changed, "class")) == 2
    assert len(await names(vector_ops, "class")) == 2


async def test_a_scenario_stored_under_one_model_is_missing_from_another_only_until_filled(
    vector_ops: VectorOperations, database: Database
) -> None:
    changed = VectorOperations(database, WordEmbedder("other words", 32))
    await changed.batch_process([NOISE])

    report = await vector_ops.batch_process([NOISE])

    assert report["unchanged"] == 1
    assert await names(vector_ops, "class") == ["Noisy class"]


async def test_an_erased_tenant_leaves_no_row_and_no_dead_vector(
    vector_ops: VectorOperations, database: Database
) -> None:
    tenant = uuid4()
    await vector_ops.for_tenant(tenant).batch_process([NOISE, LATE])
    await vector_ops.batch_process([NOISE])

    await database.erase_tenant(tenant)

    assert await names(vector_ops, "class") == ["Noisy class"]
    async with database.owner_transaction() as connection:
        await connection.execute("RESET ROLE")
        for table in ("tenants", "scenarios", "scenario_revisions", "audit"):
            cursor = await connection.execute(
                f"SELECT count(*) AS n FROM staffroom.{table} WHERE tenant_id = %s", [tenant]
            )
            assert await cursor.fetchone() == {"n": 0}, table
        cursor = await connection.execute(
            "SELECT sum(n_dead_tup) AS dead FROM pg_stat_user_tables WHERE relname ~ '^vectors_'"
        )
        assert await cursor.fetchone() == {"dead": 0}
