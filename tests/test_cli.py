"""The commands as people and scripts use them, each in a process of its own."""

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from staffroom.config import Settings
from tests.command import Command
from tests.evaluation_data import QUERIES, write_data_set

ROWS = [
    {"id": "noise", "name": "Noisy class", "text": "The whole class talks at once.",
     "expected_response": "1. Wait for real silence.\n2. Thank the pupils who are ready.\n"
     "3. Start again with one small task.\n4. Change two seats.\n5. Write down when it began.\n"
     "6. Ring home after three weeks.\n7. Ask a colleague to watch a lesson.\n"
     "Avoid shouting over the noise."},
    {"id": "late", "name": "Late pupils", "text": "Pupils arrive after the bell rings."},
]  # fmt: skip
LOUD = "my class is so loud, everybody talks"
TRACTOR = "How do I change the oil of a tractor?"
NOBODY = "01900000-0000-7000-8000-000000000000"
EMPTY_LIBRARY = {"STAFFROOM_WRITER": "extractive", "STAFFROOM_STARTER_LIBRARY": "false"}


@pytest.fixture
def staffroom(settings: Settings, models: Path) -> Command:
    """The command on an empty library that quotes instead of writing."""
    assert settings.database_url
    return Command(
        {
            "STAFFROOM_DATABASE_URL": settings.database_url.get_secret_value(),
            "STAFFROOM_MODELS": str(models),
            **EMPTY_LIBRARY,
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
    answer = staffroom.json("ask", LOUD)

    assert (report["read"], report["stored"], report["errors"]) == (2, 2, [])
    assert found["matches"][0]["source_id"] == "noise"
    assert found["matches"][0]["relevance"] == found["best_relevance"]
    assert found["threshold"] == 0.1
    assert answer["answer"] == (
        "1. Wait for real silence.\n2. Thank the pupils who are ready.\n"
        "3. Start again with one small task.\n4. Change two seats.\n5. Write down when it began."
    )
    assert [sentence["step"] for sentence in answer["sentences"]] == [1, 2, 3, 4, 5]
    assert [sentence["step"] for sentence in answer["more"]] == [6, 7, None]
    assert answer["sentences"][0]["citations"] == [found["matches"][0]["id"]]
    assert (answer["abstained"], answer["writer"]) == (False, "extractive")
    assert len(answer["interaction_id"]) == 36
    assert answer["conversation_id"] == answer["interaction_id"]


def test_an_answer_on_a_terminal_names_its_sources(staffroom: Command, file: Path) -> None:
    staffroom("import", file)

    shown = staffroom("ask", LOUD).stdout
    several = staffroom("ask", stdin="why are my pupils late?\n\n").stdout

    assert shown.startswith(
        "\n[1] Noisy class\n"
        " 1 Wait for real silence.\n 2 Thank the pupils who are ready.\n"
        " 3 Start again with one small task.\n 4 Change two seats.\n 5 Write down when it began.\n"
        "   3 more sentences with --more\n\n"
        "[1] Noisy class (relevance 0."
    )
    assert "The vetted advice itself; kept as " in shown
    assert "[1] Late pupils" in several


def test_with_more_the_rest_of_the_cited_advice_follows(staffroom: Command, file: Path) -> None:
    staffroom("import", file)

    shown = staffroom("ask", LOUD, "--more").stdout
    nothing_more = staffroom("ask", "why are my pupils late?", "--more").stdout

    assert (
        " 5 Write down when it began.\nMore of the same advice\n 6 Ring home after three weeks.\n"
        " 7 Ask a colleague to watch a lesson.\n   Avoid shouting over the noise.\n\n[1]"
    ) in shown
    assert "with --more" not in shown
    assert "Pupils arrive" in nothing_more
    assert "More of" not in nothing_more


@pytest.mark.parametrize("columns", [40, 80])
def test_lines_fit_their_terminal_and_brackets_are_text(
    staffroom: Command, tmp_path: Path, columns: int
) -> None:
    row = {
        "name": "A noisy class [b] in a room [/i] that is larger than any other in the school",
        "text": "The whole class talks at once.",
        "expected_response": "1. Say [quietly] what comes next, and look at every one of the "
        "tables [/red] in turn, until the last of them is ready to listen.\n2. Thank them.",
    }  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    staffroom("import", path)
    staffroom.environment["COLUMNS"] = str(columns)

    asked = staffroom("ask", LOUD).stdout
    unanswered = staffroom("ask", TRACTOR).stdout
    kept = asked.split()[-1]
    staffroom("interaction", "feedback", kept, "helpful", "--comment", "It [/b] helped a bit. " * 5)
    shown = staffroom("interaction", "show", kept).stdout
    gaps = staffroom("interaction", "gaps").stdout

    for text in (asked, unanswered, shown, gaps):
        assert all(len(line) <= columns and line == line.rstrip() for line in text.splitlines())
    for text in (asked, shown):
        assert "Say [quietly] what comes next, and look at every one of the tables [/red] in" in (
            " ".join(text.split())
        )
    steps = asked[asked.index(" 1 ") : asked.index(" 2 ")].splitlines()
    assert len(steps) > 1
    assert all(line.startswith("   ") for line in steps[1:])
    assert "It [/b] helped" in shown
    assert "Perhaps related:\n    A noisy class [b]" in unanswered


def test_a_further_question_is_understood_with_the_one_before(
    staffroom: Command, file: Path
) -> None:
    staffroom("import", file)

    first = staffroom.json("ask", LOUD)
    conversation = first["conversation_id"]
    alone = staffroom.json("ask", "and if it keeps happening?")
    further = staffroom.json("ask", "and if it keeps happening?", "--conversation", conversation)
    kept = staffroom.json("interaction", "show", further["interaction_id"])
    typed = staffroom("ask", stdin=f"{LOUD}\nand if it keeps happening?\n").stdout

    assert alone["abstained"]
    assert [sentence["step"] for sentence in further["sentences"]] == [6, 7]
    assert further["conversation_id"] == conversation != further["interaction_id"]
    assert kept["question"] == "and if it keeps happening?"
    assert kept["asked"] == f"{LOUD} and if it keeps happening?"
    assert "\n[1] Noisy class\n 1 Ring home after three weeks.\n" in typed


def test_an_exchange_is_shown_as_it_was_stored(staffroom: Command, file: Path) -> None:
    staffroom("import", file)
    answer = staffroom.json("ask", LOUD)
    key = answer["interaction_id"]

    kept = staffroom.json("interaction", "show", key)
    shown = staffroom("interaction", "show", key).stdout

    same = ("answer", "sentences", "more", "outcome", "abstained", "writer", "threshold",
            "best_relevance", "timings", "conversation_id")  # fmt: skip
    assert {name: kept[name] for name in same} == {name: answer[name] for name in same}
    assert (kept["id"], kept["question"], kept["asked"]) == (key, LOUD, LOUD)
    assert kept["library_version"] == 1
    assert kept["embedding_model"].startswith("all-MiniLM-L6-v2@")
    (match,) = kept["matches"]
    assert match == {
        "id": answer["matches"][0]["id"],
        "revision": 1,
        "name": "Noisy class",
        "relevance": answer["matches"][0]["relevance"],
    }
    assert kept["feedback"] == []
    assert shown.startswith(f"{LOUD}\n{answer['answer']}\n0.")
    assert "  Noisy class (revision 1)\nwritten, by extractive, 20" in shown


def test_questions_without_an_answer_are_listed_newest_first(
    staffroom: Command, file: Path
) -> None:
    assert "Every question so far was answered." in staffroom("interaction", "gaps").stdout
    assert staffroom.json("interaction", "gaps") == []
    empty = staffroom.json("ask", LOUD)
    staffroom("import", file)
    unfit = staffroom.json("ask", TRACTOR)
    staffroom("ask", LOUD)

    gaps = staffroom.json("interaction", "gaps")
    shown = staffroom("interaction", "gaps", "--limit", "1").stdout

    assert [(gap["interaction_id"], gap["question"]) for gap in gaps] == [
        (unfit["interaction_id"], TRACTOR),
        (empty["interaction_id"], LOUD),
    ]
    assert [gap["best_relevance"] for gap in gaps] == [unfit["best_relevance"], None]
    assert gaps[0]["threshold"] == unfit["threshold"]
    assert shown.endswith(f"  best {unfit['best_relevance']:.2f}  {TRACTOR}\n")
    assert LOUD not in shown
    assert "best none" in staffroom("interaction", "gaps").stdout


def test_feedback_is_kept_with_the_answer(staffroom: Command, file: Path) -> None:
    staffroom("import", file)
    answer = staffroom.json("ask", LOUD)
    key, scenario = answer["interaction_id"], answer["matches"][0]["id"]

    thanks = staffroom("interaction", "feedback", key, "worked").stdout
    given = staffroom.json(
        "interaction", "feedback", key, "did_not_fit", "--reason", "not_for_my_pupils",
        "--comment", "They are six.", "--scenario", scenario,
    )  # fmt: skip
    kept = staffroom.json("interaction", "show", key)["feedback"]
    shown = staffroom("interaction", "show", key).stdout

    assert thanks == "Thank you. It is kept with the answer.\n"
    assert [said["verdict"] for said in kept] == ["worked", "did_not_fit"]
    assert kept[1].pop("created_at")
    assert kept[1] == {
        "id": given["id"],
        "verdict": "did_not_fit",
        "reason": "not_for_my_pupils",
        "comment": "They are six.",
        "scenario_id": scenario,
    }
    assert shown.endswith("\nworked\ndid_not_fit not_for_my_pupils They are six.\n")
    foreign = staffroom(
        "interaction", "feedback", key, "helpful", "--scenario", NOBODY, code=2
    ).stderr
    assert "does not rest on scenario" in foreign


def test_a_question_that_nothing_fits_is_said_to_be_one(staffroom: Command, file: Path) -> None:
    staffroom("import", file)

    answer = staffroom.json("ask", TRACTOR)

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
    assert "3 rows read: 1 stored, 0 unchanged, 0 repeated, 2 failed." in done.stdout
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
        (("scenario", "show", NOBODY), 4, "there is no scenario"),
        (("scenario", "edit", NOBODY), 2, "nothing to change"),
        (("scenario", "add", "--name", "x"), 2, "description: is missing"),
        (("scenario", "add", "--set", "colour=red"), 2, "FIELD one of id, name"),
        (("scenario", "list", "--status", "gone"), 2, "there is no status 'gone'"),
        (("models", "verify", "none"), 78, "none"),
        (("eval", "nowhere"), 2, "nowhere"),
        (("eval", "search", "nowhere"), 2, "nowhere"),
        (("eval", "search"), 2, "no data set is named"),
        (("eval", "golden", "--mode", "magic"), 2, "there is no mode 'magic'. Choose one of: hy"),
        (("eval", "golden", "--split", "dev"), 2, "golden has no split 'dev'"),
        (("eval", "golden", "--out", "."), 2, "is a folder. Name a file with --out"),
        (("eval", "golden", "--report", "nowhere/x.html"), 2, "there is no folder nowhere"),
        (("eval", "--compare", "meaning", "words"), 2, "no data set is named to compare it on"),
        (("eval", "--compare", "a.json", "b.json"), 2, "there is no file a.json. Name a mode"),
        (("eval", "golden", "--compare", "a.json", "b.json"), 2, "Leave golden out"),
        (("eval", "golden", "--mode", "words", "--compare", "words", "words"), 2, "Leave --mode"),
        (("eval", "--compare", "words"), 2, "--compare"),
        (("ask", "why?", "--conversation", NOBODY), 4, f"there is no conversation {NOBODY}"),
        (("ask", "why?", "--conversation", "x"), 2, "--conversation"),
        (("interaction", "show", NOBODY), 4, f"there is no interaction {NOBODY}"),
        (("interaction", "show", "x"), 2, "valid UUID"),
        (("interaction", "gaps", "--limit", "0"), 2, "--limit"),
        (("interaction", "feedback", NOBODY, "helpful"), 4, "there is no interaction"),
        (("interaction", "feedback", NOBODY), 2, "Missing argument"),
        (("interaction", "feedback", NOBODY, "great"), 2, "choose one of helpful, not_helpful"),
        (
            ("interaction", "feedback", NOBODY, "worked", "--reason", "x"),
            2,
            "choose one of off_topic",
        ),
        (
            ("interaction", "feedback", NOBODY, "worked", "--comment", "x" * 2001),
            2,
            "the comment has 2,001 characters",
        ),
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


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("search", " "), 2, "is empty"),
        (("ask",), 2, "--json answers one question"),
        (("ask", "why?", "--conversation", NOBODY), 4, "there is no conversation"),
        (("interaction", "show", NOBODY), 4, "there is no interaction"),
        (("interaction", "feedback", NOBODY, "great"), 2, "the verdict is 'great'"),
    ],
)
def test_with_json_an_error_is_a_document_too(
    staffroom: Command, arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert words in staffroom.json(*arguments, code=code)["error"]


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
    assert result.keys() >= {"meaning", "words", "hybrid"}
    assert staffroom.json("scenario", "list")["scenarios"] == []
    again = staffroom.json("eval", "search", tmp_path, "--mode", "meaning", "--split", "test")
    assert again["meaning"] == result["meaning"]
    assert "words" not in again


def test_runs_are_stored_drawn_and_compared(staffroom: Command, tmp_path: Path) -> None:
    folder = write_data_set(tmp_path / "set")
    one, other, page = tmp_path / "one.json", tmp_path / "other.json", tmp_path / "page.html"
    modes = ("--mode", "meaning", "--mode", "words")

    shown = staffroom("eval", folder, *modes, "--out", one, "--report", page).stdout
    live = staffroom.json("eval", folder, "--compare", "words", "meaning", "--out", other)
    stored = staffroom.json("eval", "--compare", f"{one}:words", f"{one}:meaning")
    mixed = staffroom.json("eval", folder, "--compare", one, "words", "--report", page)
    told = staffroom("eval", "--compare", one, other).stdout

    assert re.search(r"ndcg@10 +1\.0000 +", shown)
    assert live["measures"] == stored["measures"]
    assert live["queries"] == 2
    assert (mixed["a"], mixed["b"]) == (str(one), "words")
    assert "beside" in page.read_text()
    assert f"A: {one}" in told.replace("\n", "")
    assert "wins" in told
    write_data_set(folder, queries=[QUERIES[0], {"_id": "q2", "text": "another question"}])
    error = staffroom("eval", folder, "--compare", "words", one, code=2).stderr
    assert "different questions" in error


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
    yield command
    command("db", "stop")


@pytest.mark.slow
@pytest.mark.parametrize("writer", [None, "llama:SmolLM2-135M-Instruct"])
def test_the_first_question_on_a_new_machine_is_answered(
    local: Command, writer: str | None
) -> None:
    if writer:
        local.environment["STAFFROOM_WRITER"] = writer
    answer = local.json("ask", "How to handle classroom disruption?")

    assert not answer["abstained"]
    assert len(answer["sentences"]) >= 2
    assert all(
        sentence["citations"] and sentence["support"] == 1.0 for sentence in answer["sentences"]
    )
    assert answer["matches"][0]["category"] == "disruption"
    assert answer["writer"] == (writer or "extractive")


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
    local.environment |= EMPTY_LIBRARY
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
        while "kept as" not in session.stdout.readline():
            assert session.poll() is None
        session.send_signal(number)
        assert session.wait(30) == 128 + number

    assert not local.json("db", "status")["running"]


@pytest.mark.slow
def test_ctrl_c_at_the_prompt_ends_the_session(local: Command) -> None:
    local.environment |= EMPTY_LIBRARY
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
        # Between the prompt and the wait for a key, Python loses a Ctrl-C: press again, but not
        # while a busy machine still carries out the first.
        for _ in range(3):
            os.write(terminal, b"\x03")
            with suppress(subprocess.TimeoutExpired):
                session.wait(10)
                break
        assert session.wait(30) == 0
    os.close(terminal)

    assert not local.json("db", "status")["running"]


def test_what_is_alike_is_listed_and_decided(staffroom: Command, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    again = {**ROWS[0], "id": "again"}
    loud = {"id": "loud", "name": "Noisy class", "text": "The whole class talks at the same time."}
    file.write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, again, loud]))
    told = staffroom("import", file)
    assert "Row 3: the same as row 1" in told.stderr
    assert "--keep-duplicates stores it" in told.stderr
    assert "3 stored, 0 unchanged, 1 repeated, 0 failed" in told.stdout

    listed = staffroom.json("scenario", "likenesses")
    assert (listed["compared"], listed["total"], listed["near"]) == (3, 3, 1)
    first = listed["items"][0]
    pair = (first["one"]["id"], first["other"]["id"])
    shown = staffroom("scenario", "likenesses")
    assert "Probably different situations:" in shown.stdout
    merge = ("scenario", "decide", *pair, "merge")
    assert "Say which" in staffroom.json(*merge, code=2)["error"]
    merged = staffroom.json(*merge, "--keep", pair[0], "--reason", "told twice")
    assert (merged["decision"], merged["kept"]) == ("merged", pair[0])
    decided = staffroom("scenario", "likenesses", "--decision", "merge")
    assert "merged by" in decided.stdout
    assert "(kept)" in decided.stdout
    assert staffroom("scenario", "decide", pair[0], NOBODY, "link", code=4).stderr
    assert "cursor is 'x'" in staffroom("scenario", "likenesses", "--after", "x", code=2).stderr
    kept = staffroom("import", file, "--keep-duplicates")
    assert "2 stored, 2 unchanged" in kept.stdout


def test_a_file_with_its_own_columns_is_imported_by_a_mapping(
    staffroom: Command, tmp_path: Path
) -> None:
    file = tmp_path / "old.csv"
    file.write_bytes("Problem;Rat;Farbe\nZoë läuft umher.;Frag sie.;rot\n".encode("cp1252"))

    refused = staffroom("import", file, code=2)
    done = staffroom("import", file, "--map", "Problem=description", "--map", "Farbe=")

    told = " ".join(refused.stderr.split())
    assert "Map one to it, for example Problem=description" in told
    told = " ".join(done.stderr.split())
    assert "old.csv was read as cp1252, which is a guess; --encoding names another" in told
    assert "Rat" in done.stderr
    assert "Farbe" not in done.stderr
    assert "1 rows read: 1 stored" in done.stdout
    wrong = staffroom("import", file, "--map", "Problem=situation", code=2)
    assert "column 'Problem' cannot hold 'situation'" in " ".join(wrong.stderr.split())
