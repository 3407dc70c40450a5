"""Two rankings side by side."""

from pathlib import Path

import pytest

from staffroom.errors import InputError, UnreadableFile
from staffroom.evaluation.comparison import MOST_CHANGED, Side, compare, stored_side
from staffroom.evaluation.report import sides_of
from staffroom.evaluation.runs import Asked, write_run
from tests.evaluation_data import run_of

GRADES = {"up": {"a": 2, "b": 1}, "down": {"c": 1}, "same": {"d": 1}}
BEFORE = {"up": ["x", "a"], "down": ["c"], "same": ["d"]}
AFTER = {"up": ["a", "b"], "down": ["x", "y", "c"], "same": ["d", "x"]}


def sides() -> tuple[Side, Side]:
    run = run_of({"meaning": BEFORE, "hybrid": AFTER}, GRADES)
    hybrid, meaning = sides_of(run)
    return meaning, hybrid


def test_gains_and_losses_are_told_with_the_ranks_that_changed() -> None:
    found = compare(*sides())

    assert (found["a"], found["b"], found["queries"]) == ("meaning", "hybrid", 3)
    mrr = found["measures"]["mrr@10"]
    assert (mrr["wins"], mrr["losses"], mrr["ties"]) == (1, 1, 1)
    assert mrr["difference"] == pytest.approx((0.5 - 2 / 3) / 3)
    assert mrr["a"] + mrr["difference"] == pytest.approx(mrr["b"])
    assert mrr["low"] <= mrr["difference"] <= mrr["high"]
    assert 0 < mrr["p"] <= 1
    up, down = found["changed"]
    assert (up["id"], down["id"]) == ("up", "down")
    assert up["question"] == "the question up"
    assert up["relevant"] == [
        {"id": "a", "grade": 2, "rank_a": 2, "rank_b": 1},
        {"id": "b", "grade": 1, "rank_a": None, "rank_b": 2},
    ]
    assert down["difference"] == pytest.approx(-0.5)


def test_a_run_beside_itself_differs_in_nothing() -> None:
    side = sides()[0]

    found = compare(side, side)

    for row in found["measures"].values():
        assert (row["difference"], row["p"], row["ties"]) == (0, 1, 3)
    assert found["changed"] == []


def test_only_the_questions_that_changed_most_are_told() -> None:
    names = [f"q{number:02}" for number in range(MOST_CHANGED + 5)]
    run = run_of(
        {"meaning": {name: ["x", "a"] for name in names}, "words": {name: ["a"] for name in names}},
        {name: {"a": 1} for name in names},
    )
    meaning, words = sides_of(run)

    found = compare(meaning, words)

    assert [each["id"] for each in found["changed"]] == names[:MOST_CHANGED]
    assert found["measures"]["mrr@10"]["p"] < 0.001


def test_of_golden_questions_the_reporting_part_is_compared() -> None:
    questions = {"f": Asked("?", "fit", {"a": 1}), "r": Asked("?", "report", {"a": 1})}
    run = run_of(
        {"words": {"f": ["a"], "r": ["a"]}},
        {"f": {"a": 1}, "r": {"a": 1}},
        questions=questions,
    )
    (side,) = sides_of(run)

    assert (compare(side, side)["split"], compare(side, side)["queries"]) == ("report", 1)
    assert compare(side, side, "fit")["split"] == "fit"
    with pytest.raises(InputError, match=r"no split 'test'. Choose one of: report, fit"):
        compare(side, side, "test")


def test_runs_of_different_documents_or_questions_are_not_compared() -> None:
    one = run_of({"words": {"q": ["a"]}}, {"q": {"a": 1}})
    documents = run_of({"words": {"q": ["a"]}}, {"q": {"a": 1}}, digest="e")
    judged = run_of({"words": {"q": ["a"]}}, {"q": {"a": 2}})
    asked = run_of({"words": {"r": ["a"]}}, {"r": {"a": 1}})

    (side,) = sides_of(one)
    with pytest.raises(InputError, match=r"different documents .*Compare runs of one data set"):
        compare(side, sides_of(documents)[0])
    for other in (judged, asked):
        with pytest.raises(InputError, match=r"different questions or judgements .*one data set"):
            compare(side, sides_of(other)[0])


def test_a_stored_run_is_named_with_or_without_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "run:1.json"
    write_run(run_of({"meaning": BEFORE, "words": AFTER}, GRADES), path)

    assert stored_side(str(path)).mode == "meaning"
    assert stored_side(f"{path}:words").mode == "words"
    assert stored_side(f"{path}:words").label == f"{path}:words"
    with pytest.raises(InputError, match=r"has no mode hybrid. Choose FILE:MODE with one of: m"):
        stored_side(f"{path}:hybrid")
    with pytest.raises(UnreadableFile, match=r"there is no file .*magic. Name a mode \(hybrid"):
        stored_side("magic")
