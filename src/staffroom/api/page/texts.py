"""The interface's texts in each language, looked up as static/js/texts.js does in the browser."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from staffroom.types import UNCERTAIN_RELEVANCE

LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "es": "Español"}
"""The languages of the interface, each by its own name. The first is the default."""

CLOSE_RELEVANCE: Final = 0.7
"""Relevance from which a scenario is called a close match."""

_FOLDER: Final = Path(__file__).parent.parent / "static" / "texts"
_VALUE: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Texts:
    """The texts in one language. Calling it with a key gives the text with its values filled in."""

    language: str

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key. With a `count`, KEY.one or KEY.other is taken. Raises: KeyError."""
        catalogue = read_catalogue(self.language)
        if "count" in values and key not in catalogue:
            key = f"{key}.{'one' if values['count'] == 1 else 'other'}"
        return _VALUE.sub(lambda name: str(values.get(name[1], name[0])), catalogue[key])

    def has(self, key: str) -> bool:
        """There is a text with that key: values that editors made up have none."""
        return key in read_catalogue(self.language)

    def day(self, iso: str) -> str:
        """A date in words; of a time, its date. Empty stays empty."""
        if not iso:
            return ""
        year, month, date = map(int, iso[:10].split("-"))
        return self("date.long", day=date, month=self(f"date.month.{month}"), year=year)

    def nearness(self, relevance: float) -> str:
        """Relevance in words: how near the scenario came to the question."""
        if relevance >= CLOSE_RELEVANCE:
            return self("relevance.close")
        return self("relevance.likely" if relevance >= UNCERTAIN_RELEVANCE else "relevance.distant")


@cache
def read_catalogue(language: str) -> Mapping[str, str]:
    """Every text in that language by its key."""
    catalogue: dict[str, Any] = json.loads((_FOLDER / f"{language}.json").read_text("utf-8"))
    return catalogue


def preferred_language(accepted: str) -> str:
    """The best of our languages for an Accept-Language header; the default if it names none."""
    wishes = []
    for place, part in enumerate(accepted.split(",")):
        name, _, parameters = part.strip().partition(";")
        language = name.partition("-")[0].strip().lower()
        if language in LANGUAGES:
            wishes.append((-_quality(parameters), place, language))
    best = min(wishes, default=(0.0, 0, ""))
    return best[2] if best[0] < 0 else next(iter(LANGUAGES))


def _quality(parameters: str) -> float:
    _, _, value = parameters.partition("q=")
    try:
        return float(value) if value else 1.0
    except ValueError:
        return 0.0
