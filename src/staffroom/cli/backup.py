"""`export` and `restore`: the library as files, and back."""

import sys
from contextlib import aclosing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from staffroom.app import App
from staffroom.cli.output import JsonOption, err, out, print_json, progress_bars
from staffroom.cli.run import with_app
from staffroom.cli.scenario import read_statuses
from staffroom.config import load_settings
from staffroom.content.backup import write_backup
from staffroom.content.formats import write_json_lines, write_rows
from staffroom.content.restore import RestoreReport, restore_backup
from staffroom.content.threads import in_thread, pulled
from staffroom.errors import InputError, UnreadableFile
from staffroom.types import Filters

backups = typer.Typer()


@backups.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(help="JSON Lines, CSV or Excel; else JSON Lines on output.")
    ] = None,
    status: Annotated[list[str] | None, typer.Option(help="Only this status.")] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="A backup: a ZIP of all, with every revision.")
    ] = False,
    interactions: Annotated[
        bool, typer.Option("--interactions", help="With --all: what was asked, pseudonymised.")
    ] = False,
) -> None:
    """Write the library in the form that import reads, or all of it as a backup."""
    if all_:
        _back_up(file, status, interactions=interactions)
        return
    if interactions:
        raise InputError("--interactions belongs to a backup. Write --all FILE.zip beside it.")
    filters = Filters(statuses=read_statuses(status))

    async def work(app: App) -> int:
        async with aclosing(app.content.export(filters)) as rows:
            if file is None:
                return await in_thread(partial(write_json_lines, sys.stdout, pulled(rows)))
            return await in_thread(partial(write_rows, file, pulled(rows)))

    try:
        count = with_app(work)
    except OSError as error:
        raise UnreadableFile(f"{file} cannot be written: {error.strerror}.") from error
    if file is not None:
        err.print(f"{count} scenarios are in {file}.")


@backups.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup that export --all wrote.")],
    dry_run: Annotated[
        bool, typer.Option(help="Check it and tell what would be restored.")
    ] = False,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Put a backup back into an empty library: every revision, golden question and evaluation."""

    async def work(app: App) -> RestoreReport:
        with progress_bars() as progress:
            return await restore_backup(app.vector_ops, file, dry_run=dry_run, progress=progress)

    # The starter library would take the ids of the backup's own starter scenarios.
    report = with_app(work, load_settings().model_copy(update={"starter_library": False}))
    if json:
        print_json(asdict(report) | {"dry_run": dry_run})
    else:
        _print_report(report, dry_run=dry_run)


def _back_up(file: Path | None, status: list[str] | None, *, interactions: bool) -> None:
    if file is None or file.suffix.lower() != ".zip":
        raise InputError(f"a backup is a ZIP file, not {file or 'output'}. Name it FILE.zip.")
    if status:
        raise InputError("a backup holds every status. Leave --status or --all out.")
    part = file.with_name(f"{file.name}.part")

    async def work(app: App) -> dict[str, Any]:
        part.unlink(missing_ok=True)
        part.touch(0o600, exist_ok=False)
        with progress_bars() as progress, part.open("wb") as target:
            return await write_backup(
                app.vector_ops, target, interactions=interactions, progress=progress
            )

    try:
        manifest = with_app(work)
        part.replace(file)
    except OSError as error:
        raise UnreadableFile(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
    told = ", ".join(
        f"{entry['rows']:,} {name.partition('.')[0]}" for name, entry in manifest["files"].items()
    )
    err.print(Text(f"{file} holds {told}."))
    if interactions:
        err.print("Names were replaced by rules that miss some: read it before you pass it on.")


def _print_report(report: RestoreReport, *, dry_run: bool) -> None:
    verb = "would be restored" if dry_run else "restored"
    for name in ("scenarios", "revisions", "golden", "evaluations", "decisions"):
        counted = getattr(report, name)
        shown = "golden questions" if name == "golden" else name
        there = f", {counted.unchanged:,} were there already" if counted.unchanged else ""
        out.print(f"{counted.new:,} {shown} {verb}{there}.")
    if report.left_out:
        out.print(
            f"{report.left_out:,} exchanges and verdicts are pseudonymised, for reading; they are "
            "not put back."
        )
    if not dry_run:
        out.print(f"{report.embedded:,} scenarios were embedded.")
