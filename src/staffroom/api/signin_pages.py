"""The sign-in: a browser trades the API key for a session, and ends it when its reader says so."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from staffroom.api.access import COOKIE, SESSION_SECONDS, knows_key, new_session
from staffroom.api.context import Staffroom
from staffroom.api.page.rendering import render

MAX_ADDRESS: Final = 8_000
"""Characters of the address to go on to; no page of ours has a longer one."""

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
async def sign_in_page(
    request: Request, app: Staffroom, wanted: Annotated[str, Query(alias="next")] = "/"
) -> Response:
    """Ask for the key, if there is one."""
    if app.settings.api_key is None:
        return RedirectResponse("/", 303)
    return render(request, "signin.html", wanted=local_address(wanted), is_wrong=False)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    app: Staffroom,
    key: Annotated[str, Form()] = "",
    wanted: Annotated[str, Form(alias="next")] = "/",
) -> Response:
    """Open a session for who knows the key, and go on to where they were led away from."""
    there = local_address(wanted)
    if app.settings.api_key is None:
        return RedirectResponse(there, 303)
    known = app.settings.api_key.get_secret_value()
    if not knows_key(known, key.strip()):
        headers = {"WWW-Authenticate": 'Bearer realm="staffroom"'}
        return render(
            request, "signin.html", status=401, headers=headers, wanted=there, is_wrong=True
        )
    response = RedirectResponse(there, 303)
    response.set_cookie(
        COOKIE,
        new_session(known),
        max_age=SESSION_SECONDS,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session of this browser."""
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(
        COOKIE,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


def local_address(wanted: str) -> str:
    """The address if it is one of this server, otherwise the first page.

    Browsers take `//host`, `/\\host` and `/⇥/host` for addresses of other servers.
    """
    place = wanted.partition("?")[0]
    is_local = place.startswith("/") and "//" not in place and "\\" not in wanted
    if not is_local or not wanted.isprintable() or len(wanted) > MAX_ADDRESS:
        return "/"
    return wanted
