"""Each part of an installation, examined one after the other."""

import platform
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from staffroom import models
from staffroom.app import App
from staffroom.config import Settings
from staffroom.errors import StaffroomError
from staffroom.types import Filters

Check = Callable[[App], Awaitable[str]]

_QUESTION = "How do I settle a noisy class?"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: a fact if all is well, else what is wrong and the next step."""

    part: str
    well: bool
    detail: str
    error: StaffroomError | None = None


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """The findings, from the machine up to a search. A failure does not end the rest."""
    app = App(settings)
    try:
        for part, check in _CHECKS.items():
            try:
                yield Finding(part, True, await check(app))
            except StaffroomError as error:
                yield Finding(part, False, str(error), error)
    finally:
        await app.close()


async def _program(app: App) -> str:
    return f"Python {platform.python_version()} on {platform.platform()}"


async def _settings(app: App) -> str:
    return f"data in {app.settings.home}, models in {app.settings.models}"


async def _model_files(app: App) -> str:
    known = {model.name for model in models.catalogue()}
    used = [spec.partition(":")[2] for spec in (app.settings.embedder, app.settings.writer)]
    names = [name for name in used if name in known or models.is_reference(name)]
    for name in names:
        models.verify(app.settings.models, name)
    return f"{', '.join(names) or 'none of the catalogue is used'}: every byte is as pinned"


async def _database(app: App) -> str:
    info = await app.database.describe()
    return f"PostgreSQL {info.postgresql}, pgvector {info.pgvector}, schema {info.schema}"


async def _embedding(app: App) -> str:
    vector = await app.embedder.get_embedding(_QUESTION)
    return f"{app.embedder.model}, {len(vector)} dimensions"


async def _library(app: App) -> str:
    scenarios = await app.vector_ops.list_scenarios(Filters(), limit=1)
    if not scenarios:
        return "empty; `staffroom ask` loads the starter library, `staffroom import` your own"
    found = await app.vector_ops.search(scenarios[0].name, limit=1, threshold=0.0)
    return f"a search for its first scenario finds {found.matches[0].scenario.name!r}"


async def _writer(app: App) -> str:
    found = await app.vector_ops.search(_QUESTION, limit=1, threshold=0.0)
    async with aclosing(app.writer.stream(_QUESTION, found.matches)) as words:
        async for _ in words:
            break
    return f"{app.writer.name} writes"


_CHECKS: dict[str, Check] = {
    "program": _program,
    "settings": _settings,
    "model files": _model_files,
    "database": _database,
    "embedding": _embedding,
    "library": _library,
    "writer": _writer,
}
