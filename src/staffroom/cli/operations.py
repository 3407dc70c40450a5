"""`db` and `doctor`: what operators do."""

import asyncio
from typing import Annotated

import typer
from rich.text import Text

from staffroom.cli.doctor import Finding, examine
from staffroom.cli.output import JsonOption, err, out, print_json
from staffroom.cli.run import exit_code
from staffroom.config import load_settings
from staffroom.database.connection import Database
from staffroom.database.embedded import EmbeddedServer
from staffroom.errors import ConfigError

db = typer.Typer(no_args_is_help=True, help="Start, stop and look at the database.")
operations = typer.Typer()


@db.command()
def start() -> None:
    """Start the embedded database and keep it running until `db stop`."""
    server = _embedded()
    server.start(keep=True)
    out.print(Text(f"PostgreSQL runs on {server.status().data} until `staffroom db stop`."))


@db.command()
def stop() -> None:
    """Stop the embedded database, also when something else uses it."""
    stopped = _embedded().stop()
    out.print("PostgreSQL was stopped." if stopped else "PostgreSQL was not running.")


@db.command()
def status(json: Annotated[bool, JsonOption] = False) -> None:
    """Tell whether the embedded database runs, and where it keeps what."""
    found = _embedded().status()
    document = {
        "running": found.running,
        "pid": found.pid,
        "version": found.version,
        "kept": found.kept,
        "data": str(found.data),
        "log": str(found.log),
    }
    if json:
        print_json(document)
        return
    for name, value in document.items():
        out.print(Text(f"{name}: {'-' if value is None else value}"))


@db.command()
def migrate() -> None:
    """Bring the database's schema up to this program's version."""

    async def work() -> None:
        database = Database(load_settings())
        try:
            await database.open()
            info = await database.describe()
            out.print(f"The schema is at version {info.schema}.")
        finally:
            await database.close()

    asyncio.run(work())


@db.command()
def url() -> None:
    """Print how to reach the database with psql and other tools."""
    settings = load_settings()
    if settings.database_url:
        typer.echo(settings.database_url.get_secret_value())
        return
    typer.echo(EmbeddedServer(settings.home).start())
    err.print("The database stops with its last user; `staffroom db start` keeps it running.")


@operations.command()
def doctor(json: Annotated[bool, JsonOption] = False) -> None:
    """Examine every part of the installation and say what to do about what is wrong."""

    async def work() -> list[Finding]:
        findings = []
        async for finding in examine(load_settings()):
            findings.append(finding)
            if not json:
                _print_finding(finding)
        return findings

    findings = asyncio.run(work())
    if json:
        print_json([{"part": f.part, "well": f.well, "detail": f.detail} for f in findings])
    errors = [finding.error for finding in findings if finding.error]
    if errors:
        raise typer.Exit(exit_code(errors[0]))


def _print_finding(finding: Finding) -> None:
    mark = ("ok    ", "green") if finding.well else ("failed", "bold red")
    out.print(Text.assemble(mark, f" {finding.part}: {finding.detail}"))


def _embedded() -> EmbeddedServer:
    settings = load_settings()
    if settings.database_url:
        raise ConfigError(
            "STAFFROOM_DATABASE_URL names a server of your own, which Staffroom does not start or "
            "stop. Unset it to use the embedded one."
        )
    return EmbeddedServer(settings.home)
