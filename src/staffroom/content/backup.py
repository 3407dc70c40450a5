"""A backup: everything of a library as one ZIP of JSON Lines.

The files are in a fixed order, their lines too, and each line is written in one way; so two
backups of one state differ in the manifest's time alone.
"""

import hashlib
import json
import zipfile
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import IO, Any, Final

from staffroom.content.manifest import FORMAT, MANIFEST
from staffroom.content.threads import in_thread
from staffroom.database.backup import Document, Snapshot
from staffroom.database.migrate import migrations
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import UnavailableError
from staffroom.privacy.pseudonyms import pseudonymised
from staffroom.types import Progress, ProgressListener

DIGITS: Final = 4
"""Decimals of a relevance: what it is good for, and not so many that they tell the exchange."""

_MODE: Final = 0o600 << 16
_NO_DATE: Final = (1980, 1, 1, 0, 0, 0)

_Pages = AsyncGenerator[list[Document], None]

_LIBRARY: Final[Mapping[str, Callable[[Snapshot], _Pages]]] = {
    "scenarios.jsonl": Snapshot.scenarios,
    "revisions.jsonl": Snapshot.revisions,
    "golden.jsonl": Snapshot.golden,
    "evaluations.jsonl": Snapshot.evaluations,
    "decisions.jsonl": Snapshot.decisions,
}
_EXCHANGES: Final[Mapping[str, Callable[[Snapshot], _Pages]]] = {
    "interactions.jsonl": Snapshot.interactions,
    "feedback.jsonl": Snapshot.feedback,
}
LIBRARY_FILES: Final = tuple(_LIBRARY)
EXCHANGE_FILES: Final = tuple(_EXCHANGES)


async def write_backup(
    vector_ops: VectorOperations,
    file: IO[bytes],
    *,
    interactions: bool = False,
    progress: ProgressListener | None = None,
) -> dict[str, Any]:
    """The file holds everything of the library as it is at this moment. Returns its manifest.

    With interactions, also what was asked, answered and said of it, pseudonymised by rules that
    find most names and not all. Memory stays flat. Raises: UnavailableError if the disk is full.
    """
    wanted = {**_LIBRARY, **_EXCHANGES} if interactions else _LIBRARY
    async with vector_ops.backups.snapshot(interactions=interactions) as snapshot:
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "staffroom": version("staffroom"),
            "schema": migrations()[-1].number,
            "model": snapshot.model,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": {},
        }
        with _written(), zipfile.ZipFile(file, "w") as archive:
            for name, pages in wanted.items():
                manifest["files"][name] = await _write(
                    archive, name, pages(snapshot), _SHOWN.get(name), progress
                )
            archive.writestr(_entry(MANIFEST), json.dumps(manifest, indent=2) + "\n")
    return manifest


async def _write(
    archive: zipfile.ZipFile,
    name: str,
    pages: _Pages,
    shown: Callable[[Document], Document] | None,
    progress: ProgressListener | None,
) -> dict[str, Any]:
    """The pages are the lines of that entry. Returns what the manifest says of it."""
    digest = hashlib.sha256()
    rows = size = 0
    with archive.open(_entry(name), "w", force_zip64=True) as entry:
        async for page in pages:
            text = await in_thread(partial(_write_page, entry, page, shown))
            digest.update(text)
            rows += len(page)
            size += len(text)
            if progress:
                progress(Progress(f"Writing {name}", rows, None, "rows"))
    return {"rows": rows, "bytes": size, "sha256": digest.hexdigest()}


def _write_page(
    entry: IO[bytes], page: Sequence[Document], shown: Callable[[Document], Document] | None
) -> bytes:
    documents = map(shown, page) if shown else page
    text = "".join(map(json_line, documents)).encode()
    entry.write(text)
    return text


def json_line(document: Document) -> str:
    """The document as a line of a backup, which is the same for equal documents."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True) + "\n"


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _NO_DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = _MODE
    return info


def _interaction(row: Document) -> Document:
    """An exchange without who, when and in which conversation, but for the day and its turn."""
    parts = [*row["sentences"], *row["more"]]
    texts = [row["answer"], *(part["text"] for part in parts)]
    question, asked, answer, *texts = _masked(row, [row["question"], row["asked"]], texts)
    sentences = [part | {"text": text} for part, text in zip(parts, texts, strict=True)]
    size = len(row["sentences"])
    return {
        **{name: row[name] for name in row if name not in {"created_at", "told"}},
        "day": row["created_at"][:10],
        "question": question,
        "asked": asked,
        "answer": answer,
        "sentences": sentences[:size],
        "more": sentences[size:],
        "threshold": _rounded(row["threshold"]),
        "best_relevance": _rounded(row["best_relevance"]),
        "matches": [
            match | {"relevance": _rounded(match["relevance"])} for match in row["matches"]
        ],
    }


def _feedback(row: Document) -> Document:
    comment = _masked(row, [row["question"], row["asked"], row["comment"]])[2]
    return {
        "interaction_id": row["interaction_id"],
        "day": row["created_at"][:10],
        "verdict": row["verdict"],
        "reason": row["reason"],
        "comment": comment,
        "scenario_id": row["scenario_id"],
    }


def _masked(row: Document, told: Sequence[str], said: Sequence[str] = ()) -> list[str]:
    """The texts, pseudonymised; whoever was named earlier in the conversation is known."""
    before = row["told"] or []
    return pseudonymised([*before, *told], said)[len(before) :]


_SHOWN: Final[Mapping[str, Callable[[Document], Document]]] = {
    "interactions.jsonl": _interaction,
    "feedback.jsonl": _feedback,
}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


@contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"the backup cannot be written: {error.strerror}. Make room on the disk, then try "
            "again."
        ) from error
