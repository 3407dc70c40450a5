"""The Insights view: what a period's questions say, drawn on the server and readable as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from staffroom.api.context import Staffroom
from staffroom.api.insights import DEFAULT_DAYS, MOST_GROUPS, MOST_QUESTIONS
from staffroom.api.page.amounts import Words
from staffroom.api.page.figures import Chart, Series
from staffroom.api.page.golden import GoldenForm, golden_section
from staffroom.api.page.rendering import language_of, render
from staffroom.api.page.texts import Texts
from staffroom.charts import (
    Label,
    Scale,
    columns,
    labels,
    line,
    percent,
    scale_for,
    stretch,
)
from staffroom.database.gaps import GapQuestion
from staffroom.database.insights import (
    MAX_DAYS,
    AskedGap,
    InsightReport,
    ScenarioUse,
    Tally,
    UnusedScenario,
)

PERIODS: Final = (7, 30, 90)

GROUP_CARDS: Final = 6
"""Groups that are shown at once; the others unfold."""

MOST_ONCE: Final = 50
BARS: Final = 10
"""Scenarios that are drawn; the table below has the others."""

UNUSED_SHOWN: Final = 8
GOLDEN_SHOWN: Final = 8
"""Golden questions that are shown here, those that fare worst; their own page has all."""

GOOD: Final = ("helpful", "worked")
BAD: Final = ("not_helpful", "did_not_fit")

router = APIRouter(include_in_schema=False)


@router.get("/insights")
async def insights_page(
    request: Request,
    app: Staffroom,
    days: Annotated[int, Query(ge=1, le=MAX_DAYS)] = DEFAULT_DAYS,
) -> Response:
    """Show what was asked in a period, what was missing, what served and how long it took."""
    report = await app.vector_ops.insights.report(days)
    words = Words(Texts(language_of(request)))
    dates = list(report.days)
    return render(
        request,
        "insights.html",
        days=days,
        periods=PERIODS,
        first=dates[0].isoformat(),
        last=dates[-1].isoformat(),
        words=words,
        total=report.total,
        **_gaps(report.gaps, words),
        verdicts=_verdicts(report.scenarios),
        used=_used(report.scenarios),
        **_unused(report),
        questions=_questions(report, words),
        outcomes=_outcomes(report.total, words),
        latency=_latency(report, words),
        stages=_stages(report, words),
        cache=_cache(report, words),
        golden=await golden_section(app.vector_ops, words, GoldenForm(), most=GOLDEN_SHOWN),
    )


def _questions(report: InsightReport, words: Words) -> Chart:
    busiest = max(report.days, key=lambda day: report.days[day].asked)
    shown = [
        {"answered": tally.answered, "abstained": tally.abstained} for tally in report.days.values()
    ]
    scale = scale_for((tally.asked for tally in report.days.values()), least_step=1)
    names = ("answered", "abstained")
    return Chart(
        id="questions",
        title=words.t("insights.questions.title"),
        summary=words.t(
            "insights.questions.summary",
            asked=words.count(report.total.asked),
            answered=words.count(report.total.answered),
            abstained=words.count(report.total.abstained),
            busiest=words.day(busiest),
            most=words.count(report.days[busiest].asked),
        ),
        series=tuple(Series(name, words.t(f"insights.{name}")) for name in names),
        scale=scale,
        ticks=tuple(words.count(int(tick)) for tick in scale.ticks),
        labels=_labels(report.days, words),
        header=_header(words, "insights.asked", "insights.answered", "insights.abstained"),
        rows=tuple(
            (
                words.day(day),
                words.count(tally.asked),
                words.count(tally.answered),
                words.count(tally.abstained),
            )
            for day, tally in report.days.items()
        ),
        bars=tuple(columns(shown, scale)),
    )


def _latency(report: InsightReport, words: Words) -> Chart | None:
    if not report.total.timed:
        return None
    timings = [tally.timing for tally in report.days.values()]
    scale = scale_for(timing.p95_ms or 0.0 for timing in timings)
    whole = report.total.timing
    drawn = {
        "p50": [timing.p50_ms for timing in timings],
        "p95": [timing.p95_ms for timing in timings],
    }
    return Chart(
        id="latency",
        title=words.t("insights.latency.title"),
        summary=words.t(
            "insights.latency.summary",
            p50=words.duration(whole.p50_ms),
            p95=words.duration(whole.p95_ms),
            first=words.duration(whole.first_sentence_p50_ms),
        ),
        series=tuple(Series(name, words.t(f"insights.latency.{name}")) for name in drawn),
        scale=scale,
        ticks=tuple(map(words.duration, scale.ticks)),
        labels=_labels(report.days, words),
        header=_header(words, *(f"insights.latency.{name}" for name in ("p50", "p95", "first"))),
        rows=tuple(
            (
                words.day(day),
                words.duration(tally.timing.p50_ms),
                words.duration(tally.timing.p95_ms),
                words.duration(tally.timing.first_sentence_p50_ms),
            )
            for day, tally in report.days.items()
        ),
        lines=tuple((name, line(values, scale)) for name, values in drawn.items()),
    )


def _stages(report: InsightReport, words: Words) -> Chart | None:
    whole = asdict(report.total.stages)
    if None in whole.values():
        return None
    shown = [
        {name: spent or 0.0 for name, spent in asdict(tally.stages).items()}
        for tally in report.days.values()
    ]
    scale = scale_for(sum(spent.values()) for spent in shown)
    return Chart(
        id="stages",
        title=words.t("insights.stages.title"),
        summary=words.t(
            "insights.stages.summary",
            **{name: words.duration(spent) for name, spent in whole.items()},
        ),
        series=tuple(Series(name, words.t(f"insights.stages.{name}")) for name in whole),
        scale=scale,
        ticks=tuple(map(words.duration, scale.ticks)),
        labels=_labels(report.days, words),
        header=_header(words, *(f"insights.stages.{name}" for name in whole)),
        rows=tuple(
            (words.day(day), *map(words.duration, asdict(tally.stages).values()))
            for day, tally in report.days.items()
        ),
        bars=tuple(columns(shown, scale)),
    )


def _cache(report: InsightReport, words: Words) -> Chart | None:
    if not report.total.timed:
        return None
    scale = Scale((0.0, 50.0, 100.0))
    shares = [
        {"from_cache": percent(tally.from_cache, tally.timed)} for tally in report.days.values()
    ]
    return Chart(
        id="cache",
        title=words.t("insights.cache.title"),
        summary=words.t(
            "insights.cache.summary",
            cached=words.count(report.total.from_cache),
            answers=words.count(report.total.timed),
        ),
        series=(Series("from_cache", words.t("insights.cache.share")),),
        scale=scale,
        ticks=tuple(words.percent(tick, 100) for tick in scale.ticks),
        labels=_labels(report.days, words),
        header=_header(words, "insights.cache.share", "insights.cache.answers"),
        rows=tuple(
            (
                words.day(day),
                words.percent(tally.from_cache, tally.timed),
                words.count(tally.timed),
            )
            for day, tally in report.days.items()
        ),
        bars=tuple(columns(shares, scale)),
    )


def _labels(days: Mapping[date, Tally], words: Words) -> tuple[tuple[Label, str], ...]:
    dates = list(days)
    return tuple((label, words.day(dates[label.column])) for label in labels(len(dates)))


def _header(words: Words, *keys: str) -> tuple[str, ...]:
    return tuple(words.t(key) for key in ("insights.day.column", *keys))


def _outcomes(total: Tally, words: Words) -> dict[str, Any]:
    """Each outcome with its count and share, and the row that draws them."""
    return {
        "bars": stretch({str(name): count for name, count in total.outcomes.items()}, total.asked),
        "rows": [
            {
                "name": name,
                "count": words.count(count),
                "share": words.percent(count, total.asked),
            }
            for name, count in total.outcomes.items()
        ],
    }


def _gaps(groups: Sequence[AskedGap], words: Words) -> dict[str, Any]:
    """Groups of several questions, and the questions that were asked once."""
    told = [_gap(group, words) for group in groups[:MOST_GROUPS]]
    several = [gap for gap in told if gap["size"] > 1]
    once = [gap for gap in told if gap["size"] == 1]
    return {
        "gaps": several[:GROUP_CARDS],
        "more_gaps": several[GROUP_CARDS:],
        "once": once[:MOST_ONCE],
        "once_total": sum(len(group.questions) == 1 for group in groups),
        "gap_groups": len(groups),
        "groups_are_capped": len(groups) > MOST_GROUPS or len(once) > MOST_ONCE,
    }


def _gap(group: AskedGap, words: Words) -> dict[str, Any]:
    asked: dict[str, list[GapQuestion]] = {}
    for question in group.questions:
        asked.setdefault(question.question, []).append(question)
    return {
        "label": group.label,
        "size": len(group.questions),
        "days": words.days(group.first, group.last),
        "address": f"/insights/gaps/{group.id}",
        "state": group.state,
        "words": group.words,
        "questions": [_same(same, words) for same in list(asked.values())[:MOST_QUESTIONS]],
        "is_cut": len(asked) > MOST_QUESTIONS,
    }


def _same(questions: Sequence[GapQuestion], words: Words) -> dict[str, Any]:
    """One wording, however often it was asked; the last time leads to what was answered."""
    last = max(questions, key=lambda question: question.created_at)
    return {
        "id": str(last.interaction_id),
        "question": last.question,
        "times": len(questions),
        "day": words.day(last.created_at),
        "at": last.created_at.date().isoformat(),
    }


def _verdicts(scenarios: Sequence[ScenarioUse]) -> dict[str, Any]:
    """Scenarios that somebody judged, the most judged first, to both sides of one line."""
    rows = [_judged(scenario) for scenario in scenarios]
    rows = sorted((row for row in rows if row["for"] + row["against"]), key=_most_judged)
    most_against = max((row["against"] for row in rows), default=0)
    width = most_against + max((row["for"] for row in rows), default=0)
    middle = percent(most_against, width)
    for row in rows[:BARS]:
        start = percent(most_against - row["against"], width)
        row["bars"] = [
            *stretch({name: row[name] for name in reversed(BAD)}, width, start),
            *stretch({name: row[name] for name in GOOD}, width, middle),
        ]
    good = sum(row["for"] for row in rows)
    return {
        "rows": rows,
        "shown": rows[:BARS],
        "middle": middle,
        "good": good,
        "all": good + sum(row["against"] for row in rows),
    }


def _judged(scenario: ScenarioUse) -> dict[str, Any]:
    counts = {name: getattr(scenario, name) for name in (*GOOD, *BAD)}
    return {
        "id": str(scenario.id),
        "name": scenario.name,
        **counts,
        "for": sum(counts[name] for name in GOOD),
        "against": sum(counts[name] for name in BAD),
    }


def _most_judged(row: Mapping[str, Any]) -> tuple[int, int]:
    return -(row["for"] + row["against"]), -row["against"]


def _used(scenarios: Sequence[ScenarioUse]) -> dict[str, Any]:
    used = [scenario for scenario in scenarios if scenario.used]
    most = used[0].used if used else 0
    rows = [
        {
            "id": str(scenario.id),
            "name": scenario.name,
            "used": scenario.used,
            "bars": stretch({"used": scenario.used}, most),
        }
        for scenario in used
    ]
    return {"rows": rows, "shown": rows[:BARS]}


def _unused(report: InsightReport) -> dict[str, Any]:
    return {
        "unused": list(map(_named, report.unused[:UNUSED_SHOWN])),
        "more_unused": list(map(_named, report.unused[UNUSED_SHOWN:])),
        "unused_total": report.unused_total,
    }


def _named(scenario: UnusedScenario) -> dict[str, str]:
    return {"id": str(scenario.id), "name": scenario.name}
