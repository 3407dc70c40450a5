"""A command that is told to end while Python ignores whatever is raised."""

import signal
import subprocess
import sys

PROGRAM = """
import os, signal, time
from staffroom.cli import leaving

class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            pass

leaving.obey_signals()
{}
del finalised
{}
"""


def ended(finalised: str, then: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(finalised, then)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_a_request_that_was_swallowed_is_made_again() -> None:
    process = ended("finalised = Finalised()", "print('goes on', flush=True); time.sleep(20)")

    assert process.stdout == "goes on\n"
    assert process.returncode == 128 + signal.SIGTERM


def test_what_is_being_closed_is_closed_and_the_code_is_the_signals() -> None:
    process = ended(
        "finalised = Finalised(); leaving.begin_closing()",
        "time.sleep(0.6); print('closed', flush=True); leaving.end_as_asked()",
    )

    assert process.stdout == "closed\n"
    assert process.returncode == 128 + signal.SIGTERM
    assert process.stderr == ""
