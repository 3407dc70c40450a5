"""`mcp`: Staffroom as a server of the Model Context Protocol."""

import typer

from staffroom.cli.run import with_app

model_context = typer.Typer()


@model_context.command()
def mcp() -> None:
    """Serve a program on standard input and output by the Model Context Protocol."""
    # No other command should wait for what only this one needs.
    from staffroom.api.mcp_server import serve_stdio  # noqa: PLC0415

    with_app(serve_stdio)
