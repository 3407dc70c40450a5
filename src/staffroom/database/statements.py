"""The named statements of `queries/`, with their fragments filled in."""

import re
from functools import cache
from importlib.resources import files
from typing import Final

from psycopg import sql

FRAGMENTS: Final = (
    *("scenario", "newest_revision", "scope"),
    *("spoken", "asked", "question", "near", "led_to", "scored"),
    *("kept_revision", "kept_golden", "kept_evaluation", "kept_decision"),
    *("masked", "exchanges"),
    *("likeness_columns", "likeness_heads", "likeness_texts"),
)
"""Parts that other statements, and later ones of these, include by name."""

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
    parts: dict[str, sql.Composable] = {"vectors": sql.Identifier(vectors_table)}
    for fragment in FRAGMENTS:
        parts[fragment] = sql.SQL(texts[fragment]).format(**parts)
    return sql.SQL(texts[name]).format(**parts)
