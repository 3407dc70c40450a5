"""A backup on its way back: read twice, first to be checked whole, then to be stored.

Only the entries that a backup has are read, from the archive itself, and no further than the
manifest says; nothing is unpacked to a path.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from staffroom.content.backup import EXCHANGE_FILES, LIBRARY_FILES, json_line
from staffroom.content.manifest import MANIFEST, read_manifest
from staffroom.content.threads import in_thread
from staffroom.database.backup import PAGE, Document, Restored, Restoring
from staffroom.database.migrate import migrations
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import UnreadableFile
from staffroom.scenario import metadata_from
from staffroom.types import Progress, ProgressListener

MAX_LINE: Final = 10_000_000
MAX_PACKED: Final = 200
SMALL: Final = 20_000_000
"""How many times smaller an entry may be packed, if it is not small anyway: text is packed to a
tenth; one letter to a thousandth, to keep whoever reads it busy."""

_CHUNK: Final = 1 << 20

LATER_FILES: Final = frozenset({"decisions.jsonl"})
"""Those of the library that the first backups did not have."""

_Shape = Mapping[str, type]

_REVISION: Final[_Shape] = {
    **dict.fromkeys(("scenario_id", "source_id", "name", "description"), str),
    **dict.fromkeys(("expected_response", "author", "reason", "created_at"), str),
    "revision": int,
    "example_questions": list,
    "metadata": dict,
}
_GOLDEN: Final[_Shape] = {
    **dict.fromkeys(("golden_id", "question", "language", "source", "author", "created_at"), str),
    "judgements": list,
}
_EVALUATION: Final[_Shape] = {
    **dict.fromkeys(("evaluation_id", "model", "created_at"), str),
    **dict.fromkeys(("questions", "library_version"), int),
    "figures": dict,
    "ranks": dict,
}
_DECISION: Final[_Shape] = {
    **dict.fromkeys(("one", "other", "decision", "kept", "decided_by", "reason"), str),
    "similarity": float,
    "created_at": str,
}


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore did, or would do. `embedded` were found by no search before.

    `left_out` are exchanges of the backup: pseudonymised, they are for reading and not put back.
    """

    created_at: str
    scenarios: Restored
    revisions: Restored
    golden: Restored
    evaluations: Restored
    decisions: Restored
    left_out: int
    embedded: int


async def restore_backup(
    vector_ops: VectorOperations,
    path: Path,
    *,
    dry_run: bool = False,
    progress: ProgressListener | None = None,
) -> RestoreReport:
    """The library holds everything that the backup does: scenarios with all their revisions,
    golden questions, evaluations and decisions, under the same ids, by the same people, of the same
    time.

    The whole backup is checked before anything is stored, all is stored in one transaction, and
    vectors and words are made after it by the model in use. What is there already exactly so is
    left alone, so a restore that was interrupted can be run again.
    Raises: UnreadableFile for what is no whole backup, or one of a newer version; ConflictError if
        the library holds something else under an id of the backup.
    """
    with _opened(path) as archive:
        backup = _Backup(path, archive, _manifest(path, archive))
        for name in backup.files:
            await in_thread(partial(backup.check, name))
        async with vector_ops.backups.restoring(dry_run=dry_run) as restoring:
            for name, key, shape, add in _STEPS:
                if name not in backup.files:
                    continue
                await _restore(backup, name, key, shape, partial(add, restoring), progress)
            backup.compare("scenarios.jsonl", _total(restoring.scenarios))
    embedded = 0 if dry_run else await vector_ops.embed_missing(progress)
    return RestoreReport(
        created_at=backup.manifest["created_at"],
        scenarios=restoring.scenarios,
        revisions=restoring.revisions,
        golden=restoring.golden,
        evaluations=restoring.evaluations,
        decisions=restoring.decisions,
        left_out=sum(backup.files[name]["rows"] for name in EXCHANGE_FILES if name in backup.files),
        embedded=embedded,
    )


_STEPS: Final = (
    ("revisions.jsonl", ("scenario_id", "revision"), _REVISION, Restoring.add_revisions),
    ("golden.jsonl", ("golden_id",), _GOLDEN, Restoring.add_golden),
    ("evaluations.jsonl", ("evaluation_id",), _EVALUATION, Restoring.add_evaluations),
    ("decisions.jsonl", ("one", "other"), _DECISION, Restoring.add_decisions),
)


@dataclass(frozen=True, slots=True)
class _Backup:
    """An archive with its manifest."""

    path: Path
    archive: zipfile.ZipFile
    manifest: Mapping[str, Any]

    @property
    def files(self) -> Mapping[str, Mapping[str, Any]]:
        files: Mapping[str, Mapping[str, Any]] = self.manifest["files"]
        return files

    def check(self, name: str) -> None:
        """The entry is what the manifest says. Raises: UnreadableFile."""
        told = self.files[name]
        info = self._info(name)
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise _damaged(self.path, f"{name} is packed in a way that no backup is")
        if told["bytes"] > max(SMALL, MAX_PACKED * info.compress_size):
            raise _damaged(
                self.path, f"{name} is packed more than {MAX_PACKED}-fold, which text is not"
            )
        digest = hashlib.sha256()
        size = rows = 0
        with _read(self.path, name), self.archive.open(name) as entry:
            while size <= told["bytes"] and (chunk := entry.read(_CHUNK)):
                digest.update(chunk)
                size += len(chunk)
                rows += chunk.count(b"\n")
        if size != told["bytes"] or digest.hexdigest() != told["sha256"]:
            raise _damaged(self.path, f"{name} is not what {MANIFEST} says (its sha256 differs)")
        self.compare(name, rows)

    def compare(self, name: str, rows: int) -> None:
        """There are as many rows as the manifest says. Raises: UnreadableFile."""
        if rows != self.files[name]["rows"]:
            told = self.files[name]["rows"]
            raise _damaged(self.path, f"{name} has {rows:,} rows, and {MANIFEST} says {told:,}")

    def pages(
        self, name: str, key: Sequence[str], shape: _Shape
    ) -> Generator[list[Document], None, None]:
        """The rows, page by page; those with the same first key are on one page."""
        page: list[Document] = []
        last: tuple[Any, ...] = ()
        with _read(self.path, name), self.archive.open(name) as entry:
            number = 0
            while line := entry.readline(MAX_LINE + 1):
                number += 1
                row = _row(line, shape)
                if row is None:
                    raise _damaged(self.path, f"line {number:,} of {name} is none of a backup")
                place = tuple(row[part] for part in key)
                if place <= last:
                    raise _damaged(self.path, f"line {number:,} of {name} is out of order")
                if len(page) >= PAGE and place[0] != last[0]:
                    yield page
                    page = []
                page.append(row)
                last = place
        if page:
            yield page

    def _info(self, name: str) -> zipfile.ZipInfo:
        try:
            return self.archive.getinfo(name)
        except KeyError as error:
            raise _damaged(self.path, f"it lacks {name}") from error


async def _restore(
    backup: _Backup,
    name: str,
    key: Sequence[str],
    shape: _Shape,
    add: Callable[[Sequence[Document]], Any],
    progress: ProgressListener | None,
) -> None:
    done = 0
    with closing(backup.pages(name, key, shape)) as pages:
        while page := await in_thread(partial(next, pages, None)):
            await add(page)
            done += len(page)
            if progress:
                total = backup.files[name]["rows"]
                progress(Progress(f"Restoring {name}", done, total, "rows"))


def _manifest(path: Path, archive: zipfile.ZipFile) -> Mapping[str, Any]:
    """What the backup says of itself. Raises: UnreadableFile."""
    if MANIFEST not in archive.namelist():
        raise UnreadableFile(
            f"{path} is a ZIP archive, but no backup of Staffroom: it has no {MANIFEST}. "
            "`staffroom export --all FILE.zip` writes a backup; `staffroom import` stores other "
            "files."
        )
    with _read(path, MANIFEST):
        found = read_manifest(archive)
    if found is None:
        raise UnreadableFile(
            f"{path} is no backup of Staffroom: its {MANIFEST} is of another kind."
        )
    known = migrations()[-1].number
    schema = found.get("schema")
    if isinstance(schema, int) and schema > known:
        raise UnreadableFile(
            f"{path} was written by Staffroom {found.get('staffroom')} with schema {schema}, and "
            f"this program knows {known}. Upgrade Staffroom, then restore."
        )
    if not _is_whole(found):
        raise _damaged(path, f"its {MANIFEST} does not tell what is in it")
    return found


def _is_whole(manifest: Mapping[str, Any]) -> bool:
    files = manifest.get("files")
    if not isinstance(files, dict) or not isinstance(manifest.get("created_at"), str):
        return False
    if not {*LIBRARY_FILES} - LATER_FILES <= set(files) <= {*LIBRARY_FILES, *EXCHANGE_FILES}:
        return False
    shape = {"rows": int, "bytes": int, "sha256": str}
    return isinstance(manifest.get("schema"), int) and all(
        isinstance(told, dict) and _fits(told, shape) for told in files.values()
    )


def _row(line: bytes, shape: _Shape) -> Document | None:
    """The line as a row of that shape; None if it is none."""
    try:
        row = json.loads(line) if len(line) <= MAX_LINE else None
        if not isinstance(row, dict) or not _fits(row, shape):
            return None
        json_line(row).encode()
        if datetime.fromisoformat(row["created_at"]).tzinfo is None:
            return None
        if "metadata" in shape:
            metadata_from(row["metadata"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return row


def _fits(row: Mapping[str, Any], shape: _Shape) -> bool:
    return row.keys() == shape.keys() and all(
        isinstance(row[name], kind) and not isinstance(row[name], bool)
        for name, kind in shape.items()
    )


def _total(counted: Restored) -> int:
    return counted.new + counted.unchanged


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise UnreadableFile(f"there is no file {path}.") from error
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}.") from error
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise UnreadableFile(
            f"{path} is no whole ZIP archive ({error}). If it was copied, copy it again."
        ) from error
    with archive:
        yield archive


@contextmanager
def _read(path: Path, name: str) -> Iterator[None]:
    """What goes wrong while an entry is read becomes an error that names it."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
    ) as error:
        raise _damaged(path, f"{name} cannot be read: {error}") from error


def _damaged(path: Path, what: str) -> UnreadableFile:
    return UnreadableFile(
        f"the backup {path} is damaged: {what}. Nothing was restored; use another copy."
    )
