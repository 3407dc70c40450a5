"""Which questions are for the library: told by their letters and their meaning."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staffroom.retrieval.scope import (
    BUCKETS,
    INSIDE,
    KINDS,
    Scope,
    fit_scope,
    letters,
    read_scope,
)
from staffroom.types import OutOfScope, Vector, Vectors

SCOPES = (INSIDE, *KINDS)
QUESTIONS_EACH = 12
DIMENSIONS = 16

BUCKETS_OF_SUE = [1535, 3663]
"""Of " sue" and "sue ", by CRC-32."""

WORDS = {
    INSIDE: ("pupils", "noisy", "lesson"),
    "off_topic": ("pancakes", "flights", "cricket"),
    "not_covered": ("budget", "timetabling", "heating"),
    "medical": ("dose", "rash", "ibuprofen"),
    "legal": ("sue", "contract", "tribunal"),
    "harmful": ("humiliate", "revenge", "weapon"),
}


def made_up(seed: int) -> tuple[list[str], Vectors, list[str]]:
    """Questions whose words and meanings tell their scopes; both are noisy."""
    random = np.random.default_rng(seed)
    scopes = [scope for scope in SCOPES for _ in range(QUESTIONS_EACH)]
    texts = [f"{random.choice(WORDS[scope])} number {random.integers(99)}?" for scope in scopes]
    centres = np.eye(len(SCOPES), DIMENSIONS)
    vectors = np.stack([centres[SCOPES.index(scope)] for scope in scopes])
    vectors += 0.1 * random.standard_normal(vectors.shape)
    unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return texts, unit, scopes


@pytest.fixture(scope="module")
def scope() -> Scope:
    texts, vectors, scopes = made_up(seed=1)
    return fit_scope(texts, vectors, scopes, np.ones(len(texts)))


@pytest.mark.parametrize("text", ["a", "sue", "Can I sue?", "naïve café", "我可以吗", "a b c d"])
def test_letters_are_a_unit_vector(text: str) -> None:
    vector = letters(text)

    assert vector.shape == (BUCKETS,)
    assert np.linalg.norm(vector) == pytest.approx(1.0)


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_no_letters_are_no_direction(text: str) -> None:
    assert not letters(text).any()


@given(st.text())
def test_letters_of_any_text_are_of_unit_length_or_none_and_always_the_same(text: str) -> None:
    vector = letters(text)

    assert np.linalg.norm(vector) == pytest.approx(1.0 if text.split() else 0.0)
    assert (vector == letters(text)).all()


@pytest.mark.parametrize(
    "same", ["SUE the school", "sue THE school", "  sue\tthe\nschool ", "school the sue"]
)
def test_case_space_and_the_order_of_words_make_no_difference(same: str) -> None:
    assert letters(same) == pytest.approx(letters("sue the school"))


@pytest.mark.parametrize("other", ["sues the school", "sue the schools", "suet he school"])
def test_other_letters_are_another_vector(other: str) -> None:
    assert letters(other) @ letters("sue the school") < 0.999


def test_a_group_of_letters_has_the_same_bucket_on_every_machine() -> None:
    assert np.flatnonzero(letters("sue")).tolist() == BUCKETS_OF_SUE


def test_a_group_that_comes_again_counts_less_each_time() -> None:
    once, often = letters("sue us"), letters("sue sue sue sue us")
    ratio = once[BUCKETS_OF_SUE[0]] / often[BUCKETS_OF_SUE[0]]

    assert 0.25 < ratio < 1


@pytest.mark.parametrize("seed", [1, 2])
def test_a_fitted_scope_tells_questions_for_the_library_from_others(
    scope: Scope, seed: int
) -> None:
    texts, vectors, scopes = made_up(seed)

    for text, vector, actual in zip(texts, vectors, scopes, strict=True):
        assert (scope.odds(text, vector) > 0) == (actual == INSIDE), text


def test_a_fitted_scope_names_the_kind_of_the_others(scope: Scope) -> None:
    texts, vectors, scopes = made_up(seed=2)
    named = [
        (scope.kind(vector), actual)
        for vector, actual in zip(vectors, scopes, strict=True)
        if actual != INSIDE
    ]

    assert len(named) == len(texts) - QUESTIONS_EACH
    assert [pair for pair in named if pair[0] != pair[1]] == []


@pytest.mark.parametrize("words", ["dose", "contract"])
def test_letters_tell_what_meanings_blur(words: str) -> None:
    texts, vectors, scopes = made_up(seed=3)
    blurred = np.full_like(vectors, DIMENSIONS**-0.5)
    fitted = fit_scope(texts, blurred, scopes, np.ones(len(texts)))

    assert fitted.odds("noisy lesson", blurred[0]) > fitted.odds(words, blurred[0])


def test_a_question_that_weighs_nothing_teaches_nothing() -> None:
    texts, vectors, scopes = made_up(seed=1)
    weights = np.ones(len(texts) + 1)
    weights[-1] = 0.0
    again = np.concatenate([vectors, vectors[:1]])

    with_it = fit_scope([*texts, texts[0]], again, [*scopes, INSIDE], weights)
    without = fit_scope(texts, vectors, scopes, np.ones(len(texts)))

    assert with_it.inside == pytest.approx(without.inside, abs=1e-4)


@pytest.mark.parametrize(
    ("relevance", "grows"), [((0.1, 0.5, 0.9), True), ((0.0, 0.0), False), ((1.0, 1.0), False)]
)
def test_relevance_is_weighed_beside_the_kind_of_question(
    scope: Scope, relevance: tuple[float, ...], *, grows: bool
) -> None:
    weighed = replace(scope, admission=np.array([1.0, 0.5, 0.1]), least=0.4)
    vector = made_up(seed=1)[1][0]

    found = [weighed.probability("noisy lesson", vector, best) for best in relevance]

    assert all(0 < probability < 1 for probability in found)
    assert found == sorted(found)
    assert (found[0] < found[-1]) == grows


def test_a_scope_is_the_same_after_a_way_through_json(scope: Scope) -> None:
    document = json.loads(json.dumps(scope.document()))
    again = read_scope(document)

    assert again.document() == document
    assert again.inside == pytest.approx(scope.inside, abs=1e-3)
    assert again.kinds == pytest.approx(scope.kinds, abs=1e-2)
    assert (again.admission == scope.admission).all()
    assert again.least == scope.least
    texts, vectors, _ = made_up(seed=2)
    assert [again.kind(v) for v in vectors] == [scope.kind(v) for v in vectors]
    for text, vector in zip(texts, vectors, strict=True):
        assert again.odds(text, vector) == pytest.approx(scope.odds(text, vector), abs=0.02)


def test_a_kind_is_one_that_answers_have_words_for(scope: Scope) -> None:
    vector: Vector = np.ones(DIMENSIONS, np.float32) / np.float32(DIMENSIONS**0.5)
    kind: OutOfScope = scope.kind(vector)

    assert kind in KINDS
