"""The pool of connections ends with whoever opens it."""

import asyncio
from contextlib import suppress

from staffroom.config import Settings
from staffroom.database.connection import Database


def at_work() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("pool-")]


async def opening_takes(settings: Settings) -> float:
    """Seconds, of a database that has been opened before."""
    database = Database(settings)
    begun = asyncio.get_running_loop().time()
    await database.open()
    seconds = asyncio.get_running_loop().time() - begun
    await database.close()
    return seconds


async def test_an_opening_that_is_cancelled_leaves_nothing_at_work(settings: Settings) -> None:
    seconds = await opening_takes(settings)

    for part in range(1, 21):
        database = Database(settings)
        opening = asyncio.create_task(database.open())
        await asyncio.sleep(seconds * part / 20)
        opening.cancel()
        with suppress(asyncio.CancelledError):
            await opening
        await database.close()
        assert at_work() == []
