"""A stronger model decides whether the advice backs a sentence that is not worded as the advice is.

Optional, and never the only check: without it, when it fails or is slow, such a sentence is
replaced by the advice itself. It is not asked about numbers, which a rule compares better.
"""

import asyncio
import logging
from typing import Final

from staffroom.ai.guard import Breaker
from staffroom.ai.openai import OpenAIWriter
from staffroom.ai.prompt import judge_prompt
from staffroom.ai.words import words
from staffroom.errors import WriterUnavailable
from staffroom.monitoring.logs import cause

JUDGE_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


class Judge:
    """Asks a model for yes or no."""

    def __init__(self, model: OpenAIWriter, seconds: float = JUDGE_SECONDS) -> None:
        self._model = model
        self._seconds = seconds
        self._breaker = Breaker(model.name)

    @property
    def name(self) -> str:
        return self._model.name

    async def backs(self, advice: str, sentence: str) -> bool:
        """The model says that the advice says so. In doubt, and on any failure, no."""
        try:
            is_trial = self._breaker.check()
        except WriterUnavailable:
            return False
        try:
            async with asyncio.timeout(self._seconds):
                pieces = [piece async for piece in self._model.say(judge_prompt(advice, sentence))]
        except (WriterUnavailable, TimeoutError) as error:
            failure = error if isinstance(error, WriterUnavailable) else _too_slow(self.name)
            self._breaker.failed(failure)
            _log.warning("the judge was not heard: %s", cause(failure))
            return False
        finally:
            if is_trial:
                self._breaker.end_trial()
        self._breaker.succeeded()
        return words("".join(pieces))[:1] == ["yes"]

    async def close(self) -> None:
        await self._model.close()


def _too_slow(name: str) -> WriterUnavailable:
    return WriterUnavailable(f"{name} was too slow.")
