"""The life of the embedded server: who starts it, who shares it, who stops it, who mends it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from staffroom.database.embedded import EmbeddedServer
from tests.embedded_homes import (
    CLIENT,
    DEADLINE_SECONDS,
    ask,
    client,
    copy_home,
    first_line,
    leave,
    made_home,
    postmaster,
    wait_for,
)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    with made_home() as folder:
        yield folder


@pytest.fixture
def born(made: Path, home: Path) -> Path:
    """A home with a database, which nobody uses."""
    return copy_home(made, home)


def running(home: Path) -> bool:
    return EmbeddedServer(home).status().running


def test_the_server_stands_ready_as_the_design_wants_it(born: Path):
    server = EmbeddedServer(born)

    dsn = server.start()

    assert ask(dsn, "SELECT current_database() || ' ' || current_user") == "staffroom postgres"
    assert ask(dsn, "SHOW server_encoding") == "UTF8"
    assert ask(dsn, "SHOW data_checksums") == "on"
    assert ask(dsn, "SHOW fsync") == "on"
    assert ask(dsn, "SHOW full_page_writes") == "on"
    assert ask(dsn, "SHOW listen_addresses") == ""
    server.release()


def test_full_text_search_knows_quotation_marks_and_accents(born: Path):
    server = EmbeddedServer(born)

    dsn = server.start()

    text = "‘the “quiet corner” — ÉCOLE…’"
    words = ask(dsn, f"SELECT tsvector_to_array(to_tsvector('simple', '{text}'))")
    assert words == ["corner", "quiet", "the", "école"]
    server.release()


def test_what_was_in_memory_is_read_again_at_the_next_start(born: Path):
    server = EmbeddedServer(born)
    dsn = server.start()
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "CREATE TABLE much AS SELECT repeat('x', 500) AS x FROM generate_series(1, 20000)"
        )
        connection.execute("CREATE EXTENSION pg_buffercache")
    before = pages_held(dsn)
    server.stop()

    dsn = server.start()

    assert before > 500
    wait_for(lambda: pages_held(dsn) >= before // 2)
    server.release()


def pages_held(dsn: str) -> int:
    query = "SELECT count(*) FROM pg_buffercache WHERE relfilenode = pg_relation_filenode('much')"
    pages = ask(dsn, query)
    assert isinstance(pages, int)
    return pages


def test_two_processes_share_one_server_and_the_last_one_stops_it(born: Path):
    first, second = client(born), client(born)
    assert first_line(first) == first_line(second)
    shared = postmaster(born)

    assert leave(first) == ""
    still_running = shared.is_running() and running(born)
    assert leave(second) == ""

    assert still_running
    assert not running(born)


def test_four_first_starts_at_once_make_one_server(home: Path):
    processes = [client(home) for _ in range(4)]

    addresses = {first_line(process) for process in processes}

    assert len(addresses) == 1
    assert addresses.pop().startswith("user=postgres host=/")
    assert [leave(process) for process in processes] == [""] * 4
    assert not running(home)
    log = (home / "postgres" / "server.log").read_text()
    assert log.count("ready to accept connections") == 1


def test_a_killed_client_does_not_count_as_a_user(born: Path):
    killed = client(born)
    first_line(killed)
    killed.kill()
    killed.communicate()
    left_running = running(born)

    server = EmbeddedServer(born)
    server.start()
    server.release()

    assert left_running
    assert not running(born)


def test_a_killed_postmaster_is_brought_back_by_a_living_client(born: Path):
    server = EmbeddedServer(born)
    dsn = server.start()
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'still here' AS word")
    killed = postmaster(born)
    killed.kill()
    wait_for(lambda: not running(born))

    dsn = server.start()

    assert ask(dsn, "SELECT word FROM kept") == "still here"
    assert postmaster(born).pid != killed.pid
    server.release()
    assert not running(born)


def test_what_outlives_its_postmaster_does_not_block_a_start(born: Path):
    server = EmbeddedServer(born)
    dsn = server.start()
    stuck = psycopg.connect(dsn)
    backend = psutil.Process(stuck.info.backend_pid)
    backend.suspend()
    postmaster(born).kill()

    dsn = server.start()

    assert ask(dsn, "SELECT 1") == 1
    assert not backend.is_running() or backend.status() == psutil.STATUS_ZOMBIE
    stuck.close()
    server.release()


def test_leftovers_of_another_home_are_left_alone(born: Path, made: Path, tmp_path: Path):
    other = EmbeddedServer(copy_home(made, tmp_path / "other"))
    dsn = other.start()
    server = EmbeddedServer(born)
    server.start()
    postmaster(born).kill()

    server._postmaster.end_leftovers()
    server.start()

    assert ask(dsn, "SELECT 1") == 1
    server.release()
    other.release()


def test_an_initdb_whose_client_was_killed_leaves_nothing_half_made(home: Path):
    killed = client(home)
    unfinished = home / "postgres" / "data.unfinished"
    wait_for((unfinished / "base").exists)
    killed.kill()
    killed.communicate()
    half_made = unfinished.exists() and not (home / "postgres" / "data").exists()

    server = EmbeddedServer(home)
    dsn = server.start()

    assert half_made
    assert ask(dsn, "SELECT 1") == 1
    assert not unfinished.exists()
    server.release()


def test_the_pipes_of_a_command_are_not_held_open(born: Path):
    code = CLIENT.replace("start()", "start(keep=True)")

    done = subprocess.run(
        [sys.executable, "-c", code, str(born)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )

    assert done.stdout.startswith("user=postgres")
    assert running(born)


def test_a_key_pressed_in_a_terminal_does_not_reach_the_server(born: Path):
    server = EmbeddedServer(born)
    server.start()

    pid = postmaster(born).pid

    assert os.getsid(pid) != os.getsid(0)
    assert os.getpgid(pid) != os.getpgid(0)
    server.release()


def test_an_interrupted_client_stops_the_server_as_it_leaves(born: Path):
    interrupted = client(born)
    first_line(interrupted)

    interrupted.send_signal(signal.SIGINT)

    assert "KeyboardInterrupt" in leave(interrupted)
    assert not running(born)


def test_a_server_that_was_started_to_stay_outlives_its_users(born: Path):
    by_hand, passing = EmbeddedServer(born), EmbeddedServer(born)
    by_hand.start(keep=True)
    by_hand.release()
    passing.start()
    passing.release()
    status = passing.status()

    stopped = passing.stop()

    assert status.running
    assert status.kept
    assert stopped
    assert not passing.status().running
    assert not passing.status().kept


def test_stopping_does_not_ask_the_users(born: Path):
    user = EmbeddedServer(born)
    user.start()

    assert EmbeddedServer(born).stop()
    assert not EmbeddedServer(born).stop()

    assert ask(user.start(), "SELECT 1") == 1
    user.release()


def test_a_home_and_a_link_to_it_are_one_server(born: Path, tmp_path: Path):
    link = tmp_path / "link"
    link.symlink_to(born)
    server, same = EmbeddedServer(born), EmbeddedServer(link)

    assert server.start() == same.start()

    server.release()
    assert same.status().running
    same.release()
    assert not server.status().running


def test_threads_that_start_at_once_get_one_server(born: Path):
    server = EmbeddedServer(born)

    with ThreadPoolExecutor(4) as threads:
        addresses = list(threads.map(lambda _: server.start(), range(8)))

    assert len(set(addresses)) == 1
    server.release()
    assert not running(born)


def test_starting_again_is_quick_and_does_not_count_twice(born: Path):
    server = EmbeddedServer(born)
    server.start()
    begin = time.perf_counter()

    server.start()

    assert time.perf_counter() - begin < 1.0
    server.release()
    assert not running(born)


FORKING = """
import os, sys, time
from pathlib import Path
from staffroom.database.embedded import EmbeddedServer

server = EmbeddedServer(Path(sys.argv[1]))
server.start()
child = os.fork()
if child == 0:
    server.release()
    sys.stdin.readline()
    sys.exit(0)
print(server.status().running, flush=True)
server.release()
print(server.status().running, flush=True)
os.waitpid(child, 0)
"""


def test_a_forked_child_neither_stops_the_server_nor_keeps_it(born: Path):
    parent = client(born, code=FORKING)

    output, complaint = parent.communicate(timeout=DEADLINE_SECONDS)

    assert complaint == ""
    assert output.split() == ["True", "False"]


def test_a_home_that_vanished_is_left_quietly(born: Path):
    server = EmbeddedServer(born)
    server.start()
    used = postmaster(born)
    shutil.rmtree(born / "postgres")

    server.release()

    used.send_signal(signal.SIGQUIT)
    wait_for(lambda: not used.is_running() or used.status() == psutil.STATUS_ZOMBIE)
