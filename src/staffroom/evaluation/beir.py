"""Data sets in BEIR layout: corpus.jsonl, queries.jsonl and qrels/<split>.tsv."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from staffroom.errors import InputError, UnreadableFile

Judgements = dict[str, dict[str, int]]
"""Question id to document id to grade; a grade above 0 is relevant."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """Questions of one split with their judgements, and where the documents are."""

    corpus: Path
    queries: dict[str, str]
    judgements: Judgements


def read_data_set(folder: Path, split: str | None = None) -> DataSet:
    """The data set in that folder.

    Raises: UnreadableFile if a part is missing or broken; InputError if there are
        several splits and none is named.
    """
    if not folder.is_dir():
        raise UnreadableFile(f"there is no folder {folder}.")
    judgements = _judgements(_split_file(folder, split))
    texts = {str(row["_id"]): str(row["text"]) for row in _rows(folder / "queries.jsonl")}
    missing = [query for query in judgements if query not in texts]
    if missing:
        raise UnreadableFile(f"{folder / 'queries.jsonl'} lacks the judged question {missing[0]}.")
    corpus = folder / "corpus.jsonl"
    if not corpus.is_file():
        raise UnreadableFile(f"there is no file {corpus}.")
    return DataSet(corpus, {query: texts[query] for query in judgements}, judgements)


def _split_file(folder: Path, split: str | None) -> Path:
    if split is not None:
        return folder / "qrels" / f"{split}.tsv"
    files = sorted((folder / "qrels").glob("*.tsv"))
    if len(files) != 1:
        names = ", ".join(file.stem for file in files) or "none"
        raise InputError(f"{folder} has the splits: {names}. Choose one with --split.")
    return files[0]


def _judgements(path: Path) -> Judgements:
    judgements: Judgements = defaultdict(dict)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for query, document, grade in list(csv.reader(file, delimiter="\t"))[1:]:
                judgements[query][document] = int(grade)
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{path} holds no judgements in BEIR form: {error}.") from error
    return dict(judgements)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from (json.loads(line) for line in file if line.strip())
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{path} is not readable JSON Lines: {error}.") from error
