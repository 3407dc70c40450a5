"""What has to be looked at to be measured, while the server runs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Final

from staffroom.app import App
from staffroom.monitoring.exposition import exposition
from staffroom.monitoring.instruments import Family
from staffroom.monitoring.metrics import INFO, PROCESSES
from staffroom.monitoring.sending import metrics_sent

LOOK_SECONDS: Final = 5.0
"""How old the figures of a pool may be in the other processes of the server."""


@asynccontextmanager
async def gauged(app: App) -> AsyncIterator[None]:
    """The process counts as one that answers, tells of its pool from time to time, and sends
    metrics where they are wanted."""

    async def look() -> None:
        while True:
            app.figures.look_at_pool()
            await asyncio.sleep(LOOK_SECONDS)

    PROCESSES.labels().inc()
    looking = asyncio.create_task(look())
    try:
        async with metrics_sent(app.settings.metrics_url, partial(_read, app)):
            yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        PROCESSES.labels().dec()


async def scraped(app: App) -> bytes:
    """Every instrument of the server, as Prometheus reads them, whatever the database does."""
    return exposition(await _read(app))


async def _read(app: App) -> Sequence[Family]:
    """What is looked at for one scrape."""
    app.figures.look_at_pool()
    figures = await app.figures.read()
    info = (
        version("staffroom"),
        app.embedder.model,
        app.writer.name,
        figures.postgresql,
        figures.pgvector,
        figures.schema,
    )
    return [*figures.families, INFO.family({info: 1})]
