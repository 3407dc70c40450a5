"""The same question gets the same answer at once, until anything that it depends on changes."""

from datetime import date
from uuid import UUID

import pytest

from staffroom.cache.answer_cache import AnswerCache, AnswerKey, normalised
from staffroom.types import Answer, Filters, Outcome

KEY = AnswerKey(UUID(int=1), Filters(), 5, 0.3, 7, "model", "writer 1", "why so loud")


def answer(outcome: Outcome = "written") -> Answer:
    return Answer(
        text="Wait.",
        sentences=(),
        outcome=outcome,
        matches=(),
        threshold=0.3,
        best_relevance=0.5,
        writer="scripted",
    )


def test_what_was_kept_is_found_again() -> None:
    answers = AnswerCache()
    kept = answer()

    answers.keep(KEY, kept)

    assert answers.get(KEY) is kept


@pytest.mark.parametrize(
    "other",
    [
        KEY._replace(tenant_id=UUID(int=2)),
        KEY._replace(filters=Filters(statuses=("published", "draft"))),
        KEY._replace(filters=Filters(without_overdue_on=date(2027, 5, 31))),
        KEY._replace(limit=6),
        KEY._replace(threshold=0.0),
        KEY._replace(library=8),
        KEY._replace(model="other"),
        KEY._replace(recipe="writer 2"),
        KEY._replace(question="why so silent"),
    ],
)
def test_another_tenant_library_writer_or_question_is_another_key(other: AnswerKey) -> None:
    answers = AnswerCache()
    answers.keep(KEY, answer())

    assert answers.get(other) is None


@pytest.mark.parametrize(
    ("outcome", "kept"),
    [("written", True), ("direct", True), ("quoted", False), ("abstained", False)],
)
def test_stopgaps_and_abstentions_are_not_kept(outcome: Outcome, kept: bool) -> None:
    answers = AnswerCache()

    answers.keep(KEY, answer(outcome))

    assert (answers.get(KEY) is not None) is kept


def test_the_least_recently_used_answer_leaves_first() -> None:
    answers = AnswerCache(size=2)
    keys = [KEY._replace(question=str(number)) for number in range(3)]
    answers.keep(keys[0], answer())
    answers.keep(keys[1], answer())
    answers.get(keys[0])

    answers.keep(keys[2], answer())

    assert [answers.get(key) is not None for key in keys] == [True, False, True]
    assert len(answers) == 2


@pytest.mark.parametrize("text", ["Why so loud?", " why  SO loud ", "why so\nloud?!"])
def test_case_spacing_and_the_mark_at_the_end_make_no_difference(text: str) -> None:
    assert normalised(text) == "why so loud"
