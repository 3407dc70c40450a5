"""Data sets in BEIR layout: corpus.jsonl, queries.jsonl and qrels/<split>.tsv.

What is wrong with one is said before anything is imported from it.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from staffroom.errors import InputError, UnreadableFile

Judgements = Mapping[str, Mapping[str, int]]
"""Question id to document id to grade; a grade above 0 is relevant."""

_DOCUMENT: Final = ("title", "text")
COLUMNS: Final = "query-id, corpus-id and score, parted by tabs"


@dataclass(frozen=True, slots=True)
class DataSet:
    """Questions with their judgements, the split that each belongs to, and the documents.

    `digest` differs for every two corpora; `probes` are questions without judgements that are
    asked besides.
    """

    name: str
    corpus: Path | Sequence[Mapping[str, Any]]
    digest: str
    queries: Mapping[str, str]
    judgements: Judgements
    splits: Mapping[str, str]
    probes: Mapping[str, str] = field(default_factory=dict)


def read_data_set(folder: Path, split: str | None = None) -> DataSet:
    """The data set in that folder.

    Raises: UnreadableFile if a part is missing or broken, an id is given twice, or a judged
        question or document is lacking; InputError if there are several splits and none is
        named, or the named one does not exist.
    """
    if not folder.is_dir():
        raise UnreadableFile(
            f"there is no folder {folder}. Name one in BEIR layout (corpus.jsonl, queries.jsonl, "
            "qrels/SPLIT.tsv), or golden for the questions that ship along."
        )
    file = _split_file(folder, split)
    judgements = _judgements(file)
    texts = _texts(folder / "queries.jsonl")
    lacking = [query for query in judgements if query not in texts]
    if lacking:
        raise UnreadableFile(
            f"{folder / 'queries.jsonl'} lacks the question {lacking[0]}, which {file} judges. "
            "Add it, or take its judgements out."
        )
    corpus = folder / "corpus.jsonl"
    digest = _check_corpus(corpus, judgements, file)
    return DataSet(
        name=folder.resolve().name,
        corpus=corpus,
        digest=digest,
        queries={query: texts[query] for query in judgements},
        judgements=judgements,
        splits=dict.fromkeys(judgements, file.stem),
    )


def document_rows(data_set: DataSet) -> Iterator[Mapping[str, Any]]:
    """The data set's documents, each with its `id`."""
    if isinstance(data_set.corpus, Path):
        for _, _, row in _rows(data_set.corpus):
            yield {"id": str(row["_id"]), **{k: v for k, v in row.items() if k in _DOCUMENT}}
    else:
        yield from data_set.corpus


def _split_file(folder: Path, split: str | None) -> Path:
    files = {file.stem: file for file in sorted((folder / "qrels").glob("*.tsv"))}
    if not files:
        raise UnreadableFile(
            f"{folder / 'qrels'} has no judgements. Put them there as SPLIT.tsv: {COLUMNS}."
        )
    names = ", ".join(files)
    if split is not None and split not in files:
        raise InputError(f"{folder} has no split {split!r}. Choose one of: {names}.")
    if split is None and len(files) > 1:
        raise InputError(f"{folder} has the splits: {names}. Choose one with --split.")
    return files[split] if split is not None else next(iter(files.values()))


def _judgements(path: Path) -> dict[str, dict[str, int]]:
    judgements: dict[str, dict[str, int]] = defaultdict(dict)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            for number, row in enumerate(rows, 1):
                if row and (number > 1 or row[-1].isdecimal()):
                    _judge(judgements, path, number, row)
    except (OSError, ValueError, csv.Error) as error:
        raise UnreadableFile(f"{path} holds no judgements in BEIR form: {error}.") from error
    if not judgements:
        raise UnreadableFile(
            f"{path} judges nothing. After a first line of headings it needs lines of {COLUMNS}."
        )
    return dict(judgements)


def _judge(
    judgements: dict[str, dict[str, int]], path: Path, number: int, row: Sequence[str]
) -> None:
    try:
        query, document, grade = row
        judgements[query][document] = int(grade)
    except ValueError:
        raise UnreadableFile(
            f"{path} holds no judgements in BEIR form: line {number} is {' '.join(row)[:80]!r}. "
            f"Write {COLUMNS}, the score a whole number."
        ) from None


def _texts(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for number, _, row in _rows(path):
        identity, text = row.get("_id"), row.get("text")
        if identity is None or not isinstance(text, str) or not text.strip():
            raise UnreadableFile(
                f"line {number} of {path} is no question. It needs an _id and a text."
            )
        if str(identity) in texts:
            raise UnreadableFile(
                f"line {number} of {path} is the second question {identity}. "
                "Give each an _id of its own."
            )
        texts[str(identity)] = text
    return texts


def _check_corpus(path: Path, judgements: Judgements, split: Path) -> str:
    """The digest of the corpus, which has every relevant document, and none twice."""
    digest, seen = sha256(), set()
    for number, line, row in _rows(path):
        digest.update(line)
        identity = str(row.get("_id", ""))
        if not identity:
            raise UnreadableFile(f"line {number} of {path} has no _id. Every document needs one.")
        if identity in seen:
            raise UnreadableFile(
                f"line {number} of {path} is the second document {identity}. "
                "Give each an _id of its own."
            )
        seen.add(identity)
    for query, grades in judgements.items():
        for document, grade in grades.items():
            if grade > 0 and document not in seen:
                raise UnreadableFile(
                    f"{path} lacks the document {document}, which {split} judges relevant to the "
                    f"question {query}. Add it, or take the judgement out."
                )
    return digest.hexdigest()


def _rows(path: Path) -> Iterator[tuple[int, bytes, Mapping[str, Any]]]:
    """Number, bytes and values of each line that holds anything."""
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = json.loads(line.decode("utf-8-sig"))
                    if not isinstance(row, dict):
                        raise UnreadableFile(f"line {number} of {path} is no JSON object.")
                    yield number, line, row
    except FileNotFoundError:
        raise UnreadableFile(f"there is no file {path}. BEIR layout needs it.") from None
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"line {number} of {path} is not JSON: {error}.") from error
