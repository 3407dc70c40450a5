"""The keys of a file's earlier rows, in flat memory however long the file is."""

import sqlite3
from typing import Final

MOST: Final = 50_000
"""Keys that are kept in memory: about 13 MB of them. The others lie in a temporary file."""


class SeenKeys:
    """By key, the number of the first row that had it and the digest of that row's content."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: dict[str, tuple[int, bytes]] = {}
        self._spilled: sqlite3.Connection | None = None

    def first(self, key: str, number: int, digest: bytes) -> tuple[int, bytes]:
        """The first row with that key: this one, if there was none before."""
        if (found := self._kept.get(key)) is not None:
            return found
        if self._spilled is None:
            if len(self._kept) < self._most:
                return self._kept.setdefault(key, (number, digest))
            self._spilled = _temporary()
        self._spilled.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (key, number, digest))
        row = self._spilled.execute("SELECT number, digest FROM seen WHERE key = ?", (key,))
        first, first_digest = row.fetchone()
        return int(first), bytes(first_digest)

    def close(self) -> None:
        """The temporary file is gone."""
        if self._spilled:
            self._spilled.close()
            self._spilled = None


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
