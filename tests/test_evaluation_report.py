"""The page on a run: whole in one file, in light and dark, on a phone too."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.async_api import Browser

from staffroom.charts import Point
from staffroom.evaluation.comparison import compare
from staffroom.evaluation.report import comparison_report, run_report, sides_of
from staffroom.evaluation.report_charts import (
    difference_bars,
    latency_spans,
    measure_spans,
    reliability_curve,
    threshold_curve,
)
from staffroom.evaluation.runs import Run
from tests.browser import axe
from tests.evaluation_data import run_of

GRADES = {"up": {"a": 2, "b": 1}, "down": {"c": 1}, "same": {"d": 1}}
BEFORE = {"up": ["x", "a"], "down": ["c"], "same": ["d"]}
AFTER = {"up": ["a", "b"], "down": ["x", "y", "c"], "same": ["d", "x"]}


@pytest.fixture
def run() -> Run:
    return run_of({"meaning": BEFORE, "hybrid": AFTER, "words": {**AFTER, "same": []}}, GRADES)


class Tables(HTMLParser):
    """The cells of every table, and every address."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.addresses: list[str] = []
        self._is_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_cell = tag in {"td", "th"}
        self.addresses += [
            value or "" for name, value in attrs if name in {"src", "href", "action", "srcset"}
        ]

    def handle_data(self, data: str) -> None:
        if self._is_cell:
            self.cells.append(data)
            self._is_cell = False


def test_the_page_needs_nothing_but_itself(run: Run) -> None:
    page = run_report(run)

    assert Tables(page).addresses == []
    assert not re.search(r"https?:|url\(|@import|<script|<link|<img", page)
    assert "default-src 'none'" in page


def test_every_drawing_is_there_as_a_table(run: Run) -> None:
    cells = Tables(run_report(run)).cells

    for word in ("ndcg@10", "recall@5", "precision at threshold", "Promised", "Threshold", "p95"):
        assert word in cells, word
    hybrid, meaning, _ = sides_of(run)
    row = compare(meaning, hybrid)["measures"]["mrr@10"]
    assert f"{row['difference']:+.3f}" in cells
    assert f"{row['p']:.4f}" in cells


def test_what_people_wrote_stays_text(run: Run) -> None:
    questions = run.questions
    evil = run_of(
        {"hybrid": AFTER, "words": BEFORE}, GRADES, data_set="<script>alert(1)</script>",
        questions={**questions, "up": type(questions["up"])("<b>bold</b>", "test", GRADES["up"])},
    )  # fmt: skip

    page = run_report(evil)

    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;b&gt;bold" in page


def test_one_mode_alone_has_a_page_too(run: Run) -> None:
    alone = run_of({"words": {"q": []}}, {"q": {"a": 1}})

    assert "beside" not in run_report(alone)


def test_two_sides_are_told_apart_by_their_names(run: Run) -> None:
    hybrid, meaning, _ = sides_of(run)

    page = comparison_report(meaning, hybrid, compare(meaning, hybrid))

    assert "hybrid beside meaning" in page
    assert "words" not in page.split("</style>")[1]


def test_marks_lie_where_the_numbers_say(run: Run) -> None:
    sides = sides_of(run)
    hybrid, meaning, words = sides

    name, spans = measure_spans(sides, "test")[2]
    assert (name, [span.label for span in spans]) == ("mrr@10", ["hybrid", "meaning", "words"])
    assert spans[0].x == pytest.approx(100 * spans[0].value, abs=0.01)
    assert all(span.low <= span.x <= span.high for span in spans)
    bars = difference_bars(meaning, hybrid, "test")
    assert (bars.better, bars.worse, bars.same) == (1, 1, 1)
    up, down = bars.bars
    assert up.y + up.height == pytest.approx(50)
    assert (down.y, down.height, down.series) == (50, 25, "worse")
    curve = threshold_curve(words, "test")
    assert curve.mark == 50
    assert curve.lines["abstained"][-1] == Point(20, 100.0, 0.0)
    assert len(curve.segments("recall")) == 20
    held = reliability_curve(hybrid, "test").lines["held"]
    assert [point.x for point in held] == pytest.approx([70, 80, 90])
    scale, times = latency_spans(sides, "test")
    assert times[0].value == 2
    assert scale.top >= times[0].bounds[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
async def test_the_page_is_read_without_barriers(
    browser: Browser, run: Run, tmp_path: Path, scheme: str, width: int
) -> None:
    (tmp_path / "report.html").write_text(run_report(run), "utf-8")
    context = await browser.new_context(
        color_scheme=scheme,  # type: ignore[arg-type] # one of those it knows
        viewport={"width": width, "height": 900},
    )
    page = await context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))

    await page.goto((tmp_path / "report.html").as_uri())

    assert await page.evaluate("document.documentElement.scrollWidth") == width
    await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert await page.evaluate("document.documentElement.scrollWidth") == width
    assert said == []
    assert len(asked) == 1
    await axe(page)
    await context.close()
