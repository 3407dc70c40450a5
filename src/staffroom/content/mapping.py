"""Which column of a file holds which field: guessed from names and samples, shown, and applied."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from staffroom.errors import InputError
from staffroom.scenario import ALIASES
from staffroom.text import damage
from staffroom.types import STATUSES

SERVICE_COLUMNS: Final = frozenset({"row", "reason", "raw", "file"})
"""What Staffroom adds to the rows that it refused; no fields of a scenario."""

NAMED, SPOKEN, SIMILAR, BY_CONTENT = 1.0, 0.9, 0.7, 0.4
"""How sure a guess is: by the field's own name, by a word for it, by a name with a typing error,
by what the cells look like."""

MANY_WORDS: Final = 12
MAX_MAPPED: Final = 500
LIKE_NAME: Final = 0.85

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("key", "number", "no", "nr", "ref", "código", "clave", "nummer", "numéro"),
    "name": (
        "headline", "heading", "case", "topic", "título", "nombre", "titel", "überschrift",
        "titre", "nom", "sujet",
    ),
    "description": (
        "problem", "scenario", "what happens", "what happened", "details", "descripción",
        "situación", "problema", "beschreibung", "situationsbeschreibung", "la situation",
        "problème",
    ),
    "expected_response": (
        "what to do", "solution", "recommendation", "strategy", "strategies", "suggestion",
        "what helps", "consejo", "respuesta", "qué hacer", "solución", "estrategia", "rat",
        "antwort", "lösung", "was tun", "empfehlung", "conseil", "réponse", "que faire",
    ),
    "example_questions": (
        "example questions", "sample questions", "question", "preguntas", "pregunta", "fragen",
        "beispielfragen", "frage",
    ),
    "category": ("type", "kind", "theme", "área", "categoría", "kategorie", "thema", "catégorie"),
    "grade_bands": (
        "year", "years", "year group", "level", "age", "grade level", "curso", "nivel", "etapa",
        "klasse", "stufe", "klassenstufe", "niveau", "classe",
    ),
    "subjects": ("class subject", "asignatura", "materia", "fach", "fächer", "matière"),
    "setting": ("place", "where", "location", "lugar", "entorno", "ort", "lieu", "contexte"),
    "tags": ("keywords", "labels", "etiquetas", "schlagwörter", "stichwörter", "mots clés"),
    "language": ("idioma", "lengua", "sprache", "langue"),
    "evidence_note": ("source", "research", "fuente", "evidencia", "quelle", "beleg", "preuve"),
    "contributor": ("teacher", "written by", "by", "autor", "autora", "verfasser", "auteur"),
    "status": ("state", "estado", "stand", "statut"),
    "review_by": ("review", "due", "review on", "revisar", "revisión", "prüfen bis"),
}  # fmt: skip
"""What people call the fields beside the names that files may use, in four languages."""

_KNOWN: Final = {alias: name for name, aliases in ALIASES.items() for alias in aliases}


@dataclass(frozen=True, slots=True)
class Guess:
    """Which field a column holds, "" for none; how sure that is, and some of its cells."""

    column: str
    field: str
    confidence: float
    samples: tuple[str, ...] = ()


def guess(columns: Sequence[str], samples: Mapping[str, Sequence[str]]) -> list[Guess]:
    """A field for each column, none for two; the surest guesses are made first.

    What no name tells is told by the cells: the longest texts are the description, the next
    longest the advice. Such a guess is for a person to confirm.
    """
    found: dict[str, tuple[str, float]] = dict.fromkeys(SERVICE_COLUMNS & {*columns}, ("", NAMED))
    for wanted, sure in ((_named, NAMED), (_spoken, SPOKEN), (_similar, SIMILAR)):
        for column in columns:
            taken = {name for name, _ in found.values()}
            name = "" if column in found else wanted(column)
            if name and name not in taken:
                found[column] = (name, sure)
    taken = {name for name, _ in found.values()}
    rest = [column for column in columns if column not in found]
    for column, name in _by_content(rest, samples, taken).items():
        found[column] = (name, BY_CONTENT)
    return [Guess(c, *found.get(c, ("", 0.0)), tuple(samples.get(c, ()))) for c in columns]


def field_called(name: str) -> str:
    """The field that people call so, exactly; "" if none is."""
    return _named(name) or _spoken(name)


def check_mapping(mapping: Mapping[str, str]) -> None:
    """It maps columns to fields, and no two to the same. Raises: InputError."""
    if len(mapping) > MAX_MAPPED:
        raise InputError(f"{len(mapping)} columns are mapped; {MAX_MAPPED} are allowed.")
    for column, name in mapping.items():
        if found := damage(column):
            raise InputError(f"the name of a mapped column {found}.")
        if name and name not in ALIASES:
            raise InputError(
                f"column {column!r} cannot hold {name!r}; the fields are {', '.join(ALIASES)}."
            )
        others = [other for other, same in mapping.items() if same == name and other != column]
        if name and others:
            raise InputError(
                f"the columns {column!r} and {others[0]!r} are both to hold {name}; choose one."
            )


def mapped(values: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """The values under the names of the fields that the mapping gives them.

    Others keep theirs if it is the name of a field that the mapping gives to no column.
    """
    result: dict[str, Any] = {}
    taken = {name for name in mapping.values() if name}
    for column, value in values.items():
        name = mapping.get(column)
        if name is None:
            known = _named(column)
            name = known if known not in taken else ""
            name = column if column == "metadata" else name
        if name and value not in (None, ""):
            result.setdefault(name, value)
    return result


def _normal(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def _named(column: str) -> str:
    return _KNOWN.get(_normal(column), "")


def _spoken(column: str) -> str:
    plain = _normal(re.sub(r"\(.*?\)|[:*?¿]", "", column))
    if plain in _KNOWN:
        return _KNOWN[plain]
    return next((n for n, words in WORDS.items() if plain in map(_normal, words)), "")


def _similar(column: str) -> str:
    words = {**{_normal(w): name for name, all_ in WORDS.items() for w in all_}, **_KNOWN}
    near = difflib.get_close_matches(_normal(column), words, n=1, cutoff=LIKE_NAME)
    return words[near[0]] if near else ""


def _by_content(
    columns: Sequence[str], samples: Mapping[str, Sequence[str]], taken: set[str]
) -> dict[str, str]:
    # The situation stands before the advice in every table that people make.
    texts = [name for name in ("description", "expected_response") if name not in taken]
    found: dict[str, str] = {}
    for column in columns:
        cells = [cell.strip() for cell in samples.get(column, ()) if cell.strip()]
        name = ""
        if cells and all(_normal(cell) in STATUSES for cell in cells):
            name = "status"
        elif cells and all(re.fullmatch(r"\d{4}-\d\d-\d\d", cell) for cell in cells):
            name = "review_by"
        elif texts and sum(len(cell.split()) for cell in cells) >= MANY_WORDS * len(cells) > 0:
            name = texts.pop(0)
        if name and name not in taken and name not in found.values():
            found[column] = name
    return found
