"""Staffroom's own side, through the interface that everybody has: embedding, import and search.

Questions are embedded anew each time, for the peers remember none either.
"""

import asyncio
from collections.abc import Coroutine
from threading import Thread
from typing import Any, TypeVar
from uuid import UUID

from staffroom.app import App
from staffroom.config import load_settings
from staffroom.content.importer import Importer
from staffroom.database.vector_ops import VectorOperations

PACKAGES = ("staffroom", "onnxruntime", "psycopg", "pgvector")

_T = TypeVar("_T")


class Store:
    """A library of its own, in an event loop that all threads share, as a server's is."""

    def __init__(self, place: dict[str, Any]) -> None:
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, daemon=True).start()
        self._library = self._wait(_opened(UUID(place["tenant"])))

    def add(self, ids: list[str], texts: list[str]) -> None:
        rows = [_row(each, text) for each, text in zip(ids, texts, strict=True)]
        importer = Importer(self._library, keep_duplicates=True)
        report = self._wait(importer.import_rows(rows, "peers"))
        if report["stored"] != len(ids):
            raise RuntimeError(f"stored {report['stored']} of {len(ids)}: {report['errors'][:1]}")

    def ask(self, text: str, limit: int) -> list[str]:
        found = self._wait(self._library.find_similar_scenarios(text, limit, 0.0))
        return [match.scenario.content.source_id for match in found]

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _opened(tenant_id: UUID) -> VectorOperations:
    app = App(load_settings())
    await app.prepare()
    return VectorOperations(app.database, app.embedder, tenant_id=tenant_id)


def _row(identity: str, text: str) -> dict[str, str]:
    name, _, description = text.partition("\n")
    return {"id": identity, "name": name[:500], "description": description or name}


open_store = Store
