"""`bench record` keeps what a benchmark printed, with all that one needs to judge it."""

import json
from pathlib import Path

import pytest

from staffroom.config import Settings
from tests.command import Command


@pytest.fixture
def command(settings: Settings) -> Command:
    return Command.on(settings)


@pytest.mark.slow
def test_a_measurement_is_kept_with_machine_versions_and_date(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "search.json"

    command("bench", "record", "--note", "A try.", str(file), "search", "--rows", "100")

    kept = json.loads(file.read_text())
    assert kept["command"] == "staffroom bench search --rows 100"
    assert kept["note"] == "A try."
    assert kept["machine"]["cores"] >= 1
    assert set(kept["versions"]) >= {"staffroom", "onnxruntime", "pgvector"}
    assert kept["result"][0]["ours"] > 0
    command("bench", "report", str(file), "--out", str(tmp_path / "page"))
    assert "staffroom bench search --rows 100" in (tmp_path / "page.md").read_text()


@pytest.mark.slow
def test_a_benchmark_that_cannot_run_leaves_no_measurement(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "none.json"

    told = command("bench", "record", str(file), "search", "--rows", "1", code=75).stderr
    assert "ended with 2" in " ".join(told.split())
    assert not file.exists()
    assert "no benchmark is named" in command("bench", "record", str(file), code=2).stderr
    nowhere = str(tmp_path / "no" / "x.json")
    assert "no folder" in command("bench", "record", nowhere, "search", code=2).stderr
