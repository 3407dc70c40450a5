"""Worker processes, as the process that watches them starts, renews and ends them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.watched_workers import CODE

REPOSITORY = Path(__file__).parent.parent

Watched = subprocess.Popen[str]
Start = Callable[..., Watched]


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """Workers that find this file end before they serve."""
    return tmp_path / "broken"


@pytest.fixture
def start(marker: Path) -> Iterator[Start]:
    started: list[Watched] = []

    def start_(*options: str) -> Watched:
        command = (sys.executable, "-m", "tests.watched_workers", str(marker), *options)
        started.append(
            subprocess.Popen(
                command,
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start_
    for process in started:
        process.terminate()
        process.communicate(timeout=20)


def told(process: Watched, lines: int) -> list[tuple[str, int]]:
    """What the next lines say, and who."""
    assert process.stdout
    parts = [process.stdout.readline().split() for _ in range(lines)]
    return [(what, int(who)) for what, who in parts]


def test_the_others_begin_when_the_first_serves_and_all_end_when_told(start: Start) -> None:
    watched = start()
    (first, one), (then, watcher), (last, other) = told(watched, 3)
    watched.terminate()
    ends = told(watched, 2)

    assert (first, then, last) == ("serves", "begun", "serves")
    assert watcher == watched.pid
    assert sorted(ends) == sorted([("ends", one), ("ends", other)])
    assert watched.wait(10) == 0


def test_one_that_is_killed_is_replaced(start: Start) -> None:
    watched = start()
    (_, one), _, (_, other) = told(watched, 3)
    os.kill(one, signal.SIGKILL)
    ((what, new),) = told(watched, 1)

    assert what == "serves"
    assert new not in {one, other}


def test_they_are_renewed_one_by_one_each_after_its_successor_serves(start: Start) -> None:
    watched = start()
    (_, one), _, (_, other) = told(watched, 3)
    watched.send_signal(signal.SIGHUP)
    happened = told(watched, 4)
    watched.terminate()
    ends = told(watched, 2)

    assert [what for what, _ in happened] == ["serves", "ends", "serves", "ends"]
    assert [happened[1][1], happened[3][1]] == [one, other]
    assert {who for _, who in ends} == {happened[0][1], happened[2][1]}


def test_none_is_given_up_for_a_successor_that_does_not_serve(start: Start, marker: Path) -> None:
    watched = start()
    (_, one), _, (_, other) = told(watched, 3)
    marker.touch()
    watched.send_signal(signal.SIGHUP)
    assert watched.stderr
    while "did not begin" not in watched.stderr.readline():
        pass
    watched.terminate()

    assert {who for _, who in told(watched, 2)} == {one, other}


def test_a_worker_that_falls_silent_is_replaced(start: Start) -> None:
    watched = start("--stuck")
    (_, stuck), _, (_, other), (what, new) = told(watched, 4)
    watched.terminate()

    assert what == "serves"
    assert {who for _, who in told(watched, 2)} == {other, new} - {stuck}


def test_if_the_first_cannot_begin_its_code_is_the_end(start: Start) -> None:
    watched = start("--fail")

    assert watched.wait(10) == CODE
    assert watched.stdout
    assert watched.stdout.read() == ""
