"""What is written is read back to the letter, whatever is in it."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staffroom.content.formats import open_rows, write_rows
from staffroom.content.formats.writing import guarded, unguarded
from staffroom.scenario import ALIASES, row_from, scenario_from

CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t")
MARKS = st.sampled_from(["=", "+", "-", "@", "'", "''=", "'@", "|", ";", '"', ",", "_x000D_", "["])
TEXTS = st.lists(st.one_of(MARKS, st.text(CHARACTERS, max_size=8)), max_size=6).map("".join)
ROWS = st.fixed_dictionaries(
    {
        "id": TEXTS,
        "name": TEXTS,
        "description": TEXTS.map(lambda text: f"A {text}"),
        "expected_response": TEXTS,
        "example_questions": st.lists(TEXTS, max_size=3),
        "tags": st.lists(TEXTS, max_size=3),
        "review_by": st.one_of(st.just(""), st.dates().map(lambda day: day.isoformat())),
    }
)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".xlsx"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_rows=st.lists(ROWS, min_size=1, max_size=3))
def test_any_row_survives_every_form(suffix: str, given_rows: list[dict[str, Any]]) -> None:
    rows = [row_from(scenario_from(row)) for row in given_rows]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"library{suffix}"
        write_rows(path, rows)
        read = [row_from(scenario_from(row.values)) for row in open_rows(path).rows]  # type: ignore[arg-type]

    assert read == rows


@given(st.text(st.sampled_from("=+-@'\t\ra "), max_size=6))
def test_a_guarded_cell_is_no_formula_and_comes_back_to_the_letter(text: str) -> None:
    cell = guarded(text)

    assert not cell.startswith(tuple("=+-@\t\r"))
    assert unguarded(cell) == text


def test_a_formula_in_a_csv_file_is_text_for_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    row = row_from(scenario_from({"name": "=cmd|' /C calc'!A0", "text": "-1, or '=x"}))

    write_rows(path, [row])

    assert "'=cmd|" in path.read_text()
    (back,) = open_rows(path).rows
    assert {name: dict(back.values).get(name) for name in ("name", "description")} == {  # type: ignore[arg-type]
        "name": "=cmd|' /C calc'!A0",
        "description": "-1, or '=x",
    }
    assert set(dict(back.values)) <= set(ALIASES)  # type: ignore[arg-type]
