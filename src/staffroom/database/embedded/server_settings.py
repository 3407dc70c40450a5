"""What PostgreSQL is told about the machine that it shares with a model and a person.

Written anew at every start, so that a container that grew or a notebook with
another amount of memory gets settings that fit.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from staffroom.config import available_cores

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - only asked how much it can hold
CONTROL_GROUPS: Final = Path("/sys/fs/cgroup")
OWN_GROUPS: Final = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to share out. The last two are what is free."""

    memory_bytes: int
    cores: int
    shared_memory_bytes: int
    disk_bytes: int


def measure(data: Path) -> Machine:
    """This machine, or what the container lets us have of it."""
    limits = memory_limits(CONTROL_GROUPS, _memberships())
    return Machine(
        memory_bytes=min([psutil.virtual_memory().total, *limits]),
        cores=available_cores(),
        shared_memory_bytes=_free_bytes(SHARED_MEMORY),
        disk_bytes=_free_bytes(data),
    )


def memory_limits(root: Path, memberships: str) -> Iterator[int]:
    """The limits in bytes of our control groups and of those above them, version 2 and 1.

    `memberships` is what /proc/self/cgroup says; it may name groups that a container
    does not see, but then it sees its own limit at the root.
    """
    for membership in ("0::/", *memberships.splitlines()):
        _, controllers, path = membership.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top, name = root, "memory.max"
        if controllers:
            top, name = root / "memory", "memory.limit_in_bytes"
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            limit = folder / name
            if limit.is_file() and limit.read_text().strip().isdecimal():
                yield int(limit.read_text())


def settings_for(machine: Machine) -> dict[str, str]:
    """PostgreSQL's settings, by name.

    Units:  plain numbers of MB where a value ends in MB.
    Source: PostgreSQL 18, chapters 19.4 to 19.8; pgvector's README on index builds.
    """
    return {**_resources(machine), **_parallelism(machine), **_durability(machine), **_LOGGING}


def render(settings: Mapping[str, str]) -> str:
    """The settings as a configuration file."""
    lines = [f"{name} = {_quote(value)}" for name, value in settings.items()]
    return "\n".join((_PREAMBLE, *lines, ""))


_PREAMBLE: Final = """\
# Written by Staffroom whenever it starts PostgreSQL: a change made here is lost.
# To change a setting for good use ALTER SYSTEM, which is stronger than this file."""

_LOGGING: Final = {
    # A message, detail or statement may quote what a teacher asked. What clients did
    # wrong is told to them and not written down: LOG is above ERROR in this list.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "lc_messages": "C",
}


def _resources(machine: Machine) -> dict[str, str]:
    memory = machine.memory_bytes
    maintenance = _between(64 * MIB, memory // 10, 2 * GIB)
    return {
        # A large machine has more than a library needs, unless that is large, too: a walk among a
        # million scenarios reads two thousand pages of two gigabytes.
        "shared_buffers": _megabytes(
            max(_between(64 * MIB, memory // 4, GIB), min(memory // 8, 4 * GIB))
        ),
        "effective_cache_size": _megabytes(max(128 * MIB, memory // 2)),
        "work_mem": _megabytes(_between(4 * MIB, memory // 512, 32 * MIB)),
        "maintenance_work_mem": _megabytes(maintenance),
        "autovacuum_work_mem": _megabytes(64 * MIB),
        # Until it has been there, the planner takes new tables for empty: a question after an
        # import by meaning and words took 21 ms instead of 4.
        "autovacuum_naptime": "15s",
        # A parallel index build keeps its graph in shared memory, which containers
        # often limit to 64 MB; files in the data folder are the slower way out.
        "dynamic_shared_memory_type": (
            "posix" if machine.shared_memory_bytes > maintenance + 64 * MIB else "mmap"
        ),
        # What was in memory when the server stopped is read again when it starts.
        "shared_preload_libraries": "pg_prewarm",
        "max_connections": "100",
        "jit": "off",
        "random_page_cost": "1.1",
    }


def _parallelism(machine: Machine) -> dict[str, str]:
    return {
        "max_worker_processes": str(max(8, machine.cores)),
        "max_parallel_workers": str(machine.cores),
        "max_parallel_maintenance_workers": str(min(machine.cores - 1, 7)),
        "max_parallel_workers_per_gather": str(min(machine.cores // 2, 4)),
        "max_logical_replication_workers": "0",
    }


def _durability(machine: Machine) -> dict[str, str]:
    largest = _between(256 * MIB, machine.disk_bytes // 10, 2 * GIB)
    return {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "max_wal_size": _megabytes(largest),
        "checkpoint_timeout": "15min",
        # Nothing replicates from this server, so bulk loads need not be logged twice.
        "wal_level": "minimal",
        "max_wal_senders": "0",
    }


def _between(least: int, value: int, most: int) -> int:
    return max(least, min(value, most))


def _megabytes(size: int) -> str:
    return f"{size // MIB}MB"


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _memberships() -> str:
    try:
        return OWN_GROUPS.read_text()
    except OSError:
        return ""
