"""How far answers can be trusted, on the reporting part of the golden data."""

import time
from collections.abc import Sequence
from contextlib import aclosing
from statistics import fmean, median, quantiles
from typing import Final, TypedDict

from staffroom.ai import Writer
from staffroom.ai.direct import asks_for_first
from staffroom.ai.grounding import Grounding
from staffroom.ai.llm_service import LLMService
from staffroom.ai.words import words
from staffroom.database.vector_ops import VectorOperations
from staffroom.evaluation.golden import (
    golden_questions,
    key_steps,
    labelled_sentences,
    polarity_pairs,
    unanswerable_questions,
)
from staffroom.types import (
    Answer,
    Embedder,
    Match,
    Progress,
    ProgressListener,
    Scenario,
    Sentence,
)

QUESTIONS: Final = 40
"""Questions that each writer answers, unless more are asked for: small models take seconds each."""

SEED_STEP: Final = 7
"""Every so manyth question, so that all categories are among a few."""


class Abstention(TypedDict):
    """Shares of questions that were answered, of those that should be and those that must not."""

    questions: int
    answered: float
    first_match_right: float
    unanswerable: int
    unanswerable_answered: float
    answered_by_kind: dict[str, float]


class GroundingReport(TypedDict):
    """What the check made of labelled sentences, each held against its own scenario's advice.

    `true_support`: share of those shown unchanged that the label backs. `false_stopped`: share of
    the false ones that were not shown. `replaced` and `dropped`: shares of all; what replaces a
    sentence is the advice itself.
    """

    sentences: int
    true_support: float
    false_stopped: float
    supported_shown: float
    supported_replaced: float
    replaced: float
    dropped: float


class PolarityReport(TypedDict):
    """Direct answers to questions that want the contrary (false hits), and to the others."""

    pairs: int
    false_hits: float
    hits: float


class WriterReport(TypedDict):
    """What one writer made of the same questions. Seconds are to the first and last sentence.

    `key_steps`: share of the best match's key steps in the short answer, and in all of it.
    """

    writer: str
    questions: int
    written: float
    key_steps: float
    key_steps_with_more: float
    sentences: float
    words_per_sentence: float
    first_sentence_p50: float
    first_sentence_p95: float
    answer_p50: float


class AnswersReport(TypedDict):
    """What `staffroom eval answers` prints."""

    abstention: Abstention
    grounding: GroundingReport
    polarity: PolarityReport
    writers: list[WriterReport]


async def evaluate_answers(
    library: VectorOperations,
    embedder: Embedder,
    writers: Sequence[Writer],
    questions: int = QUESTIONS,
    progress: ProgressListener | None = None,
) -> AnswersReport:
    """The starter library, which `library` has to hold, was asked everything."""
    scenarios = await _scenarios(library)
    return AnswersReport(
        abstention=await _abstention(library),
        grounding=await _grounding(scenarios, embedder),
        polarity=await _polarity(library, embedder),
        writers=[
            await _writer(writer, library, embedder, questions, progress) for writer in writers
        ],
    )


async def _scenarios(library: VectorOperations) -> dict[str, Scenario]:
    scenarios = await library.list_scenarios(limit=10_000)
    return {scenario.content.source_id: scenario for scenario in scenarios}


async def _abstention(library: VectorOperations) -> Abstention:
    answered, right = [], []
    asked = [question for question in golden_questions() if question.part == "report"]
    for question in asked:
        found = await library.retrieve(question.text)
        answered.append(bool(found.matches))
        if found.matches:
            best = found.matches[0].scenario.content.source_id
            right.append(question.relevant.get(best, 0) > 0)
    by_kind: dict[str, list[bool]] = {}
    for unanswerable in unanswerable_questions():
        if unanswerable.part == "report":
            found = await library.retrieve(unanswerable.text)
            by_kind.setdefault(unanswerable.kind, []).append(bool(found.matches))
    wrong = [value for values in by_kind.values() for value in values]
    return Abstention(
        questions=len(asked),
        answered=fmean(answered),
        first_match_right=fmean(right),
        unanswerable=len(wrong),
        unanswerable_answered=fmean(wrong),
        answered_by_kind={kind: fmean(values) for kind, values in sorted(by_kind.items())},
    )


async def _grounding(scenarios: dict[str, Scenario], embedder: Embedder) -> GroundingReport:
    fates: list[tuple[bool, str]] = []
    for row in labelled_sentences():
        if row.part == "report":
            grounding = Grounding([Match(scenarios[row.scenario], 0.0)], embedder)
            checked = await grounding.check(row.sentence)
            fate = "dropped" if checked is None else checked.verdict
            fates.append((row.label == "supported", fate))
    true = [fate for supported, fate in fates if supported]
    false = [fate for supported, fate in fates if not supported]
    return GroundingReport(
        sentences=len(fates),
        true_support=fmean(supported for supported, fate in fates if fate == "passed"),
        false_stopped=fmean(fate != "passed" for fate in false),
        supported_shown=fmean(fate == "passed" for fate in true),
        supported_replaced=fmean(fate == "replaced" for fate in true),
        replaced=fmean(fate == "replaced" for _, fate in fates),
        dropped=fmean(fate == "dropped" for _, fate in fates),
    )


async def _polarity(library: VectorOperations, embedder: Embedder) -> PolarityReport:
    pairs = [pair for pair in polarity_pairs() if pair.part == "report"]

    async def is_direct(question: str, scenario: str) -> bool:
        found = await library.retrieve(question)
        if not found.matches or found.matches[0].scenario.content.source_id != scenario:
            return False
        return await asks_for_first(question, found, embedder)

    return PolarityReport(
        pairs=len(pairs),
        false_hits=fmean([await is_direct(pair.clashes, pair.scenario) for pair in pairs]),
        hits=fmean([await is_direct(pair.fits, pair.scenario) for pair in pairs]),
    )


async def _writer(
    writer: Writer,
    library: VectorOperations,
    embedder: Embedder,
    questions: int,
    progress: ProgressListener | None,
) -> WriterReport:
    service = LLMService(writer, library, embedder)
    texts = [question.text for question in golden_questions() if question.part == "report"]
    order = sorted(range(len(texts)), key=lambda number: (number % SEED_STEP, number))
    answers: list[Answer] = []
    firsts: list[float] = []
    lasts: list[float] = []
    for text in (texts[number] for number in order):
        if len(answers) == questions:
            break
        found = await library.retrieve(text)
        if not found.matches:
            continue
        started = time.perf_counter()
        first = None
        async with aclosing(service.stream_response(text, found)) as parts:
            async for part in parts:
                if isinstance(part, Answer):
                    answers.append(part)
                elif first is None:
                    first = time.perf_counter() - started
        firsts.append(first or 0.0)
        lasts.append(time.perf_counter() - started)
        if progress:
            progress(Progress(f"Answering with {writer.name}", len(answers), questions, "rows"))
    return _writer_report(writer.name, answers, firsts, lasts)


def _writer_report(
    name: str, answers: Sequence[Answer], firsts: Sequence[float], lasts: Sequence[float]
) -> WriterReport:
    sentences = [sentence for answer in answers for sentence in answer.sentences]
    return WriterReport(
        writer=name,
        questions=len(answers),
        written=fmean(answer.outcome == "written" for answer in answers),
        key_steps=fmean(_covered(answer, answer.sentences) for answer in answers),
        key_steps_with_more=fmean(
            _covered(answer, [*answer.sentences, *answer.more]) for answer in answers
        ),
        sentences=len(sentences) / len(answers),
        words_per_sentence=fmean(len(words(sentence.text)) for sentence in sentences),
        first_sentence_p50=median(firsts),
        first_sentence_p95=quantiles(firsts, n=20)[-1],
        answer_p50=median(lasts),
    )


def _covered(answer: Answer, sentences: Sequence[Sentence]) -> float:
    """Share of the key steps of the best match that the sentences come from."""
    best = answer.matches[0].scenario
    wanted = key_steps()[best.content.source_id] - {0}
    said = {sentence.step for sentence in sentences if best.id in sentence.citations}
    return len(wanted & said) / len(wanted)
