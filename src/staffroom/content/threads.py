"""Work that would keep others waiting is done beside them."""

import asyncio
from collections.abc import AsyncIterable, Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """What the work returns. Whoever is cancelled leaves no thread at work behind."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


def pulled(items: AsyncIterable[T]) -> Iterator[T]:
    """What comes in this event loop, for work in a thread, which waits for each item."""
    loop = asyncio.get_running_loop()
    coming = aiter(items)

    async def following() -> list[T]:
        try:
            return [await anext(coming)]
        except StopAsyncIteration:
            return []

    def pull() -> Iterator[T]:
        while item := asyncio.run_coroutine_threadsafe(following(), loop).result():
            yield item[0]

    return pull()
