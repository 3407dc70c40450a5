"""Who says that they make a change. It is a claim for the history: nothing proves it."""

from typing import Annotated, Final
from urllib.parse import quote, unquote

from fastapi import Depends, Request, Response

from staffroom.scenario import MAX_LENGTH_OTHERS
from staffroom.text import clean, damage

COOKIE: Final = "staffroom_author"
SECONDS: Final = 365 * 24 * 3600


def claimed(name: str) -> str:
    """The name as it may stand in a history; nothing if it cannot."""
    return "" if damage(name) else clean(name)[:MAX_LENGTH_OTHERS].strip()


def author_of(request: Request) -> str:
    """The name that this browser remembers; empty if it knows none."""
    return claimed(unquote(request.cookies.get(COOKIE, ""), errors="replace"))


def remember(response: Response, name: str) -> None:
    """The browser sends the name with every further change. static/js/author.js does the same."""
    response.set_cookie(COOKIE, quote(name, safe=""), max_age=SECONDS, path="/", samesite="lax")


async def _author(request: Request) -> str:
    return author_of(request)


Author = Annotated[str, Depends(_author)]
"""The name of whoever makes the change, unless its body names another."""
