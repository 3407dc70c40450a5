"""Questions that the library failed are in groups that last: joined, kept, decided on, erased."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from uuid_utils.compat import uuid7

from staffroom.database.gap_grouping import Middle, look_around, regroup, telling_words
from staffroom.database.gaps import MAX_NOTE, GapGroup
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import ConflictError, InputError, NotFoundError
from staffroom.types import Answer, Vectors
from tests.fakes import WordEmbedder

ABSTAINED = Answer(
    text="Nothing fits.",
    sentences=(),
    matches=(),
    outcome="abstained",
    threshold=0.05,
    best_relevance=None,
    writer="none",
)
VAPES = ("vapes everywhere", "vapes everywhere now", "so many vapes everywhere")
PENSION = "pension part time"


async def fail(vector_ops: VectorOperations, *questions: str) -> list[UUID]:
    """The questions are asked and nothing fits. Returns their ids."""
    vectors = await WordEmbedder().embed(questions, "query")
    return [
        await vector_ops.store_interaction(question, vector, ABSTAINED)
        for question, vector in zip(questions, vectors, strict=True)
    ]


async def rated(vector_ops: VectorOperations, question: str, verdict: str) -> UUID:
    """The question is answered, and that is judged."""
    (vector,) = await WordEmbedder().embed([question], "query")
    answer = replace(ABSTAINED, outcome="direct", text="So.")
    stored = await vector_ops.store_interaction(question, vector, answer)
    await vector_ops.interactions.add_feedback(stored, verdict)
    return stored


async def labels(vector_ops: VectorOperations) -> dict[str, int]:
    return {group.label: group.size for group in await vector_ops.gaps.page()}


async def the_group(vector_ops: VectorOperations) -> GapGroup:
    (group,) = await vector_ops.gaps.page()
    return group


async def test_before_the_first_question_there_is_no_group(vector_ops: VectorOperations) -> None:
    assert await vector_ops.gaps.page() == []
    assert sum((await vector_ops.gaps.counts()).values()) == 0


async def test_questions_of_one_meaning_are_one_group_and_later_ones_join_it(
    vector_ops: VectorOperations,
) -> None:
    await fail(vector_ops, VAPES[0], PENSION)
    before = {group.label: group.id for group in await vector_ops.gaps.page()}
    await fail(vector_ops, *VAPES[1:])

    groups = {group.label: group for group in await vector_ops.gaps.page()}

    assert {label: group.size for label, group in groups.items()} == {VAPES[0]: 3, PENSION: 1}
    assert {label: group.id for label, group in groups.items()} == before
    assert groups[VAPES[0]].first < groups[VAPES[0]].last
    assert groups[VAPES[0]].state == "open"


async def test_several_readers_at_once_group_each_question_once(
    vector_ops: VectorOperations,
) -> None:
    await fail(vector_ops, *VAPES, PENSION)

    seen = await asyncio.gather(*(vector_ops.gaps.page() for _ in range(4)))

    assert [sorted(group.size for group in groups) for groups in seen] == [[1, 3]] * 4
    assert len({group.id for groups in seen for group in groups}) == 2


async def test_answers_that_were_found_wanting_are_gaps_too(vector_ops: VectorOperations) -> None:
    await rated(vector_ops, VAPES[0], "not_helpful")
    await rated(vector_ops, VAPES[1], "did_not_fit")
    await rated(vector_ops, VAPES[2], "helpful")

    group = await the_group(vector_ops)

    assert (group.size, group.poorly_rated) == (2, 2)
    kinds = [question.kind for question in await vector_ops.gaps.questions(group.id, 10)]
    assert kinds == ["poorly_rated"] * 2


async def test_a_question_that_was_not_answered_stays_that_when_it_is_rated(
    vector_ops: VectorOperations,
) -> None:
    (stored,) = await fail(vector_ops, PENSION)
    await vector_ops.interactions.add_feedback(stored, "not_helpful")

    assert (await the_group(vector_ops)).poorly_rated == 0


async def test_a_group_is_told_by_words_of_its_own(vector_ops: VectorOperations) -> None:
    asked = (
        "How to stop vaping?",
        "How to stop vaping now?",
        "Move my pension",
        "The pension, moved",
    )
    await fail(vector_ops, *asked)

    words = {group.label: group.words for group in await vector_ops.gaps.page()}

    vaping = next(words[label] for label in asked[:2] if label in words)
    assert set(vaping) == {"stop", "vaping"}
    pension = next(words[label] for label in asked[2:] if label in words)
    assert "pension" in pension
    assert not {"my", "the"} & set(pension)


async def test_a_dismissed_group_goes_on_collecting_and_an_answered_one_does_not(
    vector_ops: VectorOperations,
) -> None:
    await fail(vector_ops, VAPES[0])
    group = await the_group(vector_ops)
    await vector_ops.gaps.change(group.id, state="dismissed", note="Not ours.")
    await fail(vector_ops, VAPES[1])

    group = await vector_ops.gaps.get(group.id)
    assert (group.state, group.size, group.note) == ("dismissed", 2, "Not ours.")
    assert await vector_ops.gaps.largest("open", 5) == []
    report = await vector_ops.insights.report(1)
    assert (report.total.abstained, report.gaps) == (2, ())

    opened = await vector_ops.gaps.change(group.id, state="open")
    assert (opened.state, opened.note) == ("open", "Not ours.")


async def test_erased_questions_leave_no_trace(
    vector_ops: VectorOperations, database_url: str
) -> None:
    stored = await fail(vector_ops, *VAPES, PENSION)
    assert len(await vector_ops.gaps.page()) == 2
    with psycopg.connect(database_url, autocommit=True) as connection:
        for erased in (stored[0], stored[3]):
            connection.execute(
                "DELETE FROM staffroom.interactions WHERE interaction_id = %s", [erased]
            )

    group = await the_group(vector_ops)

    assert (group.size, group.label) in {(2, VAPES[1]), (2, VAPES[2])}
    with psycopg.connect(database_url) as connection:
        cursor = connection.execute("SELECT count(*) FROM staffroom.gap_groups")
        assert cursor.fetchone() == (1,)


async def test_another_tenant_sees_and_changes_nothing(vector_ops: VectorOperations) -> None:
    await fail(vector_ops, *VAPES)
    group = await the_group(vector_ops)
    other = vector_ops.for_tenant(uuid4())
    await other.batch_process([{"text": "Theirs"}])

    assert await other.gaps.page() == []
    with pytest.raises(NotFoundError, match=f"there is no group {group.id}"):
        await other.gaps.change(group.id, state="dismissed")


async def test_groups_are_listed_page_by_page_and_by_state(vector_ops: VectorOperations) -> None:
    await fail(vector_ops, "alpha one", "beta two", "gamma three")
    everything = await vector_ops.gaps.page()
    await vector_ops.gaps.change(everything[1].id, state="dismissed")

    assert [group.id for group in await vector_ops.gaps.page(1, everything[0].id)] == [
        everything[1].id
    ]
    assert [group.id for group in await vector_ops.gaps.page(state="dismissed")] == [
        everything[1].id
    ]
    assert await vector_ops.gaps.counts() == {
        "open": 2,
        "drafted": 0,
        "answered": 0,
        "dismissed": 1,
    }


@pytest.mark.parametrize(
    ("state", "words"),
    [("drafted", "no scenario that is being written"), ("answered", "nothing answers")],
)
async def test_a_state_that_needs_a_scenario_is_refused_without_one(
    vector_ops: VectorOperations, state: str, words: str
) -> None:
    await fail(vector_ops, PENSION)
    group = await the_group(vector_ops)

    with pytest.raises(ConflictError, match=words):
        await vector_ops.gaps.change(group.id, state=state)  # type: ignore[arg-type]


async def test_a_note_that_is_too_long_is_refused(vector_ops: VectorOperations) -> None:
    await fail(vector_ops, PENSION)
    group = await the_group(vector_ops)

    with pytest.raises(InputError, match="2,001 characters; 2,000 fit"):
        await vector_ops.gaps.change(group.id, note="n" * (MAX_NOTE + 1))


async def test_a_group_whose_scenario_was_deleted_is_open_again(
    vector_ops: VectorOperations,
) -> None:
    await fail(vector_ops, PENSION)
    group = await the_group(vector_ops)
    scenario = await vector_ops.store_scenario("Pension", "Part time.", status="draft")
    await vector_ops.gaps.lead_to(group.id, scenario)
    assert (await vector_ops.gaps.get(group.id)).state == "drafted"
    with pytest.raises(ConflictError, match=f"leads to scenario {scenario} already"):
        await vector_ops.gaps.lead_to(group.id, scenario)

    await vector_ops.delete_scenario(scenario)

    assert (await vector_ops.gaps.get(group.id)).state == "open"


async def test_the_groups_of_a_tenant_are_erased_with_it(
    vector_ops: VectorOperations, database_url: str
) -> None:
    other = vector_ops.for_tenant(uuid4())
    await other.batch_process([{"text": "Theirs"}])
    await fail(other, *VAPES)
    await other.gaps.page()
    await other._database.erase_tenant(other.tenant_id)

    with psycopg.connect(database_url) as connection:
        for table in ("gap_groups", "gap_members"):
            cursor = connection.execute(f"SELECT count(*) FROM staffroom.{table}")
            assert cursor.fetchone() == (0,)


def plane(*angles: float) -> Vectors:
    return np.array([[np.cos(a), np.sin(a)] for a in np.radians(angles)], np.float32)


def test_a_new_question_joins_a_settled_group_and_stirs_open_ones_that_are_near() -> None:
    near, far, settled = uuid7(), uuid7(), uuid7()
    middles = [
        Middle(near, plane(0)[0], 2, False),
        Middle(far, plane(180)[0], 2, False),
        Middle(settled, plane(90)[0], 2, True),
    ]

    found = look_around(plane(5, 88), middles, 0.9)

    assert found.joined == {1: settled}
    assert list(found.around) == [near]
    assert look_around(plane(5), [], 0.9).around == ()


def test_of_groups_that_come_together_the_larger_keeps_its_id() -> None:
    small, large = uuid7(), uuid7()

    assert regroup(plane(0, 1, 2, 3), [small, large, large, None], 0.9) == [(large, (1, 2, 0, 3))]


def test_of_a_group_that_falls_apart_the_larger_part_keeps_its_id() -> None:
    old = uuid7()

    groups = regroup(plane(0, 1, 2, 90), [old, old, old, old], 0.9)

    assert [(kept, sorted(members)) for kept, members in groups] == [(old, [0, 1, 2]), (None, [3])]


def test_words_that_every_group_has_tell_least() -> None:
    one, other = uuid7(), uuid7()
    rows = [
        {"group_id": one, "stem": "pupil", "word": "pupils", "questions": 2},
        {"group_id": one, "stem": "vape", "word": "vaping", "questions": 2},
        {"group_id": other, "stem": "pupil", "word": "pupils", "questions": 2},
        {"group_id": other, "stem": "chair", "word": "chairs", "questions": 1},
    ]

    assert telling_words(rows) == {one: ["vaping", "pupils"], other: ["chairs", "pupils"]}
    assert telling_words([]) == {}
