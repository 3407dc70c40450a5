"""Questions of one meaning come together; what they are compared by is the model's own measure."""

import json
from collections import Counter
from math import comb
from pathlib import Path
from typing import Any, get_args
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staffroom.config import load_settings
from staffroom.database.gap_grouping import Middle, look_around, regroup
from staffroom.embedding.generator import EmbeddingGenerator
from staffroom.evaluation.golden import unanswerable_questions
from staffroom.retrieval.calibration import Calibration, Reading, shipped_calibration
from staffroom.retrieval.grouping import SAME_COSINE, SAME_RELEVANCE, group_by_meaning, same_cosine
from staffroom.types import Mode, Vectors

PARAPHRASES = Path(__file__).parent / "gap_questions.jsonl"
"""The golden questions that must not be answered, each under its id as topic, and paraphrases of
fifty of them."""


def unit(rows: Vectors) -> Vectors:
    scaled: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def spread(angles: list[float]) -> Vectors:
    """Vectors in a plane, by their angles in degrees."""
    return unit(np.array([[np.cos(a), np.sin(a)] for a in np.radians(angles)], np.float32))


def test_no_question_makes_no_group() -> None:
    assert group_by_meaning(np.empty((0, 8), np.float32), 0.5) == []


def test_a_question_alone_is_a_group() -> None:
    assert group_by_meaning(spread([0.0]), 0.5) == [(0,)]


def test_groups_come_largest_first_and_equal_ones_in_the_order_of_their_questions() -> None:
    vectors = spread([180, 0, 90, 1, 91, 2])

    assert [sorted(group) for group in group_by_meaning(vectors, 0.9)] == [[1, 3, 5], [2, 4], [0]]


def test_the_most_central_question_of_a_group_comes_first() -> None:
    assert group_by_meaning(spread([0, 20, 9]), 0.9) == [(2, 0, 1)]


def test_the_first_of_equally_central_questions_comes_first() -> None:
    assert group_by_meaning(spread([0, 10]), 0.9) == [(0, 1)]


def test_a_chain_of_neighbours_is_not_one_meaning() -> None:
    """Each is near the next; the ends have nothing in common."""
    groups = group_by_meaning(spread([0, 30, 60, 90, 120, 150]), 0.85)

    assert max(map(len, groups)) <= 2


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40).flatmap(
        lambda size: st.tuples(st.just(size), st.integers(0, 2**32 - 1), st.floats(-0.9, 0.99))
    )
)
def test_the_groups_are_those_of_joining_the_nearest_again_and_again(
    made_up: tuple[int, int, float],
) -> None:
    size, seed, least = made_up
    vectors = unit(np.random.default_rng(seed).standard_normal((size, 6)).astype(np.float32))

    groups = group_by_meaning(vectors, least)

    assert sorted(number for group in groups for number in group) == list(range(size))
    assert {frozenset(group) for group in groups} == joined_one_by_one(vectors, least)
    assert groups == group_by_meaning(vectors, least)


def joined_one_by_one(vectors: Vectors, least: float) -> set[frozenset[int]]:
    """Average linkage as it is defined: slow and plain."""
    clusters = [frozenset([number]) for number in range(len(vectors))]
    while len(clusters) > 1:
        pairs = [(a, b) for a in range(len(clusters)) for b in range(a)]
        means = [
            float(np.mean(vectors[sorted(clusters[a])] @ vectors[sorted(clusters[b])].T))
            for a, b in pairs
        ]
        best = int(np.argmax(means))
        if means[best] < least:
            break
        a, b = pairs[best]
        clusters[b] |= clusters[a]
        del clusters[a]
    return set(clusters)


def test_the_measure_is_that_of_the_model() -> None:
    fitted = shipped_calibration("all-MiniLM-L6-v2@dcf8d1ee0a7c840e")

    assert fitted
    assert same_cosine(fitted) == pytest.approx(SAME_COSINE, abs=0.01)
    assert fitted.relevances([same_cosine(fitted)]) == pytest.approx([SAME_RELEVANCE])
    assert same_cosine(by_meaning(slope=20.0, bias=-16.0)) == pytest.approx(0.758, 1e-3)


def by_meaning(slope: float, bias: float) -> Calibration:
    return Calibration(dict.fromkeys(get_args(Mode), Reading(slope, 0.0, bias)), {})


@pytest.mark.parametrize("calibration", [None, by_meaning(slope=0.0, bias=1.0)])
def test_without_a_measure_that_of_the_default_model_is_taken(
    calibration: Calibration | None,
) -> None:
    assert same_cosine(calibration) == SAME_COSINE


def test_the_paraphrases_are_of_golden_questions() -> None:
    golden = {question.id: question for question in unanswerable_questions()}
    rows = [json.loads(line) for line in PARAPHRASES.read_text("utf-8").splitlines()]

    assert {row["topic"] for row in rows} == golden.keys()
    assert all(row["part"] == golden[row["topic"]].part for row in rows)
    assert {question.text for question in golden.values()} <= {row["text"] for row in rows}


async def test_paraphrases_of_gaps_come_together_and_other_gaps_stay_apart() -> None:
    """On the part that the measure was not fitted on, with the real model: of the questions in
    groups, and of those that share a question's topic."""
    rows = [json.loads(line) for line in PARAPHRASES.read_text("utf-8").splitlines()]
    reported = [row for row in rows if row["part"] == "report"]
    topics = [row["topic"] for row in reported]
    embedder = EmbeddingGenerator(load_settings())
    vectors = await embedder.embed([row["text"] for row in reported], "query")
    calibration = shipped_calibration(embedder.model)
    await embedder.close()

    groups = group_by_meaning(vectors, same_cosine(calibration))

    pure = together = 0.0
    for group in groups:
        held = Counter(topics[number] for number in group)
        pure += max(held.values()) if len(group) > 1 else 0
        together += sum(size * size / Counter(topics)[topic] for topic, size in held.items())
    assert pure / sum(len(group) for group in groups if len(group) > 1) >= 0.95
    assert together / len(topics) >= 0.85


async def test_one_after_the_other_the_questions_end_in_the_groups_that_all_at_once_make() -> None:
    """The paraphrased golden questions with the real model, in the order in which they lie and in
    one that mixes the topics."""
    rows = [json.loads(line) for line in PARAPHRASES.read_text("utf-8").splitlines()]
    embedder = EmbeddingGenerator(load_settings())
    vectors = await embedder.embed([row["text"] for row in rows], "query")
    least = same_cosine(shipped_calibration(embedder.model))
    await embedder.close()
    at_once = {number: group[0] for group in group_by_meaning(vectors, least) for number in group}
    mixed = [int(number) for number in np.random.default_rng(1).permutation(len(rows))]
    for order, step in ((list(range(len(rows))), 10), (mixed, 4)):
        groups, stirred = joined_as_they_come(vectors, order, step, least)
        found = {number: str(group_id) for group_id, held in groups.items() for number in held}
        labels = [(found[number], at_once[number]) for number in range(len(rows))]
        assert adjusted_rand(labels) >= 0.95
        assert stirred <= len(rows) // 2


def joined_as_they_come(
    vectors: Vectors, order: list[int], step: int, least: float
) -> tuple[dict[UUID, list[int]], int]:
    """The groups after the last question, and how many questions were grouped at once at most."""
    groups: dict[UUID, list[int]] = {}
    most = 0
    for start in range(0, len(order), step):
        new = order[start : start + step]
        middles = [
            Middle(group_id, vectors[held].mean(axis=0), len(held), is_settled=False)
            for group_id, held in groups.items()
        ]
        around = look_around(vectors[new], middles, least).around
        pool = new + [number for group_id in around for number in groups[group_id]]
        home = {number: group_id for group_id in around for number in groups.pop(group_id)}
        most = max(most, len(pool))
        for kept, members in regroup(vectors[pool], [home.get(n) for n in pool], least):
            groups[kept or uuid4()] = [pool[member] for member in members]
    return groups, most


def adjusted_rand(labels: list[tuple[str, int]]) -> float:
    """How much two partitions agree beyond chance. Source: Hubert and Arabie 1985."""

    def pairs(counts: Counter[Any]) -> int:
        return sum(comb(count, 2) for count in counts.values())

    both = pairs(Counter(labels))
    one, other = (pairs(Counter(label[side] for label in labels)) for side in (0, 1))
    expected = one * other / comb(len(labels), 2)
    return (both - expected) / ((one + other) / 2 - expected)
