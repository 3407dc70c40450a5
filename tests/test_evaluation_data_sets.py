"""A data set is read as BEIR lays it out, and what is wrong with one is said."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from staffroom.errors import InputError, StaffroomError, UnreadableFile
from staffroom.evaluation.beir import read_data_set
from staffroom.evaluation.golden import golden_questions, polarity_pairs
from staffroom.evaluation.golden_search import golden_data_set
from tests.evaluation_data import CORPUS, QRELS, QUERIES, write_data_set

HEAD = "query-id\tcorpus-id\tscore\n"


def test_a_data_set_is_its_judged_questions_and_its_corpus(tmp_path: Path) -> None:
    unjudged = {"_id": "q3", "text": "nobody judged this"}
    data_set = read_data_set(write_data_set(tmp_path / "small", queries=[*QUERIES, unjudged]))

    assert data_set.name == "small"
    assert data_set.queries == {"q1": "pupils who talk", "q2": "parents at the gate"}
    assert data_set.judgements == {"q1": {"talk": 2}, "q2": {"parents": 1, "copier": 0}}
    assert data_set.splits == {"q1": "test", "q2": "test"}


def test_the_digest_is_that_of_the_corpus(tmp_path: Path) -> None:
    one = read_data_set(write_data_set(tmp_path / "one"))
    other = read_data_set(write_data_set(tmp_path / "other", queries=QUERIES[::-1]))
    changed = read_data_set(write_data_set(tmp_path / "changed", corpus=CORPUS[::-1]))

    assert one.digest == other.digest != changed.digest


def test_judgements_without_headings_lose_none(tmp_path: Path) -> None:
    folder = write_data_set(tmp_path, qrels={"test": QRELS.removeprefix(HEAD)})

    assert read_data_set(folder).judgements["q1"] == {"talk": 2}


def test_an_irrelevant_document_may_be_missing(tmp_path: Path) -> None:
    folder = write_data_set(tmp_path, qrels={"test": QRELS + "q1\tgone\t0\n"})

    assert read_data_set(folder).judgements["q1"]["gone"] == 0


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(text, "utf-8")

    return change


def append(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text((folder / name).read_text("utf-8") + text, "utf-8")

    return change


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove("corpus.jsonl"), ["there is no file", "corpus.jsonl"]),
        (remove("queries.jsonl"), ["there is no file", "queries.jsonl"]),
        (remove("qrels/test.tsv"), ["has no judgements", "SPLIT.tsv"]),
        (write("qrels/test.tsv", HEAD), ["judges nothing", "query-id"]),
        (write("qrels/test.tsv", ""), ["judges nothing"]),
        (append("qrels/test.tsv", "q1\ttalk\n"), ["line 5", "'q1 talk'", "whole number"]),
        (append("qrels/test.tsv", "q1\ttalk\tmuch\n"), ["line 5", "whole number"]),
        (append("qrels/test.tsv", "q1\tgone\t1\n"), ["lacks the document gone", "question q1"]),
        (append("qrels/test.tsv", "q9\ttalk\t1\n"), ["lacks the question q9"]),
        (
            append("corpus.jsonl", json.dumps(CORPUS[0]) + "\n"),
            ["line 4", "second document talk", "of its own"],
        ),
        (append("corpus.jsonl", '{"text": "nameless"}\n'), ["line 4", "has no _id"]),
        (append("corpus.jsonl", "{broken\n"), ["line 4", "corpus.jsonl", "is not JSON"]),
        (append("corpus.jsonl", "[1]\n"), ["line 4", "no JSON object"]),
        (append("queries.jsonl", '{"_id": "q1", "text": "again"}\n'), ["second question q1"]),
        (append("queries.jsonl", '{"_id": "q4", "text": " "}\n'), ["line 3", "is no question"]),
    ],
)
def test_what_is_wrong_with_a_data_set_is_said(
    tmp_path: Path, damage: Callable[[Path], None], words: list[str]
) -> None:
    folder = write_data_set(tmp_path)
    damage(folder)

    with pytest.raises(UnreadableFile) as raised:
        read_data_set(folder)
    for word in words:
        assert word in str(raised.value)


def test_bytes_that_are_no_text_are_no_judgements(tmp_path: Path) -> None:
    folder = write_data_set(tmp_path)
    (folder / "qrels" / "test.tsv").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(UnreadableFile, match=r"no judgements in BEIR form"):
        read_data_set(folder)


@pytest.mark.parametrize(
    ("split", "words"),
    [(None, "train. Choose one with --split"), ("dev", "no split 'dev'. Choose one of: test")],
)
def test_a_split_has_to_be_one_of_those_there_are(
    tmp_path: Path, split: str | None, words: str
) -> None:
    folder = write_data_set(tmp_path, qrels={"test": QRELS, "train": QRELS})

    assert read_data_set(folder, "train").splits["q1"] == "train"
    with pytest.raises(InputError, match=words):
        read_data_set(folder, split)


def test_a_folder_that_is_not_there_is_named_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"there is no folder .*nowhere.*golden"):
        read_data_set(tmp_path / "nowhere")


def test_the_golden_questions_are_a_data_set_in_two_parts() -> None:
    whole, report = golden_data_set(), golden_data_set("report")

    assert len(whole.queries) == len(golden_questions())
    assert set(whole.splits.values()) == {"fit", "report"}
    assert set(report.splits.values()) == {"report"}
    assert report.queries.items() <= whole.queries.items()
    assert whole.digest == report.digest
    assert len(whole.probes) == 2 * len(polarity_pairs()) > len(report.probes) > 0
    with pytest.raises(StaffroomError, match=r"no split 'test'. Choose one of: fit, report"):
        golden_data_set("test")
