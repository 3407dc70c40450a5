"""The page about files says what is so: its examples are read."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from staffroom.cli import app
from staffroom.cli.library import _mapping
from staffroom.content.formats import SUFFIXES, Reading, open_rows
from staffroom.content.formats.archive import MAX_UNPACKED
from staffroom.content.formats.packed import MAX_ENTRIES, MAX_PACKED
from staffroom.errors import InputError
from staffroom.scenario import scenario_from
from staffroom.types import ScenarioContent

PAGE = (Path(__file__).parent.parent / "docs" / "files.md").read_text("utf-8")


def example(kind: str) -> str:
    (found,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def only_scenario(path: Path, reading: Reading) -> ScenarioContent:
    (row,) = open_rows(path, reading=reading).rows
    assert not isinstance(row.values, ScenarioContent)
    return scenario_from(row.values)


def test_the_table_is_imported_by_the_command_that_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_text(example("csv"))
    (command,) = re.findall(r"^    (staffroom import .*)$", PAGE, re.MULTILINE)
    pairs = [word for word in shlex.split(command) if "=" in word]

    scenario = only_scenario(path, Reading(_mapping(pairs)))

    assert scenario.description == "Two pupils quarrel over a seat."
    assert scenario.expected_response == "Let each say what happened."
    with pytest.raises(InputError, match="Map one to it, for example Problem=description"):
        open_rows(path)


def test_the_markdown_is_a_scenario_with_every_field(tmp_path: Path) -> None:
    path = tmp_path / "loud.md"
    path.write_text(example("markdown"))

    scenario = only_scenario(path, Reading())

    assert (scenario.source_id, scenario.name) == ("loud.md", "Groups grow loud")
    assert scenario.description.startswith("During group work")
    assert scenario.expected_response.startswith("1. Agree on a signal.\n2. Wait")
    assert len(scenario.example_questions) == 2
    assert scenario.metadata.tags == ("noise", "group-work")
    assert str(scenario.metadata.review_by) == "2027-05-31"


def test_every_kind_option_and_limit_is_told() -> None:
    for suffix in SUFFIXES:
        assert f"`{suffix}`" in PAGE
    command = typer.main.get_command(app).commands["import"]  # type: ignore[attr-defined]
    options = {name for parameter in command.params for name in parameter.opts}
    for option in re.findall(r"`(--[a-z-]+)", PAGE):
        assert option in options
    assert f"{MAX_ENTRIES:,} files" in PAGE
    assert f"{MAX_UNPACKED // 10**9} GB" in PAGE
    assert f"{MAX_PACKED} times" in PAGE


@pytest.mark.parametrize("pair", ["Problem", "=description", ""])
def test_a_mapping_that_is_none_is_refused_on_the_command_line(pair: str) -> None:
    with pytest.raises(InputError, match="write COLUMN=FIELD"):
        _mapping([pair])
