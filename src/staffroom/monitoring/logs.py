"""Log lines, for people or as JSON for what collects them.

No line has a question, a name or a key: of an error its class and its stack are written, not what
it says, because that may quote what somebody asked.
"""

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from staffroom.monitoring.tracing import trace_id

REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="")
"""Of the request, or of the import, that is being worked on."""

STACK_SECONDS: Final = 60.0
"""How long a stack is not written again for an error of the same class at the same place."""

MOST_LINES: Final = 10
"""Lines of the same class and place between two stacks; what comes up besides is only counted."""

MOST_GROUPS: Final = 200

_PACKAGE: Final = str(Path(__file__).parents[1])
_TOLD: Final = "error_told"

_RAISED: Final = "raised"
"""An error that a record may carry instead of `exc_info`, which other people's handlers would write
with its text."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message", "asctime", "taskName", _TOLD, _RAISED
}  # fmt: skip


def set_up_logs(level: str, form: Literal["text", "json"]) -> None:
    """What is logged from here on is written to standard error in that form.

    Below WARNING only what Staffroom itself and its server log.
    """
    handler = logging.StreamHandler(sys.stderr)
    groups = ErrorGroups()
    handler.addFilter(groups)
    handler.setFormatter(JsonLines(groups) if form == "json" else TextLines(groups))
    least = logging.getLevelNamesMapping()[level]
    # Nobody here can vouch for what libraries tell of their work: HTTP clients write addresses
    # with the passwords in them.
    logging.basicConfig(level=max(least, logging.WARNING), handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(max(least, logging.INFO))
    logging.getLogger("staffroom").setLevel(least)


@dataclass(slots=True)
class _Group:
    """Errors of one class at one place."""

    times: int = 0
    lines: int = 0
    written: float = float("-inf")


class ErrorGroups(logging.Filter):
    """How often an error of each class came up at each place, and when its stack was written.

    As a filter it lets a few lines of each pass until its stack is written again.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._groups: dict[tuple[str, str], _Group] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """The record is written: it has no error, or one of which not too much was written."""
        return int(self.told(record).get("line", 0)) <= MOST_LINES

    def told(self, record: logging.LogRecord) -> dict[str, Any]:
        """What is known of the record's error, which counts once."""
        if _TOLD not in vars(record):
            error = (record.exc_info or (None, None))[1] or getattr(record, _RAISED, None)
            setattr(record, _TOLD, self.describe(error) if error else {})
        found: dict[str, Any] = getattr(record, _TOLD)
        return found

    def describe(self, error: BaseException) -> dict[str, Any]:
        """The error's class, the innermost place of ours, how often this came up, and its stack
        unless that was written lately."""
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if frame.filename.startswith(_PACKAGE)]
        place = _place(ours[-1]) if ours else ""
        key = (type(error).__name__, place)
        group = self._groups.pop(key, None) or _Group()
        self._groups[key] = group  # behind all others: the one that was quiet longest goes first
        if len(self._groups) > MOST_GROUPS:
            del self._groups[next(iter(self._groups))]
        group.times += 1
        group.lines += 1
        described: dict[str, Any] = {"error": key[0], "place": place, "times": group.times}
        now = self._clock()
        if now - group.written >= STACK_SECONDS:
            group.written, group.lines = now, 1
            described["stack"] = [_place(frame) for frame in frames]
        return described | {"line": group.lines}


class TextLines(logging.Formatter):
    """The level and the message; of an error its class, its place and now and then its stack."""

    def __init__(self, groups: ErrorGroups | None = None) -> None:
        super().__init__()
        self._groups = groups or ErrorGroups()

    def format(self, record: logging.LogRecord) -> str:
        """One line, and one for each frame of a stack."""
        line = f"{record.levelname} {record.getMessage()}"
        told = self._groups.told(record)
        if not told:
            return line
        stack = [f"  {place}" for place in told.get("stack", [])]
        times = f", {told['times']} times so far" if told["times"] > 1 else ""
        return "\n".join([f"{line} ({told['error']} at {told['place']}{times})", *stack])


class JsonLines(logging.Formatter):
    """One JSON document a line: time, level, logger, process, message, and what else is known."""

    def __init__(self, groups: ErrorGroups | None = None) -> None:
        super().__init__()
        self._groups = groups or ErrorGroups()

    def format(self, record: logging.LogRecord) -> str:
        """The record, with its own fields beside the standard ones."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            line["request_id"] = request_id
        if trace := trace_id():
            line["trace_id"] = trace
        told = {name: value for name, value in self._groups.told(record).items() if name != "line"}
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        line |= told
        return json.dumps(line, ensure_ascii=False, default=str)


def cause(error: BaseException) -> str:
    """What may be logged of an error that a server's reply went into, which may quote a question:
    its class, the class of what caused it, and the status of the reply."""
    told = type(error).__name__
    if (origin := error.__cause__) is not None:
        told += f" from {type(origin).__name__}"
        status = getattr(origin, "status_code", None)
        if isinstance(status, int):
            told += f", status {status}"
    return told


def _place(frame: traceback.FrameSummary) -> str:
    file = frame.filename.removeprefix(f"{_PACKAGE}/")
    parts = Path(file).parts
    return f"{'/'.join(parts[-3:])}:{frame.lineno} in {frame.name}"
