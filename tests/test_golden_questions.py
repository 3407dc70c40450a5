"""Golden questions: kept once each, with what is right for them, for their tenant alone."""

from dataclasses import replace
from typing import Any, Protocol
from uuid import UUID, uuid4

import numpy as np
import pytest

from staffroom.config import DEFAULT_TENANT
from staffroom.database.connection import Database
from staffroom.database.golden import MAX_GOLDEN, MAX_JUDGED, question_digest
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import ConflictError, InputError, NotFoundError
from staffroom.text import MAX_QUESTION
from staffroom.types import Answer, Vector

NOISE = "The whole class talks at once."
LATE = "Pupils arrive after the bell rings."
EMBEDDING: Vector = np.eye(1, 64, dtype=np.float32)[0]


class Ask(Protocol):
    """Stores an exchange that rests on both scenarios."""

    async def __call__(self, question: str, asked: str | None = None) -> UUID: ...


@pytest.fixture
async def noise(vector_ops: VectorOperations) -> UUID:
    return await vector_ops.store_scenario("Noisy class", NOISE)


@pytest.fixture
async def late(vector_ops: VectorOperations) -> UUID:
    return await vector_ops.store_scenario("Late pupils", LATE, language="en-GB")


@pytest.fixture
def ask(vector_ops: VectorOperations, noise: UUID, late: UUID) -> Ask:
    async def stored(question: str, asked: str | None = None) -> UUID:
        matches = (await vector_ops.search(question, 2, 0.0)).matches
        answer = Answer(
            text="x",
            sentences=(),
            outcome="quoted",
            matches=matches,
            threshold=0.0,
            best_relevance=None,
            writer="none",
        )
        return await vector_ops.store_interaction(question, EMBEDDING, answer, asked=asked)

    return stored


async def count(database: Database, table: str, tenant_id: UUID = DEFAULT_TENANT) -> int:
    async with database.transaction(tenant_id) as connection:
        cursor = await connection.execute(f"SELECT count(*) AS n FROM staffroom.{table}")
        row = await cursor.fetchone()
    assert row
    return int(row["n"])


async def test_a_question_is_kept_with_what_is_right_for_it(
    vector_ops: VectorOperations, noise: UUID, late: UUID
) -> None:
    golden = await vector_ops.golden.add("  How to get silence? ", {late: 0, noise: 2}, "editor")

    assert (golden.question, golden.source, golden.author) == (
        "How to get silence?",
        "written",
        "editor",
    )
    assert golden.language == "en"
    assert golden.grades == {noise: 2, late: 0}
    assert [judged.name for judged in golden.relevant] == ["Noisy class", "Late pupils"]
    assert await vector_ops.golden.get(golden.id) == golden
    assert list(await vector_ops.golden.list()) == [golden]


async def test_a_question_has_the_language_of_its_best_scenario_unless_told(
    vector_ops: VectorOperations, noise: UUID, late: UUID
) -> None:
    like_best = await vector_ops.golden.add("Why late?", {noise: 1, late: 2}, "")
    told = await vector_ops.golden.add("¿Por qué tarde?", {late: 2}, "", language="es")

    assert (like_best.language, told.language) == ("en-GB", "es")


@pytest.mark.parametrize(
    "same", ["how to get silence", "How  to get\nsilence?!", "HOW TO GET SILENCE."]
)
async def test_the_same_question_is_refused(
    vector_ops: VectorOperations, noise: UUID, same: str
) -> None:
    first = await vector_ops.golden.add("How to get silence?", {noise: 2}, "")

    with pytest.raises(ConflictError, match=str(first.id)):
        await vector_ops.golden.add(same, {noise: 2}, "")
    assert len(await vector_ops.golden.list()) == 1


def test_questions_of_other_words_differ() -> None:
    assert question_digest("¿Qué hago?") == question_digest("qué hago")
    assert question_digest("???") != question_digest("!!!")
    assert question_digest("to get silence") != question_digest("to get silences")


@pytest.mark.parametrize("grade", [-1, 3, 1.5, True, None])
async def test_another_grade_is_refused(
    vector_ops: VectorOperations, noise: UUID, late: UUID, grade: Any
) -> None:
    golden = await vector_ops.golden.add("Silence?", {noise: 2}, "")

    with pytest.raises(InputError, match="the grade is"):
        await vector_ops.golden.add("Late?", {late: 2, noise: grade}, "")
    with pytest.raises(InputError, match="the grade is"):
        await vector_ops.golden.judge(golden.id, noise, grade)


async def test_a_question_without_a_right_scenario_is_refused(
    vector_ops: VectorOperations, noise: UUID
) -> None:
    for relevant in ({}, {noise: 0}):
        with pytest.raises(InputError, match="no scenario is right"):
            await vector_ops.golden.add("Silence?", relevant, "")
    with pytest.raises(InputError, match=f"{MAX_JUDGED} fit"):
        await vector_ops.golden.add("Silence?", {uuid4(): 2 for _ in range(51)}, "")


@pytest.mark.parametrize(
    ("question", "words"), [("", "is empty"), (" \u200b", "is empty"), ("x" * 4_001, "4,001")]
)
async def test_what_is_no_question_is_refused(
    vector_ops: VectorOperations, noise: UUID, question: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        await vector_ops.golden.add(question, {noise: 2}, "")


async def test_the_longest_question_and_any_letters_are_kept(
    vector_ops: VectorOperations, noise: UUID
) -> None:
    for question in ("ő" * MAX_QUESTION, "👩‍🏫" * 3, "DROP TABLE golden; --", "%s {x}"):
        assert (await vector_ops.golden.add(question, {noise: 2}, "")).question == question


async def test_what_is_not_there_is_named(vector_ops: VectorOperations, noise: UUID) -> None:
    nobody = uuid4()
    golden = await vector_ops.golden.add("Silence?", {noise: 2}, "")

    with pytest.raises(NotFoundError, match=f"no scenario {nobody}"):
        await vector_ops.golden.add("Late?", {noise: 2, nobody: 1}, "")
    with pytest.raises(NotFoundError, match=f"no scenario {nobody}"):
        await vector_ops.golden.judge(golden.id, nobody, 2)
    with pytest.raises(NotFoundError, match=f"no golden question {nobody}"):
        await vector_ops.golden.judge(nobody, noise, 2)
    with pytest.raises(NotFoundError, match=f"no interaction {nobody}"):
        await vector_ops.golden.promote(nobody, noise)
    with pytest.raises(NotFoundError, match=f"no golden question {nobody}"):
        await vector_ops.golden.get(nobody)
    assert len(await vector_ops.golden.list()) == 1


async def test_a_removed_question_is_gone_once(
    database: Database, vector_ops: VectorOperations, noise: UUID
) -> None:
    golden = await vector_ops.golden.add("Silence?", {noise: 2}, "")
    await vector_ops.golden.remove(golden.id)

    assert list(await vector_ops.golden.list()) == []
    assert await count(database, "golden_judgements") == 0
    with pytest.raises(NotFoundError, match="no golden question"):
        await vector_ops.golden.remove(golden.id)
    assert (await vector_ops.golden.add("Silence?", {noise: 2}, "")).id != golden.id


async def test_a_judgement_takes_the_place_of_the_one_before(
    vector_ops: VectorOperations, noise: UUID, late: UUID
) -> None:
    golden = await vector_ops.golden.add("Silence?", {noise: 2}, "")
    await vector_ops.golden.judge(golden.id, noise, 1)
    judged = await vector_ops.golden.judge(golden.id, late, 2)

    assert judged.grades == {noise: 1, late: 2}
    assert judged.is_usable


async def test_what_was_asked_is_promoted(
    vector_ops: VectorOperations, noise: UUID, ask: Ask
) -> None:
    interaction = await ask("And if it goes on?", "My class is loud. And if it goes on?")
    golden = await vector_ops.golden.promote(interaction, noise, author="editor")

    assert golden.question == "My class is loud. And if it goes on?"
    assert (golden.source, golden.interaction_id) == ("promoted", interaction)
    assert golden.author == "editor"
    assert golden.grades == {noise: 2}


async def test_a_second_right_scenario_is_added_to_the_first(
    vector_ops: VectorOperations, noise: UUID, late: UUID, ask: Ask
) -> None:
    interaction, again = await ask("Loud and late?"), await ask("loud and late")
    first = await vector_ops.golden.promote(interaction, noise)
    second = await vector_ops.golden.promote(interaction, late, grade=1)
    third = await vector_ops.golden.promote(again, late)

    assert first.id == second.id == third.id
    assert third.grades == {noise: 2, late: 2}
    with pytest.raises(InputError, match="only a scenario that is right"):
        await vector_ops.golden.promote(interaction, noise, grade=0)


async def test_questions_are_listed_newest_first_page_by_page(
    vector_ops: VectorOperations, noise: UUID
) -> None:
    ids = [(await vector_ops.golden.add(f"Question {n}", {noise: 2}, "")).id for n in range(5)]
    first = await vector_ops.golden.list(3)
    second = await vector_ops.golden.list(3, after=first[-1].id)

    assert [golden.id for golden in (*first, *second)] == ids[::-1]


async def test_what_teachers_found_right_is_suggested_once(
    vector_ops: VectorOperations, noise: UUID, late: UUID, ask: Ask
) -> None:
    feedback = vector_ops.interactions.add_feedback
    loud, again, other = await ask("Loud?"), await ask("loud"), await ask("Late?")
    await feedback(loud, "helpful", scenario_id=noise)
    await feedback(again, "worked", scenario_id=noise)
    await feedback(other, "worked", scenario_id=late)
    await feedback(other, "helpful")
    await feedback(other, "did_not_fit", scenario_id=noise)

    late_one, noise_one = await vector_ops.golden.suggested()
    assert (late_one.interaction_id, late_one.scenario_id, late_one.name) == (
        other,
        late,
        "Late pupils",
    )
    assert (noise_one.interaction_id, noise_one.verdict, noise_one.times) == (again, "worked", 2)
    assert len(await vector_ops.golden.suggested(1)) == 1

    await vector_ops.golden.promote(loud, noise)
    assert [found.scenario_id for found in await vector_ops.golden.suggested()] == [late]


async def test_a_deleted_scenario_takes_its_judgements_along_and_leaves_the_question(
    vector_ops: VectorOperations, noise: UUID, late: UUID
) -> None:
    golden = await vector_ops.golden.add("Loud?", {noise: 2, late: 0}, "")
    await vector_ops.delete_scenario(noise)
    left = await vector_ops.golden.get(golden.id)

    assert left.grades == {late: 0}
    assert not left.is_usable


async def test_an_erased_exchange_leaves_its_golden_question(
    database: Database, vector_ops: VectorOperations, noise: UUID, ask: Ask
) -> None:
    golden = await vector_ops.golden.promote(await ask("Loud?"), noise)
    async with database.transaction(DEFAULT_TENANT) as connection:
        await connection.execute(
            "DELETE FROM staffroom.interactions WHERE tenant_id = %s", [DEFAULT_TENANT]
        )

    assert await vector_ops.golden.get(golden.id) == replace(golden, interaction_id=None)


async def test_an_erased_tenant_leaves_nothing(
    database: Database, vector_ops: VectorOperations
) -> None:
    tenant = uuid4()
    await database.ensure_tenant(tenant)
    other = vector_ops.for_tenant(tenant)
    scenario = await other.store_scenario("Noisy class", NOISE)
    golden = await other.golden.add("Loud?", {scenario: 2}, "")
    await other.golden.evaluations.add({}, {golden.id: {}}, library_version=1, model="m")
    await database.erase_tenant(tenant)

    await database.ensure_tenant(tenant)
    for table in ("golden_questions", "golden_judgements", "evaluations"):
        assert await count(database, table, tenant) == 0


async def test_no_tenant_reaches_anothers_golden_questions(
    database: Database, vector_ops: VectorOperations, noise: UUID
) -> None:
    golden = await vector_ops.golden.add("Loud?", {noise: 2}, "")
    await vector_ops.golden.evaluations.add({}, {golden.id: {}}, library_version=1, model="m")
    tenant = uuid4()
    await database.ensure_tenant(tenant)
    foreign = vector_ops.for_tenant(tenant)
    own = await foreign.store_scenario("Noisy class", NOISE)

    assert list(await foreign.golden.list()) == []
    assert await foreign.golden.evaluations.page() == []
    assert await foreign.golden.evaluations.newest_ranks() == {}
    with pytest.raises(NotFoundError):
        await foreign.golden.remove(golden.id)
    with pytest.raises(NotFoundError):
        await foreign.golden.judge(golden.id, own, 2)
    with pytest.raises(NotFoundError):
        await foreign.golden.add("Late?", {noise: 2}, "")
    assert (await foreign.golden.add("Loud?", {own: 2}, "")).grades == {own: 2}


async def test_one_question_more_than_the_most_is_refused(
    database: Database, vector_ops: VectorOperations, noise: UUID, ask: Ask
) -> None:
    async with database.transaction(DEFAULT_TENANT) as connection:
        await connection.execute(
            "INSERT INTO staffroom.golden_questions SELECT %s, gen_random_uuid(), 'Q ' || n, "
            "sha256(('q ' || n)::bytea), 'en', 'written', NULL, '' FROM generate_series(1, %s) n",
            [DEFAULT_TENANT, MAX_GOLDEN - 1],
        )
    last = await vector_ops.golden.add("The last one", {noise: 2}, "")

    with pytest.raises(ConflictError, match="1,000 golden questions"):
        await vector_ops.golden.add("One more", {noise: 2}, "")
    with pytest.raises(ConflictError, match="1,000 golden questions"):
        await vector_ops.golden.promote(await ask("One more?"), noise)
    same = await vector_ops.golden.promote(await ask("the last one"), noise)
    assert same.id == last.id


async def test_runs_are_kept_newest_first_with_the_ranks_of_the_newest(
    vector_ops: VectorOperations, noise: UUID
) -> None:
    golden = await vector_ops.golden.add("Loud?", {noise: 2}, "")
    runs = vector_ops.golden.evaluations
    first = await runs.add({"n": 1}, {golden.id: {"words": 3}}, library_version=1, model="m")
    second = await runs.add(
        {"n": 2}, {golden.id: {"words": None, "meaning": 1}}, library_version=2, model="m"
    )

    assert await runs.page() == [second, first]
    assert await runs.page(1, before=second.id) == [first]
    assert (second.figures, second.questions, second.library_version) == ({"n": 2}, 1, 2)
    assert await runs.newest_ranks() == {golden.id: {"words": None, "meaning": 1}}
