"""The gate: what the search was worth when its figures were last taken, and from which sources.

`scripts/evaluate` makes the report of docs/evaluation from stored runs:
`python -m staffroom.evaluation.gate FOLDER RUN…`. A test holds the sources against it, and it
against the bars and the report before it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypedDict

import staffroom.evaluation
from staffroom.errors import InputError, UnreadableFile
from staffroom.evaluation.comparison import FIRST_MEASURE, compare
from staffroom.evaluation.figures import evaluation
from staffroom.evaluation.report import sides_of
from staffroom.evaluation.runs import MODES, Run, read_run

SOURCE: Final = Path(staffroom.evaluation.__file__).parent.parent

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "retrieval": ("retrieval/*", "scenario.py"),
    "search": (
        "database/search.py",
        "database/queries/search.sql",
        "database/queries/words.sql",
        "database/migrations/*words*.sql",
    ),
    "answers": ("ai/prompt.py", "ai/grounding.py", "ai/support.py", "ai/support.json"),
    "golden": ("evaluation/golden/*",),
    "starter": ("content/starter/*",),
    "embedding": ("embedding/*",),
}
"""What figures depend on, by what it is called, as patterns of files of the package."""

FIGURES: Final = ("recall@5", "precision_at_threshold", "recall_at_threshold", "abstained")
"""Details that are figures of a report, beside the measures."""

START, END = "<!-- figures -->", "<!-- end of figures -->"
"""Around the table of the README."""

Figures = dict[str, float]
"""By `data set/split/mode/measure`."""


class Report(TypedDict):
    """docs/evaluation/report.json. `sources` has a digest for each part; `digest` is that of all.

    `milliseconds` depend on the machine, and are held against nothing.
    """

    made: str
    version: str
    commit: str
    model: str
    digest: str
    sources: dict[str, str]
    figures: Figures
    differences: dict[str, dict[str, float]]
    milliseconds: dict[str, dict[str, float]]
    sizes: dict[str, dict[str, int]]


class Bar(TypedDict):
    """The least that a figure may be, less a tolerance, which is also the most that it may fall
    from one report to the next."""

    least: float
    tolerance: float
    why: str


@dataclass(frozen=True, slots=True)
class Paths:
    """The files of docs/evaluation."""

    folder: Path

    @property
    def report(self) -> Path:
        return self.folder / "report.json"

    @property
    def bars(self) -> Path:
        return self.folder / "bars.json"

    @property
    def history(self) -> Path:
        return self.folder / "history.jsonl"

    @property
    def readme(self) -> Path:
        return self.folder / "README.md"


def source_digests(source: Path = SOURCE) -> dict[str, str]:
    """A digest of each part's files: their names and what they hold."""
    digests = {}
    for part, patterns in PARTS.items():
        whole = sha256()
        files = {file for pattern in patterns for file in source.glob(pattern) if file.is_file()}
        for file in sorted(files):
            content = sha256(file.read_bytes()).hexdigest()
            whole.update(f"{file.relative_to(source).as_posix()} {content}\n".encode())
        digests[part] = whole.hexdigest()
    return digests


def whole_digest(sources: Mapping[str, str]) -> str:
    """One digest of all parts."""
    return sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()


def figures_of(run: Run) -> Figures:
    """The figures of a run, of each split and mode."""
    shown = evaluation(run)
    figures: Figures = {}
    for split, part in (shown.get("parts") or {shown["split"]: {**shown}}).items():
        for mode, details in part["details"].items():
            values = {**part[mode], **{name: details[name] for name in FIGURES}}
            values |= part.get("polarity", {}).get(mode, {})
            values.pop("pairs", None)
            for name, value in values.items():
                if value is not None:
                    figures[f"{run.data_set}/{split}/{mode}/{name}"] = round(value, 4)
    return figures


def make_report(runs: Sequence[Run], commit: str = "") -> Report:
    """What the runs come to, now. Raises: InputError if there are none, or they do not fit."""
    if len(models := {run.model for run in runs}) != 1:
        raise InputError(f"a report is about one model, not {len(models)}. Give runs of one.")
    sources = source_digests()
    report = Report(
        made=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        version=version("staffroom"),
        commit=commit,
        model=models.pop(),
        digest=whole_digest(sources),
        sources=sources,
        figures={},
        differences={},
        milliseconds={},
        sizes={},
    )
    for run in runs:
        report["figures"] |= figures_of(run)
        report["differences"] |= _differences(run)
        shown = evaluation(run)
        name = f"{run.data_set}/{shown['split']}"
        report["milliseconds"] |= {
            f"{name}/{mode}": {
                "p50": each["milliseconds"]["p50"],
                "p95": each["milliseconds"]["p95"],
            }
            for mode, each in shown["details"].items()
        }
        for split in run.splits:
            report["sizes"][f"{run.data_set}/{split}"] = {
                "documents": run.documents, "questions": len(run.of_split(split))
            }  # fmt: skip
    return report


def failures(report: Report, bars: Mapping[str, Bar]) -> list[str]:
    """Which figures of a report are below their bars, or missing."""
    found = []
    for name, bar in bars.items():
        value = report["figures"].get(name)
        if value is None:
            found.append(f"the report has no figure {name}; give its data set to scripts/evaluate")
        elif _is_less(value, bar["least"] - bar["tolerance"]):
            found.append(
                f"{name} is {value}, below {bar['least']} less its tolerance {bar['tolerance']}"
            )
    return found


def fallen(now: Figures, before: Figures, bars: Mapping[str, Bar]) -> list[str]:
    """Which figures fell by more than their tolerance."""
    return [
        f"{name} fell from {before[name]} to {now[name]}, by more than {bar['tolerance']}"
        for name, bar in bars.items()
        if name in now and name in before and _is_less(now[name], before[name] - bar["tolerance"])
    ]


def _is_less(value: float, least: float) -> bool:
    """Not by rounding alone: .14 less .02 is a little above .12."""
    return value < least - 1e-9


def stale(report: Report, source: Path = SOURCE) -> list[str]:
    """Which parts of the sources are not those that the report was made from."""
    now = source_digests(source)
    return [part for part in now if report["sources"].get(part) != now[part]]


def read_history(path: Path) -> list[dict[str, Any]]:
    """Digest and figures of every report, the oldest first."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def figures_table(report: Report) -> str:
    """The measures as a table in Markdown, and how sure their differences are."""
    names = ("ndcg@10", "recall@5", "recall@100", "mrr@10", "precision_at_threshold")
    lines = [
        "| Questions | Search | nDCG@10 | recall@5 | recall@100 | MRR@10 | right above threshold |",
        "|---|---|---|---|---|---|---|",
    ]
    for data_set in report["sizes"]:
        for mode in MODES:
            figures = report["figures"]
            values = [figures.get(f"{data_set}/{mode}/{name}") for name in names]
            if any(value is not None for value in values):
                cells = ["-" if value is None else f"{value:.3f}" for value in values]
                lines.append(f"| {data_set} | {mode} | {' | '.join(cells)} |")
    if report["differences"]:
        lines += [
            "",
            "| Difference of nDCG@10 | | p | wins | losses | ties |",
            "|---|---|---|---|---|---|",
        ]
    for name, each in report["differences"].items():
        counts = " | ".join(str(int(each[key])) for key in ("wins", "losses", "ties"))
        lines.append(f"| {name} | {each['difference']:+.3f} | {each['p']:.4f} | {counts} |")
    return "\n".join(lines) + "\n"


def with_table(readme: str, report: Report) -> str:
    """The page with the report's table between its marks."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{figures_table(report)}{END}{after}"


def publish(report: Report, folder: Path) -> None:
    """The report, its line of history and the page's table are in the folder.

    A report from the same sources takes the place of its own line: making it again until chance
    is kind moves nothing.
    """
    paths = Paths(folder)
    history = read_history(paths.history)
    if history and history[-1]["digest"] == report["digest"]:
        history.pop()
    history.append({key: report[key] for key in ("made", "digest", "figures")})
    paths.report.write_text(_json(report), "utf-8")
    paths.history.write_text("".join(json.dumps(line) + "\n" for line in history), "utf-8")
    if paths.readme.is_file():
        text = paths.readme.read_text("utf-8")
        paths.readme.write_text(with_table(text, report), "utf-8")


def read_bars(path: Path) -> dict[str, Bar]:
    """The bars, by figure. Raises: UnreadableFile."""
    try:
        bars: dict[str, Bar] = json.loads(path.read_text("utf-8"))["figures"]
    except (OSError, ValueError, KeyError) as error:
        raise UnreadableFile(f"{path} holds no bars: {error}. Bring it back.") from error
    return bars


def _differences(run: Run) -> dict[str, dict[str, float]]:
    differences = {}
    sides = sides_of(run)
    for split in run.splits:
        for other in sides[1:]:
            row = compare(other, sides[0], split)["measures"][FIRST_MEASURE]
            differences[f"{run.data_set}/{split}/{sides[0].label}-{other.label}"] = {
                "difference": round(row["difference"], 4),
                "p": round(row["p"], 4),
                "wins": row["wins"],
                "losses": row["losses"],
                "ties": row["ties"],
            }
    return differences


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> Iterable[str]:
    """The report of the runs is in the folder that comes before them, after a commit's name.

    Returns what the gate will say of it.
    """
    commit, folder, *files = arguments
    report = make_report([read_run(Path(file)) for file in files], commit)
    paths = Paths(Path(folder))
    publish(report, paths.folder)
    bars = read_bars(paths.bars)
    history = read_history(paths.history)
    before = history[-2]["figures"] if len(history) > 1 else {}
    return [*failures(report, bars), *fallen(report["figures"], before, bars)]
