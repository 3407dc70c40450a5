"""Does the support score tell what a text says from what it denies or does not mention?"""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staffroom.ai.support import FEATURES
from staffroom.config import Settings
from staffroom.embedding.generator import EmbeddingGenerator
from staffroom.errors import InputError, UnreadableFile
from staffroom.evaluation.golden import labelled_sentences
from staffroom.evaluation.grounding import (
    LABELS,
    Judged,
    Label,
    evaluate_grounding,
    fit_support,
    golden_judgements,
    read_claims,
)
from staffroom.evaluation.measures import auc
from staffroom.types import Progress
from tests.fakes import WordEmbedder

SCIFACT = Path(__file__).parents[2] / "shared" / "data" / "scifact" / "groundedness.jsonl"

BETTER_BY = 0.04
"""AUC that words, numbers and negations have to add to the embedding alone."""

CORPUS: list[dict[str, Any]] = [
    {"_id": "7", "title": "", "text": "Bells ring at noon. Pupils eat together."},
    {"_id": "8", "title": "", "text": "Rain falls in March."},
]
CLAIMS: list[dict[str, Any]] = [
    {"id": str(number), "claim": f"Claim {number}.", "cited_doc_ids": cited, "label": label}
    for number, (cited, label) in enumerate(
        [
            (["7"], "SUPPORT"), ([8], "SUPPORT"), (["7", "8"], "CONTRADICT"),
            (["7"], "CONTRADICT"), (["8"], "SUPPORT"), (["7"], "NOT_ENOUGH_INFO"),
        ]
    )
]  # fmt: skip

ANIMALS = ("cats", "dogs", "horses", "rabbits", "pigeons", "lizards", "spiders", "badgers")
SAYINGS: dict[Label, str] = {
    "SUPPORT": "Most {animal} sleep eight hours.",
    "CONTRADICT": "Most {animal} do not sleep 30 hours.",
    "NOT_ENOUGH_INFO": "Green rockets travel quietly towards Jupiter.",
}


def write(folder: Path, claims: Sequence[Any] = CLAIMS, corpus: Sequence[Any] = CORPUS) -> Path:
    """A folder in SciFact's form. Returns the file with the claims."""
    for name, rows in (("corpus", corpus), ("claims", claims)):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return folder / "claims.jsonl"


def made_up() -> list[Judged]:
    """Claims whose words alone tell what they are, the same kinds in both halves."""
    return [
        Judged(
            saying.format(animal=animal),
            (f"Most {animal} sleep eight hours.", f"Young {animal} need warm places."),
            label,
        )
        for label, saying in SAYINGS.items()
        for animal in ANIMALS
    ]


@pytest.fixture
async def real_embedder(models: Path) -> AsyncIterator[EmbeddingGenerator]:
    embedder = EmbeddingGenerator(Settings(models=models))
    yield embedder
    await embedder.close()


def test_claims_are_read_with_the_sentences_that_they_are_held_against(tmp_path: Path) -> None:
    bells, rain = ("Bells ring at noon.", "Pupils eat together."), ("Rain falls in March.",)

    claims = read_claims(write(tmp_path))

    assert [claim.sentence for claim in claims] == [row["claim"] for row in CLAIMS]
    assert [claim.label for claim in claims] == [row["label"] for row in CLAIMS]
    assert [c.parts for c in claims] == [bells, rain, (*bells, *rain), bells, rain, bells]


def test_empty_lines_are_no_claims(tmp_path: Path) -> None:
    path = write(tmp_path, ["", *CLAIMS, "  "])

    assert len(read_claims(path)) == len(CLAIMS)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path)

    with pytest.raises(UnreadableFile, match=r"others\.jsonl"):
        read_claims(tmp_path / "others.jsonl")


def test_a_corpus_that_is_missing_is_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "corpus.jsonl").unlink()

    with pytest.raises(UnreadableFile, match=r"corpus\.jsonl"):
        read_claims(path)


@pytest.mark.parametrize(
    ("claim", "match"),
    [
        (CLAIMS[0] | {"cited_doc_ids": ["9"]}, "'9'"),
        (CLAIMS[0] | {"cited_doc_ids": None}, "no judged claims"),
        (CLAIMS[0] | {"cited_doc_ids": []}, "without a text"),
        (CLAIMS[0] | {"label": "PERHAPS"}, "unknown label"),
        ({"claim": "No document."}, "cited_doc_ids"),
        ("{", "no judged claims"),
        ("[]", "no judged claims"),
    ],
)
def test_a_claim_that_is_broken_is_an_error(tmp_path: Path, claim: Any, match: str) -> None:
    with pytest.raises(UnreadableFile, match=match):
        read_claims(write(tmp_path, [claim, *CLAIMS]))


def test_a_document_without_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="without a text"):
        read_claims(write(tmp_path, corpus=[CORPUS[0], CORPUS[1] | {"text": ""}]))


@pytest.mark.parametrize("missing", LABELS)
def test_each_kind_of_claim_is_needed(tmp_path: Path, missing: str) -> None:
    claims = [row for row in CLAIMS for _ in range(2) if row["label"] != missing]

    with pytest.raises(InputError, match="SUPPORT, CONTRADICT, NOT_ENOUGH_INFO"):
        read_claims(write(tmp_path, claims))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2))
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[int, bool]]) -> None:
    extended = [*pairs, (2, True), (2, False)]
    wins = [
        (good > bad) + (good == bad) / 2
        for good, is_good in extended
        if is_good
        for bad, is_bad in extended
        if not is_bad
    ]

    found = auc([float(score) for score, _ in extended], [label for _, label in extended])

    assert found == pytest.approx(sum(wins) / len(wins))


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([0.1, 0.2, 0.8, 0.9], 1.0), ([0.9, 0.8, 0.2, 0.1], 0.0), ([0.5] * 4, 0.5)],
)
def test_auc_of_a_few_is_known(scores: list[float], expected: float) -> None:
    assert auc(scores, [False, False, True, True]) == expected


async def test_claims_that_are_easily_told_apart_are_told_apart(embedder: WordEmbedder) -> None:
    claims = made_up()
    steps: list[Progress] = []

    report = await evaluate_grounding(claims, embedder, steps.append)

    assert report["claims"] == len(claims) // 2
    assert report["support"]["all"] >= 0.95
    assert report["support"]["contradict"] >= 0.95
    assert report["support"]["not_enough_info"] >= 0.95
    assert report["embedding_alone"]["not_enough_info"] >= 0.95
    assert [step.done for step in steps] == list(range(1, len(claims) // 2 + 1))


async def test_only_every_second_claim_is_held_out(embedder: WordEmbedder) -> None:
    await evaluate_grounding(made_up(), embedder)

    assert "Most dogs sleep eight hours." in embedder.embedded
    assert "Most cats sleep eight hours." not in embedder.embedded


async def test_fitted_weights_are_finite_and_there_is_one_for_every_feature(
    embedder: WordEmbedder,
) -> None:
    fitted = await fit_support(made_up(), embedder)

    assert tuple(fitted["weights"]) == FEATURES
    assert np.isfinite([*fitted["weights"].values(), fitted["bias"]]).all()
    assert json.loads(json.dumps(fitted)) == fitted
    assert "Most dogs sleep eight hours." not in embedder.embedded[: len(ANIMALS) * 4]


def test_only_the_fitting_part_of_the_golden_sentences_is_fitted_on() -> None:
    reported = {row.sentence for row in labelled_sentences() if row.part == "report"}
    judged = golden_judgements()

    assert {claim.label for claim in judged} == set(LABELS)
    assert all(claim.parts for claim in judged)
    assert reported.isdisjoint(claim.sentence for claim in judged)


async def test_the_support_score_separates_better_than_the_embedding_alone(
    real_embedder: EmbeddingGenerator,
) -> None:
    if not SCIFACT.exists():
        pytest.skip(f"{SCIFACT} is not there; the score is measured on SciFact's claims")

    report = await evaluate_grounding(read_claims(SCIFACT), real_embedder)

    assert report["claims"] > 400
    assert report["support"]["all"] - report["embedding_alone"]["all"] >= BETTER_BY
    assert report["support"]["contradict"] > report["embedding_alone"]["contradict"]
    assert report["support"]["not_enough_info"] > report["embedding_alone"]["not_enough_info"]
