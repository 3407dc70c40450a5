"""The starter library: scenarios that ship with Staffroom, one file for each category."""

import json
from importlib.resources import files
from typing import Any


def starter_rows() -> list[dict[str, Any]]:
    """Every scenario of the starter library, as the row that an import reads."""
    folder = files(__name__)
    names = sorted(path.name for path in folder.iterdir() if path.name.endswith(".jsonl"))
    return [
        json.loads(line)
        for name in names
        for line in (folder / name).read_text("utf-8").splitlines()
    ]
