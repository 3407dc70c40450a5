"""`export` and `restore` as people use them, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from staffroom.config import Settings
from tests.backups import entries
from tests.command import Command
from tests.test_cli import LOUD, file, staffroom

__all__ = ["file", "staffroom"]

pytestmark = pytest.mark.slow


def another_tenant(staffroom: Command) -> Command:
    return Command({**staffroom.environment, "STAFFROOM_TENANT": str(uuid4())})


def test_a_library_is_backed_up_and_restored(
    staffroom: Command, file: Path, tmp_path: Path
) -> None:
    staffroom("import", file)
    staffroom("ask", LOUD)
    backup, again = tmp_path / "backup.zip", tmp_path / "again.zip"
    other = another_tenant(staffroom)
    other.environment["STAFFROOM_STARTER_LIBRARY"] = "true"

    told = staffroom("export", "--all", backup, "--interactions").stderr
    checked = other.json("restore", backup, "--dry-run")
    restored = other("restore", backup).stdout
    other("export", "--all", again)

    assert (
        "2 scenarios, 2 revisions, 0 golden, 0 evaluations, 0 decisions, 1 interactions"
        in " ".join(told.split())
    )
    assert "rules that miss some" in told
    assert backup.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.glob("*.part")) == []
    assert checked["dry_run"]
    assert checked["scenarios"] == {"new": 2, "unchanged": 0}
    assert "2 scenarios restored." in restored
    assert "1 exchanges and verdicts are pseudonymised" in restored
    assert "2 scenarios were embedded." in restored
    before, after = entries(backup.read_bytes()), entries(again.read_bytes())
    assert before["revisions.jsonl"] == after["revisions.jsonl"]
    assert other.json("search", LOUD, "--threshold", "0")["matches"][0]["name"] == "Noisy class"


def test_what_cannot_be_done_is_said(staffroom: Command, file: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup.zip"
    staffroom("import", file)
    staffroom("export", "--all", backup)
    other = another_tenant(staffroom)
    other("scenario", "add", "--description", "Mine.", "--set", "id=noise")

    for arguments, words in (
        (("export", "--all"), "a backup is a ZIP file, not output. Name it FILE.zip"),
        (("export", "--all", "b.csv"), "a backup is a ZIP file, not b.csv"),
        (("export", "--all", backup, "--status", "draft"), "a backup holds every status"),
        (("export", "--interactions"), "--interactions belongs to a backup"),
        (("export", "--all", tmp_path / "no" / "b.zip"), "cannot be written: No such file"),
        (("export", tmp_path / "no" / "b.csv"), "cannot be written: No such file"),
        (("export", tmp_path / "b.pdf"), "is of no known kind"),
        (("export", "--status", "lost"), "there is no status 'lost'"),
        (("restore", "nowhere.zip"), "there is no file nowhere.zip"),
        (("restore", file), "is no whole ZIP archive"),
        (("restore", backup), "another scenario under the id 'noise'"),
    ):
        assert words in " ".join(other(*arguments, code=2).stderr.split()), arguments


def test_an_export_to_output_is_written_while_it_is_read(
    staffroom: Command, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": f"Situation {n}"}) + "\n" for n in range(700)))
    staffroom("import", rows)

    written = staffroom("export").stdout.splitlines()

    assert sorted(json.loads(line)["description"] for line in written) == sorted(
        f"Situation {n}" for n in range(700)
    )
    assert staffroom("export", "--status", "draft").stdout == ""


def test_a_restore_that_is_killed_is_finished_by_the_next(
    staffroom: Command, settings: Settings, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": f"Situation {n}"}) + "\n" for n in range(200)))
    staffroom("import", rows)
    backup, again = tmp_path / "backup.zip", tmp_path / "again.zip"
    staffroom("export", "--all", backup)
    other = another_tenant(staffroom)
    assert settings.database_url
    url = settings.database_url.get_secret_value()

    def scenarios() -> int:
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM staffroom.scenarios WHERE tenant_id = %s",
                [other.environment["STAFFROOM_TENANT"]],
            ).fetchone()
        assert row
        return int(row[0])

    with subprocess.Popen(
        [sys.executable, "-m", "staffroom.cli", "restore", str(backup)],
        env=other.environment,
        stdout=subprocess.DEVNULL,
    ) as killed:
        while not scenarios() and killed.poll() is None:
            time.sleep(0.01)
        os.kill(killed.pid, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL, "it was done before it could be killed"
    assert scenarios() == 200

    report = other.json("restore", backup)
    other("export", "--all", again)

    assert report["scenarios"] == {"new": 0, "unchanged": 200}
    assert report["embedded"] <= 200
    assert entries(again.read_bytes()) == entries(backup.read_bytes())
    assert zipfile.is_zipfile(backup)
    assert other.json("restore", backup)["embedded"] == 0
