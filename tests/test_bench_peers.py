"""What `bench peers` does with peers that work, and with those that break in every way."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from staffroom.cli.bench_peers import _print_report
from staffroom.database.connection import Database
from staffroom.database.scratch import scratch_database
from staffroom.errors import InputError
from staffroom.evaluation import peers as measured
from staffroom.evaluation.beir import DataSet
from staffroom.evaluation.peer_environments import (
    FOLDER,
    OWN,
    PEERS,
    Peer,
    PeerFailed,
    chosen_peers,
    peer_python,
)
from staffroom.evaluation.peer_process import PeerProcess
from staffroom.evaluation.peers import bench_peers
from staffroom.models import model_path

WORKING = """
import json, os, sys
from pathlib import Path

PACKAGES = ("pip",)

class Store:
    def __init__(self, place):
        print("a banner that is no answer")
        self.file = Path(place["folder"]) / "rows.json"
        self.rows = {} if place["is_new"] else json.loads(self.file.read_text())

    def add(self, ids, texts):
        self.rows.update(zip(ids, texts))
        self.file.write_text(json.dumps(self.rows))

    def ask(self, text, limit):
        words = set(text.lower().split())
        shared = {each: words & set(text.split()) for each, text in self.rows.items()}
        return sorted(shared, key=lambda each: -len(shared[each]))[:limit]

open_store = Store
"""

CRASHING = WORKING.replace("words = set(", 'sys.exit(print("out of luck", file=sys.stderr)); (')
REFUSING = WORKING.replace("self.rows.update(", 'raise OSError("disk full", ')
NO_ANSWER = "import json\njson.dumps = lambda _: '{not json'\n" + WORKING
HANGING = "import time\ntime.sleep(60)\n"

DATA = DataSet(
    name="small",
    corpus=[
        {"id": "a", "name": "Noise", "description": "The class talks over the teacher."},
        {"id": "b", "name": "Late", "description": "A pupil comes late every day."},
        {"id": "c", "name": "Phone", "description": "A phone rings in the lesson."},
        {"id": "d", "name": "Fight", "description": "Two pupils fight in the yard."},
        {"id": "e", "name": "Sleep", "description": "A pupil sleeps in class."},
    ],
    digest="",
    queries={"1": "late every day", "2": "a phone rings"},
    judgements={"1": {"b": 1}, "2": {"c": 1}},
    splits={"1": "test", "2": "test"},
)


def fake(folder: Path, name: str, text: str, pins: str | None = None) -> Peer:
    (folder / f"{name}.py").write_text(text)
    if pins is not None:
        (folder / f"{name}.txt").write_text(pins)
    return Peer(name, f"Fake {name}", name, folder, in_database=False)


@pytest.mark.slow
async def test_peers_do_the_same_work_and_broken_ones_are_named(
    database: Database,
    database_url: str,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STAFFROOM_DATABASE_URL", database_url)
    monkeypatch.setenv("STAFFROOM_STARTER_LIBRARY", "false")
    monkeypatch.setattr(measured, "ASKED_AT_ONCE", 16)
    peers = [
        fake(tmp_path, "working", WORKING),
        fake(tmp_path, "crashing", CRASHING),
        fake(tmp_path, "refusing", REFUSING),
        fake(tmp_path, "missing", WORKING, pins="a line that pip takes for no requirement"),
    ]

    async def no_environment(peer: Peer, environments: Path) -> Path:
        if peer.name == "missing":
            raise PeerFailed("pip could not install it: no matching distribution")
        return await peer_python(peer, environments)

    monkeypatch.setattr(measured, "peer_python", no_environment)
    report = await bench_peers(
        DATA,
        database,
        peers,
        model=model_path(models, "all-MiniLM-L6-v2"),
        documents=1_000,
        environments=tmp_path,
    )

    own, working, crashing, refusing, missing = report["rows"]
    assert (report["documents"], report["questions"]) == (5, 2)
    assert own["name"] == "Staffroom"
    for row in (own, working):
        assert "failed" not in row
        parts = {"import", "cold start", "question", "clients", "ndcg@10"}
        assert parts <= set(row["figures"])
        assert row["figures"]["ndcg@10"]["value"] == 1.0
    importing = working["figures"]["import"]
    low, high = importing["spread"]
    assert 0 < low <= (importing["ratio"] or 0) <= high
    assert working["versions"]["pip"]
    # It ended while its first answer was waited for.
    assert crashing["failed"].startswith("cold start: ended in the middle")
    assert "out of luck" in crashing["failed"]
    assert set(crashing["figures"]) == {"import"}
    assert refusing["failed"].startswith("import: ended in the middle")
    assert "disk full" in refusing["failed"]
    assert missing["failed"].startswith("install: pip could not install it")
    assert await _left(database) == []

    _print_report(report)
    shown = capsys.readouterr().out
    assert "Fake missing failed at install: pip could not install it" in shown


@pytest.mark.parametrize(
    ("text", "words"), [(NO_ANSWER, "no JSON object: b'{not json"), (HANGING, "no answer in 1 s")]
)
async def test_a_peer_that_does_not_answer_is_given_up(
    tmp_path: Path, text: str, words: str
) -> None:
    peer = fake(tmp_path, "odd", text)
    python = await peer_python(peer, tmp_path)
    place: Mapping[str, Any] = {"folder": str(tmp_path), "is_new": True}

    with pytest.raises(PeerFailed, match=words):
        await PeerProcess.start(peer, python, place, tmp_path / "log", patience=1.0)


VENV = """#!/bin/sh
[ "$2" = venv ] || exit 9
mkdir -p "$3/bin" "$3/lib/python3/site-packages"
cat > "$3/bin/python" <<'END'
#!/bin/sh
made=${0%/*/bin/python}
echo "$@" >> "$made/said"
[ ! -e "$made/broken" ] || { echo "ERROR: No matching distribution"; exit 1; }
END
chmod +x "$3/bin/python"
"""


async def test_an_environment_is_made_once_for_its_pins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, peer = tmp_path / "made", fake(tmp_path, "pinned", WORKING, pins="one==1")
    made.mkdir()
    program = tmp_path / "program"
    program.write_text(VENV)
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))

    for _ in range(2):
        assert await peer_python(peer, made) == made / "pinned" / "bin" / "python"
    said = (made / "said").read_text()
    assert (said.count("pip install"), said.count("pinned.txt")) == (2, 1)
    (shared,) = made.glob("pinned/lib/python3/site-packages/shared.pth")
    assert shared.read_text() == f"{made}/base/lib/python3/site-packages\n"

    peer.pins.write_text("one==2")
    (made / "broken").touch()
    with pytest.raises(PeerFailed, match="pip could not install it: ERROR: No matching"):
        await peer_python(peer, made)
    (made / "broken").unlink()
    await peer_python(peer, made)
    assert (made / "said").read_text().count("pinned.txt") == 3


def test_every_peer_has_its_file_and_exact_pins() -> None:
    for peer in PEERS.values():
        assert (FOLDER / f"{peer.module}.py").exists()
        for line in peer.pins.read_text("utf-8").split():
            assert "==" in line
    assert not OWN.pins.exists()


def test_a_peer_that_is_not_known_is_refused() -> None:
    assert [peer.name for peer in chosen_peers(["chroma", "bare", "chroma"])] == ["chroma", "bare"]
    with pytest.raises(InputError, match=r"no peer 'Chrome'\. Choose one of: langchain, "):
        chosen_peers(["Chrome"])


async def test_a_scratch_database_replaces_one_left_behind(database: Database) -> None:
    name = "bench_left"
    async with scratch_database(database, name) as place:
        assert place["dbname"] == name
        async with scratch_database(database, name):
            assert await _left(database) == [name]
    assert await _left(database) == []


async def _left(database: Database) -> list[str]:
    async with database.owner_transaction() as owner:
        rows = await owner.execute("SELECT datname FROM pg_database WHERE datname LIKE 'bench_%'")
        return [row["datname"] for row in await rows.fetchall()]
