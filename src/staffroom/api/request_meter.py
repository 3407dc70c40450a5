"""How many requests there are and how long they take, by the templates of their routes."""

import time
from collections.abc import Iterable
from http import HTTPStatus

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from staffroom.monitoring.instruments import OTHER
from staffroom.monitoring.metrics import REQUEST_TIME, REQUESTS, ROUTES


def admit_routes(routes: Iterable[BaseRoute]) -> None:
    """Requests to the routes are told apart by them; all others count together."""
    ROUTES.admit(*filter(None, map(route_template, routes)))


class RequestMeter:
    """Each request is counted and timed once it has ended, with what a path held left out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = OTHER

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = _status_class(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            labels = (route_template(scope.get("route")) or OTHER, scope["method"])
            REQUESTS.labels(*labels, status).inc()
            REQUEST_TIME.labels(*labels).observe(time.perf_counter() - started)


def route_template(route: object) -> str | None:
    """The path of a route with names in place of what a request's path holds."""
    path = getattr(route, "path_format", None)
    return path if isinstance(path, str) else None


def _status_class(status: int) -> str:
    return f"{status // 100}xx" if status >= HTTPStatus.CONTINUE else OTHER
