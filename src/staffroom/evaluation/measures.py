"""How good a ranking is, in figures that others publish too. Pure.

Conventions are those of trec_eval, which a test holds these against; why its library is not
called itself is told in docs/decisions/0011-measures.md. A ranking is a list of document ids, best
first: its order is what is measured, so that ties are broken as the product breaks them. A
question that has no relevant document counts as 0.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import log2
from typing import Final

Grades = Mapping[str, int]
"""Document id to grade; above 0 is relevant."""

Measure = Callable[[Sequence[str], Grades], float]


def ndcg(ranking: Sequence[str], grades: Grades, depth: int = 10) -> float:
    """Discounted gain of the first `depth` documents, as a share of the best possible.

    Source: trec_eval's ndcg_cut: linear gain, discount log2(rank + 1).
    """
    gains = [max(grades.get(document, 0), 0) for document in ranking[:depth]]
    best = sorted((max(grade, 0) for grade in grades.values()), reverse=True)[:depth]
    ideal = _discounted(best)
    return _discounted(gains) / ideal if ideal else 0.0


def recall(ranking: Sequence[str], grades: Grades, depth: int = 100) -> float:
    """Share of the relevant documents that are among the first `depth`."""
    relevant = {document for document, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranking[:depth])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], grades: Grades, depth: int = 10) -> float:
    """One over the rank of the first relevant document; 0 if none is among the first `depth`."""
    ranks = (rank for rank, doc in enumerate(ranking[:depth], 1) if grades.get(doc, 0) > 0)
    return 1 / next(ranks, float("inf"))


MEASURES: Final[Mapping[str, Measure]] = {
    "ndcg@10": ndcg,
    "recall@100": recall,
    "mrr@10": reciprocal_rank,
    "recall@5": partial(recall, depth=5),
}
"""What is reported of every ranking, by its name in trec_eval's manner."""


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, 1))


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The chance that a positive scores above a negative, ties counting half.

    Source: Mann and Whitney's U, by ranks.
    """
    order = sorted(range(len(scores)), key=lambda number: scores[number])
    ranks = [0.0] * len(scores)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and scores[order[end]] == scores[order[start]]:
            end += 1
        for number in order[start:end]:
            ranks[number] = (start + 1 + end) / 2
        start = end
    positives = sum(labels)
    negatives = len(labels) - positives
    total = sum(rank for rank, label in zip(ranks, labels, strict=True) if label)
    return (total - positives * (positives + 1) / 2) / (positives * negatives)
