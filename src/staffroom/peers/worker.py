"""The process of one peer: `python worker.py NAME`, then a JSON line for each order and its answer.

The first line says where to store: `{"database": {...}, "folder", "model", "is_new"}`. The module
NAME has `PACKAGES`, whose versions are told, and `open_store(place)`; a store has `add(ids, texts)`
and `ask(text, limit)`, which many threads may call at once.
"""

import importlib
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIMIT = 10


def main() -> None:
    """Orders are carried out until one says stop or there are no more."""
    # What a library prints must not stand between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    name = sys.argv[1]
    sys.path.append(os.environ.get("PEER_MODULES", ""))
    module = importlib.import_module(name)
    store = module.open_store(json.loads(sys.stdin.readline()))
    answer: dict[str, Any] = {"versions": {each: version(each) for each in module.PACKAGES}}
    while True:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        line = sys.stdin.readline()
        order = json.loads(line) if line.strip() else {"do": "stop"}
        if order["do"] == "stop":
            break
        answer = _carried_out(store, order)
    # Some libraries leave threads behind that would keep the process.
    sys.stderr.flush()
    os._exit(0)


def _carried_out(store: Any, order: dict[str, Any]) -> dict[str, Any]:
    match order["do"]:
        case "import":
            return _imported(store, Path(order["file"]), order["start"], order["end"])
        case "ask":
            return _asked(store, order["questions"])
        case "load":
            return _loaded(store, order["questions"], order["clients"])
        case "memory":
            return {"megabytes": _megabytes()}
        case other:
            raise ValueError(f"there is no order {other!r}")


def _imported(store: Any, file: Path, start: int, end: int) -> dict[str, Any]:
    lines = file.read_text("utf-8").splitlines()[start:end]
    rows = [json.loads(line) for line in lines]
    ids, texts = [row["id"] for row in rows], [row["text"] for row in rows]
    started = time.perf_counter()
    store.add(ids, texts)
    return {"seconds": time.perf_counter() - started}


def _asked(store: Any, questions: list[str]) -> dict[str, Any]:
    seconds, found = [], []
    for text in questions:
        started = time.perf_counter()
        found.append(store.ask(text, LIMIT))
        seconds.append(time.perf_counter() - started)
    return {"seconds": seconds, "found": found}


def _loaded(store: Any, questions: list[str], clients: int) -> dict[str, Any]:
    def ask(text: str) -> float:
        begun = time.perf_counter()
        store.ask(text, LIMIT)
        return time.perf_counter() - begun

    with ThreadPoolExecutor(clients) as pool:
        started = time.perf_counter()
        seconds = list(pool.map(ask, questions))
        return {"total": time.perf_counter() - started, "seconds": seconds}


def _megabytes() -> float | None:
    """What this process keeps in memory, where the system tells."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    (line,) = (each for each in status.read_text().splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
