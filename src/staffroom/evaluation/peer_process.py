"""A peer at work in a process of its own, which takes orders and answers them, a line each."""

import asyncio
import json
import os
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from staffroom.evaluation.peer_environments import FOLDER, Peer, PeerFailed

LONGEST_LINE: Final = 1 << 26
STOP_SECONDS: Final = 10.0

OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
"""No peer looks anything up or reports to anybody while it is timed."""


class PeerProcess:
    """The process of one peer. What it prints besides its answers goes to `log`."""

    def __init__(self, peer: Peer, process: Process, log: Path, patience: float) -> None:
        self.peer = peer
        self.versions: dict[str, str] = {}
        self.started = time.perf_counter()
        self._process = process
        self._log = log
        self._patience = patience

    @classmethod
    async def start(
        cls, peer: Peer, python: Path, place: Mapping[str, Any], log: Path, patience: float
    ) -> "PeerProcess":
        """The peer is ready for orders.

        Raises: PeerFailed if it ends, says what is no answer, or nothing in `patience` seconds.
        """
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                str(python),
                str(FOLDER / "worker.py"),
                peer.module,
                stdin=PIPE,
                stdout=PIPE,
                stderr=errors,
                limit=LONGEST_LINE,
                env=_environment(peer),
            )
        started = cls(peer, process, log, patience)
        try:
            started.versions = (await started._told(place))["versions"]
        except BaseException:
            await started.stop()
            raise
        return started

    async def order(self, do: str, **order: Any) -> dict[str, Any]:
        """What the peer answered. Raises: PeerFailed as `start`."""
        return await self._told({"do": do, **order})

    async def stop(self) -> None:
        """The process has ended, by force if it does not on its own."""
        if self._process.returncode is None:
            assert self._process.stdin
            self._process.stdin.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _told(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            await self._process.stdin.drain()
            line = await asyncio.wait_for(self._process.stdout.readline(), self._patience)
        except TimeoutError:
            self._process.kill()
            raise PeerFailed(f"gave no answer in {self._patience:.0f} s") from None
        except (ConnectionError, ValueError) as error:
            raise PeerFailed(f"broke off: {error}. {self._last_words()}") from error
        if not line:
            raise PeerFailed(f"ended in the middle. {self._last_words()}")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            self._process.kill()
            raise PeerFailed(f"answered what is no JSON object: {line[:80]!r}")
        return answer

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", "replace").split("\n")
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def _environment(peer: Peer) -> dict[str, str]:
    inherited = dict(os.environ)
    if peer.pins.exists():
        inherited.pop("PYTHONPATH", None)
    return {**inherited, **OFFLINE, "PEER_MODULES": str(peer.folder)}
