"""What was asked, answered and said of it is kept as it was, for its tenant alone."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from staffroom.database.interactions import (
    MAX_COMMENT,
    REASONS,
    REMEMBERED_TURNS,
    VERDICTS,
)
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError, NotFoundError
from staffroom.types import Answer, Match, Outcome, Sentence, Turn, Vector

NOISE: dict[str, Any] = {
    "id": "noise",
    "name": "Noisy class",
    "description": "The whole class talks at once.",
    "expected_response": "1. Wait for silence.\n2. Thank those who are ready.",
}
LATE: dict[str, Any] = {
    "id": "late",
    "name": "Late pupils",
    "description": "Pupils arrive after the bell rings.",
}
EMBEDDING: Vector = np.eye(1, 64, dtype=np.float32)[0]


@pytest.fixture
async def matches(vector_ops: VectorOperations) -> tuple[Match, ...]:
    """The two scenarios of a library, as a search found them."""
    await vector_ops.batch_process([NOISE, LATE])
    return (await vector_ops.search("the whole class talks", 2, 0.0)).matches


@pytest.fixture
def answer(matches: tuple[Match, ...]) -> Answer:
    """One with everything in it."""
    noise, late = (match.scenario.id for match in matches)
    return Answer(
        text="1. Wait for silence.\n2. Write down who was late.",
        sentences=(
            Sentence("Wait for silence.", (noise,), 1.0, 1),
            Sentence("Write down who was late.", (late, noise), 0.75),
        ),
        more=(Sentence("Thank those who are ready.", (noise,), 0.5, 2),),
        matches=matches,
        outcome="written",
        threshold=0.25,
        best_relevance=matches[0].relevance,
        writer="scripted",
        prompt_version="7",
        library_version=12,
        timings={"found_ms": 1.25, "answered_ms": 20.5},
    )


def abstention(best_relevance: float | None = 0.125) -> Answer:
    return Answer(
        text="Nothing fits.",
        sentences=(),
        matches=(),
        outcome="abstained",
        threshold=0.5,
        best_relevance=best_relevance,
        writer="none",
    )


async def test_everything_of_an_answer_is_read_back(
    vector_ops: VectorOperations, answer: Answer
) -> None:
    stored = await vector_ops.store_interaction("Why?", EMBEDDING, answer, asked="So loud. Why?")

    kept = await vector_ops.get_interaction(stored)
    assert kept.id == kept.conversation_id == stored
    assert (kept.question, kept.asked) == ("Why?", "So loud. Why?")
    assert kept.answer == answer.text
    assert kept.sentences == answer.sentences
    assert kept.more == answer.more
    assert (kept.outcome, kept.abstained) == ("written", False)
    assert (kept.writer, kept.embedding_model) == ("scripted", "words")
    assert (kept.prompt_version, kept.library_version) == ("7", 12)
    assert kept.timings == answer.timings
    assert kept.threshold == 0.25
    assert kept.best_relevance == pytest.approx(answer.best_relevance)
    assert [(used.scenario_id, used.revision, used.name) for used in kept.matches] == [
        (match.scenario.id, 1, match.scenario.name) for match in answer.matches
    ]
    assert [used.relevance for used in kept.matches] == pytest.approx(
        [match.relevance for match in answer.matches]
    )
    assert kept.feedback == ()
    assert kept.created_at.tzinfo


@pytest.mark.parametrize("outcome", ["written", "direct", "quoted"])
async def test_every_outcome_can_be_kept(
    vector_ops: VectorOperations, answer: Answer, outcome: Outcome
) -> None:
    stored = await vector_ops.store_interaction("Why?", EMBEDDING, replace(answer, outcome=outcome))

    assert (await vector_ops.get_interaction(stored)).outcome == outcome


async def test_a_question_that_stands_alone_is_what_was_asked(
    vector_ops: VectorOperations, answer: Answer
) -> None:
    stored = await vector_ops.store_interaction(" Why\u200b\x00 so? ", EMBEDDING, answer)

    kept = await vector_ops.get_interaction(stored)
    assert kept.question == kept.asked == "Why\ufffd so?"


@pytest.mark.parametrize(
    ("question", "embedding", "words"),
    [
        (" ", EMBEDDING, "is empty"),
        ("why " * 2000, EMBEDDING, "characters long"),
        ("Why?", EMBEDDING[:32], "64 dimensions"),
        ("Why?", 2 * EMBEDDING, "has length 2"),
    ],
)
async def test_what_cannot_be_searched_for_is_not_kept(
    vector_ops: VectorOperations, question: str, embedding: Vector, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        await vector_ops.store_interaction(question, embedding, abstention())

    assert await vector_ops.interactions.gaps() == []


async def test_a_scenario_that_was_deleted_meanwhile_is_left_out_of_what_is_kept(
    vector_ops: VectorOperations, answer: Answer
) -> None:
    await vector_ops.delete_scenario(answer.matches[0].scenario.id)

    stored = await vector_ops.store_interaction("Why?", EMBEDDING, answer)

    kept = await vector_ops.get_interaction(stored)
    assert [used.name for used in kept.matches] == [answer.matches[1].scenario.name]
    assert kept.answer == answer.text


async def test_an_abstention_is_kept_without_matches(vector_ops: VectorOperations) -> None:
    stored = await vector_ops.store_interaction("Zebra?", EMBEDDING, abstention(None))

    kept = await vector_ops.get_interaction(stored)
    assert (kept.outcome, kept.abstained, kept.writer) == ("abstained", True, "none")
    assert (kept.sentences, kept.more, kept.matches) == ((), (), ())
    assert (kept.best_relevance, kept.timings) == (None, {})


async def test_gaps_are_the_questions_without_an_answer_newest_first(
    vector_ops: VectorOperations, answer: Answer
) -> None:
    for question in ("First?", "Second?", "Third?"):
        await vector_ops.store_interaction(question, EMBEDDING, abstention())
        await vector_ops.store_interaction(f"{question} Answered.", EMBEDDING, answer)

    gaps = await vector_ops.interactions.gaps()

    assert [gap.question for gap in gaps] == ["Third?", "Second?", "First?"]
    assert await vector_ops.interactions.gaps(2) == gaps[:2]
    assert (gaps[0].best_relevance, gaps[0].threshold) == (0.125, 0.5)
    kept = await vector_ops.get_interaction(gaps[0].interaction_id)
    assert (kept.question, kept.created_at) == ("Third?", gaps[0].created_at)


async def test_a_conversation_is_remembered_by_its_last_turns_oldest_first(
    vector_ops: VectorOperations, answer: Answer
) -> None:
    conversation = await vector_ops.store_interaction("Turn 0?", EMBEDDING, answer)
    further = replace(answer, conversation_id=conversation)
    for number in range(1, REMEMBERED_TURNS + 2):
        stored = await vector_ops.store_interaction(
            f"Turn {number}?", EMBEDDING, further, asked=f"Turn 0? Turn {number}?"
        )
    await vector_ops.store_interaction("Of another conversation?", EMBEDDING, answer)

    said = ("Wait for silence.", "Write down who was late.")
    expected = [
        Turn(f"Turn {number}?", f"Turn 0? Turn {number}?", said)
        for number in range(2, REMEMBERED_TURNS + 2)
    ]
    for exchange in (conversation, stored):
        found = await vector_ops.interactions.conversation(exchange)
        assert found == (conversation, expected)
    assert (await vector_ops.get_interaction(stored)).conversation_id == conversation


async def test_the_first_turn_of_a_conversation_is_remembered_too(
    vector_ops: VectorOperations,
) -> None:
    conversation = await vector_ops.store_interaction("Zebra?", EMBEDDING, abstention())

    assert await vector_ops.interactions.conversation(conversation) == (
        conversation,
        [Turn("Zebra?", "Zebra?", ())],
    )


async def test_an_unknown_conversation_is_said_to_be_unknown(vector_ops: VectorOperations) -> None:
    unknown = uuid4()
    with pytest.raises(NotFoundError, match=f"no conversation {unknown}"):
        await vector_ops.interactions.conversation(unknown)


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [*((verdict, "") for verdict in VERDICTS), *(("not_helpful", reason) for reason in REASONS)],
)
async def test_feedback_is_kept_with_the_answer(
    vector_ops: VectorOperations, answer: Answer, verdict: str, reason: str
) -> None:
    stored = await vector_ops.store_interaction("Why?", EMBEDDING, answer)

    given = await vector_ops.interactions.add_feedback(stored, verdict, reason=reason)

    (kept,) = (await vector_ops.get_interaction(stored)).feedback
    assert (kept.id, kept.verdict, kept.reason) == (given, verdict, reason)
    assert (kept.comment, kept.scenario_id) == ("", None)


async def test_feedback_accumulates_oldest_first(
    vector_ops: VectorOperations, answer: Answer
) -> None:
    stored = await vector_ops.store_interaction("Why?", EMBEDDING, answer)
    meant = answer.matches[1].scenario.id
    longest = "x" * MAX_COMMENT

    await vector_ops.interactions.add_feedback(stored, "helpful", comment=f" {longest}\n")
    await vector_ops.interactions.add_feedback(
        stored, "did_not_fit", reason="off_topic", comment="Only\x00 for little ones.",
        scenario_id=meant,
    )  # fmt: skip

    kept = (await vector_ops.get_interaction(stored)).feedback
    assert [(said.verdict, said.comment, said.scenario_id) for said in kept] == [
        ("helpful", longest, None),
        ("did_not_fit", "Only\ufffd for little ones.", meant),
    ]
    assert kept[0].created_at <= kept[1].created_at


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"verdict": "great"}, f"the verdict is 'great'; choose one of {', '.join(VERDICTS)}"),
        ({"verdict": ""}, "the verdict is ''; choose one of helpful"),
        ({"reason": "boring"}, f"the reason is 'boring'; choose one of {', '.join(REASONS)}"),
        ({"comment": "x" * (MAX_COMMENT + 1)}, "the comment has 2,001 characters; 2,000 fit"),
        ({"scenario_id": UUID(int=7)}, f"does not rest on scenario {UUID(int=7)}"),
    ],
)
async def test_feedback_that_does_not_belong_there_is_refused(
    vector_ops: VectorOperations, answer: Answer, arguments: dict[str, Any], words: str
) -> None:
    stored = await vector_ops.store_interaction("Why?", EMBEDDING, answer)

    with pytest.raises(InputError, match=words):
        await vector_ops.interactions.add_feedback(stored, **{"verdict": "helpful", **arguments})

    assert (await vector_ops.get_interaction(stored)).feedback == ()


async def test_an_abstention_can_be_judged_but_none_of_its_scenarios(
    vector_ops: VectorOperations, matches: tuple[Match, ...]
) -> None:
    stored = await vector_ops.store_interaction("Zebra?", EMBEDDING, abstention())

    await vector_ops.interactions.add_feedback(stored, "not_helpful")
    with pytest.raises(InputError, match="does not rest on"):
        await vector_ops.interactions.add_feedback(
            stored, "worked", scenario_id=matches[0].scenario.id
        )

    assert len((await vector_ops.get_interaction(stored)).feedback) == 1


async def test_nobody_can_judge_what_was_never_asked(vector_ops: VectorOperations) -> None:
    unknown = uuid4()
    with pytest.raises(NotFoundError, match=f"no interaction {unknown}"):
        await vector_ops.interactions.add_feedback(unknown, "helpful")


async def test_another_tenant_sees_nothing_of_it(
    vector_ops: VectorOperations, answer: Answer
) -> None:
    stored = await vector_ops.store_interaction("Why?", EMBEDDING, answer)
    await vector_ops.store_interaction("Zebra?", EMBEDDING, abstention())
    other = vector_ops.for_tenant(uuid4())
    await other.batch_process([NOISE])

    assert await other.interactions.gaps() == []
    for call in (
        other.get_interaction(stored),
        other.interactions.conversation(stored),
        other.interactions.add_feedback(stored, "worked"),
    ):
        with pytest.raises(NotFoundError):
            await call
    assert (await vector_ops.get_interaction(stored)).feedback == ()


Change = Callable[[VectorOperations, UUID], Awaitable[Any]]

CHANGES: dict[str, tuple[Change, int]] = {
    "a new scenario": (lambda ops, _: ops.store_scenario("Fights", "Two pupils fight."), 1),
    "a batch of several": (lambda ops, _: ops.batch_process([{"text": "A"}, {"text": "B"}]), 1),
    "an edit": (lambda ops, noise: ops.update_scenario(noise, {"tags": "loud"}), 1),
    "a retirement": (lambda ops, noise: ops.update_scenario(noise, {"status": "retired"}), 1),
    "a deletion": (lambda ops, noise: ops.delete_scenario(noise), 1),
    "an unchanged import": (lambda ops, _: ops.batch_process([NOISE, LATE]), 0),
    "an import of nothing but errors": (lambda ops, _: ops.batch_process([{"id": "x"}]), 0),
    "an edit of nothing": (lambda ops, noise: ops.update_scenario(noise, {"id": "noise"}), 0),
    "a search": (lambda ops, _: ops.search("class"), 0),
    "a question": (lambda ops, _: ops.store_interaction("Why?", EMBEDDING, abstention()), 0),
}  # fmt: skip


@pytest.mark.parametrize(("change", "growth"), CHANGES.values(), ids=CHANGES)
async def test_the_library_version_grows_with_changes_and_with_nothing_else(
    vector_ops: VectorOperations, matches: tuple[Match, ...], change: Change, growth: int
) -> None:
    before = await vector_ops.library_version()

    await change(vector_ops, matches[0].scenario.id)

    assert await vector_ops.library_version() == before + growth


async def test_a_failed_deletion_leaves_the_library_version(vector_ops: VectorOperations) -> None:
    assert await vector_ops.library_version() == 0
    with pytest.raises(NotFoundError):
        await vector_ops.delete_scenario(uuid4())

    assert await vector_ops.library_version() == 0


async def test_each_tenant_has_a_library_version_of_its_own(vector_ops: VectorOperations) -> None:
    other = vector_ops.for_tenant(uuid4())
    await other.batch_process([NOISE])
    await other.batch_process([LATE])

    assert (await other.library_version(), await vector_ops.library_version()) == (2, 0)


async def test_a_deleted_scenario_is_no_longer_named_by_feedback(
    vector_ops: VectorOperations, answer: Answer
) -> None:
    stored = await vector_ops.store_interaction("Why?", EMBEDDING, answer)
    scenario = answer.matches[0].scenario.id
    await vector_ops.interactions.add_feedback(stored, "did_not_fit", scenario_id=scenario)

    await vector_ops.delete_scenario(scenario)

    (feedback,) = (await vector_ops.get_interaction(stored)).feedback
    assert (feedback.verdict, feedback.scenario_id) == ("did_not_fit", None)


async def test_a_limit_of_gaps_below_one_is_refused(vector_ops: VectorOperations) -> None:
    with pytest.raises(InputError, match="limit is -1"):
        await vector_ops.interactions.gaps(-1)
