"""Batches of an import: by their length, one ahead of what is stored, in flat memory."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil
import pytest

from staffroom.content.batching import CHARACTERS_PER_TOKEN, MAX_TOKENS, next_batch
from staffroom.content.formats import FileRow, RowFile
from staffroom.content.importer import MAX_LISTED, Batch, Importer
from staffroom.database.parts import one_ahead
from staffroom.database.seen import MOST
from staffroom.database.vector_ops import VectorOperations
from staffroom.types import Progress
from tests.fakes import WordEmbedder

MEGABYTE = 1 << 20


def rows(*lengths: int) -> Iterator[FileRow]:
    for number, length in enumerate(lengths, start=1):
        yield FileRow(number, number, {"text": "x" * length, "tags": ["a", "b"]})


def test_a_batch_ends_with_its_rows_or_with_its_budget() -> None:
    budget = MAX_TOKENS * CHARACTERS_PER_TOKEN
    source = rows(10, 10, 10, budget, 10, budget // 2, budget // 2, 10)

    batches = [[row.number for row in next_batch(source, 3)] for _ in range(5)]

    assert batches == [[1, 2, 3], [4], [5, 6, 7], [8], []]


async def test_what_is_made_ahead_is_one_and_is_given_up_at_the_end() -> None:
    begun: list[int] = []
    given_up: list[int] = []

    async def make() -> int:
        number = len(begun) + 1
        begun.append(number)
        try:
            await asyncio.sleep(0 if number < 3 else 60)
        except asyncio.CancelledError:
            given_up.append(number)
            raise
        return number

    async with one_ahead(make) as following:
        assert await following() == 1
        await asyncio.sleep(0.01)
        assert begun == [1, 2]
        assert await following() == 2
        await asyncio.sleep(0.01)

    assert (begun, given_up) == ([1, 2, 3], [3])


def numbered(*given: Mapping[str, Any]) -> RowFile:
    following = (FileRow(number, number, row) for number, row in enumerate(given, start=1))
    return RowFile("rows", following, 0, "rows", in_thread=False)


async def until(embedder: WordEmbedder, size: int) -> None:
    """So many texts are embedded."""
    async with asyncio.timeout(10):
        while True:
            if len(embedder.embedded) >= size:
                return
            await asyncio.sleep(0.01)


async def read_all(batches: AsyncGenerator[Batch, None]) -> list[str]:
    async with aclosing(batches):
        return [effect.effect async for batch in batches for effect in batch.effects]


async def test_the_next_batch_is_embedded_before_the_one_in_hand_is_dealt_with(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    source = numbered(*({"id": str(number), "text": f"Text {number}"} for number in range(6)))

    async with aclosing(Importer(vector_ops, 2).batches(source)) as batches:
        await anext(batches)
        await until(embedder, 4)
        assert len(await vector_ops.list_scenarios()) == 2
        await asyncio.sleep(0.05)
        assert len(embedder.embedded) == 4

    assert len(await vector_ops.list_scenarios()) == 2


async def test_what_was_embedded_ahead_is_decided_on_when_it_is_stored(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    """The row before changes the scenario that a row repeats, and a person edits another one."""
    phones, late = {"text": "Phones."}, {"text": "Late."}
    for name, row in {"a": phones, "e": {"text": "Noise."}}.items():
        await vector_ops.put_scenario({"id": name, **row})
    embedder.embedded.clear()
    source = numbered({"id": "a", **late}, {"id": "b", **phones}, {"id": "e", "text": "Loud."})

    async with aclosing(Importer(vector_ops, 1).batches(source)) as batches:
        told = [[effect.effect for effect in (await anext(batches)).effects] for _ in range(2)]
        await until(embedder, 3)
        edited = next(s for s in await vector_ops.list_scenarios() if s.content.source_id == "e")
        await vector_ops.update_scenario(edited.id, {"description": "Quarrels."})
        told += [[effect.effect for effect in batch.effects] async for batch in batches]

    assert told == [["changed"], ["new"], ["changed"]]
    now = await vector_ops.get_scenario(edited.id)
    assert (now.content.description, now.revision) == ("Loud.", 3)
    said = sorted(text.partition("\n")[2] for text in embedder.embedded)
    assert said == ["Late.", "Loud.", "Phones.", "Quarrels."]
    assert await vector_ops.embed_missing() == 0


async def test_what_repeats_another_is_not_embedded_ahead(
    vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    await vector_ops.put_scenario({"id": "a", "text": "Phones."})
    embedder.embedded.clear()

    told = await read_all(
        Importer(vector_ops, 1).batches(
            numbered({"id": "b", "text": "Phones."}, {"id": "c", "text": "Phones."})
        )
    )

    assert (told, embedder.embedded) == (["duplicate"] * 2, [])


async def test_a_report_lists_the_first_refused_rows_and_counts_all(
    vector_ops: VectorOperations,
) -> None:
    refused = [{"name": "Nothing in it"}] * (MAX_LISTED + 5)

    report = await Importer(vector_ops, 1_000).import_rows(refused)

    assert report["failed"] == report["read"] == MAX_LISTED + 5
    assert len(report["errors"]) == MAX_LISTED
    assert report["status"] == "error"


@pytest.mark.slow
async def test_an_import_takes_no_more_memory_for_more_rows(
    vector_ops: VectorOperations, tmp_path: Path
) -> None:
    """Once as many keys are held as ever are, 240,000 further rows add next to nothing."""
    path = tmp_path / "many.jsonl"
    with path.open("w") as file:
        for number in range(300_000):
            file.write(json.dumps({"id": f"row {number}", "text": f"Situation {number}"}) + "\n")
    process, early, late = psutil.Process(), 0, 0

    def measure(progress: Progress) -> None:
        nonlocal early, late
        used = process.memory_info().rss
        if progress.done > progress.total * 0.2 if progress.total else False:
            early = early or used
            late = max(late, used)

    report = await Importer(vector_ops, 1_000, dry_run=True, progress=measure).import_file(path)

    assert report["read"] == report["stored"] == 300_000
    assert MOST < 60_000
    assert late - early < 20 * MEGABYTE, (early / MEGABYTE, late / MEGABYTE)
