"""The commands that lead a scenario through its life."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from staffroom.cli import app
from staffroom.cli.run import exit_code
from staffroom.config import Settings
from staffroom.errors import StaffroomError
from staffroom.scenario_life import today

NOISE = ("--name", "Noisy class", "--description", "The whole class talks at once after lunch.")
NOBODY = "01900000-0000-7000-8000-000000000000"

Run = Callable[..., str]


@pytest.fixture
def run(settings: Settings, models: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process on an empty library; returns what it printed."""
    assert settings.database_url
    for name, value in {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "MODELS": str(models),
        "HOME": str(settings.home),
        "WRITER": "extractive",
        "STARTER_LIBRARY": "false",
    }.items():
        monkeypatch.setenv(f"STAFFROOM_{name}", value)

    def done(*arguments: str, code: int = 0) -> str:
        result = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
        if isinstance(result.exception, StaffroomError):
            assert exit_code(result.exception) == code, str(result.exception)
            return str(result.exception)
        assert result.exit_code == code, result.output
        return result.output

    return done


def document(run: Run, *arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def add(run: Run, *fields: str) -> str:
    sets = (part for field in fields for part in ("--set", field))
    return str(document(run, "scenario", "add", *NOISE, *sets)["id"])


def test_a_scenario_goes_from_draft_to_retired_and_back(run: Run) -> None:
    key = add(run, "status=draft")

    for step, status in (
        ("submit", "in_review"),
        ("publish", "published"),
        ("retire", "retired"),
        ("publish", "published"),
    ):
        moved = document(run, "scenario", step, key, "--reason", f"to {status}")
        assert moved["status"] == status
    refused = run("scenario", "edit", key, "--set", "status=draft", code=2)

    assert "From published it goes to in_review or retired" in refused
    history = document(run, "scenario", "history", key)["items"]
    assert [entry["reason"] for entry in history] == [
        *("to published", "to retired", "to published", "to in_review", "")
    ]
    assert "status" in run("scenario", "history", key)


def test_what_is_due_is_listed_and_reviewed(run: Run) -> None:
    overdue = (today() - timedelta(3)).isoformat()
    next_day = (today() + timedelta(365)).isoformat()
    key = add(run, f"review_by={overdue}", "evidence_strength=2", "worked_with=Year 5")

    shown = run("scenario", "due")
    assert overdue in shown
    assert "1 overdue, 0 more within 30 days, 0 within 90, 0 without a date." in shown
    listed = document(run, "scenario", "due", "--days", "-1")
    assert [item["id"] for item in listed["scenarios"]] == [key]
    assert listed["counts"]["overdue"] == 1
    assert f"(review due since {overdue})" in run("search", "class talks", "--threshold", "0")
    assert f"(review due since {overdue})" in run("ask", "The whole class talks at once, why?")
    whole = run("scenario", "show", key)
    assert "overdue: True" in whole
    assert "evidence_strength: 2" in whole

    reviewed = document(run, "scenario", "review", key, "--next", next_day, "--reason", "read it")

    assert (reviewed["review_by"], reviewed["overdue"]) == (next_day, False)
    assert "overdue" not in run("scenario", "show", key)
    assert document(run, "scenario", "history", key)["items"][0]["reason"] == "read it"
    assert document(run, "scenario", "due")["scenarios"] == []


def test_a_revision_is_restored(run: Run) -> None:
    key = add(run)
    run("scenario", "edit", key, "--set", "name=Worse")

    assert document(run, "scenario", "restore", key, "1")["name"] == "Noisy class"

    history = document(run, "scenario", "history", key)["items"]
    assert history[0]["reason"] == "restored revision 1"
    assert "has no revision 9. Its newest is 3" in run("scenario", "restore", key, "9", code=4)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("review", NOBODY, "--next", "soon"), 2, "--next is 'soon'; write a date as 2027-05-31"),
        (("review", NOBODY, "--next", "2020-01-31"), 2, "is 2020-01-31; the next review has"),
        (("review", NOBODY), 2, "--next"),
        (("review", NOBODY, "--next", "2999-01-31"), 4, "there is no scenario"),
        (("publish", NOBODY), 4, "there is no scenario"),
        (("submit", "nonsense"), 2, "is not an id"),
        (("restore", NOBODY, "1"), 4, "there is no scenario"),
        (("restore", NOBODY, "0"), 2, "greater than or equal to 1"),
        (("history", NOBODY), 4, "there is no scenario"),
        (("due", "--days", "-2"), 2, "--days"),
    ],
)
def test_what_cannot_be_done_is_explained(
    run: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert words in run("scenario", *arguments, code=code)


def test_a_standing_is_told_and_reset(run: Run) -> None:
    key = add(run)
    assert "reported to have worked: 0, weight 0.000" in run("scenario", "standing", key)

    reset = document(run, "scenario", "standing", key, "--reset", "--reason", "Tried once.")

    assert reset["worked"] == 0
    assert reset["reset_at"]
    assert NOBODY in run("scenario", "standing", NOBODY, code=4)
