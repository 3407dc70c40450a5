"""Uploads over HTTP: taken in whole or not at all, watched to their end, mended and sent again."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import openpyxl
import pytest
from starlette.types import Receive, Scope, Send

from staffroom.api.guards import TimeGuard
from staffroom.api.server import create_api
from staffroom.app import App
from staffroom.config import Settings
from staffroom.types import STATUSES, Filters
from tests.api_client import BASE, api_client, started

IMPORTS = "/api/v1/imports"

_BEGINNING = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\ntext\n'


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(app) as client:
        yield client


def lines(*rows: Any) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


async def send(
    client: httpx.AsyncClient, name: str, content: bytes, *, dry_run: bool = False, key: str = ""
) -> httpx.Response:
    return await client.post(
        IMPORTS,
        files={"file": (name, content)},
        data={"dry_run": "true"} if dry_run else {},
        headers={"Idempotency-Key": key} if key else {},
    )


async def ended(client: httpx.AsyncClient, response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 202, response.text
    async with asyncio.timeout(60):
        while True:
            document = (await client.get(response.headers["location"])).json()
            if document["state"] in {"done", "failed", "cancelled"}:
                return dict(document)
            await asyncio.sleep(0.02)


async def stored(app: App) -> list[str]:
    everything = Filters(statuses=STATUSES)
    return [scenario.name for scenario in await app.vector_ops.list_scenarios(everything)]


def left_behind(app: App) -> list[Path]:
    return [path for path in app.settings.home.rglob("*") if path.is_file()]


async def test_an_upload_is_stored_and_its_file_goes(client: httpx.AsyncClient, app: App) -> None:
    response = await send(
        client, "mine.jsonl", lines({"id": "1", "text": "Noise."}, {"text": "Quarrels.", "x": 1})
    )

    document = await ended(client, response)

    assert response.json()["id"] == document["id"]
    assert document["state"] == "done"
    assert (document["read"], document["stored"], document["failed"]) == (2, 2, 0)
    assert (document["new"], document["changed"], document["unchanged"]) == (2, 0, 0)
    assert document["ignored"] == ["x"]
    assert document["stopped"] is None
    assert document["finished_at"] > document["created_at"]
    assert document["progress"]["done"] == document["progress"]["total"] > 0
    assert await stored(app) == ["Noise.", "Quarrels."]
    assert left_behind(app) == []


async def test_the_history_tells_which_file_a_scenario_came_from(
    client: httpx.AsyncClient, app: App
) -> None:
    await ended(client, await send(client, "autumn.jsonl", lines({"text": "Noise."})))

    (scenario,) = await app.vector_ops.list_scenarios()
    (revision,) = await app.vector_ops.list_revisions(scenario.id)
    assert revision.reason == "import of autumn.jsonl"


async def test_a_dry_run_tells_every_effect_and_has_none(
    client: httpx.AsyncClient, app: App
) -> None:
    await ended(
        client,
        await send(
            client, "a.jsonl", lines({"id": "1", "text": "One."}, {"id": "2", "text": "Two."})
        ),
    )
    rows = [
        {"id": "1", "text": "One."},
        {"id": "2", "name": "Second", "text": "Two, in other words."},
        {"id": "3", "text": "Three."},
        {"id": "3", "text": "Three."},
        {"id": "4", "name": "Nothing in it"},
    ]

    document = await ended(client, await send(client, "a.jsonl", lines(*rows), dry_run=True))

    assert document["dry_run"] is True
    assert [(row["row"], row["name"], row["effect"]) for row in document["rows"]] == [
        (1, "One.", "unchanged"),
        (2, "Second", "changed"),
        (3, "Three.", "new"),
        (4, "Three.", "duplicate"),
        (5, "Nothing in it", "invalid"),
    ]
    assert document["rows"][4]["field"] == "description"
    assert "is missing" in document["rows"][4]["reason"]
    assert (document["new"], document["changed"], document["unchanged"]) == (1, 1, 1)
    assert (document["duplicate"], document["failed"]) == (1, 1)
    assert document["failed"] == 1
    assert await stored(app) == ["One.", "Two."]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
async def test_refused_rows_come_back_with_a_reason_and_can_be_mended_and_sent_again(
    client: httpx.AsyncClient, app: App, form: str
) -> None:
    rows = [
        {"id": "1", "text": "Fine.", "tags": ["a", "b"]},
        {"id": "2", "text": "Quarrels.", "status": "lost", "tags": ["x", "y; z"]},
        {"id": "3", "name": "NUL \0 and half \ud83d pair", "text": ""},
    ]
    document = await ended(client, await send(client, "a.jsonl", lines(*rows)))
    assert (document["stored"], document["failed"]) == (1, 2)
    assert [row["row"] for row in document["rows"]] == [2, 3]

    response = await client.get(f"{IMPORTS}/{document['id']}/errors", params={"format": form})

    assert response.status_code == 200
    assert f"a-errors.{form}" in response.headers["content-disposition"]
    text = response.content.decode("utf-8-sig")
    read = list(csv.DictReader(io.StringIO(text)))
    if form == "jsonl":
        read = [json.loads(line) for line in text.splitlines()]
    assert [str(row["row"]) for row in read] == ["2", "3"]
    assert read[0]["reason"].startswith("status: is 'lost'")
    for row in read:
        row["status"] = "draft"
        row["text"] = row["text"] or "Mended."
        row["name"] = "Mended"
    mended = lines(*read)
    if form == "csv":
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, list(read[0]))
        writer.writeheader()
        writer.writerows(read)
        mended = buffer.getvalue().encode()
    again = await ended(client, await send(client, f"mended.{form}", mended))
    assert (again["new"], again["failed"]) == (2, 0)
    assert again["ignored"] == ["reason", "row"]
    kept = await app.vector_ops.list_scenarios(Filters(statuses=("draft",)))
    assert kept[0].content.metadata.tags == ("x", "y; z")


async def test_refused_rows_of_a_table_keep_its_columns(client: httpx.AsyncClient) -> None:
    content = b"text;colour;status\nFine.;red;\nBad.;blue;nowhere\n"
    document = await ended(client, await send(client, "a.csv", content))

    response = await client.get(f"{IMPORTS}/{document['id']}/errors")

    assert response.text.lstrip("\ufeff").splitlines()[0] == "text;colour;status;row;reason"
    assert response.text.splitlines()[1].startswith('Bad.;blue;nowhere;3;"status: is ')


async def test_a_watched_import_tells_progress_and_then_its_report(
    client: httpx.AsyncClient,
) -> None:
    rows = [{"text": f"Situation {number}"} for number in range(600)]
    response = await send(client, "a.jsonl", lines(*rows))

    async with client.stream(
        "GET", response.headers["location"], headers={"Accept": "text/event-stream"}
    ) as stream:
        told = (await stream.aread()).decode()

    events = [
        (event.split("event: ")[1].split("\n")[0], json.loads(event.split("data: ")[1]))
        for event in told.strip().split("\n\n")
        if "event: " in event
    ]
    names = [name for name, _ in events]
    assert names[-1] == "report"
    assert set(names[:-1]) == {"progress"}
    assert events[-1][1]["stored"] == 600
    read = [document["read"] for _, document in events]
    assert read == sorted(read)


async def test_an_import_that_has_ended_is_reported_at_once(client: httpx.AsyncClient) -> None:
    document = await ended(client, await send(client, "a.jsonl", lines({"text": "A."})))

    response = await client.get(
        f"{IMPORTS}/{document['id']}", headers={"Accept": "text/event-stream"}
    )

    assert response.text.startswith("event: report")


async def test_an_import_is_paused_resumed_and_cancelled_over_http(
    client: httpx.AsyncClient, app: App
) -> None:
    # Nobody takes it up here.
    app.import_runner.stop()
    sent = await send(client, "a.jsonl", lines({"text": "Noise."}))
    path = sent.headers["location"]
    assert (sent.json()["state"], sent.json()["wanted"]) == ("waiting", "run")

    async def ask(wanted: str) -> tuple[int, str]:
        response = await client.patch(path, json={"wanted": wanted})
        assert response.json().get("wanted", wanted) == wanted
        return response.status_code, response.json().get("state", "")

    assert await ask("pause") == await ask("pause") == (202, "paused")
    assert await ask("run") == await ask("run") == (202, "waiting")
    assert await ask("cancel") == await ask("cancel") == (202, "cancelled")
    assert "stays in the library" in (await client.get(path)).json()["stopped"]
    late = await client.patch(path, json={"wanted": "run"})
    assert late.status_code == 409
    assert "a.jsonl has ended: it is cancelled" in late.json()["detail"]
    assert (await ask("hurry"))[0] == 422
    missing = await client.patch(f"{IMPORTS}/{uuid4()}", json={"wanted": "pause"})
    assert missing.status_code == 404


async def test_a_file_that_is_on_its_way_already_leads_to_its_import(
    client: httpx.AsyncClient, app: App
) -> None:
    app.import_runner.stop()
    content = lines({"text": "Noise."})
    first = await send(client, "a.jsonl", content)

    second = await send(client, "other name.jsonl", content)
    rehearsal = await send(client, "a.jsonl", content, dry_run=True)

    assert (first.status_code, second.status_code, rehearsal.status_code) == (202, 200, 202)
    assert second.json() == first.json()
    assert second.headers["location"] == first.headers["location"]
    assert len((await client.get(IMPORTS)).json()["items"]) == 2


async def test_an_import_tells_how_far_it_is_in_rows_and_bytes(client: httpx.AsyncClient) -> None:
    content = lines({"text": "Noise."}, {"text": "Quarrels."})
    response = await send(client, "a.jsonl", content)
    assert response.json()["bytes_total"] == len(content)
    assert response.json()["rows_total"] is None
    assert response.json()["seconds_left"] is None

    document = await ended(client, response)

    assert (document["read"], document["rows_total"]) == (2, 2)
    assert document["bytes_done"] == document["bytes_total"] == len(content)
    assert document["rate"] > 0
    assert document["retry_at"] is None


async def test_imports_are_listed_newest_first_page_by_page(client: httpx.AsyncClient) -> None:
    sent = [
        (await ended(client, await send(client, "a.jsonl", lines({"text": str(n)}))))["id"]
        for n in range(3)
    ]

    first = (await client.get(IMPORTS, params={"limit": 2})).json()
    second = (await client.get(IMPORTS, params={"cursor": first["next_cursor"]})).json()

    assert [item["id"] for item in first["items"] + second["items"]] == sent[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("name", "content", "status", "words"),
    [
        ("a.pdf", b"%PDF", 415, ".jsonl, .ndjson, .csv, .tsv, .xlsx"),
        ("scenarios", b"{}", 415, "'scenarios'"),
        ("a.jsonl", b"", 422, "a.jsonl is empty"),
        ("a.csv", b"colour,size\nred,3\n", 422, "a.csv has no column for the description"),
        ("a.csv", b"PK\x03\x04zip", 422, "a.csv is an Excel file or an archive"),
        ("a.csv", b"te\0xt\nnoise\n", 422, "a.csv is not text in UTF-8"),
        ("a.xlsx", b"no workbook", 422, "a.xlsx is not an Excel file"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_at_once(
    client: httpx.AsyncClient, app: App, name: str, content: bytes, status: int, words: str
) -> None:
    response = await send(client, name, content)

    assert response.status_code == status
    assert words in response.json()["detail"]
    assert str(app.settings.home) not in response.text
    assert left_behind(app) == []
    assert (await client.get(IMPORTS)).json()["items"] == []


async def test_a_broken_table_costs_its_broken_rows(client: httpx.AsyncClient) -> None:
    whole = 'text,status\nNaïve.,draft\n"Open quote,draft\nFine too.,draft\n'

    content = whole.encode() + b"Latin \xe4,draft\n"
    document = await ended(client, await send(client, "a.csv", content))

    assert (document["stored"], document["failed"]) == (2, 2)
    assert "quotation mark" in document["rows"][0]["reason"]
    assert "encoding" in document["rows"][1]["reason"]
    errors = (await client.get(f"{IMPORTS}/{document['id']}/errors")).text.splitlines()
    assert errors[0].lstrip("\ufeff") == "text,status,row,reason,raw"
    assert errors[1].endswith(',"""Open quote,draft')
    assert "Latin ä,draft,5," in (await client.get(f"{IMPORTS}/{document['id']}/errors")).text


async def test_a_spreadsheet_is_imported_with_its_dates(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    book = openpyxl.Workbook()
    book.active.append(["text", "review_by", "status"])  # type: ignore[union-attr]
    day = datetime(2027, 5, 31)  # noqa: DTZ001 - as spreadsheets have it
    book.active.append(["Noise.", day, "nowhere"])  # type: ignore[union-attr]
    book.save(tmp_path / "a.xlsx")

    document = await ended(client, await send(client, "a.xlsx", (tmp_path / "a.xlsx").read_bytes()))

    errors = await client.get(f"{IMPORTS}/{document['id']}/errors")
    sheet = openpyxl.load_workbook(io.BytesIO(errors.content)).worksheets[0]
    heading, row = sheet.values
    assert heading == ("text", "review_by", "status", "row", "reason")
    assert row[:4] == ("Noise.", "2027-05-31", "nowhere", "2")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../x.csv", "x.csv"),
        ("C:\\Users\\me\\x.csv", "x.csv"),
        ("/etc/passwd.csv", "passwd.csv"),
        ("n\u00e4h \u202efdp.csv", "n\u00e4h fdp.csv"),
        ("a" * 300 + ".csv", "a" * 196 + ".csv"),
    ],
)
async def test_what_a_file_is_called_is_shown_and_never_a_path(
    client: httpx.AsyncClient, app: App, given: str, shown: str
) -> None:
    response = await send(client, given, b"text\nNoise.\n")

    assert response.json()["file_name"] == shown
    await ended(client, response)
    assert left_behind(app) == []


async def test_a_name_that_is_no_utf8_is_taken(client: httpx.AsyncClient) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="..\\n\xe4h\xff.csv"\r\n\r\n'
        b"text\nNoise.\n\r\n--x--\r\n"
    )

    response = await client.post(
        IMPORTS, content=body, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )

    document = await ended(client, response)
    assert document["file_name"].endswith(".csv")
    assert (document["state"], document["stored"]) == ("done", 1)


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Content-Type": "application/json"}, b"{}", 415),
        ({}, b"text", 415),
        ({"Content-Type": "multipart/form-data"}, b"no boundary", 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"garbage", 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--\r\n", 422),
    ],
)
async def test_a_body_that_is_no_form_with_a_file_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str], content: bytes, status: int
) -> None:
    response = await client.post(IMPORTS, content=content, headers=headers)

    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_form_that_ends_within_its_file_is_refused(client: httpx.AsyncClient) -> None:
    """The parser leaves the file to be closed by whoever forgets it, and Python says so."""
    headers = {"Content-Type": "multipart/form-data; boundary=x"}

    response = await client.post(IMPORTS, content=_BEGINNING + b"A.\nB.\n", headers=headers)

    assert response.status_code == 422
    assert (await client.get(IMPORTS)).json()["items"] == []


async def test_a_field_that_is_unknown_is_named(client: httpx.AsyncClient) -> None:
    response = await client.post(
        IMPORTS, files={"file": ("a.csv", b"text\nA.\n")}, data={"dryrun": "true"}
    )

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "dryrun"
    assert (await client.get(IMPORTS)).json()["items"] == []


async def test_a_second_file_is_refused(client: httpx.AsyncClient) -> None:
    files = [("file", ("a.csv", b"text\nA.\n")), ("file", ("b.csv", b"text\nB.\n"))]

    assert (await client.post(IMPORTS, files=files)).status_code == 400


@pytest.mark.parametrize("announced", [True, False])
async def test_a_file_that_is_too_large_is_refused_and_nothing_of_it_stays(
    settings: Settings, announced: bool
) -> None:
    app = App(settings.model_copy(update={"upload_megabytes": 1}))

    async def pieces() -> AsyncIterator[bytes]:
        yield _BEGINNING
        for _ in range(20):
            yield b"Noise.\n" * 10_000

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    if announced:
        headers["Content-Length"] = "1400100"
    async with api_client(app) as client:
        response = await client.post(IMPORTS, content=pieces(), headers=headers)

    assert response.status_code == 413
    assert "1,000,000 bytes" in response.json()["detail"]
    assert left_behind(app) == []
    await app.close()


async def test_a_connection_that_drops_in_the_middle_leaves_nothing(app: App) -> None:
    api = create_api(app)
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": _BEGINNING + b"Noise.\n" * 500_000, "more_body": True},
        {"type": "http.disconnect"},
    ]
    scope = {
        "type": "http",
        "method": "POST",
        "path": IMPORTS,
        "raw_path": IMPORTS.encode(),
        "query_string": b"",
        "headers": [
            (b"host", BASE.removeprefix("http://").encode()),
            (b"content-type", b"multipart/form-data; boundary=x"),
        ],
    }

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send_nothing(message: Any) -> None:
        """Nobody hears."""

    async with started(api):
        await api(scope, receive, send_nothing)
        assert await app.vector_ops.imports.page() == []

    assert left_behind(app) == []


async def test_an_upload_that_is_sent_twice_with_a_key_is_one_import(
    client: httpx.AsyncClient, app: App
) -> None:
    content = lines({"text": "Noise."})

    first = await send(client, "a.jsonl", content, key="k")
    second = await send(client, "a.jsonl", content, key="k")
    other = await send(client, "a.jsonl", content + b"\n", key="k")

    assert second.json() == first.json()
    assert other.status_code == 422
    await ended(client, first)
    assert len((await client.get(IMPORTS)).json()["items"]) == 1
    assert left_behind(app) == []


@pytest.mark.parametrize("path", ["", "/errors"])
async def test_an_import_that_is_not_there_is_not_found(
    client: httpx.AsyncClient, path: str
) -> None:
    assert (await client.get(f"{IMPORTS}/{uuid4()}{path}")).status_code == 404
    assert (await client.get(f"{IMPORTS}/none{path}")).status_code == 404


async def test_an_upload_may_take_longer_than_a_response_as_long_as_it_comes() -> None:
    async def reads_all(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"whole"})

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(6):
            await asyncio.sleep(0.1)
            yield b"x" * 20_000

    guarded = TimeGuard(reads_all, response_seconds=0.3, body_seconds=5)
    transport = httpx.ASGITransport(guarded)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        response = await client.post("/", content=slowly())

    assert (response.status_code, response.text) == (200, "whole")
