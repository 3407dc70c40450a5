"""What is logged: in which form, with which request, and never what somebody asked."""

import json
import logging
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from staffroom.ai.llm_service import LLMService
from staffroom.ai.openai import OpenAIWriter
from staffroom.api.server import create_api
from staffroom.app import App
from staffroom.errors import InputError, SearchError
from staffroom.monitoring.error_tracking import track_vector_operation
from staffroom.monitoring.logs import (
    MOST_GROUPS,
    MOST_LINES,
    REQUEST_ID,
    STACK_SECONDS,
    ErrorGroups,
    JsonLines,
    TextLines,
    set_up_logs,
)
from staffroom.text import clean_question
from tests.command import Command
from tests.fakes import WordEmbedder
from tests.openai_server import OpenAIServer, refuses
from tests.test_openai_writer import NOISE, NoFinder

SECRET = "Xanthippe Quillfeather hits others"


def record(error: BaseException | None = None, **more: Any) -> logging.LogRecord:
    """A record as a logger makes it."""
    exc_info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord(
        "staffroom.x", logging.ERROR, "x.py", 1, "request %s failed", ("7",), exc_info
    )
    vars(made).update(more)
    return made


def raised() -> InputError:
    """An error with a stack whose innermost place is one of ours, and a text that may not leave."""
    try:
        clean_question(SECRET * 100_000)
    except InputError as error:
        error.args = (SECRET,)
        return error
    raise AssertionError


def test_a_line_of_json_says_when_where_and_what() -> None:
    told = REQUEST_ID.set("r-1")
    line = json.loads(JsonLines().format(record(path="/ask")))
    REQUEST_ID.reset(told)

    assert line.pop("time").endswith("+00:00")
    assert line.pop("process") > 0
    assert line == {
        "level": "error",
        "logger": "staffroom.x",
        "message": "request 7 failed",
        "request_id": "r-1",
        "path": "/ask",
    }


@pytest.mark.parametrize("form", [JsonLines, TextLines])
def test_of_an_error_class_and_place_are_told_but_not_what_it_says(
    form: type[logging.Formatter],
) -> None:
    line = form().format(record(raised()))

    assert "InputError" in line
    assert "text.py" in line
    assert "in clean_question" in line
    assert "Quillfeather" not in line


def test_a_stack_is_written_once_a_minute_for_each_class_and_place() -> None:
    now = 0.0
    groups = ErrorGroups(lambda: now)
    other = ValueError("elsewhere")

    first, second = groups.describe(raised()), groups.describe(raised())
    assert groups.describe(other)["stack"] == []
    now = STACK_SECONDS
    third = groups.describe(raised())

    assert first["stack"]
    assert "stack" not in second
    assert third["stack"] == first["stack"]
    assert [each["times"] for each in (first, second, third)] == [1, 2, 3]


def test_of_too_many_groups_the_one_that_was_quiet_longest_is_forgotten() -> None:
    groups = ErrorGroups()
    kept, *others = (type(f"Error{n}", (Exception,), {})() for n in range(MOST_GROUPS + 1))
    for error in (kept, others[0], kept, *others[1:]):
        groups.describe(error)

    assert groups.describe(kept)["times"] == 3
    assert groups.describe(others[0])["times"] == 1


def test_of_an_error_that_comes_up_all_the_time_few_lines_are_written() -> None:
    now = 0.0
    groups = ErrorGroups(lambda: now)
    lines = JsonLines(groups)
    again = [record(raised()) for _ in range(3 * MOST_LINES)]

    written = [lines.format(each) for each in again if groups.filter(each)]
    assert len(written) == MOST_LINES
    assert groups.filter(record())
    now = STACK_SECONDS
    later = record(raised())

    assert groups.filter(later)
    assert json.loads(lines.format(later))["times"] == 3 * MOST_LINES + 1


async def test_an_operation_that_fails_is_written_with_its_place_and_without_its_text(
    logs_at_debug: StringIO,
) -> None:
    @track_vector_operation("tidy")
    async def tidy() -> None:
        raise raised()

    with pytest.raises(InputError):
        await tidy()  # the caller's own mistake

    @track_vector_operation("tidy")
    async def fail() -> None:
        raise SearchError(SECRET) from raised()

    with pytest.raises(SearchError):
        await fail()

    (line,) = map(json.loads, logs_at_debug.getvalue().splitlines())
    assert line["message"] == "the operation tidy failed"
    assert line["error"] == "SearchError"
    assert "raised" not in line
    assert "Quillfeather" not in logs_at_debug.getvalue()


def test_a_line_of_text_stays_one_line_while_the_stack_is_known() -> None:
    lines = TextLines()
    first, second = (lines.format(record(raised())) for _ in range(2))

    assert "\n" in first
    assert "\n" not in second
    assert second.endswith("2 times so far)")


@pytest.fixture
def logs_at_debug(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What a process writes whose logs are set up as JSON at DEBUG."""
    logging.getLogger().handlers.clear()  # else they were closed
    written = StringIO()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", written)
        set_up_logs("DEBUG", "json")
    return written


async def test_a_model_server_that_quotes_question_and_key_brings_neither_into_the_log(
    logs_at_debug: StringIO,
) -> None:
    quoting = refuses(400, f"sk-canary may not ask: {SECRET}")
    async with OpenAIServer(quoting).serving() as server:
        address = server.url.replace("//", "//user:pw-canary@")
        writer = OpenAIWriter("some-model", address, SecretStr("sk-canary"))
        service = LLMService(writer, NoFinder(), WordEmbedder())
        await service.generate_response(SECRET, (NOISE,))
        await writer.close()
    logging.getLogger("some.library").info("sent %s", SECRET)
    logging.getLogger("uvicorn.error").info("Application startup complete.")

    written = logs_at_debug.getvalue()
    assert "the writer failed: WriterUnavailable from BadRequestError, status 400" in written
    assert "startup complete" in written
    assert SECRET in server.requests[0].prompt
    assert "Quillfeather" not in written
    assert "pw-canary" not in written
    assert "sk-canary" not in written


async def test_a_request_is_logged_with_its_id_and_without_its_question(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "staffroom")
    seen: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(JsonLines().format(record))  # type: ignore[method-assign]
    logging.getLogger("staffroom").addHandler(handler)
    transport = httpx.ASGITransport(create_api(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        await client.get("/healthz", headers={"X-Request-ID": "r-2", "X-Api-Key": SECRET})
        await client.post(
            "/api/v1/nothing", json={"question": SECRET}, headers={"X-Request-ID": "r-3"}
        )
    logging.getLogger("staffroom").removeHandler(handler)

    assert [json.loads(line)["request_id"] for line in seen] == ["r-2", "r-3"]
    assert "Quillfeather" not in "".join(seen)


def test_commands_log_as_the_setting_says(home: Path, models: Path) -> None:
    command = Command({"STAFFROOM_HOME": str(home), "STAFFROOM_MODELS": str(models)})
    command.environment |= {"STAFFROOM_LOG_FORMAT": "json", "STAFFROOM_LOG_LEVEL": "INFO"}

    told = command("db", "start")
    command("db", "stop")

    lines = [json.loads(line) for line in told.stderr.splitlines() if line.startswith("{")]
    assert "database_started" in [line["message"] for line in lines]
    command.environment["STAFFROOM_LOG_FORMAT"] = "xml"
    wrong = command("db", "start", code=78).stderr
    assert "STAFFROOM_LOG_FORMAT" in wrong
    assert "text" in wrong
