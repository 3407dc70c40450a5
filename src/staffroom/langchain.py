"""The library as a retriever of LangChain. What it needs comes with the extra `langchain`."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, Final, TypeVar

from pydantic import BeforeValidator, Field, PrivateAttr, TypeAdapter

from staffroom.app import App, default_app, open_app
from staffroom.config import Settings
from staffroom.database.vector_ops import MAX_LIMIT
from staffroom.documents import match_document
from staffroom.types import Filters, Match

try:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
except ModuleNotFoundError as error:
    raise ImportError(
        "staffroom.langchain needs langchain-core. Install Staffroom with its extra: "
        "pip install 'staffroom[langchain]'."
    ) from error

DOCUMENTS: Final = 5

_TOLD: Final = ("description", "expected_response", "example_questions")
"""What of a match is text for a reader and stands in the document's content, or is no advice."""

_LISTS: Final = {field.name for field in fields(Filters) if isinstance(field.default, tuple)}

T = TypeVar("T")


def _named(given: Any) -> Any:
    """A mapping as `Filters` takes it: one value may stand without a list."""
    if not isinstance(given, Mapping):
        return given
    known = [field.name for field in fields(Filters)]
    for name in given:
        if name not in known:
            raise ValueError(f"there is no filter {name!r}; there are {', '.join(known)}")
    return {
        name: (value,) if isinstance(value, str) and name in _LISTS else value
        for name, value in given.items()
    }


RetrieverFilters = Annotated[Filters, BeforeValidator(_named)]
"""Which scenarios may be found: `Filters`, or a mapping such as {"categories": "attendance"}."""

_FILTERS: Final[TypeAdapter[Filters]] = TypeAdapter(RetrieverFilters)


class StaffroomRetriever(BaseRetriever):
    """Finds the scenarios that an answer to a question may rest on, best first.

    None for a question that vetted classroom advice must not answer (medical, legal, …).
    Without an `app` it uses the installation that the environment describes. `k`, `threshold`
    and `filters` may also be given with a call.

    Asynchronous calls use the `app` itself. Synchronous ones have an installation of the same
    settings in a thread of its own, so that they work anywhere, beside a running event loop too.

    Raises: InputError for an empty or over-long question; SearchError; EmbedderUnavailable.
    """

    app: App | None = Field(default=None, exclude=True, repr=False)
    k: int = Field(default=DOCUMENTS, ge=1, le=MAX_LIMIT)
    threshold: float | None = Field(default=None, ge=0, le=1)
    filters: RetrieverFilters | None = None

    _is_ready: bool = PrivateAttr(default=False)

    def close(self) -> None:
        """What synchronous calls opened is closed; a further call opens it anew."""
        _beside(self._installation.settings).close()

    @property
    def _installation(self) -> App:
        return self.app or default_app()

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        threshold: float | None = None,
        filters: Filters | Mapping[str, Any] | None = None,
    ) -> list[Document]:
        beside = _beside(self._installation.settings)
        return beside.run(lambda app: self._find(app, query, k, threshold, filters))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        threshold: float | None = None,
        filters: Filters | Mapping[str, Any] | None = None,
    ) -> list[Document]:
        app = self._installation
        if self.app is None and not self._is_ready:
            await app.prepare()
            self._is_ready = True
        return await self._find(app, query, k, threshold, filters)

    async def _find(
        self,
        app: App,
        query: str,
        k: int | None,
        threshold: float | None,
        filters: Filters | Mapping[str, Any] | None,
    ) -> list[Document]:
        found = await app.vector_ops.retrieve(
            query,
            limit=self.k if k is None else k,
            threshold=self.threshold if threshold is None else threshold,
            filters=self.filters if filters is None else _FILTERS.validate_python(filters),
        )
        return list(map(_document, found.matches))


def _document(match: Match) -> Document:
    """A match: situation and advice as text, everything else as JSON-ready metadata."""
    content = match.scenario.content
    text = f"{content.name}\n\nSituation: {content.description}"
    if content.expected_response:
        text += f"\n\nAdvice:\n{content.expected_response}"
    metadata = match_document(match)
    scenario_id = metadata.pop("id")
    for name in _TOLD:
        del metadata[name]
    return Document(
        id=scenario_id,
        page_content=text,
        metadata={"source": f"/library/{scenario_id}", **metadata},
    )


@dataclass(frozen=True)
class _Opened:
    """A ready installation in its loop; setting `ended` there closes it."""

    app: App
    loop: asyncio.AbstractEventLoop
    ended: asyncio.Event
    thread: threading.Thread


class _Beside:
    """An installation in a thread with an event loop of its own, opened by its first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opening = threading.Lock()
        self._opened: _Opened | None = None

    def run(self, work: Callable[[App], Coroutine[Any, Any, T]]) -> T:
        """What the work returns that is done there. Blocking."""
        with self._opening:
            # A forked child has the object but not its thread.
            if self._opened is None or not self._opened.thread.is_alive():
                self._opened = self._open()
            opened = self._opened
            doing = asyncio.run_coroutine_threadsafe(work(opened.app), opened.loop)
        return doing.result()

    def close(self) -> None:
        """The thread has ended, and with it what was still at work there."""
        with self._opening:
            opened, self._opened = self._opened, None
        if opened is not None and opened.thread.is_alive():
            opened.loop.call_soon_threadsafe(opened.ended.set)
            opened.thread.join()

    def _open(self) -> _Opened:
        ready: Future[_Opened] = Future()
        threading.Thread(
            target=lambda: asyncio.run(self._live(ready)), name="staffroom", daemon=True
        ).start()
        return ready.result()

    async def _live(self, ready: "Future[_Opened]") -> None:
        try:
            async with open_app(self._settings) as app:
                ended = asyncio.Event()
                loop, thread = asyncio.get_running_loop(), threading.current_thread()
                ready.set_result(_Opened(app, loop, ended, thread))
                await ended.wait()
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)


@cache
def _beside(settings: Settings) -> _Beside:
    return _Beside(settings)
