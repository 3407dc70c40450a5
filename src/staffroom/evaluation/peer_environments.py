"""Python environments of the peers: made once with pip, kept, and made anew when a pin changes.

torch is in one environment that all share: theirs find its packages after their own.
"""

import asyncio
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from staffroom.errors import InputError

FOLDER: Final = Path(__file__).parent.parent / "peers"
SHARED: Final = "base"
INSTALL_SECONDS: Final = 1800


class PeerFailed(Exception):
    """A peer could not do what was asked of it; the others go on."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another way to search; its file lies in `folder`, with its pins beside it unless it needs
    no environment of its own."""

    name: str
    title: str
    module: str
    folder: Path = FOLDER
    in_database: bool = True

    @property
    def pins(self) -> Path:
        return self.folder / f"{self.module}.txt"


OWN: Final = Peer("staffroom", "Staffroom", "own")

PEERS: Final[Mapping[str, Peer]] = {
    peer.name: peer
    for peer in (
        Peer("langchain", "LangChain PGVectorStore", "langchain_store"),
        Peer("llamaindex", "LlamaIndex PGVectorStore", "llamaindex_store"),
        Peer("haystack", "Haystack pgvector", "haystack_store"),
        Peer("chroma", "Chroma", "chroma_store", in_database=False),
        Peer("txtai", "txtai", "txtai_store", in_database=False),
        Peer("bare", "bare psycopg + sentence-transformers", "bare"),
    )
}


def chosen_peers(names: Sequence[str]) -> list[Peer]:
    """The peers of these names, or all if none is named.

    Raises: InputError naming the first that is none.
    """
    for name in names:
        if name not in PEERS:
            raise InputError(f"there is no peer {name!r}. Choose one of: {', '.join(PEERS)}.")
    return [PEERS[name] for name in dict.fromkeys(names)] or list(PEERS.values())


async def peer_python(peer: Peer, environments: Path) -> Path:
    """The interpreter of the peer's environment, which has what its pins name.

    Raises: PeerFailed with pip's last words.
    """
    if not peer.pins.exists():
        return Path(sys.executable)
    shared = await _environment(environments / SHARED, [FOLDER / f"{SHARED}.txt"])
    own = environments / peer.name
    return await _environment(own, [peer.pins, FOLDER / f"{SHARED}.txt"], beside=shared)


async def _environment(folder: Path, pins: Sequence[Path], beside: Path | None = None) -> Path:
    python = folder / "bin" / "python"
    stamp = folder / "stamp"
    wanted = "\n".join([sys.version, *(file.read_text("utf-8") for file in pins)])
    if _text(stamp) == wanted:
        return python
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    await _run([sys.executable, "-m", "venv", str(folder)])
    if beside:
        _share(beside.parent.parent, folder)
    files = [part for file in pins for part in ("--requirement", str(file))]
    await _run([str(python), "-m", "pip", "install", "--quiet", *files])
    stamp.write_text(wanted, "utf-8")
    return python


def _text(file: Path) -> str:
    return file.read_text("utf-8") if file.exists() else ""


def _share(shared: Path, folder: Path) -> None:
    """The environment in `folder` finds the packages of the shared one after its own."""
    for packages in folder.glob("lib/python*/site-packages"):
        (found,) = shared.glob("lib/python*/site-packages")
        (packages / "shared.pth").write_text(f"{found}\n", "utf-8")


async def _run(command: Sequence[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), INSTALL_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise PeerFailed(f"installing took more than {INSTALL_SECONDS} s") from None
    if process.returncode:
        errors = [line for line in said.decode(errors="replace").splitlines() if "ERROR" in line]
        raise PeerFailed(f"pip could not install it: {' '.join(errors[-2:]) or 'no reason given'}")
