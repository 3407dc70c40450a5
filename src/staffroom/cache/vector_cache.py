"""VectorCache: the embedding of a text that was seen before costs nothing.

It is an Embedder around an Embedder, so callers cannot tell. Only small batches
are kept: an import would push every question out and is not asked for twice.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from staffroom.monitoring.metrics import (
    CACHE_ENTRIES,
    CACHE_EVICTIONS,
    CACHE_HITS,
    CACHE_MISSES,
)
from staffroom.text import NORMALISER_VERSION
from staffroom.types import Embedder, Role, Vector, Vectors

CACHED_BATCH: Final = 32
"""Texts of a batch up to which it is looked up and kept."""


class _Key(NamedTuple):
    model: str
    dimensions: int
    role: Role
    normaliser: int
    text: str


class VectorCache:
    """At most `size` embeddings, the least recently used leaving first.

    Safe under concurrency: equal texts that are asked for at the same time in one
    event loop are embedded once, and a caller that gives up does not disturb the others.
    """

    def __init__(self, embedder: Embedder, size: int) -> None:
        self._embedder = embedder
        self._size = size
        self._kept: OrderedDict[_Key, Vector] = OrderedDict()
        self._lock = threading.Lock()
        self._running: WeakKeyDictionary[
            asyncio.AbstractEventLoop, dict[_Key, asyncio.Task[dict[_Key, Vector]]]
        ] = WeakKeyDictionary()

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    def __len__(self) -> int:
        return len(self._kept)

    async def get_cached_embedding(self, text: str, role: Role = "query") -> Vector:
        """The embedding of the text, computed only if it is not known."""
        vector: Vector = (await self.embed([text], role))[0]
        return vector

    def invalidate_cache(self, text: str | None = None) -> None:
        """That one text is forgotten, or everything if none is given.

        The guide's version clears everything for one text and nothing for none.
        """
        with self._lock:
            if text is None:
                self._kept.clear()
            else:
                for key in [key for key in self._kept if key.text == text]:
                    del self._kept[key]
            CACHE_ENTRIES.set(len(self._kept))

    async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
        """As the embedder itself, with each known text looked up."""
        if not texts or not self._size or len(texts) > CACHED_BATCH:
            return await self._embedder.embed(texts, role)
        keys = [self._key(text, role) for text in texts]
        known = self._look_up(keys)
        missing = list(dict.fromkeys(key for key in keys if key not in known))
        for task in self._computing(missing, role):
            # A caller that is cancelled leaves the computation to those who wait with it.
            known |= await asyncio.shield(task)
        return np.stack([known[key] for key in keys])

    def _key(self, text: str, role: Role) -> _Key:
        return _Key(self.model, self.dimensions, role, NORMALISER_VERSION, text)

    def _look_up(self, keys: Sequence[_Key]) -> dict[_Key, Vector]:
        with self._lock:
            known = {key: self._kept[key] for key in keys if key in self._kept}
            for key in known:
                self._kept.move_to_end(key)
        hits = sum(key in known for key in keys)
        CACHE_HITS.inc(hits)
        CACHE_MISSES.inc(len(keys) - hits)
        return known

    def _computing(
        self, keys: Sequence[_Key], role: Role
    ) -> list[asyncio.Task[dict[_Key, Vector]]]:
        """The tasks that will bring those keys: running ones, and one for all the others."""
        running = self._running.setdefault(asyncio.get_running_loop(), {})
        new = [key for key in keys if key not in running]
        if new:
            task = asyncio.create_task(self._compute(new, role))
            running.update(dict.fromkeys(new, task))
            task.add_done_callback(lambda _: [running.pop(key) for key in new])
        return list(dict.fromkeys(running[key] for key in keys))

    async def _compute(self, keys: Sequence[_Key], role: Role) -> dict[_Key, Vector]:
        vectors = await self._embedder.embed([key.text for key in keys], role)
        computed = dict(zip(keys, vectors, strict=True))
        with self._lock:
            self._kept.update(computed)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
                CACHE_EVICTIONS.inc()
            CACHE_ENTRIES.set(len(self._kept))
        return computed
