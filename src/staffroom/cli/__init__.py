"""The command line: `staffroom COMMAND`. `main` is what the installed command calls."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from staffroom.cli import bench_peers, bench_report, bench_scale  # noqa: F401 - they add their commands
from staffroom.cli.backup import backups
from staffroom.cli.gaps import gaps
from staffroom.cli.imports import imports, work
from staffroom.cli.interactions import interaction
from staffroom.cli.leaving import end_as_asked, obey_signals
from staffroom.cli.library import library
from staffroom.cli.likenesses import register as register_likenesses
from staffroom.cli.mcp import model_context
from staffroom.cli.measure import bench, measure
from staffroom.cli.metrics import watching
from staffroom.cli.models import models
from staffroom.cli.operations import db, operations
from staffroom.cli.output import print_error, print_json
from staffroom.cli.questions import questions
from staffroom.cli.run import exit_code
from staffroom.cli.scenario import scenario
from staffroom.cli.serve import serving
from staffroom.config import load_settings
from staffroom.errors import StaffroomError
from staffroom.monitoring.logs import set_up_logs

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for commands in (serving, work, model_context, questions, library, backups, operations, watching):
    app.add_typer(commands)
register_likenesses(scenario)
app.add_typer(scenario, name="scenario")
app.add_typer(imports, name="imports")
app.add_typer(interaction, name="interaction")
app.add_typer(gaps, name="gaps")
app.add_typer(models, name="models")
app.add_typer(db, name="db")
app.add_typer(measure, name="eval")
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
    settings = load_settings()
    set_up_logs(settings.log_level, settings.log_format)


def main() -> None:
    """Run the command line; ends the process with the code that the README documents.

    A closed terminal and a request to end are obeyed in order: the database is left first.
    """
    obey_signals()
    try:
        app()
    except StaffroomError as error:
        if "--json" in sys.argv:
            print_json({"error": str(error)})
        print_error(str(error))
        sys.exit(exit_code(error))
    finally:
        end_as_asked()
