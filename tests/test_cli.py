"""The commands as people and scripts use them, each in a process of its own."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from staffroom.config import Settings

ROWS = [
    {"id": "noise", "name": "Noisy class", "text": "The whole class talks at once.",
     "expected_response": "1. Wait for real silence.\n2. Thank the pupils who are ready."},
    {"id": "late", "name": "Late pupils", "text": "Pupils arrive after the bell rings."},
]  # fmt: skip


class Command:
    """Runs `staffroom` against one database."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = {**os.environ, **environment}

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


@pytest.fixture
def staffroom(settings: Settings, models: Path) -> Command:
    """The command on an empty library that quotes instead of writing."""
    assert settings.database_url
    return Command(
        {
            "STAFFROOM_DATABASE_URL": settings.database_url.get_secret_value(),
            "STAFFROOM_MODELS": str(models),
            "STAFFROOM_WRITER": "extractive",
            "STAFFROOM_STARTER_LIBRARY": "false",
        }
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_an_import_is_searched_and_answered_from(staffroom: Command, file: Path) -> None:
    report = staffroom.json("import", file)
    found = staffroom.json("search", "everybody is talking", "--threshold", "0.1")
    answer = staffroom.json("ask", "my class is so loud, everybody talks")

    assert (report["read"], report["stored"], report["errors"]) == (2, 2, [])
    assert found["matches"][0]["source_id"] == "noise"
    assert found["matches"][0]["relevance"] == found["best_relevance"]
    assert found["threshold"] == 0.1
    assert answer["answer"] == "Wait for real silence. Thank the pupils who are ready."
    assert answer["sentences"][0]["citations"] == [found["matches"][0]["id"]]
    assert (answer["abstained"], answer["writer"]) == (False, "extractive")
    assert len(answer["interaction_id"]) == 36


def test_an_answer_on_a_terminal_names_its_sources(staffroom: Command, file: Path) -> None:
    staffroom("import", file)

    shown = staffroom("ask", "my class is so loud, everybody talks").stdout
    several = staffroom("ask", stdin="why are my pupils late?\n\n").stdout

    assert "Wait for real silence. [1]" in shown
    assert "[1] Noisy class (relevance 0." in shown
    assert "Late pupils" in several


def test_a_question_that_nothing_fits_is_said_to_be_one(staffroom: Command, file: Path) -> None:
    staffroom("import", file)

    answer = staffroom.json("ask", "How do I change the oil of a tractor?")

    assert answer["abstained"]
    assert answer["matches"] == []
    assert 0 <= answer["best_relevance"] < answer["threshold"]
    assert answer["interaction_id"]


def test_bad_rows_are_shown_and_change_the_exit_code(staffroom: Command, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,name,text\n1,A,Something\n2,B,\n3,C,bad\x00row\n")

    done = staffroom("import", path, code=2)
    again = staffroom.json("import", path, code=2)

    assert "Row 3: description is missing" in done.stderr
    assert "Row 4: description holds a control character (U+0000)" in done.stderr
    assert "3 rows read: 1 stored, 0 unchanged, 2 failed." in done.stdout
    assert (again["stored"], again["unchanged"], again["failed"]) == (0, 1, 2)
    assert again["errors"][0]["row"] == 3
    assert again["errors"][0]["field"] == "description"


@pytest.mark.parametrize("kind", ["csv", "xlsx", "jsonl"])
def test_an_exported_library_is_unchanged_when_imported(
    staffroom: Command, file: Path, tmp_path: Path, kind: str
) -> None:
    staffroom("import", file)
    exported = tmp_path / f"library.{kind}"

    staffroom("export", exported)

    assert staffroom.json("import", exported)["unchanged"] == 2


def test_a_scenario_is_added_shown_edited_listed_and_retired(staffroom: Command) -> None:
    added = staffroom.json("scenario", "add", "--name", "Noise", "--description", "All talk.")
    key = added["id"]
    edited = staffroom.json("scenario", "edit", key, "--set", "tags=a|b", "--reason", "tidy")
    shown = staffroom("scenario", "show", key).stdout
    staffroom("scenario", "retire", key)
    listed = staffroom.json("scenario", "list", "--status", "retired")

    assert (edited["revision"], edited["tags"]) == (2, ["a", "b"])
    assert "description: All talk." in shown
    assert [item["id"] for item in listed["scenarios"]] == [key]
    assert staffroom.json("search", "talk", "--threshold", "0")["matches"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("search", ""), 2, "the question is empty"),
        (("search", "a", "--limit", "0"), 2, "limit is 0"),
        (("search", "a", "--mode", "magic"), 2, "magic"),
        (("ask", "a " * 3000), 2, "characters long"),
        (("import", "nowhere.csv"), 2, "there is no file nowhere.csv"),
        (("import",), 2, "Missing argument"),
        (("scenario", "show", "nonsense"), 2, "is not an id"),
        (("scenario", "show", "01900000-0000-7000-8000-000000000000"), 4, "there is no scenario"),
        (("scenario", "edit", "01900000-0000-7000-8000-000000000000"), 2, "nothing to change"),
        (("scenario", "add", "--name", "x"), 2, "description: is missing"),
        (("scenario", "add", "--set", "colour=red"), 2, "FIELD one of id, name"),
        (("scenario", "list", "--status", "gone"), 2, "there is no status 'gone'"),
        (("models", "verify", "none"), 78, "none"),
        (("eval", "nowhere"), 2, "nowhere"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_what_cannot_be_done_is_explained_with_its_exit_code(
    staffroom: Command, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = staffroom(*arguments, code=code)

    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_with_json_an_error_is_a_document_too(staffroom: Command) -> None:
    assert "is empty" in staffroom.json("search", " ", code=2)["error"]


def test_a_wrong_setting_and_a_missing_server_have_codes_of_their_own(staffroom: Command) -> None:
    staffroom.environment["STAFFROOM_TRESHOLD"] = "1"
    assert "there is no setting" in staffroom("search", "a", code=78).stderr
    del staffroom.environment["STAFFROOM_TRESHOLD"]
    staffroom.environment["STAFFROOM_DATABASE_URL"] = "postgresql://x@127.0.0.1:1/x"
    assert "does not answer" in staffroom("search", "a", code=75).stderr


def test_the_evaluation_leaves_nothing_behind(
    staffroom: Command, file: Path, tmp_path: Path
) -> None:
    texts = ["Pupils talk all the time.", "The photocopier is broken.", "Parents shout loudly."]
    rows = [{"_id": str(n), "title": "", "text": text} for n, text in enumerate(texts)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "queries.jsonl").write_text(
        '{"_id": "q", "text": "angry mothers and fathers"}\n{"_id": "r", "text": "chatting"}\n'
    )
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\t2\t1\nr\t0\t2\n")

    result = staffroom.json("eval", tmp_path)

    assert (result["documents"], result["queries"]) == (3, 2)
    assert result["meaning"] == {"ndcg@10": 1.0, "recall@100": 1.0, "mrr@10": 1.0}
    assert staffroom.json("scenario", "list")["scenarios"] == []


def test_models_are_listed_found_and_whole(staffroom: Command) -> None:
    listed = staffroom.json("models", "list")

    assert {row["name"] for row in listed["models"]} >= {
        "all-MiniLM-L6-v2",
        "SmolLM2-135M-Instruct",
    }
    assert all(row["here"] for row in listed["models"])
    assert Path(staffroom("models", "path", "all-MiniLM-L6-v2").stdout.strip()).is_dir()
    assert "whole" in staffroom("models", "verify").stdout


def test_the_doctor_finds_an_installation_well_and_names_what_is_not(staffroom: Command) -> None:
    well = staffroom.json("doctor")
    staffroom.environment["STAFFROOM_MODELS"] = "/nowhere"
    ill = staffroom("doctor", code=78).stdout

    assert all(finding["well"] for finding in well), well
    assert "staffroom models fetch" in ill


@pytest.fixture
def local(models: Path, home: Path) -> Iterator[Command]:
    """The command as it is on a laptop: its own server, and the starter library."""
    command = Command({"STAFFROOM_HOME": str(home), "STAFFROOM_MODELS": str(models)})
    command.environment.pop("STAFFROOM_DATABASE_URL", None)
    yield command
    command("db", "stop")


@pytest.mark.slow
def test_the_first_question_on_a_new_machine_is_answered_by_the_model(local: Command) -> None:
    answer = local.json("ask", "How to handle classroom disruption?")

    assert not answer["abstained"]
    assert len(answer["sentences"]) >= 2
    assert all(
        sentence["citations"] and sentence["support"] == 1.0 for sentence in answer["sentences"]
    )
    assert answer["matches"][0]["category"] == "disruption"
    assert answer["writer"] == "llama:SmolLM2-135M-Instruct"


@pytest.mark.slow
def test_the_embedded_database_is_started_kept_and_stopped_by_hand(local: Command) -> None:
    assert not local.json("db", "status")["running"]
    local("db", "start")
    assert local.json("db", "status")["running"]
    assert "postgres" in local("db", "url").stdout
    assert "schema is at version" in local("db", "migrate").stdout
    local("db", "stop")
    assert not local.json("db", "status")["running"]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_import_that_was_killed_is_finished_by_running_it_again(
    staffroom: Command, tmp_path: Path, share: float
) -> None:
    path = tmp_path / "many.jsonl"
    rows = [{"id": str(n), "text": f"Situation number {n}."} for n in range(600)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    staffroom.environment["STAFFROOM_BATCH_SIZE"] = "20"
    database = staffroom.environment["STAFFROOM_DATABASE_URL"]

    with subprocess.Popen(
        [sys.executable, "-m", "staffroom.cli", "import", str(path)],
        env=staffroom.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        deadline = time.monotonic() + 60
        while count_scenarios(database) < share * len(rows) and time.monotonic() < deadline:
            time.sleep(0.01)
        running.kill()
    before = count_scenarios(database)
    report = staffroom.json("import", path)

    assert before < len(rows)
    assert before % 20 == 0
    assert (report["stored"], report["unchanged"]) == (len(rows) - before, before)
    assert count_scenarios(database) == len(rows)


def count_scenarios(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM staffroom.scenarios").fetchone()
    return int(row[0]) if row else 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_session_that_is_told_to_end_leaves_no_server_behind(
    local: Command, number: signal.Signals
) -> None:
    local.environment["STAFFROOM_WRITER"] = "extractive"
    with subprocess.Popen(
        [sys.executable, "-m", "staffroom.cli", "ask"],
        env=local.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as session:
        assert session.stdin
        assert session.stdout
        session.stdin.write("How to handle classroom disruption?\n")
        session.stdin.flush()
        while "Written by" not in session.stdout.readline():
            assert session.poll() is None
        session.send_signal(number)
        assert session.wait(30) == 128 + number

    assert not local.json("db", "status")["running"]


@pytest.mark.slow
def test_ctrl_c_at_the_prompt_ends_the_session(local: Command) -> None:
    local.environment["STAFFROOM_WRITER"] = "extractive"
    terminal, side = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "staffroom.cli", "ask"],
        env=local.environment,
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads here
    ) as session:
        os.close(side)
        shown = b""
        while b"Your question" not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, b"\x03")
        assert session.wait(30) == 0
    os.close(terminal)

    assert not local.json("db", "status")["running"]
