"""Measures are those of trec_eval, which is asked itself, and known ones of small rankings."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staffroom.evaluation.measures import MEASURES, ndcg, recall, reciprocal_rank

TREC_NAMES = {
    "ndcg@10": "ndcg_cut_10",
    "recall@5": "recall_5",
    "recall@100": "recall_100",
    "mrr@10": "recip_rank",
}
"""What trec_eval calls them. Its reciprocal rank has no depth: it is given ten documents."""

DOCUMENTS = [f"d{number}" for number in range(130)]

RANKINGS = st.lists(st.sampled_from(DOCUMENTS), unique=True, max_size=130)
GRADES = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(-1, 3), min_size=1, max_size=40)


def by_trec_eval(name: str, ranking: list[str], grades: dict[str, int]) -> float:
    pytrec_eval: Any = pytest.importorskip(
        "pytrec_eval", reason="trec_eval has no wheel for this machine"
    )
    if name == "mrr@10":
        ranking = ranking[:10]
    scores = {document: float(-rank) for rank, document in enumerate(ranking)}
    asked = {"ndcg_cut.10", "recall.5,100", "recip_rank"}
    measured = pytrec_eval.RelevanceEvaluator({"q": grades}, asked).evaluate({"q": scores})
    return float(measured["q"][TREC_NAMES[name]]) if "q" in measured else 0.0


@pytest.mark.parametrize("name", TREC_NAMES)
@given(ranking=RANKINGS, grades=GRADES)
def test_every_measure_is_trec_evals(name: str, ranking: list[str], grades: dict[str, int]) -> None:
    assert MEASURES[name](ranking, grades) == pytest.approx(
        by_trec_eval(name, ranking, grades), abs=1e-9
    )


def test_every_measure_is_held_against_trec_eval() -> None:
    assert MEASURES.keys() == TREC_NAMES.keys()


def test_measures_of_a_small_ranking_are_known() -> None:
    grades = {"a": 2, "b": 1, "c": 0}

    assert ndcg(["b", "c", "a"], grades) == pytest.approx((1 + 2 / 2) / (2 + 1 / 1.584962500721156))
    assert recall(["c", "b"], grades) == 0.5
    assert reciprocal_rank(["c", "b", "a"], grades) == 0.5


def test_what_was_not_judged_is_not_right_and_nothing_found_is_nought() -> None:
    for measure in MEASURES.values():
        assert measure(["x", "y"], {"a": 1}) == 0
        assert measure([], {"a": 1}) == 0
        assert measure(["a"], {"a": 0}) == 0


def test_depth_is_kept() -> None:
    ranking = [*DOCUMENTS[:10], "right"]

    assert ndcg(ranking, {"right": 1}) == reciprocal_rank(ranking, {"right": 1}) == 0
    assert recall(ranking, {"right": 1}) == 1
    assert MEASURES["recall@5"](ranking, {"right": 1, "d0": 1}) == 0.5
