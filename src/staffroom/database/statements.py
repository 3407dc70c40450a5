"""The named statements of queries.sql, with their fragments filled in."""

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
    """Each statement of queries.sql under its name, without its comment."""
    text = (files("staffroom.database") / "queries.sql").read_text(encoding="utf-8")
    parts = _HEADER.split(text)[1:]
    return {name: body.strip() for name, body in zip(parts[::3], parts[2::3], strict=True)}


@cache
def statement(name: str, vectors_table: str = "") -> sql.Composed:
    """The statement of that name, for the generation whose table is given."""
    texts = statement_texts()
    fragments = {fragment: sql.SQL(texts[fragment]) for fragment in FRAGMENTS}
    return sql.SQL(texts[name]).format(vectors=sql.Identifier(vectors_table), **fragments)
