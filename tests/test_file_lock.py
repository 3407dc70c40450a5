"""A lock ends with its holder, can be handed over, and is not inherited by a fork."""

import os
import subprocess
from pathlib import Path

import pytest

from staffroom.database.embedded.file_lock import FileLock, is_locked, open_private


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.lock"


def test_two_locks_of_one_process_exclude_each_other(path: Path):
    first, second = FileLock(path), FileLock(path)

    assert first.take()
    assert not second.take(wait_seconds=0.01)

    first.free()
    assert second.take()
    second.free()


def test_shared_locks_keep_only_an_exclusive_one_out(path: Path):
    first, second, exclusive = FileLock(path), FileLock(path), FileLock(path)

    assert first.take(shared=True)
    assert second.take(shared=True)
    assert not exclusive.take()

    first.free()
    second.free()
    assert exclusive.take()
    exclusive.free()


def test_a_lock_that_was_handed_over_is_held_until_the_child_ends(path: Path):
    lock = FileLock(path)
    lock.take()
    child = subprocess.Popen(["sleep", "60"], pass_fds=[lock.descriptor])
    lock.hand_over()

    held_by_child = is_locked(path)
    child.kill()
    child.wait()

    assert held_by_child
    assert not is_locked(path)


def test_a_file_that_nobody_made_is_not_locked(path: Path):
    assert not is_locked(path)


def test_a_private_file_is_not_opened_through_a_link(path: Path, tmp_path: Path):
    (tmp_path / "target").write_text("")
    path.symlink_to(tmp_path / "target")

    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        open_private(path, os.O_RDWR)
