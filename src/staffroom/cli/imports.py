"""`imports` and `worker`: uploaded files on their way into the library."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Final
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from staffroom.app import App
from staffroom.cli.output import JsonOption, err, out, print_json
from staffroom.cli.run import with_app
from staffroom.content.import_documents import import_document
from staffroom.database.claims import Wanted
from staffroom.database.imports import ImportRecord
from staffroom.monitoring.exposition import exposed
from staffroom.monitoring.instruments import Family
from staffroom.monitoring.sending import metrics_sent

LIMIT: Final = 20

imports = typer.Typer(no_args_is_help=True, help="Uploaded files on their way into the library.")
work = typer.Typer()

ImportArgument = Annotated[UUID, typer.Argument(metavar="ID", help="The import's id.")]


@imports.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = LIMIT,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """List the imports, newest first."""

    async def read(app: App) -> list[ImportRecord]:
        return await app.vector_ops.imports.page(limit)

    records = with_app(read)
    if json:
        print_json([import_document(record) for record in records])
        return
    table = Table("Id", "State", "Rows", "New", "Changed", "Refused", "File", box=None)
    for record in records:
        counts = (record.read, record.new, record.changed, record.failed)
        table.add_row(str(record.id), _state(record), *map(str, counts), Text(record.file_name))
    out.print(table)


@imports.command()
def show(import_id: ImportArgument, json: Annotated[bool, JsonOption] = False) -> None:
    """Tell how far an import is."""

    async def read(app: App) -> ImportRecord:
        return await app.vector_ops.imports.get(import_id)

    _show(with_app(read), json=json)


@imports.command()
def pause(import_id: ImportArgument, json: Annotated[bool, JsonOption] = False) -> None:
    """Let an import rest after the batch under way; what it stored stays."""
    _ask(import_id, "pause", json=json)


@imports.command()
def resume(import_id: ImportArgument, json: Annotated[bool, JsonOption] = False) -> None:
    """Let an import go on behind the last row that it dealt with."""
    _ask(import_id, "run", json=json)


@imports.command()
def cancel(import_id: ImportArgument, json: Annotated[bool, JsonOption] = False) -> None:
    """End an import for good; what it stored stays."""
    _ask(import_id, "cancel", json=json)


@work.command()
def worker(
    lanes: Annotated[int, typer.Option(min=1, max=16, help="Imports to work on at once.")] = 1,
    once: Annotated[
        bool, typer.Option("--once", help="End when no import waits any more.")
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Show figures to Prometheus there; 0 for any port."),
    ] = None,
    metrics_host: Annotated[
        str, typer.Option(help="Address for that; whoever reaches it reads the figures.")
    ] = "127.0.0.1",
) -> None:
    """Carry out imports beside the server, until Ctrl-C or SIGTERM.

    Any number of workers share the imports, on any machine that reaches the database.
    """

    async def run(app: App) -> None:
        told = asyncio.Event()

        def stop() -> None:
            app.import_runner.stop()
            told.set()

        if metrics_port is not None:
            shown = showing.enter_context(exposed(metrics_host, metrics_port))
            err.print(f"Figures for Prometheus: {shown}")
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        async with metrics_sent(app.settings.metrics_url, _nothing):
            if once:
                await app.import_runner.run_waiting()
                return
            async with app.import_runner.running(lanes):
                err.print("Waiting for imports  (Ctrl-C stops after the batch under way)")
                await told.wait()

    with ExitStack() as showing:
        with_app(run)


async def _nothing() -> Sequence[Family]:
    """What is in the database is told by the server."""
    return ()


def _ask(import_id: UUID, wanted: Wanted, *, json: bool) -> None:
    async def ask(app: App) -> ImportRecord:
        return await app.vector_ops.imports.ask(import_id, wanted)

    _show(with_app(ask), json=json)


def _show(record: ImportRecord, *, json: bool) -> None:
    if json:
        print_json(import_document(record))
        return
    out.print(f"{record.file_name}: {_state(record)}", markup=False)
    out.print(
        f"{record.read} read, {record.new} new, {record.changed} changed, "
        f"{record.unchanged} unchanged, {record.duplicate} repeated, {record.failed} refused"
    )
    if record.seconds_left is not None:
        out.print(f"{record.rate or 0:.0f} rows a second, {record.seconds_left:.0f} s left")
    if record.retry_at:
        out.print(f"It is tried again at {record.retry_at.astimezone():%H:%M:%S}.")
    if record.stopped:
        out.print(record.stopped, markup=False)


def _state(record: ImportRecord) -> str:
    """The state, and what it is about to be."""
    if record.state != "running" or record.wanted == "run":
        return record.state
    return f"running, about to {record.wanted}"
