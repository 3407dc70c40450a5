"""`mcp`: Staffroom as a server of the Model Context Protocol."""

import typer

from staffroom.api.mcp_server import serve_stdio
from staffroom.cli.run import with_app

model_context = typer.Typer()


@model_context.command()
def mcp() -> None:
    """Serve a program on standard input and output by the Model Context Protocol."""
    with_app(serve_stdio)
