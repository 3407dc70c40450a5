"""A run: one import, every mode, its figures, kept and read again."""

import json
from pathlib import Path
from typing import Any

import pytest

from staffroom.database.connection import Database
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError, UnreadableFile
from staffroom.evaluation.beir import read_data_set
from staffroom.evaluation.evaluate import evaluate
from staffroom.evaluation.figures import Passing, evaluation
from staffroom.evaluation.gate import figures_of
from staffroom.evaluation.golden import polarity_pairs
from staffroom.evaluation.golden_search import golden_data_set
from staffroom.evaluation.runs import (
    FORMAT,
    MODES,
    Asked,
    check_writable,
    read_run,
    write_run,
    write_text,
)
from staffroom.types import Progress
from tests.evaluation_data import CORPUS, run_of, write_data_set
from tests.fakes import WordEmbedder

GRADES = {"q1": {"a": 2, "b": 1}, "q2": {"c": 1}, "q3": {"e": 1}}
RANKINGS = {"q1": ["a", "x", "b"], "q2": ["x", "c"], "q3": []}


async def test_every_mode_is_asked_of_one_import(
    tmp_path: Path, database: Database, vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    data_set = read_data_set(write_data_set(tmp_path / "small"))
    steps: list[Progress] = []

    run = await evaluate(data_set, database, vector_ops, embedder, progress=steps.append)

    assert set(run.modes) == set(MODES)
    assert (run.data_set, run.documents, run.model) == ("small", 3, "words")
    assert len([text for text in embedder.embedded if "photocopier" in text]) == 1
    for mode in MODES:
        found = run.modes[mode]
        assert found.rankings["q1"][0][0] == "talk", mode
        assert found.rankings["q2"][0][0] == "parents", mode
        assert all(time > 0 for time in found.milliseconds.values())
    assert (steps[-1].task, steps[-1].done, steps[-1].total) == ("Searching", 2, 2)
    assert await vector_ops.list_scenarios() == []
    figures = evaluation(run)
    assert figures["meaning"] == {"ndcg@10": 1.0, "recall@100": 1.0, "mrr@10": 1.0}
    assert (figures["documents"], figures["queries"]) == (3, 2)


async def test_only_the_modes_that_are_wanted_are_asked(
    tmp_path: Path, database: Database, vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    data_set = read_data_set(write_data_set(tmp_path))

    run = await evaluate(data_set, database, vector_ops, embedder, ["words", "words"])

    assert list(run.modes) == ["words"]
    assert "meaning" not in evaluation(run)


async def test_a_document_that_cannot_be_imported_is_named(
    tmp_path: Path, database: Database, vector_ops: VectorOperations, embedder: WordEmbedder
) -> None:
    corpus = [*CORPUS, {"_id": "empty", "title": "", "text": ""}]
    data_set = read_data_set(write_data_set(tmp_path, corpus=corpus))

    with pytest.raises(UnreadableFile, match=r"row 4 of .*corpus.jsonl: description is missing"):
        await evaluate(data_set, database, vector_ops, embedder)


def test_figures_of_a_run_are_known() -> None:
    figures = evaluation(run_of({"meaning": RANKINGS}, GRADES))

    assert figures["meaning"]["mrr@10"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert figures["meaning"]["recall@100"] == pytest.approx(2 / 3)
    details = figures["details"]["meaning"]
    assert details["precision_at_threshold"] == pytest.approx(3 / 5)
    assert details["recall_at_threshold"] == pytest.approx(3 / 4)
    assert details["abstained"] == pytest.approx(1 / 3)
    assert details["under_returned"] == 3
    assert details["milliseconds"] == {"p50": 2.0, "p95": 2.9}


def test_the_threshold_decides_what_passes() -> None:
    found = run_of({"meaning": RANKINGS}, GRADES)
    passing = Passing(found.modes["meaning"], found.questions)

    assert passing.precision(0.85) == 0.5
    assert passing.precision(0.95) is None
    assert passing.abstained(0.95) == 1
    assert passing.recall(0.95) == 0
    assert [size for _, _, size in passing.reliability()] == [1, 2, 2]


def test_a_question_may_have_found_all_there_is() -> None:
    run = run_of({"words": {"q": ["a", "b"]}}, {"q": {"a": 1}}, documents=2)

    assert evaluation(run)["details"]["words"]["under_returned"] == 0


def test_the_parts_of_golden_questions_are_told_apart() -> None:
    questions = {
        "f": Asked("?", "fit", {"a": 1}),
        "r": Asked("?", "report", {"a": 1}),
    }
    rankings = {"hybrid": {"f": ["a"], "r": ["x", "a"]}}
    run = run_of(rankings, {"f": {"a": 1}, "r": {"a": 1}}, questions=questions)  # type: ignore[arg-type] # "hybrid" is a mode

    figures = evaluation(run)

    assert figures["split"] == "report"
    assert figures["hybrid"]["mrr@10"] == 0.5
    assert list(figures["parts"]) == ["report", "fit"]
    assert figures["parts"]["fit"]["hybrid"]["mrr@10"] == 1
    assert figures["parts"]["report"]["queries"] == 1


def test_of_golden_pairs_the_scenario_comes_first_only_where_it_fits() -> None:
    pairs = [pair for pair in polarity_pairs() if pair.part == "report"]
    found = {f"{pair.id} fits": [pair.scenario] for pair in pairs}
    found |= {f"{pair.id} clashes": ["x", pair.scenario] for pair in pairs}
    found[f"{pairs[0].id} clashes"] = [pairs[0].scenario]
    found[f"{pairs[1].id} fits"] = []
    run = run_of(
        {"words": {**found, "q": ["a"]}},
        {"q": {"a": 1}},
        data_set="golden",
        probes=golden_data_set("report").probes,
        questions={"q": Asked("?", "report", {"a": 1})},
    )

    share = 1 - 1 / len(pairs)
    assert evaluation(run)["polarity"]["words"] == {
        "pairs": len(pairs),
        "fits_first": pytest.approx(share),
        "opposite_not_first": pytest.approx(share),
    }
    assert figures_of(run)["golden/report/words/fits_first"] == round(share, 4)


def test_a_run_that_was_stored_is_read_as_it_was(tmp_path: Path) -> None:
    rankings = {**RANKINGS, "probe": ["a"]}
    run = run_of(
        {"meaning": rankings, "words": rankings},
        GRADES,
        probes={"probe": "asked besides"},
        embedding=dict.fromkeys(rankings, 1.0),
    )
    write_run(run, tmp_path / "run.json")

    assert read_run(tmp_path / "run.json") == run


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "[" * 100_000, json.dumps({"format": FORMAT}),
     json.dumps({"format": FORMAT, "questions": [], "modes": {}})],
)  # fmt: skip
def test_a_file_that_holds_no_run_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)

    with pytest.raises(UnreadableFile, match=r"run.json is no stored run .*--out FILE"):
        read_run(tmp_path / "run.json")


def damaged(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {**document, "modes": {}},
        {**document, "questions": {}},
        {**document, "embedding": {}},
        {**document, "modes": {"meaning": {"rankings": {}, "milliseconds": {}}}},
        {**document, "threshold": "high"},
    ]


def test_a_run_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    whole = run_of({"meaning": RANKINGS}, GRADES).document()
    for document in damaged(whole):
        (tmp_path / "run.json").write_text(json.dumps(document))
        with pytest.raises(UnreadableFile, match=r"is no stored run"):
            read_run(tmp_path / "run.json")


def test_a_path_that_cannot_be_written_is_told_beforehand(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder. Name a file with --out"):
        check_writable(tmp_path, "--out")
    with pytest.raises(InputError, match=r"there is no folder .*nowhere.*--report"):
        check_writable(tmp_path / "nowhere" / "report.html", "--report")
    with pytest.raises(InputError, match=r"cannot be written: .* Name another file with --out"):
        check_writable(tmp_path / ("long" * 100), "--out")
    with pytest.raises(InputError, match=r"cannot be written"):
        write_text(tmp_path, "", "--out")


def test_looking_whether_a_path_can_be_written_leaves_it_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("kept")
    check_writable(tmp_path / "old", "--out")
    check_writable(tmp_path / "new", "--out")

    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("old", "kept")]
