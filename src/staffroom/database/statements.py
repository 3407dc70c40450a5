"""The named statements of `queries/`, with their fragments filled in."""

import re
from collections.abc import Set
from functools import cache
from importlib.resources import files
from typing import Final

from psycopg import sql

FRAGMENTS: Final = (
    *("scenario", "newest_revision", "scope"),
    *("spoken", "asked", "question", "near", "walked", "led_to", "compared"),
    *("scored", "scored_by_meaning", "scored_by_words"),
    *("kept_revision", "kept_golden", "kept_evaluation", "kept_decision"),
    *("masked", "exchanges"),
    *("likeness_columns", "likeness_heads", "likeness_texts"),
)
"""Parts that other statements, and later ones of these, include by name."""

_HEADER: Final = re.compile(r"^-- name: (\w+)\n((?:--.*\n)*)", re.MULTILINE)
_COMMENT: Final = re.compile(r"^\s*--.*\n", re.MULTILINE)
_PARAMETER: Final = re.compile(r"%\((\w+)\)s")


@cache
def statement_texts() -> dict[str, str]:
    """Each statement under its name, without comments and indentation.

    The driver remembers how a statement is to be sent only if that is not long.
    """
    texts: dict[str, str] = {}
    for file in (files("staffroom.database") / "queries").iterdir():
        parts = _HEADER.split(file.read_text(encoding="utf-8"))[1:]
        for name, body in zip(parts[::3], parts[2::3], strict=True):
            assert name not in texts, f"two statements are named {name}"
            lines = _COMMENT.sub("", body).strip().splitlines()
            texts[name] = "\n".join(line.strip() for line in lines)
    return texts


@cache
def statement(
    name: str,
    vectors_table: str = "",
    *,
    legs: tuple[str, ...] = (),
    scores: str = "scored",
    given: Set[str] | None = None,
) -> bytes:
    """The statement of that name, for the generation whose table is given.

    A search names the fragments that it consists of: its `legs`, and what gives their `scores`. Of
    the conditions of a scope, those hold that ask for a parameter among the `given`; all, by
    default.
    """
    texts = statement_texts()
    parts: dict[str, sql.Composable] = {"vectors": sql.Identifier(vectors_table)}
    for fragment in FRAGMENTS:
        text = texts[fragment]
        if fragment == "scope" and given is not None:
            text = _narrowed(text, given)
        parts[fragment] = sql.SQL(text).format(**parts)
    parts["legs"] = sql.SQL(", ").join(parts[leg] for leg in legs)
    parts["scores"] = parts[scores]
    return sql.SQL(texts[name]).format(**parts).as_bytes()


def _narrowed(scope: str, given: Set[str]) -> str:
    """The conditions, a line each, that ask for nothing but what is given."""
    return "\n".join(line for line in scope.splitlines() if given >= set(_PARAMETER.findall(line)))
