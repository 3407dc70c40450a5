"""Measurements become a page and drawings that are well-formed and say what was measured."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from staffroom.cli.bench_report import _told, report
from staffroom.errors import UnreadableFile
from staffroom.evaluation.benchmark_report import Bar, bar_chart, recorded

ROWS = [
    {"what": "one <question>", "ours": 2.0, "theirs": 14.0, "unit": "ms", "ratio": 7.0,
     "spread": [6.0, 8.0]},
    {"what": "recall@10", "ours": 0.99, "theirs": None, "unit": "share", "ratio": None},
]  # fmt: skip
PEERS = {
    "bench": "peers", "data_set": "small", "documents": 5, "questions": 2, "clients": 16,
    "rows": [
        {"name": "Staffroom", "versions": {}, "figures": {"import": {"value": 40, "ratio": None}}},
        {"name": "Other", "versions": {}, "failed": "clients: ended",
         "figures": {"import": {"value": 10, "ratio": 4.0, "spread": [3, 5]}}},
    ],
}  # fmt: skip
SCALE = {
    "bench": "scale", "dimensions": 384, "questions": 40, "memory_mb": 400.0,
    "sizes": [
        {"rows": rows, "stored_per_s": 1234.5, "build_s": 2.0, "index_mb": 10.0, "half": 0.998,
         "searches": [{"what": "by meaning, one in 50", "p50_ms": rows / 500, "p95_ms": 30.0,
                       "recall": 0.9951, "ef_search": 200}],
         "kinds": [{"index": "halfvec", "build_s": 2.0, "megabytes": 10.0, "ef_search": 200,
                    "recall": 0.9951, "p50_ms": 2.0}]}
        for rows in (1_000, 10_000)
    ],
}  # fmt: skip


def test_a_bar_is_as_long_as_its_value() -> None:
    drawing = ElementTree.fromstring(
        bar_chart("a & b", [Bar("x", 1, "1"), Bar("y", 2, "2", (1, 2), is_own=True)], even=True)
    )
    bars = [each for each in drawing.iter() if each.get("class") in {"bar", "own"}]

    assert float(bars[1].get("width") or 0) == pytest.approx(2 * float(bars[0].get("width") or 0))
    assert sum(each.get("class") == "even" for each in drawing.iter()) == 1
    assert "prefers-color-scheme:dark" in "".join(drawing.itertext())


def test_kept_measurements_become_a_page_with_plots(tmp_path: Path) -> None:
    for name, result in (("search", ROWS), ("peers", PEERS), ("scale", SCALE)):
        kept = recorded(f"staffroom bench {name}", "2026-11-23", result)
        (tmp_path / f"{name}.json").write_text(json.dumps(kept))

    files = [tmp_path / f"{name}.json" for name in ("search", "peers", "scale")]
    report(files, tmp_path / "benchmarks")

    page = (tmp_path / "benchmarks.md").read_text()
    for words in (
        "staffroom bench peers",
        "2026-11-23",
        " cores, ",
        "onnxruntime ",
        "| one <question> | 2.000 | 14.000 | ms | 7.000 |",
        "10 (4.0, 3.0 to 5.0)",
        "Other failed at clients: ended",
        "(benchmarks/search-ratios.svg)",
        "| 10,000 | by meaning, one in 50 | 20.00 | 30.00 | 0.995 | 200 |",
        "| 1,000 | 1,234 | 2.0 | 10 | 0.998 |",
    ):
        assert words in page
    assert {file.name for file in (tmp_path / "benchmarks").iterdir()} == {
        "search-ratios.svg",
        "peers-import.svg",
        "scale-by-meaning-one-in-50-p50.svg",
        "scale-by-meaning-one-in-50-recall.svg",
    }


def test_where_environments_lie_is_not_told() -> None:
    assert _told(["peers", "DIR", "--environments", "/home/me", "--json"]) == [
        "peers",
        "DIR",
        "--json",
    ]
    assert _told(["embed"]) == ["embed"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "no"])
def test_a_file_that_is_no_measurement_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "odd.json"
    file.write_text(text)
    with pytest.raises(UnreadableFile, match=r"odd.json is no measurement"):
        report([file], tmp_path / "benchmarks")
