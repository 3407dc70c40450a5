"""Work that would keep others waiting is done beside them."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
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


@asynccontextmanager
async def one_ahead(make: Callable[[], Awaitable[T]]) -> AsyncIterator[Callable[[], Awaitable[T]]]:
    """What is made one after the other: each is begun when the one before it is taken.

    What nobody took is given up at the end of the block.
    """
    begun = asyncio.ensure_future(make())

    async def following() -> T:
        nonlocal begun
        made = await begun
        begun = asyncio.ensure_future(make())
        return made

    try:
        yield following
    finally:
        begun.cancel()
        await asyncio.gather(begun, return_exceptions=True)
