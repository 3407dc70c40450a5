"""The command line: `staffroom COMMAND`. `main` is what the installed command calls."""

import logging
import sys
from importlib.metadata import version
from typing import Annotated

import click
import typer

from staffroom.cli.library import library, scenario
from staffroom.cli.measure import bench, measure
from staffroom.cli.models import models
from staffroom.cli.operations import db, operations
from staffroom.cli.output import print_error, print_json
from staffroom.cli.questions import questions
from staffroom.cli.run import BAD_INPUT, exit_code
from staffroom.config import load_settings
from staffroom.errors import StaffroomError

INTERRUPTED = 130

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
for commands in (questions, library, measure, operations):
    app.add_typer(commands)
app.add_typer(scenario, name="scenario")
app.add_typer(models, name="models")
app.add_typer(db, name="db")
app.add_typer(bench, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"staffroom {version('staffroom')}")
        raise typer.Exit


@app.callback()
def staffroom(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Answers teachers' classroom questions from a vetted library, with its sources."""
    logging.basicConfig(level=load_settings().log_level, format="%(levelname)s %(message)s")


def main() -> None:
    """Run the command line; ends the process with the code that the README documents."""
    try:
        code = app(standalone_mode=False)
    except StaffroomError as error:
        _fail(str(error))
        code = exit_code(error)
    except click.ClickException as error:
        _fail(error.format_message())
        code = BAD_INPUT
    except (KeyboardInterrupt, click.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    sys.exit(code)


def _fail(message: str) -> None:
    if "--json" in sys.argv:
        print_json({"error": message})
    print_error(message)
