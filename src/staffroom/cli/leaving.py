"""A closed terminal and a request to end are obeyed, in order, wherever they come."""

import signal
import sys
from types import FrameType
from typing import Final

REPEAT_SECONDS: Final = 0.5
"""Until the process leaves again, should that have been swallowed: Python ignores what is raised
while an object is finalised."""

_asked: list[int] = []
_closing: list[bool] = []


def obey_signals() -> None:
    """SIGTERM and SIGHUP end the process from here on; what is open is closed first."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ask)
    signal.signal(signal.SIGALRM, lambda *_: _leave())


def begin_closing() -> None:
    """What is open is being closed: a request to end need not, and must not, cut that short."""
    _closing.append(True)
    if _asked:
        signal.setitimer(signal.ITIMER_REAL, 0)


def end_as_asked() -> None:
    """The process ends with the code of the signal that asked it to end, if one has."""
    if _asked:
        sys.exit(128 + _asked[0])


def _ask(number: int, _: FrameType | None) -> None:
    _asked.append(number)
    _leave()


def _leave() -> None:
    if not _closing:
        signal.setitimer(signal.ITIMER_REAL, REPEAT_SECONDS)
        end_as_asked()
