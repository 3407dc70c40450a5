"""Around every writer: deadlines, retries before the first word, and a circuit breaker.

A teacher waits a known time at most. A writer that fails again and again is left alone
for a while, so that nobody waits for it in vain.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from staffroom.ai import Writer
from staffroom.errors import WriterUnavailable
from staffroom.types import Match

ATTEMPTS: Final = 3
FIRST_PAUSE_SECONDS: Final = 0.25
FAILURES_TO_OPEN: Final = 3
OPEN_SECONDS: Final = 30.0
LONGEST_OPEN_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that a writer has: for its first words, repetitions included, for each piece
    after them, and for the whole answer. What the reader takes is not counted.
    """

    first: float = 10.0
    between: float = 15.0
    total: float = 60.0


class GuardedWriter:
    """A writer that answers in time or fails in time."""

    def __init__(
        self,
        writer: Writer,
        deadlines: Deadlines | None = None,
        breaker: "Breaker | None" = None,
        *,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self.name = writer.name
        self.is_queued = writer.is_queued
        self._writer = writer
        self._deadlines = deadlines or Deadlines()
        self._breaker = breaker or Breaker(writer.name)
        self._first_pause_seconds = first_pause_seconds

    async def stream(self, question: str, matches: Sequence[Match]) -> AsyncGenerator[str, None]:
        """As the writer itself, but never later than the deadlines.

        Raises: WriterUnavailable, at once while the breaker is open.
        """
        is_trial = self._breaker.check()
        clock = _Clock(self._deadlines, self.name, is_queued=self._writer.is_queued)
        try:
            async with aclosing(self._attempts(question, matches, clock)) as pieces:
                async for piece in pieces:
                    yield piece
            self._breaker.succeeded()
        except WriterUnavailable as error:
            self._breaker.failed(error)
            raise
        except GeneratorExit:
            # Who has heard enough leaves early, and that is the usual end of a long answer.
            if clock.started:
                self._breaker.succeeded()
            raise
        finally:
            if is_trial:
                self._breaker.end_trial()

    async def close(self) -> None:
        await self._writer.close()

    async def _attempts(
        self, question: str, matches: Sequence[Match], clock: "_Clock"
    ) -> AsyncGenerator[str, None]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with aclosing(self._writer.stream(question, matches)) as pieces:
                    while (piece := await clock.next_of(pieces)) is not None:
                        yield piece
            except WriterUnavailable as error:
                pause = self._pause_seconds(attempt, error)
                if clock.started or attempt == ATTEMPTS or not clock.allows(pause, error):
                    raise
                await clock.sleep(pause)
            else:
                return

    def _pause_seconds(self, attempt: int, error: WriterUnavailable) -> float:
        """As long as the server asks for, else twice the last pause, spread at random."""
        if error.retry_after is not None:
            return error.retry_after
        pause: float = self._first_pause_seconds * 2.0 ** (attempt - 1)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


class Breaker:
    """Opens after failures in a row; after a while one question tries whether it may close."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._trial_until = 0.0

    def check(self) -> bool:
        """Whether this question is the trial. Raises: WriterUnavailable while the breaker is open,
        and to those beside a trial, which are spared the wait.
        """
        now = self._clock()
        left = max(self._open_until, self._trial_until) - now
        if left > 0:
            raise WriterUnavailable(
                f"{self._name} failed {self._failures} times and is left alone for {left:.0f} s.",
                temporary=False,
                retry_after=left,
            )
        is_trial = self._failures >= FAILURES_TO_OPEN
        if is_trial:
            self._trial_until = now + OPEN_SECONDS
        return is_trial

    def end_trial(self) -> None:
        """If it brought no verdict, since its reader left, the next question is the trial."""
        self._trial_until = 0.0

    def succeeded(self) -> None:
        self._failures, self._open_until = 0, 0.0

    def failed(self, error: WriterUnavailable) -> None:
        """Counts, unless the request itself was refused: the next one may be fine."""
        if not error.temporary:
            return
        self._failures += 1
        asked = error.retry_after or 0.0
        least = OPEN_SECONDS if self._failures >= FAILURES_TO_OPEN else 0.0
        seconds = min(max(least, asked), LONGEST_OPEN_SECONDS)
        self._open_until = max(self._open_until, self._clock() + seconds)


class _Clock:
    """What is left of the deadlines of one answer. Waiting for a writer that is busy with other
    answers has a deadline too, but is no failure of the writer's."""

    def __init__(self, deadlines: Deadlines, name: str, *, is_queued: bool) -> None:
        self._deadlines = deadlines
        self._is_queued = is_queued
        self._name = name
        self._waited = 0.0
        self.started = False

    async def next_of(self, pieces: AsyncGenerator[str, None]) -> str | None:
        """The next piece, or None at the end. Raises: WriterUnavailable when time is up."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, self._left())):
                piece = await anext(pieces, None)
        except TimeoutError as error:
            if self._is_queued:
                raise WriterUnavailable(
                    f"{self._name} is busy with other answers.", temporary=False
                ) from error
            what = "next" if self.started else "first"
            patience = "" if self.started else ", or more patience in STAFFROOM_FIRST_WORDS_SECONDS"
            raise WriterUnavailable(
                f"{self._name} did not send its {what} words in time. Choose a faster model, or "
                f"`extractive`, in STAFFROOM_WRITER{patience}."
            ) from error
        finally:
            self._waited += time.monotonic() - began
        if self._is_queued:
            self._is_queued, self._waited = False, 0.0
        self.started = self.started or bool(piece)
        return piece

    async def sleep(self, seconds: float) -> None:
        self._waited += seconds
        await asyncio.sleep(seconds)

    def allows(self, pause: float, error: WriterUnavailable) -> bool:
        """Another attempt after the pause may still be in time."""
        return error.temporary and self._waited + pause < self._deadlines.first

    def _left(self) -> float:
        if not self.started:
            return self._deadlines.first - self._waited
        return min(self._deadlines.between, self._deadlines.total - self._waited)
