"""Imports as the JSON documents that commands print and other programs read. Pure."""

from dataclasses import asdict
from typing import Any, Final

from staffroom.content.formats import Reading
from staffroom.database.imports import ImportRecord

_NO_READING: Final = asdict(Reading())


def import_document(record: ImportRecord) -> dict[str, Any]:
    """An import as it stands, as JSON."""
    progress = {"done": record.done, "total": record.total, "unit": record.unit}
    return {
        "id": str(record.id),
        "file_name": record.file_name,
        "state": record.state,
        "wanted": record.wanted,
        "dry_run": record.dry_run,
        "keep_duplicates": record.keep_duplicates,
        "read": record.read,
        "stored": record.stored,
        "new": record.new,
        "changed": record.changed,
        "unchanged": record.unchanged,
        "duplicate": record.duplicate,
        "failed": record.failed,
        "progress": None if record.state == "waiting" else progress,
        "rows_total": record.rows_total,
        "bytes_done": record.bytes_done,
        "bytes_total": record.size,
        "rate": _rounded(record.rate),
        "seconds_left": _rounded(record.seconds_left),
        "retry_at": record.retry_at and record.retry_at.isoformat(),
        "rows": [asdict(effect) for effect in record.effects],
        "stopped": record.stopped or None,
        "ignored": list(record.ignored),
        "reading": {**_NO_READING, **record.options},
        "created_at": record.created_at.isoformat(),
        "finished_at": record.finished_at and record.finished_at.isoformat(),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
