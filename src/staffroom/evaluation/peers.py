"""Staffroom beside what one would use instead: the same work, in turns, in a process for each.

Every part is done block by block, each way's block after the others', so that what else the machine
does slows all; a ratio is that of two blocks of one turn, and its spread that of the middle half.
"""

import json
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final, NotRequired, TypedDict

import numpy as np
from uuid_utils.compat import uuid7

from staffroom.database.connection import Database
from staffroom.database.scratch import scratch_database
from staffroom.errors import UnavailableError
from staffroom.evaluation.beir import DataSet, document_rows
from staffroom.evaluation.measures import ndcg
from staffroom.evaluation.peer_environments import OWN, Peer, PeerFailed, peer_python
from staffroom.evaluation.peer_process import PeerProcess
from staffroom.scenario import embedded_text, scenario_from
from staffroom.types import Progress, ProgressListener

TURNS: Final = 5
CLIENTS: Final = 16
MOST_QUESTIONS: Final = 200
ASKED_AT_ONCE: Final = 96
"""Questions of a turn of many clients."""

PATIENCE_SECONDS: Final = 900.0
"""The longest that any one block may take."""


class Figure(TypedDict):
    """What was measured; `ratio` is how many times better Staffroom's is, as a median of turns."""

    value: float
    ratio: float | None
    p95: NotRequired[float]
    spread: NotRequired[tuple[float, float]]


class Row(TypedDict):
    """What one way came to. `failed` says at which part it broke off and why; later parts lack."""

    name: str
    versions: Mapping[str, str]
    figures: dict[str, Figure]
    failed: NotRequired[str]


class PeersReport(TypedDict):
    """What `staffroom bench peers` prints."""

    bench: str
    data_set: str
    documents: int
    questions: int
    clients: int
    rows: list[Row]


@dataclass(slots=True)
class _Way:
    """A way to search, its process while there is one, and the times of its blocks."""

    peer: Peer
    python: Path
    place: dict[str, Any]
    log: Path
    process: PeerProcess | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    blocks: dict[str, list[float]] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)
    found: dict[str, list[str]] = field(default_factory=dict)
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """What each way has to do: documents in a file, and questions with their judgements."""

    name: str
    file: Path
    documents: int
    questions: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, int]]


async def bench_peers(
    data_set: DataSet,
    database: Database,
    peers: Sequence[Peer],
    *,
    model: Path,
    documents: int,
    environments: Path,
    patience: float = PATIENCE_SECONDS,
    progress: ProgressListener | None = None,
) -> PeersReport:
    """The data set's first documents, those that are judged before all others, were stored and
    asked for in each way; nothing of it is kept but the environments.

    A peer that cannot be installed, or breaks off, is reported by name; the others go on.
    Raises: UnavailableError if Staffroom's own side breaks off.
    """
    with tempfile.TemporaryDirectory(prefix="sr-peers-") as temporary:
        folder = Path(temporary)
        work = _work(data_set, documents, folder / "documents.jsonl")
        async with AsyncExitStack() as stack:
            ways = []
            for number, peer in enumerate((OWN, *peers)):
                _tell(progress, "Making environments", number, len(peers) + 1)
                place = await stack.enter_async_context(_place(database, peer, folder, model))
                way = _Way(peer, Path(), place, folder / f"{peer.name}.log")
                stack.push_async_callback(_stop, way)
                await _tried(way, "install", _install(way, environments))
                ways.append(way)
            await _run(ways, work, patience, progress)
        return _report(ways, work)


async def _run(
    ways: Sequence[_Way], work: Work, patience: float, progress: ProgressListener | None
) -> None:
    for way in ways:
        await _tried(way, "start", _start(way, patience, is_new=True))
    edges = np.linspace(0, work.documents, TURNS + 1).astype(int).tolist()
    for turn in range(TURNS):
        for way in _in_turn(ways, turn):
            _tell(progress, "Importing", edges[turn], work.documents)
            await _tried(way, "import", _import(way, work, edges[turn], edges[turn + 1]))
    for way in ways:
        await _stop(way)
        first = next(iter(work.questions.values()))
        await _tried(way, "cold start", _cold_start(way, first, patience))
    names = list(work.questions)
    for turn in range(TURNS):
        for way in _in_turn(ways, turn):
            _tell(progress, "Asking", turn, TURNS)
            await _tried(way, "question", _ask(way, work, names[turn::TURNS]))
    texts = list(work.questions.values())
    for turn in range(TURNS):
        for way in _in_turn(ways, turn):
            _tell(progress, "Asking at once", turn, TURNS)
            await _tried(way, "clients", _load(way, texts))
    for way in ways:
        await _tried(way, "memory", _memory(way))
        await _stop(way)


async def _tried(way: _Way, part: str, work: Any) -> None:
    """The part is done, or it is known why it could not be; a way that failed does no more."""
    if way.failed:
        work.close()
        return
    try:
        await work
    except (PeerFailed, LookupError, TypeError, ValueError, OSError) as error:
        reason = str(error) if isinstance(error, PeerFailed) else f"unexpected answer: {error!r}"
        way.failed = f"{part}: {reason}"
        await _stop(way)
        if way.peer is OWN:
            raise UnavailableError(f"Staffroom's own side broke off at {way.failed}") from error


async def _install(way: _Way, environments: Path) -> None:
    way.python = await peer_python(way.peer, environments)


async def _start(way: _Way, patience: float, *, is_new: bool) -> None:
    place = {**way.place, "is_new": is_new}
    way.process = await PeerProcess.start(way.peer, way.python, place, way.log, patience)
    way.versions = way.process.versions


async def _stop(way: _Way) -> None:
    process, way.process = way.process, None
    if process:
        await process.stop()


async def _import(way: _Way, work: Work, start: int, end: int) -> None:
    if end > start:
        answer = await _at_work(way).order("import", file=str(work.file), start=start, end=end)
        way.blocks.setdefault("import", []).append((end - start) / answer["seconds"])


async def _cold_start(way: _Way, question: str, patience: float) -> None:
    await _start(way, patience, is_new=False)
    process = _at_work(way)
    await process.order("ask", questions=[question])
    way.blocks["cold start"] = [time.perf_counter() - process.started]


async def _ask(way: _Way, work: Work, names: Sequence[str]) -> None:
    if not names:
        return
    answer = await _at_work(way).order("ask", questions=[work.questions[name] for name in names])
    times = [1000 * seconds for seconds in answer["seconds"]]
    way.blocks.setdefault("question", []).append(median(times))
    way.times.setdefault("question", []).extend(times)
    way.found.update(zip(names, answer["found"], strict=True))


async def _load(way: _Way, texts: Sequence[str]) -> None:
    # Each text differs from those before, as teachers' do: nobody embeds one question for many.
    asked = [f"{texts[n % len(texts)]} ({n})" for n in range(ASKED_AT_ONCE)]
    answer = await _at_work(way).order("load", questions=asked, clients=CLIENTS)
    way.blocks.setdefault("clients", []).append(len(asked) / answer["total"])
    way.times.setdefault("clients", []).extend(1000 * each for each in answer["seconds"])


async def _memory(way: _Way) -> None:
    megabytes = (await _at_work(way).order("memory"))["megabytes"]
    if megabytes is not None:
        way.blocks["memory"] = [megabytes]


def _at_work(way: _Way) -> PeerProcess:
    assert way.process
    return way.process


def _in_turn(ways: Sequence[_Way], turn: int) -> list[_Way]:
    first = turn % len(ways)
    return [*ways[first:], *ways[:first]]


@asynccontextmanager
async def _place(
    database: Database, peer: Peer, folder: Path, model: Path
) -> AsyncIterator[dict[str, Any]]:
    """Where the peer stores: a database, a folder or a tenant of its own."""
    own = folder / peer.name
    own.mkdir()
    place = {"folder": str(own), "model": str(model), "database": {}}
    if peer is OWN:
        tenant_id = uuid7()
        await database.ensure_tenant(tenant_id, "Benchmark")
        try:
            yield {**place, "tenant": str(tenant_id)}
        finally:
            await database.erase_tenant(tenant_id)
    elif peer.in_database:
        async with scratch_database(database, f"bench_{peer.name}") as address:
            yield {**place, "database": address}
    else:
        yield place


def _work(data_set: DataSet, documents: int, file: Path) -> Work:
    """Questions are those whose relevant documents are all among the chosen ones."""
    judged = {name for grades in data_set.judgements.values() for name in grades}
    rows = sorted(document_rows(data_set), key=lambda row: row["id"] not in judged)[:documents]
    chosen = {row["id"] for row in rows}
    with file.open("w", encoding="utf-8") as out:
        for row in rows:
            document = {"id": row["id"], "text": embedded_text(scenario_from(row))}
            out.write(json.dumps(document, ensure_ascii=False) + "\n")
    complete = [
        name
        for name, grades in data_set.judgements.items()
        if all(document in chosen for document, grade in grades.items() if grade > 0)
    ][:MOST_QUESTIONS]
    return Work(
        name=data_set.name,
        file=file,
        documents=len(rows),
        questions={name: data_set.queries[name] for name in complete},
        judgements=data_set.judgements,
    )


def _report(ways: Sequence[_Way], work: Work) -> PeersReport:
    own = ways[0]
    return PeersReport(
        bench="peers",
        data_set=work.name,
        documents=work.documents,
        questions=len(work.questions),
        clients=CLIENTS,
        rows=[_row(way, own, work) for way in ways],
    )


def _row(way: _Way, own: _Way, work: Work) -> Row:
    figures: dict[str, Figure] = {}
    for part, values in way.blocks.items():
        more_is_better = part in {"import", "clients"}
        pairs = list(zip(own.blocks[part], values, strict=False))
        ratios = [ours / theirs if more_is_better else theirs / ours for ours, theirs in pairs]
        figure = Figure(value=median(values), ratio=None if way is own else median(ratios))
        if part in way.times:
            figure["p95"] = float(np.quantile(way.times[part], 0.95))
        if len(ratios) > 1 and way is not own:
            low, high = np.quantile(ratios, [0.25, 0.75]).tolist()
            figure["spread"] = (low, high)
        figures[part] = figure
    if way.found:
        judged = [ndcg(found, work.judgements[name]) for name, found in way.found.items()]
        figures["ndcg@10"] = Figure(value=fmean(judged), ratio=None)
    row = Row(name=way.peer.title, versions=way.versions, figures=figures)
    if way.failed:
        row["failed"] = way.failed
    return row


def _tell(progress: ProgressListener | None, task: str, done: int, total: int) -> None:
    if progress:
        progress(Progress(task, done, total, "rows"))
