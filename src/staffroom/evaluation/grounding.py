"""Does the support score tell what a text says from what it denies or does not mention?

Claims with the human verdict on each, from others (SciFact), and this product's own labelled
sentences. Every second claim is held out: the others fit the score, together with the fitting
part of the golden sentences.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypedDict

import numpy as np

from staffroom.ai.advice import advice_parts
from staffroom.ai.sentences import split_sentences
from staffroom.ai.support import FEATURES, support_features, support_score
from staffroom.ai.words import Wording
from staffroom.content.starter import starter_rows
from staffroom.errors import InputError, UnreadableFile
from staffroom.evaluation.golden import labelled_sentences
from staffroom.evaluation.measures import auc
from staffroom.retrieval.logistic import fit_logistic
from staffroom.scenario import scenario_from
from staffroom.types import Array, Embedder, Progress, ProgressListener

RIDGE: Final = 3.0

Label = Literal["SUPPORT", "CONTRADICT", "NOT_ENOUGH_INFO"]
LABELS: Final = ("SUPPORT", "CONTRADICT", "NOT_ENOUGH_INFO")


class Separation(TypedDict):
    """AUC of SUPPORT against the others, and against each of them."""

    all: float
    contradict: float
    not_enough_info: float


class GroundednessReport(TypedDict):
    """What `staffroom eval grounding` prints: the score, beside the embeddings alone."""

    claims: int
    support: Separation
    embedding_alone: Separation


@dataclass(frozen=True, slots=True)
class Judged:
    """A sentence, the sentences that it is held against, and the human verdict."""

    sentence: str
    parts: tuple[str, ...]
    label: Label


async def evaluate_grounding(
    claims: Sequence[Judged], embedder: Embedder, progress: ProgressListener | None = None
) -> GroundednessReport:
    """The held out claims were scored by the product's own support score."""
    held_out = claims[1::2]
    features = await _features(held_out, embedder, progress)
    labels = [claim.label for claim in held_out]
    return GroundednessReport(
        claims=len(held_out),
        support=_separation([support_score(row) for row in features], labels),
        embedding_alone=_separation([row[0] for row in features], labels),
    )


async def fit_support(
    claims: Sequence[Judged], embedder: Embedder, progress: ProgressListener | None = None
) -> dict[str, Any]:
    """The weights of the support score, as `ai/support.json` holds them."""
    judged = [*claims[::2], *golden_judgements()]
    features = await _features(judged, embedder, progress)
    spread = features.std(axis=0)
    labels = np.array([claim.label == "SUPPORT" for claim in judged], np.float64)
    weights, bias = fit_logistic((features - features.mean(axis=0)) / spread, labels, ridge=RIDGE)
    raw = weights / spread
    return {
        "weights": dict(zip(FEATURES, np.round(raw, 4).tolist(), strict=True)),
        "bias": round(float(bias - raw @ features.mean(axis=0)), 4),
    }


def read_claims(path: Path) -> list[Judged]:
    """The claims of a file in SciFact's form, with the texts of `corpus.jsonl` beside it.

    Raises: UnreadableFile if a part is missing or broken; InputError if there are too few.
    """
    try:
        texts = {
            str(row["_id"]): split_sentences(str(row["text"]))
            for row in _rows(path.parent / "corpus.jsonl")
        }
        claims = [
            Judged(
                str(row["claim"]),
                tuple(part for name in row["cited_doc_ids"] for part in texts[str(name)]),
                row["label"],
            )
            for row in _rows(path)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UnreadableFile(f"{path} holds no judged claims: {reason}.") from error
    if not all(claim.parts and claim.label in LABELS for claim in claims):
        raise UnreadableFile(f"{path} has a claim without a text or with an unknown label.")
    if {claim.label for claim in claims[1::2]} != set(LABELS):
        raise InputError(f"{path} needs claims of each kind: {', '.join(LABELS)}.")
    return claims


def golden_judgements() -> list[Judged]:
    """The fitting part of the golden sentences, in the claims' form."""
    contents = {row["id"]: scenario_from(row) for row in starter_rows()}
    names: Mapping[str, Label] = {
        "supported": "SUPPORT", "contradicted": "CONTRADICT", "not_covered": "NOT_ENOUGH_INFO",
    }  # fmt: skip
    return [
        Judged(
            row.sentence,
            tuple(part.text for part in advice_parts(contents[row.scenario])),
            names[row.label],
        )
        for row in labelled_sentences()
        if row.part == "fit"
    ]


async def _features(
    judged: Sequence[Judged], embedder: Embedder, progress: ProgressListener | None
) -> Array:
    rows = []
    for done, claim in enumerate(judged, 1):
        vectors = await embedder.embed([claim.sentence, *claim.parts], "passage")
        cosines = (vectors[1:] @ vectors[0]).astype(np.float64)
        parts = [Wording(part) for part in claim.parts]
        rows.append(support_features(Wording(claim.sentence), parts, cosines)[0])
        if progress:
            progress(Progress("Judging", done, len(judged), "rows"))
    return np.stack(rows)


def _separation(scores: Sequence[float], labels: Sequence[Label]) -> Separation:
    def against(*others: Label) -> float:
        kept = [n for n, label in enumerate(labels) if label == "SUPPORT" or label in others]
        return auc([scores[n] for n in kept], [labels[n] == "SUPPORT" for n in kept])

    return Separation(
        all=against("CONTRADICT", "NOT_ENOUGH_INFO"),
        contradict=against("CONTRADICT"),
        not_enough_info=against("NOT_ENOUGH_INFO"),
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
