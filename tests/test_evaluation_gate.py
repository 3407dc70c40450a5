"""A change that makes the search worse does not land: the committed report is new, and good."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from staffroom.app import App
from staffroom.config import Settings
from staffroom.errors import InputError, UnreadableFile
from staffroom.evaluation.evaluate import evaluate
from staffroom.evaluation.gate import (
    PARTS,
    SOURCE,
    Bar,
    Figures,
    Paths,
    Report,
    failures,
    fallen,
    figures_of,
    figures_table,
    main,
    make_report,
    read_bars,
    read_history,
    source_digests,
    stale,
    whole_digest,
    with_table,
)
from staffroom.evaluation.golden import polarity_pairs
from staffroom.evaluation.golden_search import golden_data_set
from staffroom.evaluation.runs import write_run
from tests.conftest import _create_database
from tests.evaluation_data import run_of

PATHS = Paths(Path(__file__).parent.parent / "docs" / "evaluation")
REPORT: Report = json.loads(PATHS.report.read_text("utf-8"))
BARS = read_bars(PATHS.bars)
HISTORY = read_history(PATHS.history)

MOST_DIFFERENT = 0.005
"""How far golden figures may be from the report's: another processor rounds otherwise."""

GRADUAL = ("ndcg@10", "mrr@10")
MOST_FLIPPED = 1
"""The other figures are shares, which jump: by so many questions, or pairs, they may differ."""

AGAIN = "Run scripts/evaluate and commit what it writes to docs/evaluation."

GRADES = {"q1": {"a": 1}, "q2": {"b": 1}}


def test_the_report_was_made_from_these_sources() -> None:
    changed = stale(REPORT)

    assert changed == [], f"{', '.join(changed)} changed since the last report. {AGAIN}"
    assert REPORT["digest"] == whole_digest(REPORT["sources"])


def test_every_figure_reaches_its_bar() -> None:
    assert failures(REPORT, BARS) == []


def test_no_figure_fell_since_the_report_before() -> None:
    assert HISTORY[-1]["digest"] == REPORT["digest"], AGAIN
    assert HISTORY[-1]["figures"] == REPORT["figures"], AGAIN
    before = HISTORY[-2]["figures"] if len(HISTORY) > 1 else {}
    assert fallen(REPORT["figures"], before, BARS) == []


def test_every_bar_has_its_reason_and_every_set_and_mode_a_bar() -> None:
    for name, bar in BARS.items():
        assert 0 < bar["tolerance"] < bar["least"] <= 1, name
        assert len(bar["why"]) > 20, name
    barred = {name.rpartition("/")[0] for name in BARS}
    modes = {name.rpartition("/")[0] for name in REPORT["figures"]}
    assert {name for name in modes if not name.startswith("golden/fit/")} == barred


def test_the_page_shows_the_reports_figures() -> None:
    readme = PATHS.readme.read_text("utf-8")

    assert with_table(readme, REPORT) == readme, AGAIN


def test_every_part_has_files_and_every_pattern_finds_some() -> None:
    for part, patterns in PARTS.items():
        for pattern in patterns:
            assert any(path.is_file() for path in SOURCE.glob(pattern)), (part, pattern)


@pytest.fixture(scope="session")
def golden_figures(server: str, template: str, models: Path) -> Figures:
    """Every golden question, asked now, through the real import and search."""
    url = _create_database(server, "test_golden_figures", template)
    settings = Settings(database_url=url, models=models, writer="extractive", starter_library=False)

    async def measure() -> Figures:
        app = App(settings)
        try:
            await app.prepare()
            run = await evaluate(golden_data_set(), app.database, app.vector_ops, app.cache)
            return figures_of(run)
        finally:
            await app.close()

    return asyncio.run(measure())


@pytest.mark.slow
def test_golden_questions_asked_now_give_the_reports_figures(golden_figures: Figures) -> None:
    reported = {
        name: value for name, value in REPORT["figures"].items() if name.startswith("golden/")
    }

    assert golden_figures.keys() == reported.keys(), AGAIN
    for name, value in golden_figures.items():
        assert abs(value - reported[name]) <= most_different(name), (name, value, AGAIN)


def most_different(name: str) -> float:
    split, _, figure = name.rpartition("/")
    if figure in GRADUAL:
        return MOST_DIFFERENT
    part = split.split("/")[1]
    pairs = sum(pair.part == part for pair in polarity_pairs())
    questions = REPORT["sizes"][f"golden/{part}"]["questions"]
    jump = 1 / (pairs if figure.endswith("_first") else questions)
    return max(MOST_DIFFERENT, 1.01 * MOST_FLIPPED * jump)


def report_of(**changes: Any) -> Report:
    rankings = {"hybrid": {"q1": ["a"], "q2": ["b"]}, "words": {"q1": ["a"], "q2": ["x"]}}
    return make_report([run_of(rankings, GRADES, **changes)], "abc")  # type: ignore[arg-type] # modes


def test_a_report_has_figures_sizes_and_how_sure_differences_are() -> None:
    report = report_of()

    assert report["figures"]["small/test/hybrid/ndcg@10"] == 1
    assert report["figures"]["small/test/words/mrr@10"] == 0.5
    assert report["sizes"] == {"small/test": {"documents": 5, "questions": 2}}
    assert report["differences"]["small/test/hybrid-words"]["wins"] == 1
    assert report["milliseconds"]["small/test/words"]["p50"] == 1.5
    assert (report["commit"], report["model"]) == ("abc", "m")
    assert stale(report) == []
    assert "| small/test | words | 0.500 | 0.500 |" in figures_table(report)


def test_runs_of_several_models_or_none_are_no_report() -> None:
    other = run_of({"words": {"q1": []}}, {"q1": {"a": 1}}, model="other")
    one = run_of({"words": {"q1": []}}, {"q1": {"a": 1}})

    for runs in ([one, other], []):
        with pytest.raises(InputError, match="a report is about one model"):
            make_report(runs)


def test_a_changed_file_makes_its_part_stale_and_no_other(tmp_path: Path) -> None:
    for name in ("retrieval/fusion.py", "ai/prompt.py", "embedding/graph.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    sources = source_digests(tmp_path)
    report: Report = {**report_of(), "sources": sources}

    assert stale(report, tmp_path) == []
    (tmp_path / "retrieval" / "__pycache__").mkdir()
    (tmp_path / "retrieval" / "__pycache__" / "fusion.pyc").write_text("1")
    (tmp_path / "ai" / "judge.py").write_text("1")
    assert stale(report, tmp_path) == []
    (tmp_path / "retrieval" / "fusion.py").write_text("2")
    assert stale(report, tmp_path) == ["retrieval"]
    (tmp_path / "embedding" / "new.py").write_text("1")
    assert stale(report, tmp_path) == ["retrieval", "embedding"]


def test_a_figure_below_its_bar_or_missing_is_named() -> None:
    bars: dict[str, Bar] = {
        "small/test/hybrid/ndcg@10": {"least": 1.0, "tolerance": 0.1, "why": ""},
        "small/test/words/ndcg@10": {"least": 0.55, "tolerance": 0.04, "why": ""},
        "other/test/words/ndcg@10": {"least": 0.5, "tolerance": 0.1, "why": ""},
    }

    found = failures(report_of(), bars)

    assert found == [
        "small/test/words/ndcg@10 is 0.5, below 0.55 less its tolerance 0.04",
        "the report has no figure other/test/words/ndcg@10; give its data set to scripts/evaluate",
    ]


def test_a_figure_may_fall_by_its_tolerance_and_no_more() -> None:
    bars: dict[str, Bar] = {
        name: {"least": 0.1, "tolerance": 0.02, "why": ""} for name in ("a", "b", "new")
    }

    found = fallen({"a": 0.58, "b": 0.57, "new": 0.1}, {"a": 0.6, "b": 0.6, "gone": 1}, bars)

    assert found == ["b fell from 0.6 to 0.57, by more than 0.02"]


def publish_run(folder: Path, found: str) -> list[str]:
    """What the gate says of a report of one run, made after those before it."""
    write_run(run_of({"words": {"q": [found]}}, {"q": {"a": 1}}), folder / "run.json")
    return list(main(["abc", str(folder), str(folder / "run.json")]))


def test_a_published_report_is_in_the_folder_the_history_and_the_page(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    name = "small/test/words/mrr@10"
    paths.bars.write_text(json.dumps({"figures": {name: {"least": 0.5, "tolerance": 0.1}}}))
    paths.readme.write_text("before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n")

    assert publish_run(tmp_path, "a") == []
    report = json.loads(paths.report.read_text())
    assert report["figures"][name] == 1
    assert paths.readme.read_text() == (
        "before\n<!-- figures -->\n" + figures_table(report) + "<!-- end of figures -->\nafter\n"
    )
    assert [line["digest"] for line in read_history(paths.history)] == [report["digest"]]

    paths.history.write_text(paths.history.read_text().replace(report["digest"], "earlier"))
    told = [f"{name} is 0.0, below 0.5 less its tolerance 0.1", f"{name} fell from 1.0 to 0.0,"]
    for _ in range(2):
        found = publish_run(tmp_path, "x")
        assert [line[: len(start)] for line, start in zip(found, told, strict=True)] == told
        assert len(read_history(paths.history)) == 2


def test_without_bars_there_is_no_gate(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"bars.json holds no bars"):
        read_bars(tmp_path / "bars.json")
