"""PostgreSQL's settings fit the machine."""

import pytest

from staffroom.database.server_settings import GIB, MIB, Machine, render, settings_for

NOTEBOOK = Machine(
    memory_bytes=16 * GIB, cores=8, shared_memory_bytes=8 * GIB, disk_bytes=200 * GIB
)
CONTAINER = Machine(
    memory_bytes=512 * MIB, cores=1, shared_memory_bytes=64 * MIB, disk_bytes=1 * GIB
)


@pytest.mark.parametrize(
    ("name", "on_a_notebook", "in_a_container"),
    [
        ("shared_buffers", "1024MB", "128MB"),
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
