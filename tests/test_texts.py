"""The interface's texts: complete in each language, and each one used."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import staffroom.api
from staffroom.api.page.texts import LANGUAGES, Texts, preferred_language, read_catalogue

API = Path(staffroom.api.__file__).parent
SOURCES = [*API.glob("templates/*.html"), *API.glob("static/js/*.js"), *API.rglob("*.py")]
WRITTEN = "\n".join(path.read_text("utf-8") for path in SOURCES)
ENGLISH = read_catalogue("en")
WORDS_OF_EDITORS = {"category", "grade_band", "subject", "setting"}
"""Looked up by values of scenarios; a value without a text is shown as it is."""

OTHERS = [language for language in LANGUAGES if language != "en"]


@pytest.mark.parametrize("language", OTHERS)
def test_each_language_has_the_same_texts_with_the_same_values_in_them(language: str) -> None:
    other = read_catalogue(language)

    assert other.keys() == ENGLISH.keys()
    for key, text in ENGLISH.items():
        assert other[key].strip(), key
        assert values(other[key]) == values(text), key


@pytest.mark.parametrize("language", OTHERS)
def test_sentences_are_translated(language: str) -> None:
    other = read_catalogue(language)
    same = [key for key, text in ENGLISH.items() if text == other[key] and " " in text]

    assert [key for key in same if re.search(r"[a-z]{3} [a-z]{2}", ENGLISH[key])] == []


def test_every_text_that_is_asked_for_exists() -> None:
    asked = re.findall(r"\bt\(\s*[\"']([a-z][\w.]+)[\"']\s*[,)]", WRITTEN)

    assert len(asked) > 100
    for key in asked:
        assert key in ENGLISH or f"{key}.other" in ENGLISH, key


def test_every_text_is_used() -> None:
    for key in ENGLISH:
        if key.split(".")[0] in WORDS_OF_EDITORS:
            continue
        stem = key.removesuffix(".one").removesuffix(".other")
        parts = stem.split(".")
        forms = [stem, *(".".join(parts[:n]) + "." for n in range(len(parts) - 1, 0, -1))]
        assert any(f'"{form}' in WRITTEN or f"`{form}" in WRITTEN for form in forms), key


def test_every_reason_to_refuse_something_can_be_told_in_each_language() -> None:
    told = dict(refusals())

    assert len(told) > 40
    for code, given in told.items():
        assert f"refused.{code}" in ENGLISH, code
        assert {name[1:-1] for name in values(ENGLISH[f"refused.{code}"])} <= given, code


def test_a_count_chooses_between_one_and_many() -> None:
    t = Texts("en")

    assert t("answer.found", count=1) == "1 scenario found."
    assert t("answer.found", count=3) == "3 scenarios found."


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("es", "es"),
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("fr-FR,fr;q=0.9", "en"),
        ("fr,en;q=0.4,es;q=0.7", "es"),
        ("es;q=0", "en"),
        (";;;,q=,es;q=x", "en"),
    ],
)
def test_the_language_is_the_best_that_the_browser_asks_for(accepted: str, language: str) -> None:
    assert preferred_language(accepted) == language


def values(text: str) -> set[str]:
    """What is filled in; "one scenario" may do without its count."""
    return set(re.findall(r"\{\w+\}", text)) - {"{count}"}


def refusals() -> Iterator[tuple[str, set[str]]]:
    """The code of each reason that the source has, and the names of what it is told with."""
    places = {"InvalidScenario": 1, "wrong": 0, "refused": 1, "same_as": 1}
    for path in API.parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            code = call.args[places[name] :][:1] if name in places else []
            if code and isinstance(code[0], ast.Constant) and isinstance(code[0].value, str):
                given = {each.arg for each in call.keywords if each.arg}
                # Those of a scenario are looked up when it is read.
                yield code[0].value, given | ({"name", "id"} if name == "same_as" else set())
