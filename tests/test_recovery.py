"""A server that is killed comes back under the feet of those who use it."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from staffroom.config import Settings
from staffroom.database.connection import Database
from staffroom.database.embedded import EmbeddedServer
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import UnavailableError
from tests.fakes import WordEmbedder


@pytest.mark.slow
async def test_after_the_server_was_killed_the_next_questions_are_answered(home: Path) -> None:
    database = Database(Settings(home=home))
    vector_ops = VectorOperations(database, WordEmbedder())
    await vector_ops.batch_process([{"text": "The class is noisy."}])
    server = EmbeddedServer(home)

    for _ in range(2):
        pid = server.status().pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            while True:
                try:
                    found = await vector_ops.find_similar_scenarios("noisy class", threshold=0.0)
                    break
                except UnavailableError:
                    await asyncio.sleep(0.1)
        assert [match.scenario.name for match in found] == ["The class is noisy."]

    await database.close()
    assert not server.status().running


async def test_several_first_users_of_one_process_share_one_opening(home: Path) -> None:
    database = Database(Settings(home=home))

    await asyncio.gather(*(database.open() for _ in range(5)))

    assert EmbeddedServer(home).status().running
    await database.close()
    assert not EmbeddedServer(home).status().running


def test_one_database_object_serves_one_event_loop_after_another(home: Path) -> None:
    database = Database(Settings(home=home))
    vector_ops = VectorOperations(database, WordEmbedder())

    asyncio.run(vector_ops.batch_process([{"text": "The class is noisy."}]))
    scenarios = asyncio.run(vector_ops.list_scenarios())

    assert len(scenarios) == 1
    asyncio.run(database.close())
    assert not EmbeddedServer(home).status().running
