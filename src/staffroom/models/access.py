"""The three ways to a model's files: find them, check them, fetch them."""

from pathlib import Path

from staffroom.errors import ConfigError, InputError, ModelCorrupt, ModelMissing
from staffroom.models import references
from staffroom.models.hub import download as download_reference
from staffroom.models.pinned import Model, find, known, require
from staffroom.models.references import Reference, is_reference
from staffroom.models.sources import HUB, download, reporter
from staffroom.models.storage import check_content, check_size, publish, temporary_folder
from staffroom.types import ProgressListener


def model_path(models: Path, name: str | Model) -> Path:
    """Where a model lies: its folder, or its file for a writer.

    A name that is neither in the catalogue nor a reference is taken as a folder or file of
    the user's own. Looks at names and sizes only; `verify` looks at contents.

    Raises: ModelMissing naming what is not there and the command that fetches it; ModelCorrupt
        for a file of another size; ConfigError for a malformed reference.
    """
    if isinstance(name, str) and is_reference(name):
        return references.location(models, Reference.parse(name))
    model = find(name) if isinstance(name, str) else name
    if model is None:
        own = Path(str(name)).expanduser()
        if own.exists():
            return own
        raise ModelMissing(
            f"there is no model {name!r}: no file or folder of that name, and the catalogue "
            f"holds {known()}. Name one of these, or the path of your own."
        )
    for file in model.files:
        check_size(models / model.name / file.path, file, _command(model))
    folder = models / model.name
    return folder / model.files[0].path if model.kind == "writer" else folder


def verify(models: Path, name: str | Model) -> Path:
    """Where a model lies, after every byte of it was checked.

    Raises: ModelMissing or ModelCorrupt naming the file; ConfigError for an unknown name or a
        malformed reference.
    """
    if isinstance(name, str) and is_reference(name):
        return references.verify(models, Reference.parse(name))
    model = require(name)
    path = model_path(models, model)
    for file in model.files:
        check_content(models / model.name / file.path, file, _command(model))
    return path


def fetch(
    models: Path,
    name: str | Model,
    progress: ProgressListener | None = None,
    *,
    sha256: str | None = None,
    hub: str = HUB,
) -> Path:
    """Where a model lies, fetched first if it was not already there unharmed.

    Files appear whole or not at all, so two fetches at once, or one that is cut short,
    leave nothing half-made. `sha256` pins a reference; without it the hub's word does.

    Raises: ConfigError if the name is unknown or malformed, the hub has no such file, nothing
        pins it or the folder cannot be written; InputError for an unusable `sha256`;
        UnavailableError if no source could be reached; ModelCorrupt if what came is not
        what was pinned.
    """
    if isinstance(name, str) and is_reference(name):
        return _fetch_reference(models, Reference.parse(name), progress, sha256, hub)
    if sha256 is not None:
        raise InputError(
            f"{name if isinstance(name, str) else name.name} is pinned by the catalogue. Name a "
            f"reference to pin one by sha256: {references.FORM}."
        )
    model = require(name)
    try:
        return verify(models, model)
    except (ModelMissing, ModelCorrupt):
        report = reporter(f"fetching {model.name}", progress)
    try:
        with temporary_folder(models) as temporary:
            download(model, temporary, report, hub)
            for file in model.files:
                publish(temporary / file.path, models / model.name / file.path)
    except OSError as error:
        raise _cannot_store(f"{model.name} ({model.size / 1e6:.0f} MB)", models, error) from error
    return model_path(models, model)


def _fetch_reference(
    models: Path,
    reference: Reference,
    progress: ProgressListener | None,
    sha256: str | None,
    hub: str,
) -> Path:
    pin = None if sha256 is None else references.pin(sha256)
    try:
        path = references.verify(models, reference)
        if pin in {None, references.recorded(models, reference).sha256}:
            return path
    except (ModelMissing, ModelCorrupt):
        pass
    report = reporter(f"fetching {reference}", progress)
    try:
        with temporary_folder(models) as temporary:
            target = temporary / "model.gguf"
            file = download_reference(reference, target, report, pin, hub)
            references.keep(models, reference, target, file)
    except OSError as error:
        raise _cannot_store(str(reference), models, error) from error
    return references.location(models, reference)


def _command(model: Model) -> str:
    return f"staffroom models fetch {model.name}"


def _cannot_store(what: str, models: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot store {what} in {models}: {error}. "
        "Make room or grant access there, or set STAFFROOM_MODELS to another folder."
    )
