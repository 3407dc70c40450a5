"""The command as people and scripts use it, in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from staffroom.config import PREFIX, Settings


class Command:
    """Runs `staffroom` with these settings, and none of the person who runs the tests."""

    def __init__(self, environment: dict[str, str]) -> None:
        others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environment = others | environment

    @classmethod
    def on(cls, settings: Settings, **more: str) -> "Command":
        """A command that works on that installation's database, without a starter library."""
        assert settings.database_url
        return cls(
            {
                "STAFFROOM_DATABASE_URL": settings.database_url.get_secret_value(),
                "STAFFROOM_HOME": str(settings.home),
                "STAFFROOM_MODELS": str(settings.models),
                "STAFFROOM_STARTER_LIBRARY": "false",
                **more,
            }
        )

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """The command at work; what is inside ends it."""
        with subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "staffroom.cli", *arguments],
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            yield process

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
