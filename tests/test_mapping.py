"""Which column is which field: guessed, told, kept with the import, and remembered."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from staffroom.app import App
from staffroom.content.formats import Reading, inspect, open_rows, write_rows
from staffroom.content.mapping import BY_CONTENT, NAMED, SIMILAR, SPOKEN, guess, mapped
from staffroom.scenario import row_from, scenario_from
from tests.api_client import api_client
from tests.test_imports_api import IMPORTS, ended

LONG = "A pupil of nine leaves the room several times in each lesson and comes back late."
FOREIGN = "Problem;What to do;Colour\nZoë is late.;Ask Zoë why.;red\n"


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(app) as client:
        yield client


@pytest.mark.parametrize(
    ("column", "field", "confidence"),
    [
        ("Expected response", "expected_response", NAMED),
        ("What to do?", "expected_response", SPOKEN),
        ("Qué hacer", "expected_response", SPOKEN),
        ("Überschrift", "name", SPOKEN),
        ("Name (short)", "name", SPOKEN),
        ("descripton", "description", SIMILAR),
        ("shoe size", "", 0.0),
        ("reason", "", NAMED),
    ],
)
def test_a_column_is_guessed_by_its_name(column: str, field: str, confidence: float) -> None:
    (found,) = guess([column], {})

    assert (found.field, found.confidence) == (field, confidence)


def test_columns_without_a_telling_name_are_guessed_by_what_is_in_them() -> None:
    samples = {"A": [LONG], "B": [LONG + " Do this."], "C": ["draft", "published"], "D": ["x"]}
    samples["E"] = ["2027-05-31"]

    found = guess([*samples], samples)

    fields = ["description", "expected_response", "status", "", "review_by"]
    assert [each.field for each in found] == fields
    assert {each.confidence for each in found} == {BY_CONTENT, 0.0}


def test_no_two_columns_hold_the_same_and_the_surer_name_wins() -> None:
    found = guess(["Problem", "text", "situation"], {})

    assert [each.field for each in found] == ["", "description", ""]


def test_a_mapping_renames_leaves_out_and_lets_known_names_be() -> None:
    values = {"Problem": "P", "text": "T", "name": "N", "descripton": "?", "x": ""}

    assert mapped(values, {"Problem": "description"}) == {"description": "P", "name": "N"}
    assert mapped(values, {"name": "", "text": "category"}) == {"category": "T"}


def test_a_file_is_looked_into_with_its_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(("Autumn term\n\n" + FOREIGN).encode("cp1252"))

    found = inspect(path)

    assert (found.form, found.reading.encoding, found.reading.delimiter) == ("csv", "cp1252", ";")
    assert (found.reading.header_row, found.reading.guessed) == (3, ("encoding",))
    assert [(each.column, each.field, each.samples) for each in found.columns] == [
        ("Problem", "description", ("Zoë is late.",)),
        ("What to do", "expected_response", ("Ask Zoë why.",)),
        ("Colour", "", ("red",)),
    ]
    assert found.missing == ()


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".xlsx", ".zip"])
def test_our_own_exports_are_clear(tmp_path: Path, suffix: str) -> None:
    from tests.test_formats_bad import pack

    path = tmp_path / f"a{suffix}"
    rows = [row_from(scenario_from({"text": "Noise.", "tags": ["a"]}))]
    write_rows(tmp_path / "in.csv", rows)
    if suffix == ".zip":
        pack(path, {"b/in.csv": (tmp_path / "in.csv").read_bytes()})
    else:
        write_rows(path, rows)

    found = inspect(path)

    assert {each.confidence for each in found.columns} == {NAMED}
    assert found.missing == ()


def test_mapped_rows_of_json_lines_need_no_known_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"Problem": "Late.", "descripton": 1}\n')

    (row,) = open_rows(path, reading=Reading({"Problem": "description"})).rows

    assert row.values == {"description": "Late."}
    assert row.given == {"Problem": "Late.", "descripton": 1}


async def sent(
    client: httpx.AsyncClient, content: bytes, path: str = "", name: str = "a.csv", **data: Any
) -> httpx.Response:
    return await client.post(IMPORTS + path, files={"file": (name, content)}, data=data)


async def test_a_file_is_inspected_imported_by_a_mapping_and_the_mapping_is_remembered(
    client: httpx.AsyncClient, app: App
) -> None:
    content = FOREIGN.encode()
    seen = (await sent(client, content, "/inspect")).json()
    assert seen == {
        "format": "csv", "encoding": "utf-8", "delimiter": ";", "sheet": "", "sheets": [],
        "header_row": 1, "guessed": [], "missing": [], "mapping": {},
        "columns": [
            {"name": "Problem", "guess": "description", "confidence": SPOKEN,
             "samples": ["Zoë is late."]},
            {"name": "What to do", "guess": "expected_response", "confidence": SPOKEN,
             "samples": ["Ask Zoë why."]},
            {"name": "Colour", "guess": "", "confidence": 0.0, "samples": ["red"]},
        ],
    }  # fmt: skip
    assert (await client.get(IMPORTS)).json()["items"] == []

    mapping = {"Problem": "description", "What to do": "expected_response", "Colour": "tags"}
    document = await ended(client, await sent(client, content, mapping=json.dumps(mapping)))

    assert (document["new"], document["failed"], document["ignored"]) == (1, 0, [])
    assert document["reading"]["mapping"] == mapping
    assert (document["reading"]["delimiter"], document["reading"]["encoding"]) == (";", "utf-8")
    (scenario,) = await app.vector_ops.list_scenarios()
    assert scenario.content.metadata.tags == ("red",)
    again = (await sent(client, content, "/inspect")).json()
    assert {each["name"]: each["guess"] for each in again["columns"]} == mapping
    assert {each["confidence"] for each in again["columns"]} == {NAMED}
    assert again["mapping"] == mapping


async def test_refused_rows_of_a_mapped_file_keep_its_own_columns(
    client: httpx.AsyncClient,
) -> None:
    content = b"Problem;When\nNoise.;soon\nQuarrel;2027-05-31\n"
    mapping = json.dumps({"Problem": "description", "When": "review_by"})
    document = await ended(client, await sent(client, content, mapping=mapping))
    assert (document["new"], document["failed"]) == (1, 1)

    errors = (await client.get(f"{IMPORTS}/{document['id']}/errors")).text

    assert errors.lstrip("\ufeff").splitlines()[0] == "Problem;When;row;reason"
    mended = errors.replace("soon", "2027-06-01").encode()
    again = await ended(client, await sent(client, mended, mapping=mapping))
    assert (again["new"], again["failed"]) == (1, 0)


@pytest.mark.parametrize(
    ("name", "content", "raw", "right"),
    [
        ("a.jsonl", b'{"text": "Fine."}\n{"text": "Quarrels."\n', '{"text": "Quarrels."', "}"),
        ("a.csv", b"text,name\nFine.,F\nNoise, quarrels,Q\n", "Noise, quarrels,Q", ""),
    ],
)
async def test_a_row_that_could_not_be_read_is_mended_where_it_stood(
    client: httpx.AsyncClient, name: str, content: bytes, raw: str, right: str
) -> None:
    document = await ended(client, await sent(client, content, name=name))
    assert (document["new"], document["failed"]) == (1, 1)
    response = await client.get(f"{IMPORTS}/{document['id']}/errors", params={"format": "jsonl"})
    (row,) = [json.loads(line) for line in response.text.splitlines()]
    assert row["raw"].strip() == raw
    own = (await client.get(f"{IMPORTS}/{document['id']}/errors")).text

    if right:
        mended = json.dumps({**row, "raw": raw + right})
    else:
        mended = own.replace(raw, raw.replace("Noise, quarrels", '""Noise, quarrels""'))
    again = await ended(client, await sent(client, mended.encode(), name=name))

    assert (again["new"], again["failed"]) == (1, 0)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"mapping": "no JSON"}, "the mapping is not JSON"),
        ({"mapping": "[1]"}, "the mapping is no JSON object of texts"),
        ({"mapping": '{"text": "colour"}'}, "column 'text' cannot hold 'colour'"),
        ({"mapping": '{"a\\u0000b": "name"}'}, "the name of a mapped column holds a control"),
        ({"encoding": "klingon"}, "there is no encoding 'klingon'"),
        ({"delimiter": "::"}, "'::' is not one character"),
        ({"header_row": "21"}, "less than or equal to 20"),
    ],
)
@pytest.mark.parametrize("path", ["", "/inspect"])
async def test_a_reading_that_cannot_be_is_refused_before_anything_is_kept(
    client: httpx.AsyncClient, app: App, path: str, data: dict[str, str], words: str
) -> None:
    response = await sent(client, b"text\nNoise.\n", path, **data)

    assert response.status_code == 422, response.text
    assert words in response.text.replace("\\u0027", "'")
    assert [file for file in app.settings.home.rglob("*") if file.is_file()] == []


async def test_what_cannot_be_imported_is_not_looked_into(client: httpx.AsyncClient) -> None:
    assert (await sent(client, b"x", "/inspect", name="a.pdf")).status_code == 415
    assert (await sent(client, b"x", "/inspect", name="a.xlsx")).status_code == 422


async def test_refused_files_of_an_archive_are_told_by_name(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    from tests.test_formats_bad import pack

    files = {"in/a.csv": b"text,review_by\nNoise.,soon\n", "b.md": b"# Late\n\nA pupil is late."}
    path = pack(tmp_path / "a.zip", files)

    document = await ended(client, await sent(client, path.read_bytes(), name="a.zip"))

    assert (document["new"], document["failed"]) == (1, 1)
    assert document["rows"][0]["reason"].endswith("(in in/a.csv, row 2)")
    (line,) = (await client.get(f"{IMPORTS}/{document['id']}/errors")).text.splitlines()
    assert json.loads(line)["file"] == "in/a.csv, row 2"
