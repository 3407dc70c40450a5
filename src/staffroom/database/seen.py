"""The keys of a file's earlier rows, in flat memory however long the file is."""

import sqlite3
from typing import Final

from staffroom.errors import UnavailableError

MOST: Final = 50_000
"""Keys that are kept in memory: about 13 MB of them. The others lie in a temporary file."""


class SeenKeys:
    """By key, the number of the first row that had it and the digest of that row's content."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: dict[str, tuple[int, bytes]] = {}
        self._spilled: sqlite3.Connection | None = None

    def first(self, key: str, number: int, digest: bytes) -> tuple[int, bytes]:
        """The first row with that key: this one, if there was none before.

        Raises: UnavailableError if the disk is full.
        """
        if (found := self._kept.get(key)) is not None:
            return found
        if self._spilled is None and len(self._kept) < self._most:
            return self._kept.setdefault(key, (number, digest))
        try:
            self._spilled = self._spilled or _temporary()
            return _first(self._spilled, key, number, digest)
        except sqlite3.OperationalError as error:
            raise UnavailableError(
                f"the keys of a long file cannot be written to a temporary file: {error}. Make "
                "room on the disk that holds it, then try again."
            ) from error

    def close(self) -> None:
        """The temporary file is gone."""
        if self._spilled:
            self._spilled.close()
            self._spilled = None


def _first(spilled: sqlite3.Connection, key: str, number: int, digest: bytes) -> tuple[int, bytes]:
    spilled.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (key, number, digest))
    row = spilled.execute("SELECT number, digest FROM seen WHERE key = ?", (key,))
    first, first_digest = row.fetchone()
    return int(first), bytes(first_digest)


def _temporary() -> sqlite3.Connection:
    # An empty name is a private file that SQLite itself removes. Batches are read in a thread.
    connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(
        "CREATE TABLE seen (key TEXT PRIMARY KEY, number INTEGER, digest BLOB) WITHOUT ROWID"
    )
    connection.execute("BEGIN")
    return connection
