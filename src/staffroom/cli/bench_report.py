"""`bench record` and `bench report`: measurements are kept, and become a page with plots."""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from staffroom.cli.measure import bench
from staffroom.cli.output import out
from staffroom.errors import InputError, UnavailableError, UnreadableFile
from staffroom.evaluation.benchmark_report import recorded, write_report
from staffroom.evaluation.runs import check_writable

ENVIRONMENTS: Final = "--environments"


@bench.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def record(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where the measurement is kept, as JSON.")],
    note: Annotated[str, typer.Option(help="What else one should know of this run.")] = "",
) -> None:
    """Run `bench` with what follows FILE, and keep the result with machine, versions and date."""
    arguments = context.args
    if not arguments:
        raise InputError("no benchmark is named. Write, say, `bench record embed.json embed`.")
    check_writable(file, "FILE")
    command = [sys.executable, "-m", "staffroom.cli", "bench", *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"`bench {' '.join(arguments)}` ended with {done.returncode}.")
    kept = recorded(
        f"staffroom bench {' '.join(_told(arguments))}",
        datetime.now(UTC).date().isoformat(),
        json.loads(done.stdout),
    )
    text = json.dumps({**kept, "note": note}, ensure_ascii=False, indent=1)
    file.write_text(text + "\n", "utf-8")


def _told(arguments: Sequence[str]) -> list[str]:
    """The arguments without a folder of this machine that changes no figure."""
    if ENVIRONMENTS not in arguments:
        return list(arguments)
    place = arguments.index(ENVIRONMENTS)
    return [*arguments[:place], *arguments[place + 2 :]]


@bench.command()
def report(
    files: Annotated[list[Path], typer.Argument(help="What `bench record` kept.")],
    folder: Annotated[
        Path, typer.Option("--out", help="The folder of the plots; the page lies beside it.")
    ],
) -> None:
    """Write a page with plots, FOLDER.md, of kept measurements; a section for each file."""
    records = {}
    for file in files:
        try:
            kept = json.loads(file.read_text("utf-8"))
            records[file.stem] = {**kept, "result": kept["result"], "machine": kept["machine"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnreadableFile(
                f"{file} is no measurement ({error}). Make one with `staffroom bench record`."
            ) from error
    page = folder.with_suffix(".md")
    write_report(records, page, folder)
    out.print(f"{page} is new.")
