"""Small data sets and runs that tests of the evaluation share."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from staffroom.evaluation.runs import Asked, Found, Run
from staffroom.types import Mode

CORPUS = [
    {"_id": "talk", "title": "", "text": "Pupils talk all the time."},
    {"_id": "copier", "title": "", "text": "The photocopier is broken."},
    {"_id": "parents", "title": "", "text": "Parents shout loudly at the gate."},
]
QUERIES = [
    {"_id": "q1", "text": "pupils who talk"},
    {"_id": "q2", "text": "parents at the gate"},
]
QRELS = "query-id\tcorpus-id\tscore\nq1\ttalk\t2\nq2\tparents\t1\nq2\tcopier\t0\n"


def write_data_set(
    folder: Path,
    *,
    corpus: Sequence[Mapping[str, Any]] = CORPUS,
    queries: Sequence[Mapping[str, Any]] = QUERIES,
    qrels: Mapping[str, str] | None = None,
) -> Path:
    """A data set in BEIR layout; `qrels` by split."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, rows in (("corpus", corpus), ("queries", queries)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, "utf-8")
    for split, text in (qrels or {"test": QRELS}).items():
        (folder / "qrels" / f"{split}.tsv").write_text(text, "utf-8")
    return folder


def run_of(
    rankings: Mapping[Mode, Mapping[str, Sequence[str]]],
    grades: Mapping[str, Mapping[str, int]],
    **changes: Any,
) -> Run:
    """A run that found these documents, the first with relevance 0.9, each other 0.1 less."""
    values: dict[str, Any] = {
        "data_set": "small",
        "digest": "d",
        "documents": 5,
        "model": "m",
        "threshold": 0.5,
        "questions": {
            name: Asked(f"the question {name}", "test", own) for name, own in grades.items()
        },
        "embedding": dict.fromkeys(grades, 1.0),
        "modes": {
            mode: Found(
                {
                    name: [(each, round(0.9 - 0.1 * rank, 6)) for rank, each in enumerate(ranking)]
                    for name, ranking in own.items()
                },
                {name: float(number) for number, name in enumerate(own, 1)},
            )
            for mode, own in rankings.items()
        },
    }
    return Run(**{**values, **changes})
