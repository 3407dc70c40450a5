"""What the documentation says is so."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from staffroom.cli import app
from staffroom.cli.run import EXIT_CODES
from staffroom.scenario import ALIASES

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text("utf-8")
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])


def commands() -> set[str]:
    """Every command, with its group before it."""
    found = set()
    root = typer.main.get_command(app)
    for name, command in root.commands.items():  # type: ignore[attr-defined] # a group's
        subcommands = getattr(command, "commands", None)
        found |= {f"{name} {sub}" for sub in subcommands} if subcommands else {name}
    return found


def test_the_readme_names_every_command_and_no_other() -> None:
    told: list[str] = []
    for name, rest in re.findall(r"^\| `staffroom (\w+)([^`]*)`", README, re.MULTILINE):
        subcommands = re.match(r" ([a-z]+(?:\\\|[a-z]+)+)", rest)
        subs = subcommands.group(1).split("\\|") if subcommands else []
        told += [f"{name} {sub}" for sub in subs] if subs else [name]

    assert sorted(told) == sorted(commands())


def test_the_readme_names_every_exit_code_and_field() -> None:
    for code in EXIT_CODES.values():
        assert re.search(rf"\b{code} \w", README)
    for field in ALIASES:
        assert f"`{field}`" in README


def test_the_readmes_python_runs_as_far_as_its_names() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = [
        alias.name
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom) and node.module == "staffroom"
        for alias in node.names
    ]

    module = __import__("staffroom", fromlist=names)
    assert names
    assert all(hasattr(module, name) for name in names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    "script", ["setup", "run", "test", "check", "lock", "browser", "screenshots", "evaluate"]
)
def test_scripts_are_executable_and_parse(script: str) -> None:
    path = REPOSITORY / "scripts" / script

    assert path.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_every_command_explains_itself() -> None:
    for command in sorted(commands()):
        shown = CliRunner().invoke(app, [*command.split(), "--help"])
        assert shown.exit_code == 0, command
        assert "Usage: " in shown.output, command


def test_decisions_have_their_four_parts() -> None:
    for page in (REPOSITORY / "docs" / "decisions").glob("*.md"):
        text = page.read_text("utf-8")
        for part in ("**Situation.**", "**Choice.**", "**Price.**", "**Revisit**"):
            assert part in text, (page.name, part)
