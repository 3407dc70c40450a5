"""The named statements of `queries/`, with their fragments filled in."""

import re
from functools import cache
from importlib.resources import files
from typing import Final

from psycopg import sql

FRAGMENTS: Final = ("scenario", "newest_revision", "scope")
"""Parts that other statements include by name."""

_HEADER: Final = re.compile(r"^-- name: (\w+)\n((?:--.*\n)*)", re.MULTILINE)


@cache
def statement_texts() -> dict[str, str]:
    """Each statement under its name, without its comment."""
    texts: dict[str, str] = {}
    for file in (files("staffroom.database") / "queries").iterdir():
        parts = _HEADER.split(file.read_text(encoding="utf-8"))[1:]
        for name, body in zip(parts[::3], parts[2::3], strict=True):
            assert name not in texts, f"two statements are named {name}"
            texts[name] = body.strip()
    return texts


@cache
def statement(name: str, vectors_table: str = "") -> sql.Composed:
    """The statement of that name, for the generation whose table is given."""
    texts = statement_texts()
    fragments = {fragment: sql.SQL(texts[fragment]) for fragment in FRAGMENTS}
    return sql.SQL(texts[name]).format(vectors=sql.Identifier(vectors_table), **fragments)
