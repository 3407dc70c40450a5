"""Reads a Parquet file in a process of its own, which may end as it likes.

The reader panics over damaged files and believes what they say of their sizes. It is run by its
path, imports nothing of Staffroom, and writes JSON Lines: first the columns,
then the rows, at the end null.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

MEMORY = 2_000_000_000
"""Bytes of address space; a batch of rows takes a few of them."""

CPU_SECONDS = 3_600
BATCH = 256


def plain(value: Any) -> Any:
    """The value as JSON has it: days without their midnight, texts that are stored as bytes."""
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return str(value) if isinstance(value, Decimal) else value


def cell(value: Any) -> Any:
    """A value of a column: numbers as people write them."""
    value = plain(value)
    if value != value:  # noqa: PLR0124 - not a number, and so no value
        return None
    return str(value) if isinstance(value, int | float) else value


def lines(path: str) -> Iterator[str]:
    """The columns, then each row, as JSON."""
    from arro3.io import read_parquet  # noqa: PLC0415 - under the limits

    reader = read_parquet(path, batch_size=BATCH)
    names = list(reader.schema.names)
    yield json.dumps(names)
    for batch in reader:
        columns = [batch.column(index).to_pylist() for index in range(len(names))]
        for row in zip(*columns, strict=True):
            yield json.dumps(list(map(cell, row)))
    yield "null"


if __name__ == "__main__":
    with suppress(ImportError):  # elsewhere than on Unix, there are no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    with suppress(BrokenPipeError):
        for line in lines(sys.argv[1]):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
