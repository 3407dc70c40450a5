"""What a file's earlier rows were, in memory that does not grow with the file."""

import sqlite3
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staffroom.database.seen import SeenKeys
from staffroom.errors import UnavailableError

ROWS = st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.binary(max_size=4)))


@given(ROWS, st.integers(0, 3))
def test_the_first_row_with_a_key_is_the_first_however_many_are_kept_in_memory(
    rows: list[tuple[str, bytes]], most: int
) -> None:
    seen, known = SeenKeys(most), dict[str, tuple[int, bytes]]()

    for number, (key, digest) in enumerate(rows):
        assert seen.first(key, number, digest) == known.setdefault(key, (number, digest))

    seen.close()


def test_memory_does_not_grow_with_the_file() -> None:
    seen = SeenKeys(most=1_000)
    for number in range(2_000):
        seen.first(f"scenario-{number}", number, b"digest")
    tracemalloc.start()

    for number in range(2_000, 60_000):
        seen.first(f"scenario-{number}", number, b"digest")
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert grown < 100_000
    assert seen.first("scenario-3", 9, b"") == (3, b"digest")
    assert seen.first("scenario-59999", 9, b"") == (59_999, b"digest")
    seen.close()


def test_a_full_disk_is_told_as_what_will_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def execute(self, *_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        def close(self) -> None: ...

    monkeypatch.setattr("staffroom.database.seen._temporary", Full)
    seen = SeenKeys(most=1)
    seen.first("a", 1, b"")

    with pytest.raises(UnavailableError, match="disk is full"):
        seen.first("b", 2, b"")
