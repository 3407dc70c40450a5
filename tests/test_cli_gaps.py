"""`staffroom gaps`: from what the library lacks to the scenario that answers it."""

import json

import pytest

from tests.command import Command
from tests.test_cli import NOBODY, TRACTOR, file, staffroom

__all__ = ["file", "staffroom"]

OIL = "how to change a tractor's oil"


@pytest.mark.slow
def test_a_group_is_listed_drafted_published_and_checked(staffroom: Command) -> None:
    assert "There is no group that is open." in staffroom("gaps", "list").stdout
    staffroom("ask", TRACTOR)
    staffroom("ask", OIL)

    (group,) = staffroom.json("gaps", "list")
    listed = staffroom("gaps", "list").stdout
    assert group["size"] == 2
    assert group["label"] in {TRACTOR, OIL}
    assert group["label"] in listed
    assert f"2 questions, {group['first'][:10]}. {group['id']}" in listed

    drafted = staffroom("gaps", "draft", group["id"]).stdout
    assert "Its situation is the questions themselves: word it." in drafted
    scenario = staffroom.json("gaps", "show", group["id"])["scenario"]["id"]
    assert f"staffroom scenario edit {scenario} --set status=published" in " ".join(drafted.split())
    again = staffroom("gaps", "draft", group["id"], code=2)
    assert f"leads to scenario {scenario} already" in " ".join(again.stderr.split())
    assert "0 of 2 questions are answered." in staffroom("gaps", "check", group["id"]).stdout

    staffroom("scenario", "edit", scenario, "--set", "status=published")

    checked = staffroom.json("gaps", "check", group["id"])
    assert [(item["answered"], item["rank"]) for item in checked["items"]] == [(True, 1)] * 2
    shown = staffroom("gaps", "show", group["id"]).stdout
    assert "Published: 2 of 2 questions answered, 2 golden." in shown
    assert "There was no golden question yet that could have fallen." in shown
    assert "answered 1 1." in " ".join(staffroom("gaps", "check", group["id"]).stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["list", "--state", "lost"], 2, "there is no state 'lost'; choose open, drafted"),
        (["show", NOBODY], 4, f"there is no group {NOBODY}"),
        (["draft", NOBODY], 4, f"there is no group {NOBODY}"),
        (["check", NOBODY], 4, f"there is no group {NOBODY}"),
    ],
)
def test_what_is_not_there_is_named(
    staffroom: Command,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    done = staffroom("gaps", *arguments, "--json", code=code)

    assert words in json.loads(done.stdout)["error"]
