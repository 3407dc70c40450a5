"""Files become rows, and scenarios files."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from staffroom.content.formats import FileRow, Reading, open_rows, write_rows
from staffroom.content.formats.excel import MAX_PART
from staffroom.content.formats.jsonl import MAX_LINE
from staffroom.errors import InvalidScenario, UnreadableFile
from staffroom.scenario import row_from, scenario_from
from tests.parquet_files import write_parquet

ROW = row_from(
    scenario_from(
        {
            "id": "a",
            "name": "Näme, with comma",
            "description": 'Lines\nand "quotes"; and ، شرح 👩‍🏫',
            "example_questions": ["one?", "two?"],
            "tags": ["x", "y"],
            "review_by": "2027-05-31",
        }
    )
)


def values(row: FileRow) -> dict[str, Any]:
    assert isinstance(row.values, Mapping)
    return dict(row.values)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".xlsx"])
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"library{suffix}"

    assert write_rows(path, [ROW, ROW | {"id": "b"}]) == 2
    first, second = open_rows(path).rows

    assert row_from(scenario_from(values(first))) == ROW
    assert values(second)["id"] == "b"


def test_bad_json_lines_are_rows_with_an_error_and_blank_ones_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "a"}\n\n{"text": \n[1]\n"\xff"\n{"text": "b"}')

    rows = list(open_rows(path).rows)

    assert [row.number for row in rows] == [1, 3, 4, 5, 6]
    assert [bool(row.error) for row in rows] == [False, True, True, True, False]
    assert "is not JSON" in str(rows[1].error)
    assert "JSON list" in str(rows[2].error)
    assert "not UTF-8 at byte 2" in str(rows[3].error)
    assert rows[-1].position == path.stat().st_size


def test_json_nested_without_end_is_a_row_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("[" * 100_000)

    assert "is not JSON" in str(next(open_rows(path).rows).error)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_separator_of_a_csv_file_is_seen_in_its_first_line(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"\ufeffname{mark}text{mark}colour\nN{mark}D{mark}red\n", encoding="utf-8")

    opened = open_rows(path)

    assert [values(row) for row in opened.rows] == [{"name": "N", "text": "D", "colour": "red"}]


def test_csv_rows_carry_the_number_of_their_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('name,text\na,"two\nlines"\n\nb,c\nd,e,f\n')

    rows = list(open_rows(path).rows)

    assert [row.number for row in rows] == [2, 5, 6]
    assert "3 cells under 2 columns" in str(rows[2].error)


def test_numbers_and_dates_of_an_excel_sheet_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["id", "text", "review_by", None])
    sheet.append([7, "d", None, None])
    book.save(path)

    (row,) = open_rows(path).rows

    assert (row.number, scenario_from(values(row)).source_id) == (2, "7")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.txt", b"text", "no known kind"),
        ("a.csv", b"PK\x03\x04\x00\x00", "an Excel file or an archive"),
        ("a.csv", b"name,te\xfft\n", "not text in UTF-8"),
        ("a.csv", b"name,colour\na,b\n", "no column for the description"),
        ("a.csv", b"text,name,name\na,b,c\n", "column name twice"),
        ("a.xlsx", b"name,text\na,b\n", "not an Excel file"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(UnreadableFile, match=words):
        open_rows(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="there is no file"):
        open_rows(tmp_path / "none.csv")
    for name in ("folder.csv", "folder.jsonl", "folder.xlsx"):
        (tmp_path / name).mkdir()
        with pytest.raises(UnreadableFile, match="is a folder without Markdown files"):
            open_rows(tmp_path / name)


def test_bytes_that_are_no_utf8_cost_one_row_of_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        "name,text\ną,é\n".encode() + b"a,b\n" * 4_999 + b"c,\xff\n" + b"d,e\n" * 5_000
    )

    rows = list(open_rows(path).rows)

    assert len(rows) == 10_001
    assert [(row.number, row.error.reason) for row in rows if row.error] == [
        (5_002, "is not in the file's encoding; save the file as CSV UTF-8, or name its encoding")
    ]
    assert rows[-1].position == path.stat().st_size


@pytest.mark.parametrize("broken", ['c,"never closed', 'c,"closed" too early', 'c,"d\ne"f'])
def test_quotation_marks_out_of_step_cost_one_row_of_a_csv_file(
    tmp_path: Path, broken: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"name,text\na,b\na,b\n{broken}\n" + "x,y\n" * 500)

    rows = list(open_rows(path).rows)

    assert [row.number for row in rows if "quotation mark" in str(row.error)] == [4]
    assert sum(not row.error for row in rows) >= 502
    assert rows[-1].position == path.stat().st_size


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".xlsx"])
def test_lists_and_formulas_survive_a_table(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"library{suffix}"
    row = ROW | {
        "description": "=cmd()",
        "tags": ["only; one"],
        "subjects": ["a|b", "c;d", "e\nf", "[g]"],
        "grade_bands": ["[]"],
    }

    write_rows(path, [row])

    assert row_from(scenario_from(values(next(open_rows(path).rows)))) == row


def test_a_text_that_no_cell_of_excel_holds_is_not_cut(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="40,000 characters"):
        write_rows(tmp_path / "a.xlsx", [ROW | {"expected_response": "x" * 40_000}])


def test_an_unknown_kind_is_not_written(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [json.loads(json.dumps(ROW))]
    with pytest.raises(UnreadableFile, match="no known kind"):
        write_rows(tmp_path / "a.pdf", rows)


def test_a_workbook_that_unpacks_to_too_much_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", bytes(MAX_PART + 1))

    with pytest.raises(UnreadableFile, match="more than is read of a workbook"):
        open_rows(path)


def test_a_line_of_json_that_is_too_long_is_a_row_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n"' + b"x" * (2 * MAX_LINE) + b'"\n{"text": "b"}\n')

    first, long, last = open_rows(path).rows

    assert (first.error, last.error) == (None, None)
    assert "longer than 10,000,000 characters" in str(long.error)
    assert (long.number, last.number, last.position) == (2, 3, path.stat().st_size)


def test_a_file_can_be_called_by_another_name_than_its_path(tmp_path: Path) -> None:
    path = tmp_path / "0001.csv"
    path.write_text("colour\nred\n")

    with pytest.raises(UnreadableFile, match=r"^mine\.csv has no column"):
        open_rows(path, "mine.csv")


def test_parquet_is_read_with_lists_days_numbers_and_nested_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(path)

    first, second = open_rows(path).rows

    scenario = scenario_from(values(first))
    assert (scenario.source_id, scenario.description) == ("7", "Noise.")
    assert (scenario.metadata.tags, scenario.metadata.contributor) == (("a", "b"), "Noise.")
    assert str(scenario.metadata.review_by) == "2027-05-31"
    assert (second.number, values(second)["tags"]) == (2, ["c"])


def test_a_file_that_is_no_parquet_is_refused_with_the_next_step(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and nothing more PAR1")

    with pytest.raises(UnreadableFile, match="not a Parquet file that can be read"):
        open_rows(path)


def test_a_nested_column_of_parquet_costs_its_rows_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(path)

    first, _ = open_rows(path, reading=Reading({"metadata": "description", "text": ""})).rows

    with pytest.raises(InvalidScenario, match="description: has to be text, not dict"):
        scenario_from(values(first))


PARTS = ("xl/workbook.xml", "xl/styles.xml", "xl/_rels/workbook.xml.rels", "docProps/core.xml")


@pytest.mark.parametrize("part", [*PARTS, "[Content_Types].xml", "xl/worksheets/sheet1.xml"])
def test_a_workbook_with_a_damaged_part_is_refused_with_the_next_step(
    tmp_path: Path, part: str
) -> None:
    whole, damaged = tmp_path / "whole.xlsx", tmp_path / "damaged.xlsx"
    write_rows(whole, [row_from(scenario_from({"text": "A pupil is late."}))] * 50)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(damaged, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content[: len(content) // 2] if name == part else content)

    with pytest.raises(UnreadableFile, match=r"damaged\.xlsx .*Excel"):
        list(open_rows(damaged).rows)


def test_a_workbook_packed_to_fill_memory_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    write_rows(path, [row_from(scenario_from({"text": "A pupil is late."}))])
    with zipfile.ZipFile(path) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    parts["xl/worksheets/sheet1.xml"] += b"a" * 30_000_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in parts.items():
            target.writestr(name, content)

    with pytest.raises(UnreadableFile, match=r"packed into .* in xl/worksheets/sheet1\.xml"):
        open_rows(path)
