"""A data set that comes bit by bit."""

import logging
from collections.abc import AsyncGenerator

import pytest

from staffroom.database.vector_ops import VectorOperations
from staffroom.flows import process_large_dataset
from staffroom.types import Progress


async def coming(count: int, *, broken: bool = False) -> AsyncGenerator[dict[str, str], None]:
    for number in range(count):
        yield {"id": str(number % 8), "text": f"Situation {number % 8}"}
    if broken:
        raise ConnectionError("the source is away")


async def test_rows_may_come_asynchronously(
    vector_ops: VectorOperations, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "staffroom.flows")
    told: list[Progress] = []

    report = await process_large_dataset(
        coming(10), vector_ops=vector_ops, batch_size=4, progress=told.append
    )
    again = await process_large_dataset([{"id": "0", "text": "Other"}], vector_ops=vector_ops)

    assert (report["read"], report["stored"], report["duplicate"]) == (10, 8, 2)
    assert (again["read"], again["stored"]) == (1, 1)
    assert [progress.done for progress in told] == [0, 4, 8, 10]
    assert "Processed 8 items" in caplog.messages
    assert "Processed 1/1 items" in caplog.messages


async def test_what_breaks_the_source_ends_the_import_after_what_is_stored(
    vector_ops: VectorOperations,
) -> None:
    with pytest.raises(ConnectionError, match="the source is away"):
        await process_large_dataset(coming(6, broken=True), vector_ops=vector_ops, batch_size=4)

    assert len(await vector_ops.list_scenarios()) == 4
