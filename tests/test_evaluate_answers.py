"""How far answers can be trusted: the reporting part of the golden data, on the real library."""

import asyncio
from pathlib import Path

import pytest

from staffroom.ai import Writer
from staffroom.ai.extractive import ExtractiveWriter
from staffroom.app import App
from staffroom.config import Settings
from staffroom.evaluation.answers import AnswersReport, WriterReport, evaluate_answers
from staffroom.evaluation.golden import (
    golden_questions,
    labelled_sentences,
    polarity_pairs,
    unanswerable_questions,
)
from staffroom.retrieval.scope import KINDS
from staffroom.types import Progress
from tests.conftest import _create_database
from tests.fakes import BROKEN, ScriptedWriter

QUESTIONS = 12
INVENTED = (
    "Dragons guard the treasure of an old king under the mountain. They breathe fire at noon."
)


class Broken(ScriptedWriter):
    name = "broken"


Evaluated = tuple[AnswersReport, list[Progress]]


@pytest.fixture(scope="session")
def evaluated(server: str, starter_template: str, models: Path) -> Evaluated:
    """The report on three writers, and how far it said to be on its way."""
    url = _create_database(server, "test_evaluate_answers", starter_template)
    steps: list[Progress] = []

    async def evaluate() -> AnswersReport:
        app = App(Settings(database_url=url, models=models, writer="extractive"))
        writers: list[Writer] = [
            ExtractiveWriter(app.cache),
            ScriptedWriter(INVENTED),
            Broken(BROKEN),
        ]
        try:
            await app.prepare()
            return await evaluate_answers(
                app.vector_ops, app.cache, writers, QUESTIONS, steps.append
            )
        finally:
            await app.close()

    return asyncio.run(evaluate()), steps


@pytest.fixture
def report(evaluated: Evaluated) -> AnswersReport:
    return evaluated[0]


def writer(report: AnswersReport, name: str) -> WriterReport:
    return next(writer for writer in report["writers"] if writer["writer"] == name)


def test_only_the_reporting_part_is_counted(report: AnswersReport) -> None:
    def reported(rows: list[str]) -> int:
        return rows.count("report")

    assert report["abstention"]["questions"] == reported([q.part for q in golden_questions()])
    assert report["abstention"]["unanswerable"] == reported(
        [q.part for q in unanswerable_questions()]
    )
    assert report["grounding"]["sentences"] == reported([s.part for s in labelled_sentences()])
    assert report["polarity"]["pairs"] == reported([p.part for p in polarity_pairs()])


def test_questions_for_the_library_are_answered_and_others_are_not(report: AnswersReport) -> None:
    abstention = report["abstention"]

    assert abstention["answered"] >= 0.85
    assert abstention["first_match_right"] >= 0.55
    assert abstention["unanswerable_answered"] <= 0.2
    assert set(abstention["answered_by_kind"]) == {*KINDS, "nonsense"}
    assert abstention["answered_by_kind"]["off_topic"] <= 0.1


def test_what_is_shown_is_backed_and_what_is_false_is_stopped(report: AnswersReport) -> None:
    grounding = report["grounding"]

    assert grounding["true_support"] >= 0.98
    assert grounding["false_stopped"] >= 0.95


def test_a_question_that_wants_the_contrary_is_never_answered_directly(
    report: AnswersReport,
) -> None:
    assert report["polarity"]["false_hits"] < 0.01


def test_the_vetted_advice_has_its_key_steps_at_once(report: AnswersReport) -> None:
    extractive = writer(report, "extractive")

    assert extractive["questions"] == QUESTIONS
    assert extractive["written"] >= 0.9
    assert extractive["key_steps"] >= 0.8
    assert extractive["key_steps_with_more"] == 1.0
    assert extractive["sentences"] >= 3
    assert 8 <= extractive["words_per_sentence"] <= 25
    assert 0 < extractive["first_sentence_p50"] <= extractive["first_sentence_p95"] < 1.0
    assert extractive["first_sentence_p50"] <= extractive["answer_p50"]


@pytest.mark.parametrize("name", ["scripted", "broken"])
def test_a_writer_that_invents_or_fails_is_reported_as_not_written(
    report: AnswersReport, name: str
) -> None:
    failed = writer(report, name)

    assert failed["questions"] == QUESTIONS
    assert failed["written"] == 0.0
    assert failed["key_steps"] >= 0.8


def test_progress_is_told_for_every_question_of_every_writer(evaluated: Evaluated) -> None:
    assert [(step.task, step.done, step.total) for step in evaluated[1]] == [
        (f"Answering with {name}", number, QUESTIONS)
        for name in ("extractive", "scripted", "broken")
        for number in range(1, QUESTIONS + 1)
    ]
