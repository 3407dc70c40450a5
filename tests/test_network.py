"""Nothing leaves the machine, and no library leaves traces of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from staffroom.config import Settings

ASK = """
import asyncio, socket, sys
reached = []
def watch(event, arguments):
    if event == "socket.connect" and arguments[0].family != socket.AF_UNIX:
        reached.append(arguments[1])
    if event == "socket.getaddrinfo":
        reached.append(arguments[0])
sys.addaudithook(watch)
from staffroom import process_teacher_query
answer = asyncio.run(process_teacher_query("How to handle classroom disruption?"))
assert not answer.abstained
assert reached == [], reached
"""


@pytest.mark.slow
def test_a_question_is_answered_without_the_network_and_without_traces(
    settings: Settings, models: Path, tmp_path: Path
) -> None:
    assert settings.database_url
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "STAFFROOM_DATABASE_URL": settings.database_url.get_secret_value(),
        "STAFFROOM_MODELS": str(models),
    }

    subprocess.run([sys.executable, "-c", ASK], env=environment, check=True, timeout=100)

    assert list(tmp_path.rglob("*")) == []
