"""What a backup says of itself: it tells a backup from other archives."""

import json
import zipfile
from collections.abc import Mapping
from typing import Any, Final

FORMAT: Final = "staffroom backup"
MANIFEST: Final = "manifest.json"
MAX_MANIFEST: Final = 100_000


def read_manifest(archive: zipfile.ZipFile) -> Mapping[str, Any] | None:
    """The manifest of an archive that has one; None if it is not that of a backup.

    Raises: what zipfile raises for an entry that cannot be read.
    """
    with archive.open(MANIFEST) as entry:
        text = entry.read(MAX_MANIFEST + 1)
    try:
        found = json.loads(text) if len(text) <= MAX_MANIFEST else None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) and found.get("format") == FORMAT else None
