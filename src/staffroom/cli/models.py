"""`models`: which model files there are, and whether they are here and whole."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from staffroom import models as model_files
from staffroom.cli.output import JsonOption, err, out, print_json, progress_bars
from staffroom.config import load_settings
from staffroom.errors import InputError, ModelCorrupt, ModelMissing

models = typer.Typer(no_args_is_help=True, help="List, fetch, verify and find model files.")

NameArgument = Annotated[
    str, typer.Argument(help="A model that `models list` shows, or a reference.")
]
FetchedArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help=f"Models of the catalogue, all if none is named, or {model_files.FORM}[@REVISION], "
        "a file on the model hub.",
    ),
]
VerifiedArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Models that `models list` shows; all if none is named."),
]
PinOption = Annotated[
    str | None,
    typer.Option(
        "--sha256",
        metavar="HEX",
        help="What the file of the one reference must have; else what the hub announces.",
    ),
]


@models.command("list")
def list_(json: Annotated[bool, JsonOption] = False) -> None:
    """Show the models that can be fetched by name or were by reference, and which are here."""
    folder = load_settings().models
    rows = [_catalogue_row(model) for model in model_files.catalogue()]
    rows += [_reference_row(folder, reference) for reference in model_files.fetched(folder)]
    if json:
        print_json({"folder": str(folder), "models": rows})
        return
    table = Table("Name", "Kind", "Size", "Licence", "Here", box=None)
    for row in rows:
        here = "yes" if row["here"] else "no"
        size = "unknown" if row["megabytes"] is None else f"{row['megabytes']} MB"
        table.add_row(Text(row["name"]), row["kind"], size, row["licence"] or "unknown", here)
    out.print(table)
    err.print(f"Models lie in {folder}.")


@models.command()
def fetch(names: FetchedArgument = None, sha256: PinOption = None) -> None:
    """Fetch models and check them by sha256; what is here and whole is left alone."""
    folder = load_settings().models
    if sha256 is not None and (names is None or len(names) != 1):
        raise InputError(
            f"--sha256 pins one file, and {len(names or [])} models are named. Name one reference."
        )
    for name in names or _catalogue_names():
        if not _is_here(name):
            err.print(f"Fetching {name} ...", markup=False)
        with progress_bars() as progress:
            path = model_files.fetch(folder, name, progress, sha256=sha256)
        if model_files.is_reference(name):
            typer.echo(f"{name}: sha256 {model_files.recorded(folder, name).sha256}, in {path}")


@models.command()
def verify(names: VerifiedArgument = None) -> None:
    """Check every byte of the models that are here."""
    folder = load_settings().models
    for name in names or [*_catalogue_names(), *map(str, model_files.fetched(folder))]:
        typer.echo(f"{name}: whole, in {model_files.verify(folder, name)}")


@models.command()
def path(name: NameArgument) -> None:
    """Print where a model lies."""
    typer.echo(model_files.model_path(load_settings().models, name))


def _catalogue_names() -> list[str]:
    return [model.name for model in model_files.catalogue()]


def _catalogue_row(model: model_files.Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "kind": model.kind,
        "megabytes": round(model.size / 1e6),
        "licence": model.licence,
        "here": _is_here(model.name),
    }


def _reference_row(folder: Path, reference: model_files.Reference) -> dict[str, Any]:
    """A row whose licence nobody told, and whose size is unknown if its record is damaged."""
    try:
        size = model_files.recorded(folder, reference).size
    except (ModelMissing, ModelCorrupt):
        size = None
    return {
        "name": str(reference),
        "kind": "writer",
        "megabytes": None if size is None else round(size / 1e6),
        "licence": None,
        "here": _is_here(str(reference)),
    }


def _is_here(name: str) -> bool:
    try:
        model_files.model_path(load_settings().models, name)
    except (ModelMissing, ModelCorrupt):
        return False
    return True
