"""The command as people and scripts use it, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from staffroom.config import PREFIX


class Command:
    """Runs `staffroom` with these settings, and none of the person who runs the tests."""

    def __init__(self, environment: dict[str, str]) -> None:
        others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environment = others | environment

    def __call__(
        self, *arguments: str | Path, code: int = 0, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "staffroom.cli", *map(str, arguments)],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def json(self, *arguments: str | Path, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code).stdout)
