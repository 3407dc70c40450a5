"""Templates become pages in the reader's language."""

import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from staffroom.api.author import author_of
from staffroom.api.page.texts import LANGUAGES, Texts, preferred_language

LANGUAGE_COOKIE: Final = "staffroom_language"
LANGUAGE_SECONDS: Final = 365 * 24 * 3600

TINTS: Final = 5
"""Pens to mark sources with; a sixth source begins again with the first, under its own number."""

_FOLDER: Final = Path(__file__).parent.parent
_ITEM: Final = re.compile(r"\s*(?:\d{1,2}[.)]|[-*•])\s")


class Paragraph(NamedTuple):
    """A line of what an editor wrote; the mark of an item hangs in the margin."""

    text: str
    is_item: bool


class StaticFolder(StaticFiles):
    """The scripts, styles and texts. A browser asks each time whether its copy is still good:
    scripts import each other by name, so that old and new must not mix."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        """As its parent, with that rule."""
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


def static_files() -> StaticFolder:
    """Everything that the page loads besides itself."""
    return StaticFolder(directory=_FOLDER / "static")


def paragraphs(text: str) -> list[Paragraph]:
    """The lines of a text that have something on them."""
    return [
        Paragraph(line.strip(), _ITEM.match(line) is not None)
        for line in text.splitlines()
        if line.strip()
    ]


def tint(number: int) -> str:
    """The class of the pen that marks the source with that number, counted from 1."""
    return f"tint-{(number - 1) % TINTS + 1}"


_environment = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["paragraphs"] = paragraphs
_environment.filters["tint"] = tint
_environment.filters["decimal"] = "{:.2f}".format


def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """A page, in the language that the address, a cookie or the browser asks for."""
    language = language_of(request)
    texts = Texts(language)
    page = _environment.get_template(template).render(
        t=texts,
        language=language,
        languages=_switch(request, language),
        path=request.url.path,
        version=version("staffroom"),
        has_key=_has_key(request.scope),
        status=status,
        author=author_of(request),
        **context,
    )
    response = HTMLResponse(page, status, headers)
    response.headers["Vary"] = "Accept-Language, Cookie"
    if request.query_params.get("lang") == language:
        response.set_cookie(
            LANGUAGE_COOKIE, language, max_age=LANGUAGE_SECONDS, httponly=True, samesite="lax"
        )
    return response


def language_of(request: Request) -> str:
    """The language to speak to this reader."""
    for given in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if given and given in LANGUAGES:
            return given
    return preferred_language(request.headers.get("accept-language", ""))


def _switch(request: Request, language: str) -> list[dict[str, str]]:
    """The other languages, each with the address of this page in it."""
    # One slash: a browser takes two for another host.
    place = quote("/" + request.url.path.lstrip("/\\")) if request.method == "GET" else "/"
    return [
        {
            "code": code,
            "name": name,
            "address": f"{place}?{request.url.include_query_params(lang=code).query}",
        }
        for code, name in LANGUAGES.items()
        if code != language
    ]


def _has_key(scope: Scope) -> bool:
    installation = getattr(scope["app"].state, "staffroom", None)
    return bool(installation and installation.settings.api_key)
