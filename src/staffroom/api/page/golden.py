"""How good the search is on the golden questions, as a view shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from staffroom.api.page.amounts import Words
from staffroom.api.page.figures import Chart, Series
from staffroom.charts import Label, Scale, labels, line
from staffroom.database.evaluations import EvaluationRecord, Ranks
from staffroom.database.golden import MAX_GOLDEN, Golden, Suggestion
from staffroom.database.vector_ops import VectorOperations
from staffroom.evaluation.own import DEPTH, FIRST, MODES
from staffroom.text import MAX_QUESTION
from staffroom.types import Match

RUNS: Final = 24
"""Runs that the chart goes back."""

FEWEST_RUNS: Final = 2
"""A single point is no trend."""

SUGGESTED: Final = 6
FIGURES: Final = ("recall@5", "ndcg@10", "mrr@10", "answered")


@dataclass(frozen=True, slots=True)
class GoldenForm:
    """A question on its way to being golden: what was typed, and what is wrong with it."""

    question: str = ""
    find: str = ""
    chosen: tuple[UUID, ...] = ()
    candidates: tuple[Match, ...] | None = None
    error: str = ""

    @property
    def is_open(self) -> bool:
        return bool(self.question or self.find or self.error or self.candidates is not None)


async def golden_section(
    vector_ops: VectorOperations,
    words: Words,
    form: GoldenForm,
    *,
    most: int,
    skip: int = 0,
) -> dict[str, Any]:
    """What the section shows: figures, their trend, questions (those that fare worst first),
    suggestions, and the form."""
    golden = await vector_ops.golden.list(MAX_GOLDEN)
    runs = await vector_ops.golden.evaluations.page(RUNS)
    ranks = await vector_ops.golden.evaluations.newest_ranks()
    suggested = await vector_ops.golden.suggested(SUGGESTED + 1)
    ordered = sorted(golden, key=lambda question: _merit(question, ranks.get(question.id)))
    newest = runs[0] if runs else None
    return {
        "total": len(golden),
        "total_text": words.count(len(golden)),
        "is_full": len(golden) >= MAX_GOLDEN,
        "rows": [
            _row(question, ranks.get(question.id)) for question in ordered[skip : skip + most]
        ],
        "first": skip + 1,
        "previous": max(0, skip - most) if skip else None,
        "next": skip + most if skip + most < len(golden) else None,
        "run": newest and await _run(vector_ops, newest, words),
        "figures": _figures(newest, words) if newest else [],
        "modes": _modes(newest),
        "chart": _chart(runs[::-1], words) if len(runs) >= FEWEST_RUNS else None,
        "suggested": [_suggestion(found) for found in suggested[:SUGGESTED]],
        "has_more_suggested": len(suggested) > SUGGESTED,
        "form": form,
        "candidates": _candidates(form),
        "longest": MAX_QUESTION,
        "first_ranks": FIRST,
        "depth": DEPTH,
    }


def _merit(question: Golden, ranks: Ranks | None) -> int:
    """The worst first: nothing right is left, not found, found late; then what is new."""
    if not question.is_usable:
        return -DEPTH - 2
    if not ranks:
        return 0
    return -min(rank or DEPTH + 1 for rank in ranks.values())


def _row(question: Golden, ranks: Ranks | None) -> dict[str, Any]:
    return {
        "id": str(question.id),
        "question": question.question,
        "language": question.language,
        "answer": str(question.interaction_id) if question.interaction_id else "",
        "is_usable": question.is_usable,
        "scenarios": [judgement for judgement in question.relevant if judgement.grade],
        "ranks": [
            {"mode": mode, "rank": ranks[mode], "kind": _kind(ranks[mode])}
            for mode in MODES
            if ranks and mode in ranks
        ],
    }


def _kind(rank: int | None) -> str:
    if rank is None:
        return "none"
    if rank == 1:
        return "first"
    return "near" if rank <= FIRST else "far"


async def _run(
    vector_ops: VectorOperations, record: EvaluationRecord, words: Words
) -> dict[str, Any]:
    return {
        "at": record.created_at.isoformat(),
        "questions": record.questions,
        "questions_text": words.count(record.questions),
        "is_stale": record.library_version != await vector_ops.library_version(),
    }


def _modes(record: EvaluationRecord | None) -> list[str]:
    measured = record.figures["modes"] if record else {}
    return [mode for mode in MODES if mode in measured]


def _figures(record: EvaluationRecord, words: Words) -> list[dict[str, Any]]:
    """A row for each figure: its value in each mode, and which of them are best."""
    modes = _modes(record)
    rows = []
    for name in FIGURES:
        values = [record.figures["modes"][mode][name] for mode in modes]
        rows.append(
            {
                "name": name.partition("@")[0],
                "values": [
                    {
                        "text": _value(name, value, words),
                        "is_best": min(values) < value == max(values),
                    }
                    for value in values
                ],
            }
        )
    return rows


def _value(name: str, value: float, words: Words) -> str:
    if name in {"recall@5", "answered"}:
        return words.percent(value, 1)
    return words.decimal(value)


def _chart(runs: Sequence[EvaluationRecord], words: Words) -> Chart:
    """The share of right scenarios among the first five, run by run, oldest first."""
    modes = [mode for mode in MODES if any(mode in run.figures["modes"] for run in runs)]
    scale = Scale((0.0, 25.0, 50.0, 75.0, 100.0))
    series = tuple(Series(mode, words.t(f"golden.mode.{mode}")) for mode in modes)
    return Chart(
        id="golden-trend",
        title=words.t("golden.chart.title"),
        summary=words.t("golden.chart.summary", count=len(runs)),
        series=series,
        scale=scale,
        ticks=tuple(words.percent(tick, 100) for tick in scale.ticks),
        labels=_labels(runs, words),
        header=(words.t("golden.chart.run"), *(one.label for one in series)),
        rows=tuple(
            (_moment(run, words), *(_share(run, mode, words) for mode in modes)) for run in runs
        ),
        lines=tuple(
            (mode, line([_percent(run.figures["modes"].get(mode)) for run in runs], scale))
            for mode in modes
        ),
    )


def _labels(runs: Sequence[EvaluationRecord], words: Words) -> tuple[tuple[Label, str], ...]:
    """Days below the chart, or times where all runs are of one day."""
    is_one_day = len({run.created_at.date() for run in runs}) == 1
    return tuple(
        (label, f"{run.created_at:%H:%M}" if is_one_day else words.day(run.created_at))
        for label in labels(len(runs))
        for run in [runs[label.column]]
    )


def _moment(run: EvaluationRecord, words: Words) -> str:
    return f"{words.day(run.created_at)}, {run.created_at:%H:%M}"


def _share(run: EvaluationRecord, mode: str, words: Words) -> str:
    share = _percent(run.figures["modes"].get(mode))
    return words.t("insights.sum.none") if share is None else words.percent(share, 100)


def _percent(measures: Mapping[str, float] | None) -> float | None:
    return None if measures is None else 100 * measures["recall@5"]


def _suggestion(found: Suggestion) -> dict[str, Any]:
    return {
        "interaction_id": str(found.interaction_id),
        "question": found.question,
        "scenario_id": str(found.scenario_id),
        "name": found.name,
        "verdict": found.verdict,
        "times": found.times,
    }


def _candidates(form: GoldenForm) -> list[dict[str, Any]] | None:
    """Scenarios to choose from, those that are chosen first; None while nobody searched."""
    if form.candidates is None:
        return None
    shown = [
        {
            "id": str(match.scenario.id),
            "name": match.scenario.name,
            "language": match.scenario.content.metadata.language,
            "description": match.scenario.content.description,
            "is_chosen": match.scenario.id in form.chosen,
        }
        for match in form.candidates
    ]
    return sorted(shown, key=lambda candidate: not candidate["is_chosen"])
