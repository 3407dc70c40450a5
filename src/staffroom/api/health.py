"""Whether the server lives, whether it can answer, and what it counts."""

import logging
import os
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from staffroom.api.context import Staffroom
from staffroom.api.gauging import scraped
from staffroom.app import App
from staffroom.errors import StaffroomError
from staffroom.monitoring.exposition import CONTENT_TYPE

_log = logging.getLogger(__name__)

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Liveness")
async def healthz() -> JSONResponse:
    """Tell that the process lives and answers."""
    return JSONResponse({"status": "ok", "process": os.getpid()})


@router.get(
    "/readyz",
    summary="Readiness",
    responses={503: {"description": "A part does not work; it is named."}},
)
async def readyz(app: Staffroom) -> JSONResponse:
    """Tell whether a question could be answered now, part by part.

    Anybody may ask, so what is wrong with a part is in the log.
    """
    parts: dict[str, str] = {}
    for name, check in _PARTS.items():
        try:
            await check(app)
            parts[name] = "ok"
        except StaffroomError as error:
            _log.warning("%s is not ready: %s", name, error)
            parts[name] = "unavailable"
    ready = set(parts.values()) == {"ok"}
    document = {"status": "ready" if ready else "unavailable", "parts": parts}
    return JSONResponse(document, 200 if ready else 503, {} if ready else {"Retry-After": "5"})


@router.get("/metrics", response_class=Response)
async def metrics(app: Staffroom) -> Response:
    """Give every instrument in the form that Prometheus reads."""
    return Response(await scraped(app), headers={"Content-Type": CONTENT_TYPE})


async def _database(app: App) -> None:
    await app.vector_ops.library_version()


async def _embedding(app: App) -> None:
    await app.embedder.get_embedding("ready")


_PARTS: Final[dict[str, Callable[[App], Awaitable[None]]]] = {
    "database": _database,
    "embedding": _embedding,
}
