"""A judge lets true paraphrases pass, and is no danger when it fails."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest

from staffroom.ai import load_judge
from staffroom.ai.grounding import Grounding
from staffroom.ai.guard import FAILURES_TO_OPEN
from staffroom.ai.judge import Judge
from staffroom.ai.openai import OpenAIWriter
from staffroom.config import Settings
from staffroom.errors import ConfigError
from staffroom.types import Match, Scenario, ScenarioContent, Sentence
from tests.fakes import WordEmbedder
from tests.openai_server import CUT, SILENT, OpenAIServer, Reply, refuses, says

ADVICE = "1. Wait for real silence before you go on with the next instruction, for 2 minutes."
PARAPHRASE = "Before the next instruction, hold on for silence in the room."
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(says("Yes.")).serving() as server:
        yield server


@pytest.fixture
async def judge(server: OpenAIServer) -> AsyncIterator[Judge]:
    judge = Judge(OpenAIWriter("strong-model", server.url, None))
    yield judge
    await judge.close()


@pytest.fixture
async def hasty_judge(server: OpenAIServer) -> AsyncIterator[Judge]:
    judge = Judge(OpenAIWriter("strong-model", server.url, None), seconds=0.3)
    yield judge
    await judge.close()


def grounding(judge: Judge | None) -> Grounding:
    content = ScenarioContent(name="S", description="d", expected_response=ADVICE)
    scenario = Scenario(id=UUID(int=1), revision=1, content=content, created_at=NOW, updated_at=NOW)
    return Grounding([Match(scenario, 0.9)], WordEmbedder(), judge)


async def said(checks: Grounding, text: str) -> Sentence | None:
    checked = await checks.check(text)
    return None if checked is None else checked.sentence


async def test_a_paraphrase_that_the_judge_finds_in_the_advice_keeps_its_words(
    judge: Judge, server: OpenAIServer
) -> None:
    found = await said(grounding(judge), PARAPHRASE)

    assert found is not None
    assert (found.text, found.step) == (PARAPHRASE, 1)
    assert 0 < found.support < 1
    assert ADVICE in server.requests[0].prompt
    assert PARAPHRASE in server.requests[0].prompt


@pytest.mark.parametrize(
    "reply",
    [
        says("No."),
        says("I am not sure, yes or no"),
        says(),
        says("Ye", CUT),
        SILENT,
        refuses(500),
        refuses(401),
    ],
)
async def test_in_doubt_and_on_every_failure_the_advice_is_quoted(
    hasty_judge: Judge, server: OpenAIServer, reply: Reply
) -> None:
    server.script = [reply]

    found = await said(grounding(hasty_judge), PARAPHRASE)

    assert found is not None
    assert found.text in ADVICE


@pytest.mark.parametrize(
    "text",
    [
        "Wait for real silence before you go on with the next instruction, for 2 minutes.",
        "Before the next instruction, hold on for 5 minutes of silence.",
        "Bake a cake.",
    ],
)
async def test_quotations_other_numbers_and_other_matters_are_not_put_to_it(
    judge: Judge, server: OpenAIServer, text: str
) -> None:
    await grounding(judge).check(text)

    assert server.requests == []


async def test_a_judge_that_keeps_failing_is_left_alone(judge: Judge, server: OpenAIServer) -> None:
    server.good = lambda _: refuses(503)
    checks = grounding(judge)

    for _ in range(FAILURES_TO_OPEN + 3):
        await checks.check(PARAPHRASE)

    assert len(server.requests) == FAILURES_TO_OPEN


def test_the_settings_name_the_judge() -> None:
    assert load_judge(Settings()) is None
    assert isinstance(load_judge(Settings(judge="openai:strong-model")), Judge)
    with pytest.raises(ConfigError, match="STAFFROOM_JUDGE is 'llama:x'"):
        load_judge(Settings(judge="llama:x"))
