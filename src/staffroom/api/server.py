"""The API as one ASGI application: its rooms, and what stands before them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from staffroom.api import (
    backup,
    docs_page,
    drafts,
    editor_pages,
    evaluations,
    gaps,
    golden,
    health,
    import_inspect,
    import_pages,
    imports,
    insights,
    interactions,
    library_pages,
    likenesses,
    mcp_route,
    openai_form,
    page_gaps,
    page_golden,
    page_insights,
    page_likenesses,
    pages,
    problems,
    questions,
    review_pages,
    scenarios,
    signin_pages,
    standings,
)
from staffroom.api.access import KeyGuard
from staffroom.api.description import DescribedAPI
from staffroom.api.gauging import gauged
from staffroom.api.guards import (
    LOOPBACK,
    Envelope,
    HostGuard,
    LoadGuard,
    SizeGuard,
    TimeGuard,
)
from staffroom.api.request_meter import RequestMeter, admit_routes
from staffroom.app import App, open_app
from staffroom.config import Settings, is_loopback, load_settings

BODY_BYTES: Final = 1_000_000
"""What a request may carry, uploads of files apart."""

ROUTERS: Final = (
    questions.router,
    drafts.router,
    scenarios.router,
    standings.router,
    backup.router,
    likenesses.router,
    import_inspect.router,
    imports.router,
    interactions.router,
    golden.router,
    evaluations.router,
    insights.router,
    gaps.router,
    page_gaps.router,
    page_insights.router,
    page_golden.router,
    page_likenesses.router,
    editor_pages.router,
    review_pages.router,
    import_pages.router,
    library_pages.router,
    openai_form.router,
    health.router,
    signin_pages.router,
    docs_page.router,
)

_DESCRIPTION: Final = (
    "Answers teachers' classroom questions from a vetted library, sentence by sentence "
    "with its sources. Errors are problem details (RFC 9457)."
)


def create_api(app: App | None = None, settings: Settings | None = None) -> ASGIApp:
    """The application, on an installation that is ready, or on one that it opens itself."""
    settings = app.settings if app else settings or load_settings()
    api = DescribedAPI(
        title="Staffroom",
        version=version("staffroom"),
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(app, settings),
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    api.has_key = settings.api_key is not None
    problems.register(api)
    for router in ROUTERS:
        api.include_router(router)
    api.router.routes.append(mcp_route.route)
    pages.register(api)
    routers = (*ROUTERS, pages.router)
    admit_routes([*api.routes, *(route for router in routers for route in router.routes)])
    return _guarded(api, settings)


def _lifespan(
    app: App | None, settings: Settings
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            api.state.staffroom = app or await stack.enter_async_context(open_app(settings))
            await stack.enter_async_context(api.state.staffroom.import_runner.running())
            api.state.mcp = await stack.enter_async_context(
                mcp_route.serving_mcp(api.state.staffroom)
            )
            await stack.enter_async_context(gauged(api.state.staffroom))
            yield

    return lifespan


def _guarded(api: ASGIApp, settings: Settings) -> ASGIApp:
    """Innermost first."""
    guarded: ASGIApp = GZipMiddleware(api, compresslevel=5)
    if settings.api_key:
        guarded = KeyGuard(guarded, key=settings.api_key.get_secret_value())
    upload = settings.upload_megabytes * 1_000_000
    guarded = SizeGuard(
        guarded,
        limit=BODY_BYTES,
        limits={"/api/v1/imports": upload, "/api/v1/imports/inspect": upload},
    )
    guarded = TimeGuard(guarded)
    guarded = LoadGuard(guarded)
    if settings.cors_origins:
        guarded = CORSMiddleware(
            guarded,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=["ETag", "Location", "Retry-After", "X-Request-ID"],
        )
    hosts = set(settings.allowed_hosts)
    if is_loopback(settings.host):
        hosts |= LOOPBACK
    elif hosts:
        hosts |= {settings.host}
    guarded = HostGuard(guarded, hosts=hosts, origins=settings.cors_origins)
    return Envelope(RequestMeter(guarded))
