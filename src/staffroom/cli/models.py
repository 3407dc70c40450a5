"""`models`: which model files there are, and whether they are here and whole."""

from typing import Annotated, Any

import typer
from rich.table import Table

from staffroom import models as model_files
from staffroom.cli.output import JsonOption, err, out, print_json, progress_bars
from staffroom.config import load_settings
from staffroom.errors import ModelCorrupt, ModelMissing

models = typer.Typer(no_args_is_help=True, help="List, fetch, verify and find model files.")

NameArgument = Annotated[str, typer.Argument(help="A model that `models list` shows.")]
NamesArgument = Annotated[
    list[str] | None, typer.Argument(help="Models that `models list` shows; all if none is named.")
]


@models.command("list")
def list_(json: Annotated[bool, JsonOption] = False) -> None:
    """Show the models that can be fetched by name, and which are here."""
    folder = load_settings().models
    rows: list[dict[str, Any]] = [
        {
            "name": model.name,
            "kind": model.kind,
            "megabytes": round(model.size / 1e6),
            "licence": model.licence,
            "here": _is_here(model.name),
        }
        for model in model_files.catalogue()
    ]
    if json:
        print_json({"folder": str(folder), "models": rows})
        return
    table = Table("Name", "Kind", "Size", "Licence", "Here", box=None)
    for row in rows:
        here = "yes" if row["here"] else "no"
        table.add_row(row["name"], row["kind"], f"{row['megabytes']} MB", row["licence"], here)
    out.print(table)
    err.print(f"Models lie in {folder}.")


@models.command()
def fetch(names: NamesArgument = None) -> None:
    """Fetch models and check them by sha256; what is here and whole is left alone."""
    folder = load_settings().models
    for name in _chosen(names):
        if not _is_here(name):
            err.print(f"Fetching {name} ...")
        with progress_bars() as progress:
            model_files.fetch(folder, name, progress)


@models.command()
def verify(names: NamesArgument = None) -> None:
    """Check every byte of the models that are here."""
    folder = load_settings().models
    for name in _chosen(names):
        out.print(f"{name}: whole, in {model_files.verify(folder, name)}")


@models.command()
def path(name: NameArgument) -> None:
    """Print where a model lies."""
    typer.echo(model_files.model_path(load_settings().models, name))


def _chosen(names: list[str] | None) -> list[str]:
    return names or [model.name for model in model_files.catalogue()]


def _is_here(name: str) -> bool:
    try:
        model_files.model_path(load_settings().models, name)
    except (ModelMissing, ModelCorrupt):
        return False
    return True
