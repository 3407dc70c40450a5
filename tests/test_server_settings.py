"""PostgreSQL's settings fit the machine."""

from pathlib import Path

import pytest

from staffroom.database.embedded.server_settings import (
    GIB,
    MIB,
    Machine,
    measure,
    memory_limits,
    render,
    settings_for,
)

NOTEBOOK = Machine(
    memory_bytes=16 * GIB, cores=8, shared_memory_bytes=8 * GIB, disk_bytes=200 * GIB
)
CONTAINER = Machine(
    memory_bytes=512 * MIB, cores=1, shared_memory_bytes=64 * MIB, disk_bytes=1 * GIB
)


@pytest.mark.parametrize(
    ("name", "on_a_notebook", "in_a_container"),
    [
        ("shared_buffers", "2048MB", "128MB"),
        ("effective_cache_size", "8192MB", "256MB"),
        ("work_mem", "32MB", "4MB"),
        ("maintenance_work_mem", "1638MB", "64MB"),
        ("dynamic_shared_memory_type", "posix", "mmap"),
        ("max_parallel_maintenance_workers", "7", "0"),
        ("max_wal_size", "2048MB", "256MB"),
    ],
)
def test_a_setting_follows_the_machine(name: str, on_a_notebook: str, in_a_container: str):
    assert settings_for(NOTEBOOK)[name] == on_a_notebook
    assert settings_for(CONTAINER)[name] == in_a_container


def test_nothing_is_traded_for_the_safety_of_data():
    settings = settings_for(CONTAINER)

    assert settings["fsync"] == settings["full_page_writes"] == "on"
    assert settings["synchronous_commit"] == "on"


def test_a_value_with_quotes_stays_one_value():
    assert render({"hba_file": "/it's\\here"}).splitlines()[-1] == "hba_file = '/it''s\\\\here'"


def test_this_machine_has_something_to_share_out(tmp_path: Path):
    machine = measure(tmp_path)

    assert machine.memory_bytes > 64 * MIB
    assert machine.cores >= 1
    assert machine.disk_bytes > 0


@pytest.mark.parametrize(
    ("files", "memberships", "limits"),
    [
        ({}, "", []),
        ({"memory.max": "max"}, "0::/", []),
        ({"memory.max": "300"}, "0::/not/seen/from/here", [300, 300]),
        ({"a/memory.max": "100", "a/b/memory.max": "200"}, "0::/a/b", [200, 100]),
        ({"memory/a/memory.limit_in_bytes": "70"}, "7:cpu:/a\n4:rdma,memory:/a\n", [70]),
    ],
)
def test_limits_of_control_groups_are_found(
    tmp_path: Path, files: dict[str, str], memberships: str, limits: list[int]
):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")

    assert list(memory_limits(tmp_path, memberships)) == limits
