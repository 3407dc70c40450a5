"""Files that nobody should have made: each ends in a named error, and every good row is kept."""

import random
import stat
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from staffroom.content.formats import SUFFIXES, Reading, inspect, open_rows, write_rows
from staffroom.content.formats import archive as archive_module
from staffroom.content.formats.packed import MAX_ENTRIES
from staffroom.errors import InputError, UnreadableFile
from staffroom.scenario import row_from, scenario_from
from tests.parquet_files import write_parquet

ROW = row_from(scenario_from({"id": "a", "text": "A pupil is late."}))
CSV = b"name,text\nN,D\n"


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def read(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The values of the good rows, and the errors of the others."""
    rows = list(open_rows(path).rows)
    good = [dict(row.values) for row in rows if not row.error]  # type: ignore[arg-type]
    return good, [f"{row.place}: {row.error.reason}" for row in rows if row.error]


# Archives


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../../etc/cron.csv", "leads out of the archive"),
        ("/etc/cron.csv", "leads out of the archive"),
        ("C:\\cron.csv", "leads out of the archive"),
        ("..\\cron.csv", "leads out of the archive"),
        ("inner.zip", "is an archive in an archive"),
        ("photo.jpg", "is of no known kind"),
        ("empty.csv", "is empty"),
        ("other.csv", "has no column for the description"),
        ("wrong.xlsx", "not an Excel file"),
    ],
)
def test_a_file_of_an_archive_that_cannot_be_read_is_named_and_the_rest_is_read(
    tmp_path: Path, name: str, words: str
) -> None:
    content = b"" if "empty" in name else b"colour\nred\n"
    path = pack(tmp_path / "a.zip", {"first.csv": CSV, name: content, "last.csv": CSV})

    good, errors = read(path)

    assert good == [{"name": "N", "text": "D"}] * 2
    assert len(errors) == 1
    assert words in errors[0]
    assert errors[0].startswith(f"{name}: ")
    assert [item.name for item in tmp_path.iterdir()] == ["a.zip"]


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    link = zipfile.ZipInfo("link.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.csv", CSV)

    good, errors = read(path)

    assert len(good) == 1
    assert errors == ["link.csv: is a link, not a file; put the file itself into the archive"]


def test_an_encrypted_file_of_an_archive_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.csv": CSV, "b.csv": CSV})
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)

    good, errors = read(path)

    assert len(good) == 1
    assert errors == ["b.csv: is encrypted; pack it without a password"]


def test_what_file_managers_leave_in_archives_is_passed_over(tmp_path: Path) -> None:
    junk = {"__MACOSX/._a.csv": b"x", ".DS_Store": b"x", "b/.hidden.csv": b"x", "Thumbs.db": b"x"}
    path = pack(tmp_path / "a.zip", {**junk, "a.csv": CSV})

    assert read(path) == ([{"name": "N", "text": "D"}], [])


def test_an_archive_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"holds no file that can be imported\.$"):
        open_rows(pack(tmp_path / "a.zip", {".DS_Store": b"x"}))
    with pytest.raises(UnreadableFile, match=r"imported: a\.jpg is of no known kind"):
        open_rows(pack(tmp_path / "b.zip", {"a.jpg": b"x"}))


def test_an_archive_packed_to_fill_the_disk_is_stopped_while_it_is_unpacked(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.csv": CSV, "bomb.csv": b"text\n" + b"a" * 40_000_000})
    rows = open_rows(path).rows

    assert next(rows).error is None
    with pytest.raises(UnreadableFile, match=r"bomb\.csv is packed into [\d,]+ bytes"):
        next(rows)


def test_an_archive_that_lies_about_sizes_costs_that_file(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.csv": b"text\n" + b"word\n" * 10_000, "b.csv": CSV})
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = (12).to_bytes(4, "little")
    path.write_bytes(content)

    good, errors = read(path)

    assert good == [{"name": "N", "text": "D"}]
    assert "is damaged" in errors[0]


def test_an_archive_may_not_unpack_to_more_than_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "MAX_UNPACKED", 20)
    path = pack(tmp_path / "a.zip", {"a.csv": CSV, "b.csv": CSV})
    rows = open_rows(path).rows

    next(rows)
    with pytest.raises(UnreadableFile, match=r"b\.csv brings it over 20 bytes; split the archive"):
        next(rows)


def test_of_an_archive_that_is_looked_into_only_beginnings_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "MAX_BEGINNING", 1_000)
    write_rows(tmp_path / "in.xlsx", [ROW])
    files = {"bomb.csv": b"Problem\n" + b"a" * 40_000_000, "in.xlsx": b"", "b.csv": CSV}
    files["in.xlsx"] = (tmp_path / "in.xlsx").read_bytes()
    path = pack(tmp_path / "a.zip", files)

    found = inspect(path)

    assert [each.column for each in found.columns] == ["Problem", "name", "text"]


def test_an_archive_of_too_many_files_is_refused_by_its_list(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(MAX_ENTRIES + 1):
            archive.writestr(f"{number}.md", b"")

    with pytest.raises(UnreadableFile, match="holds more than 10,000 files"):
        open_rows(path)


# Tables


def test_a_cell_of_50_megabytes_is_a_row_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"name,text\nN,D\nN," + b"x" * 50_000_000 + b'\nN,"' + b"y" * 5_000_000)
    with path.open("ab") as file:
        file.write(b"\n" + b"y" * 6_000_000 + b'"\nN,D\n')
    tracemalloc.start()

    good, errors = read(path)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert good[0] == good[-1] == {"name": "N", "text": "D"}
    assert "is a line longer than 10,000,000 characters" in errors[0]
    assert "holds a cell longer than 10,000,000 characters" in errors[1]
    assert peak < 200_000_000


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_every_unicode_encoding_is_recognised(tmp_path: Path, encoding: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    text = "name;text\nÄrger;Zoë said: „no“\n"
    if suffix == ".jsonl":
        text = '{"name": "Ärger", "text": "Zoë said: „no“"}\n'
    path.write_bytes(text.encode(encoding))

    opened = open_rows(path)

    (row,) = opened.rows
    assert row.values == {"name": "Ärger", "text": "Zoë said: „no“"}
    assert row.position == path.stat().st_size
    assert opened.reading.guessed == ()


def test_text_of_windows_is_guessed_and_can_be_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("name,text\nŁódź,Żółw\n".encode("cp1250"))

    guessed = open_rows(path)
    told = open_rows(path, reading=Reading(encoding="windows-1250"))

    assert (guessed.reading.encoding, guessed.reading.guessed) == ("cp1252", ("encoding",))
    assert (told.reading.encoding, told.reading.guessed) == ("cp1250", ())
    assert next(told.rows).values == {"name": "Łódź", "text": "Żółw"}


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (Reading(encoding="rot13"), "there is no encoding 'rot13'; choose one of utf-8"),
        (Reading(encoding="zip"), "there is no encoding 'zip'"),
        (Reading(delimiter="ab"), "'ab' is not one character"),
        (Reading(delimiter='"'), "is not one character that can part cells"),
        (Reading({"text": "colour"}), "column 'text' cannot hold 'colour'; the fields are id,"),
        (Reading({"a": "name", "b": "name"}), "'a' and 'b' are both to hold name; choose one"),
        (Reading({"nothing": "name"}), "has no column 'nothing' to map; its columns are: text"),
        (Reading(header_row=5), "has no column for the description"),
    ],
)
def test_a_reading_that_cannot_be_is_refused_with_the_next_step(
    tmp_path: Path, reading: Reading, words: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,x\na,b\n")

    with pytest.raises(InputError, match=words):
        open_rows(path, reading=reading)


# Workbooks


def book(path: Path, *rows: list[Any], merge: str = "") -> Path:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    if merge:
        sheet.merge_cells(merge)
    workbook.save(path)
    return path


def test_formulas_without_a_value_and_errors_are_refused_rows(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["name", "text"], ["N", "D"], ["=1+1", "D"], ["N", "#N/A"], ["N", "D"]]
    path = book(tmp_path / "a.xlsx", *rows)

    good, errors = read(path)

    assert len(good) == 2
    assert "a formula in the column 'name' that was never calculated" in errors[0]
    assert "the error #N/A in the column 'text'" in errors[1]


def test_a_value_merged_over_rows_belongs_to_each_of_them(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["category", "text"],
        ["talk", "A"],
        [None, "B"],
        [None, "C"],
        [None, "D"],
    ]
    path = book(tmp_path / "a.xlsx", *rows, merge="A2:A4")

    good, _ = read(path)

    assert [row.get("category") for row in good] == ["talk", "talk", "talk", None]


def test_the_header_is_found_below_a_title_and_a_sheet_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    book(path, ["Our scenarios"], [], ["name", "text"], ["N", "D"])
    workbook = openpyxl.load_workbook(path)
    other = workbook.create_sheet("Autumn")
    other.append(["text"])
    other.append(["E"])
    workbook.save(path)

    first, second = open_rows(path), open_rows(path, reading=Reading(sheet="Autumn"))

    assert first.reading.header_row == 3
    assert [row.values for row in first.rows] == [{"name": "N", "text": "D"}]
    assert [row.values for row in second.rows] == [{"text": "E"}]
    with pytest.raises(UnreadableFile, match="no sheet 'Spring'; its sheets are Sheet, Autumn"):
        open_rows(path, reading=Reading(sheet="Spring"))


# Markdown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("---\na: &x [1]\nb: *x\n---\n", "has an anchor"),
        ("---\na: !!python/object/apply:os.system [ls]\n---\n", "front matter that is no YAML"),
        ("---\na: [\n---\n", "front matter that is no YAML"),
        ("---\n- a\n---\n", "front matter without names"),
        ("---\n" + "[" * 60_000 + "\n---\n", "lists within lists; write it flat"),
        ("---\na: " + "x" * 70_000 + "\n---\n", "more than 64,000 characters"),
        ("x" * 1_000_001, "longer than 1,000,000 characters"),
    ],
)
def test_markdown_that_is_none_is_a_row_with_an_error(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "a.md").write_text(text)
    (tmp_path / "b.md").write_text("A pupil is late.")

    good, errors = read(tmp_path)

    assert good == [{"id": "b.md", "description": "A pupil is late."}]
    assert words in errors[0]
    assert errors[0].startswith("a.md: ")


# Damage


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, cut off or repeated."""
    result = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(result))
        match chance.randrange(4):
            case 0:
                result[at] = chance.randrange(256)
            case 1:
                del result[at:]
            case 2:
                result[at:at] = result[: chance.randrange(64)]
            case _:
                result[at : at + 4] = b"\xff\xff\xff\xff"
        if not result:
            return b"x"
    return bytes(result)


def whole(path: Path) -> None:
    rows = [{**ROW, "id": str(number)} for number in range(20)]
    if path.suffix == ".parquet":
        write_parquet(path)
    elif path.suffix in {".md", ".markdown"}:
        path.write_text("---\nid: a\ntags: [x, y]\n---\n# N\n\nD\n\n## Advice\n\n1. A\n")
    elif path.suffix == ".zip":
        write_rows(path.with_suffix(".csv"), rows)
        pack(path, {"a.csv": path.with_suffix(".csv").read_bytes(), "b.md": b"# N\n\nD\n"})
    else:
        write_rows(path, rows)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damaged_files_end_in_rows_or_a_named_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"whole{suffix}"
    whole(path)
    content = path.read_bytes()
    chance = random.Random(suffix)
    ends = []
    size = 15 if suffix == ".parquet" else 60  # each of them is a process
    for number in range(size):
        spoilt = tmp_path / f"{number}{suffix}"
        spoilt.write_bytes(damaged(content, chance))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what openpyxl says of odd parts
                read(spoilt)
            ends.append("rows")
        except UnreadableFile as error:
            ends.append(str(error))

    assert len(ends) == size
    assert all(f"{path.parent}" in end for end in ends if end != "rows")
