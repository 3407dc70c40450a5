"""A further question is understood with the one before it, and only then."""

import pytest

from staffroom.ai.conversation import continues, understand
from staffroom.text import MAX_QUESTION
from staffroom.types import Turn

NOISE = Turn("My class is loud after lunch.", "My class is loud after lunch.", ("Wait.",))
AGAIN = Turn("And if it keeps happening?", f"{NOISE.asked} And if it keeps happening?", ("Ring.",))
LATE = Turn("Why are pupils late?", "Why are pupils late?", ("Greet them.",))


@pytest.mark.parametrize(
    "question",
    [
        "and if it keeps happening?",
        "What if that doesn't work?",
        "How long should I wait for it?",
        "why?",
        "Then what?",
        "the second step",
        "should I tell them that?",
        "What about his parents?",
        "Is this fair on the others?",
        "ok but they laughed",
    ],
)
def test_questions_that_refer_to_the_last_one(question: str) -> None:
    assert continues(question)


@pytest.mark.parametrize(
    "question",
    [
        "How do I handle a pupil who swears at me?",
        "My pupils forget their homework every week, what can I do?",
        "Two girls in my class are fighting and they will not stop",
        "A parent wants to talk about her son's mark",
        "Ideas for settling a noisy group after lunch",
    ],
)
def test_questions_that_stand_on_their_own(question: str) -> None:
    assert not continues(question)


def test_a_further_question_is_asked_with_its_topic_and_knows_what_was_said() -> None:
    first = understand("And if it keeps happening?", [NOISE])
    second = understand("why?", [LATE, NOISE, AGAIN])

    assert first.asked == "My class is loud after lunch. And if it keeps happening?"
    assert first.said == {"Wait."}
    assert second.asked == "My class is loud after lunch. why?"
    assert second.said == {"Wait.", "Ring."}


def test_a_new_topic_leaves_the_conversation_behind() -> None:
    understood = understand("How do I handle a pupil who swears at me?", [NOISE, AGAIN])

    assert understood.asked == "How do I handle a pupil who swears at me?"
    assert understood.said == set()


def test_without_an_earlier_question_nothing_is_added() -> None:
    assert understand("why?", []).asked == "why?"


def test_what_is_asked_stays_within_the_length_of_a_question() -> None:
    endless = Turn("a" * MAX_QUESTION, "a" * MAX_QUESTION, ())

    asked = understand("and then?", [endless]).asked

    assert len(asked) <= MAX_QUESTION
    assert asked.endswith("and then?")
