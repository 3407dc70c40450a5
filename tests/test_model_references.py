"""A GGUF file on the hub is fetched by reference, pinned by its digest, or refused."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner

from staffroom.ai.llama import LlamaWriter
from staffroom.cli import app
from staffroom.errors import (
    ConfigError,
    InputError,
    ModelCorrupt,
    ModelMissing,
    StaffroomError,
    UnavailableError,
)
from staffroom.models import Reference, fetch, fetched, file_name, model_path, recorded, verify
from staffroom.types import Progress

CONTENT = b"GGUF" + b"w" * 3_000_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = b"GGUF" + b"x" * 3_000_000
REFERENCE = "hf:Some-One/Tiny.1-GGUF/deep/tiny q4.gguf"
ADDRESS = "/Some-One/Tiny.1-GGUF/resolve/main/deep/tiny q4.gguf"
PLACE = "hub/Some-One/Tiny.1-GGUF/main/deep/tiny q4.gguf"
NO_HUB = "http://127.0.0.1:1"


@dataclass
class Hub:
    """A model hub that announces `etag` and leads to another host for the bytes."""

    url: str = ""
    elsewhere: str = ""
    files: dict[str, bytes] = field(default_factory=lambda: {ADDRESS: CONTENT})
    etag: str | None = f'"{SHA256}"'
    etag_elsewhere: str | None = None
    renamed: dict[str, str] = field(default_factory=dict)
    sizes: bool = True
    cut: int = 0
    status: int = 200
    asked: list[str] = field(default_factory=list)

    def answer(self, host: str, path: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        if self.status != 200:
            return self.status, {}, b""
        if path in self.renamed:
            return 307, {"Location": self.renamed[path]}, b""
        content = self.files.get(unquote(path))
        if content is None:
            return 404, {}, b""
        if host.startswith("127."):
            announced = {} if self.etag is None else {"X-Linked-Etag": self.etag}
            size = {"X-Linked-Size": str(len(content))} if self.sizes else {}
            return 302, {"Location": f"{self.elsewhere}{path}", **size, **announced}, b""
        announced = {} if self.etag_elsewhere is None else {"X-Linked-Etag": self.etag_elsewhere}
        body = content[: len(content) - self.cut]
        length = {"Content-Length": str(len(content))} if self.sizes else {}
        return 200, {**length, **announced}, body


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = state.answer(self.headers["Host"], self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(body)
            except ConnectionError:
                return  # the other end had seen enough

        def log_message(self, *_: object) -> None:
            """Tests stay quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}"
    state.elsewhere = f"http://localhost:{http.server_port}"
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "models"


def found(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


@pytest.mark.parametrize("etag", [f'"{SHA256}"', SHA256, f'W/"{SHA256.upper()}"'])
def test_what_the_hub_announces_is_fetched_and_recorded(store: Path, hub: Hub, etag: str) -> None:
    hub.etag = etag
    path = fetch(store, REFERENCE, hub=hub.url)

    assert path == store / PLACE
    assert path.read_bytes() == CONTENT
    assert found(store) == [PLACE, f"{PLACE}.json"]
    assert (recorded(store, REFERENCE).size, recorded(store, REFERENCE).sha256) == (
        len(CONTENT),
        SHA256,
    )
    assert verify(store, REFERENCE) == model_path(store, REFERENCE) == path


def test_what_is_here_and_whole_is_not_fetched_again(store: Path, hub: Hub) -> None:
    path = fetch(store, REFERENCE, hub=hub.url)

    assert fetch(store, REFERENCE, hub=NO_HUB) == path
    assert fetch(store, REFERENCE, sha256=SHA256.upper(), hub=NO_HUB) == path


def test_a_revision_is_asked_for_and_lies_apart(store: Path, hub: Hub) -> None:
    hub.files["/Some-One/Tiny.1-GGUF/resolve/refs/pr/1/deep/tiny q4.gguf"] = CONTENT
    fetch(store, REFERENCE, hub=hub.url)
    path = fetch(store, f"{REFERENCE}@refs/pr/1", hub=hub.url)

    assert hub.asked[-1] == "/Some-One/Tiny.1-GGUF/resolve/refs%2Fpr%2F1/deep/tiny%20q4.gguf"
    assert path == store / "hub/Some-One/Tiny.1-GGUF/refs%2Fpr%2F1/deep/tiny q4.gguf"
    assert [str(reference) for reference in fetched(store)] == [
        REFERENCE,
        f"{REFERENCE}@refs/pr/1",
    ]


def test_a_repository_that_was_renamed_is_followed_to_its_announcement(
    store: Path, hub: Hub
) -> None:
    hub.renamed["/Old/Name/resolve/main/tiny.gguf"] = ADDRESS.replace(" ", "%20")

    assert fetch(store, "hf:Old/Name/tiny.gguf", hub=hub.url).read_bytes() == CONTENT


@pytest.mark.parametrize("etag", [None, '"d41d8cd98f00b204e9800998ecf8427e"', ""])
def test_what_nothing_pins_is_refused_before_it_is_read(
    store: Path, hub: Hub, etag: str | None
) -> None:
    hub.etag, hub.etag_elsewhere = etag, f'"{SHA256}"'

    with pytest.raises(ConfigError, match=r"announces no sha256 .*tiny q4\.gguf' --sha256 HEX`"):
        fetch(store, REFERENCE, hub=hub.url)

    assert found(store) == []


@pytest.mark.parametrize("etag", [None, f'"{"0" * 64}"'])
def test_a_digest_of_ones_own_pins_whatever_the_hub_says(
    store: Path, hub: Hub, etag: str | None
) -> None:
    hub.etag = etag

    fetch(store, REFERENCE, sha256=SHA256, hub=hub.url)

    assert recorded(store, REFERENCE).sha256 == SHA256


def test_what_is_not_as_pinned_is_never_stored(store: Path, hub: Hub) -> None:
    hub.files[ADDRESS] = OTHER

    with pytest.raises(ModelCorrupt, match=f"came with .* not {SHA256}, which was announced"):
        fetch(store, REFERENCE, hub=hub.url)
    with pytest.raises(ModelCorrupt, match=f"came with .* not {'0' * 64}, which was given"):
        fetch(store, REFERENCE, sha256="0" * 64, hub=hub.url)

    assert found(store) == []
    assert fetched(store) == ()


@pytest.mark.parametrize("content", [b"<html>" * 1_000_000, b"GG", b""])
def test_what_is_no_gguf_file_is_refused(store: Path, hub: Hub, content: bytes) -> None:
    hub.files[ADDRESS] = content

    with pytest.raises(ModelCorrupt, match="not a GGUF model file"):
        fetch(store, REFERENCE, sha256=hashlib.sha256(content).hexdigest(), hub=hub.url)

    assert found(store) == []


def test_another_pin_replaces_what_is_here_only_by_what_it_pins(store: Path, hub: Hub) -> None:
    path = fetch(store, REFERENCE, hub=hub.url)
    other = hashlib.sha256(OTHER).hexdigest()

    with pytest.raises(ModelCorrupt, match="which was given"):
        fetch(store, REFERENCE, sha256=other, hub=hub.url)
    assert verify(store, REFERENCE).read_bytes() == CONTENT
    hub.files[ADDRESS] = OTHER
    fetch(store, REFERENCE, sha256=other, hub=hub.url)

    assert verify(store, REFERENCE) == path
    assert recorded(store, REFERENCE).sha256 == other


@pytest.mark.parametrize(
    ("damage", "calls"),
    [(b"short", [model_path, verify]), (OTHER, [verify])],
)
def test_a_damaged_file_is_found_and_replaced(
    store: Path, hub: Hub, damage: bytes, calls: list[Callable[[Path, str], Path]]
) -> None:
    path = fetch(store, REFERENCE, hub=hub.url)
    path.write_bytes(damage)

    for call in calls:
        with pytest.raises(ModelCorrupt, match=r"has .*`staffroom models fetch 'hf:Some-One"):
            call(store, REFERENCE)
    fetch(store, REFERENCE, hub=hub.url)

    assert verify(store, REFERENCE).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "record", ["", "[]", "{}", '{"size": 9, "sha256": 9}', '{"size": 3000004, "sha256": "x"}']
)
def test_a_damaged_record_is_found_and_replaced(store: Path, hub: Hub, record: str) -> None:
    path = fetch(store, REFERENCE, hub=hub.url)
    path.with_name(f"{path.name}.json").write_text(record)

    with pytest.raises(ModelCorrupt, match=r"the record .* is damaged.*staffroom models fetch"):
        model_path(store, REFERENCE)
    assert [str(reference) for reference in fetched(store)] == [REFERENCE]
    fetch(store, REFERENCE, hub=hub.url)

    assert verify(store, REFERENCE) == path


@pytest.mark.parametrize("missing", [PLACE, f"{PLACE}.json", ""])
def test_a_file_without_its_record_or_a_record_without_its_file_is_missing(
    store: Path, hub: Hub, missing: str
) -> None:
    if missing:
        fetch(store, REFERENCE, hub=hub.url)
        (store / missing).unlink()

    for call in (model_path, verify):
        with pytest.raises(ModelMissing) as raised:
            call(store, REFERENCE)
        assert f"`staffroom models fetch '{REFERENCE}'`" in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "hf:",
        "hf:tiny.gguf",
        "hf:owner/tiny.gguf",
        "hf:owner/repository/tiny.bin",
        "hf:owner/repository/.gguf",
        "hf:owner/repository:Q4_K_M",
        "hf:owner/repository//tiny.gguf",
        "hf:owner/repository/../tiny.gguf",
        "hf:../../tiny.gguf",
        "hf:owner/repository/deep\\tiny.gguf",
        "hf:owner/repository/ti\nny.gguf",
        "hf:owner/repository/tiny.gguf@",
        "hf:owner/repository/tiny.gguf@..",
        "hf:owner/repository/tiny.gguf@a//b",
        "hf:owner/repository/tiny.gguf@main@main",
        "hf:owner/repository/tiny.gguf?download=true",
        "hf:owner/ünal/tiny.gguf",
        f"hf:owner/repository/{'ü' * 200}.gguf",
        f"hf:owner/repository/tiny.gguf@{'a/' * 100}a",
        "hf:owner/repository/\udcff.gguf",
    ],
)
def test_a_malformed_reference_names_the_right_form(store: Path, text: str) -> None:
    for call in (model_path, verify, fetch, recorded):
        with pytest.raises(
            ConfigError, match=r"Write hf:OWNER/REPOSITORY/PATH/FILE\.gguf"
        ) as error:
            call(store, text)
        assert type(error.value) is ConfigError
        assert repr(text) in str(error.value)
    with pytest.raises(ConfigError, match="hf:OWNER"):
        LlamaWriter(text, store)


@pytest.mark.parametrize(
    "text", ["hf:o/r/f.gguf", "hf:o/r/a/b c/[f](1)é.gguf@v1.0", "hf:o/r/f.gguf@refs/pr/1"]
)
def test_a_reference_prints_as_it_is_written(text: str) -> None:
    assert str(Reference.parse(text)) == text
    assert str(Reference.parse("hf:o/r/f.gguf@main")) == "hf:o/r/f.gguf"


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64, f"{SHA256}\n"])
def test_what_is_no_digest_is_refused(store: Path, sha256: str) -> None:
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        fetch(store, REFERENCE, sha256=sha256, hub=NO_HUB)


def test_the_catalogue_takes_no_other_pin(store: Path) -> None:
    with pytest.raises(InputError, match="SmolLM2-135M-Instruct is pinned by the catalogue"):
        fetch(store, "SmolLM2-135M-Instruct", sha256=SHA256, hub=NO_HUB)


@pytest.mark.parametrize(
    ("status", "family", "said"),
    [
        (401, ConfigError, "Check its spelling"),
        (404, ConfigError, "Check its spelling"),
        (429, UnavailableError, "later"),
        (503, UnavailableError, "later"),
    ],
)
def test_a_hub_that_refuses_is_told_from_one_that_is_down(
    store: Path, hub: Hub, status: int, family: type[StaffroomError], said: str
) -> None:
    hub.status = status

    with pytest.raises(family, match=f"HTTP Error {status}.*{said}"):
        fetch(store, REFERENCE, hub=hub.url)


def test_a_hub_that_cannot_be_reached_is_unavailable(store: Path) -> None:
    with pytest.raises(UnavailableError, match=f"hub did not send {NO_HUB}/Some-One/.*run `staff"):
        fetch(store, REFERENCE, hub=NO_HUB)

    assert found(store) == []


def test_a_transfer_that_breaks_off_leaves_nothing(store: Path, hub: Hub) -> None:
    hub.cut = 1

    with pytest.raises(UnavailableError, match=r"broke off after 3000003 of 3000004 bytes"):
        fetch(store, REFERENCE, hub=hub.url)

    assert found(store) == []


@pytest.mark.parametrize("sizes", [True, False])
def test_progress_ends_complete(store: Path, hub: Hub, sizes: bool) -> None:
    hub.sizes = sizes
    seen: list[Progress] = []

    fetch(store, REFERENCE, seen.append, hub=hub.url)

    assert {(step.task, step.total, step.unit) for step in seen} == {
        (f"fetching {REFERENCE}", len(CONTENT) if sizes else None, "bytes")
    }
    assert seen[-1].done == len(CONTENT)


def test_a_folder_that_cannot_be_written_is_a_matter_of_the_settings(
    tmp_path: Path, hub: Hub
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")

    with pytest.raises(ConfigError, match=r"cannot store hf:Some-One/.*STAFFROOM_MODELS"):
        fetch(blocked / "models", REFERENCE, hub=hub.url)


def test_what_no_fetch_put_there_is_no_reference(store: Path) -> None:
    for name in ("stray.gguf.json", "a/b/c/tiny.gguf", "a/b/main/.gguf.json"):
        path = store / "hub" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")

    assert fetched(store) == ()
    assert fetched(store / "nowhere") == ()


def test_a_writer_is_called_by_its_file(store: Path) -> None:
    assert LlamaWriter(f"{REFERENCE}@refs/pr/1", store).name == "llama:tiny q4.gguf"
    assert LlamaWriter("/some/folder/own.gguf", store).name == "llama:own.gguf"
    assert file_name("SmolLM2-135M-Instruct") == "SmolLM2-135M-Instruct"


@pytest.fixture
def staffroom(store: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The `models` commands on a folder of the test's own, which reach no hub."""
    monkeypatch.setenv("STAFFROOM_MODELS", str(store))

    def run(*arguments: str) -> str:
        return CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False).stdout

    return run


def test_the_commands_know_what_was_fetched(
    staffroom: Callable[..., str], store: Path, hub: Hub
) -> None:
    path = fetch(store, REFERENCE, hub=hub.url)
    rows = json.loads(staffroom("list", "--json"))["models"]

    assert rows[-1] == {
        "name": REFERENCE,
        "kind": "writer",
        "megabytes": 3,
        "licence": None,
        "here": True,
    }
    assert re.search(r"hf:Some-One/Tiny\.1.* writer +3 MB +unknown +yes", staffroom("list"))
    assert staffroom("path", REFERENCE) == f"{path}\n"
    assert staffroom("verify", REFERENCE) == f"{REFERENCE}: whole, in {path}\n"
    assert staffroom("fetch", REFERENCE) == f"{REFERENCE}: sha256 {SHA256}, in {path}\n"
    assert staffroom("fetch", REFERENCE, "--sha256", SHA256) != ""


def test_a_listed_reference_may_be_damaged(
    staffroom: Callable[..., str], store: Path, hub: Hub
) -> None:
    path = fetch(store, REFERENCE, hub=hub.url)
    path.with_name(f"{path.name}.json").write_text("{}")
    row = json.loads(staffroom("list", "--json"))["models"][-1]

    assert (row["name"], row["megabytes"], row["here"]) == (REFERENCE, None, False)
    assert "unknown" in staffroom("list")


@pytest.mark.parametrize("names", [(), (REFERENCE, f"{REFERENCE}@v1")])
def test_one_digest_pins_one_reference(
    staffroom: Callable[..., str], names: tuple[str, ...]
) -> None:
    with pytest.raises(InputError, match=f"pins one file, and {len(names)} models are named"):
        staffroom("fetch", *names, "--sha256", SHA256)
