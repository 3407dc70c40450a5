"""`eval search`: rankings are measured, compared, kept and shown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from staffroom.app import App
from staffroom.cli.output import out, print_json, progress_bars
from staffroom.cli.run import with_app
from staffroom.errors import InputError
from staffroom.evaluation.beir import DataSet, read_data_set
from staffroom.evaluation.comparison import Comparison, Side, compare, named_mode, stored_side
from staffroom.evaluation.evaluate import evaluate
from staffroom.evaluation.figures import evaluation
from staffroom.evaluation.golden_search import GOLDEN, golden_data_set
from staffroom.evaluation.report import comparison_report, run_report
from staffroom.evaluation.runs import MODES, Run, check_writable, write_run, write_text
from staffroom.types import Mode

SHOWN_CHANGES = 5


def measure_rankings(
    folder: str,
    split: str | None,
    modes: Sequence[str],
    kept: Path | None,
    page: Path | None,
    *,
    json: bool,
) -> None:
    """A data set was asked in the modes, or in all; the figures are shown."""
    _check_paths(kept, page)
    chosen = [_mode(name) for name in modes] or MODES
    run = _run(_data_set(folder, split), chosen)
    if kept:
        write_run(run, kept)
    if page:
        write_text(page, run_report(run), "--report")
    if json:
        print_json(evaluation(run))
    else:
        _print_evaluation(evaluation(run))


def compare_rankings(
    names: tuple[str, str],
    folder: str | None,
    split: str | None,
    kept: Path | None,
    page: Path | None,
    *,
    json: bool,
) -> None:
    """Two modes or stored runs were compared; what differs is shown."""
    _check_paths(kept, page)
    asked = [mode for mode in map(named_mode, names) if mode]
    _check_folder(names, asked, folder, kept)
    stored = {name: stored_side(name) for name in names if not named_mode(name)}
    run = _run(_data_set(folder, split), asked) if folder and asked else None
    if run and kept:
        write_run(run, kept)
    a, b = (stored.get(name) or _mode_side(name, run) for name in names)
    comparison = compare(a, b, split)
    if page:
        write_text(page, comparison_report(a, b, comparison), "--report")
    if json:
        print_json(comparison)
    else:
        _print_comparison(comparison)


def _check_paths(kept: Path | None, page: Path | None) -> None:
    for path, option in ((kept, "--out"), (page, "--report")):
        if path:
            check_writable(path, option)


def _check_folder(
    names: tuple[str, str], asked: Sequence[Mode], folder: str | None, kept: Path | None
) -> None:
    both = " and ".join(names)
    if asked and folder is None:
        raise InputError(
            f"{asked[0]} is a mode, and no data set is named to compare it on. "
            "Write `staffroom eval DIR --compare A B`, or name two stored runs."
        )
    if not asked and folder is not None:
        raise InputError(
            f"{both} are stored runs, which bring their questions along. Leave {folder} out, or "
            f"name a mode ({', '.join(MODES)})."
        )
    if not asked and kept:
        raise InputError(f"{both} are stored already. Leave --out away, or name a mode.")


def _data_set(folder: str, split: str | None) -> DataSet:
    return golden_data_set(split) if folder == GOLDEN else read_data_set(Path(folder), split)


def _run(data_set: DataSet, modes: Sequence[Mode]) -> Run:
    async def work(app: App) -> Run:
        with progress_bars() as progress:
            return await evaluate(
                data_set, app.database, app.vector_ops, app.cache, modes, progress
            )

    return with_app(work)


def _mode(name: str) -> Mode:
    mode = named_mode(name)
    if mode is None:
        raise InputError(f"there is no mode {name!r}. Choose one of: {', '.join(MODES)}.")
    return mode


def _mode_side(name: str, run: Run | None) -> Side:
    assert run is not None
    return Side(name, run, _mode(name))


def _print_evaluation(shown: Mapping[str, Any]) -> None:
    for part in shown.get("parts", {"": shown}).values():
        out.print(
            f"{part['data_set']} ({part['split']}): {part['documents']} documents, "
            f"{part['queries']} questions"
        )
        modes = [mode for mode in MODES if mode in part]
        table = Table("", *modes, box=None, header_style="bold")
        for name in part[modes[0]]:
            table.add_row(name, *(f"{part[mode][name]:.4f}" for mode in modes))
        details = [part["details"][mode] for mode in modes]
        for name in details[0]:
            if name != "milliseconds":
                table.add_row(name.replace("_", " "), *(_shown(each[name]) for each in details))
        for name in ("fits_first", "opposite_not_first") if "polarity" in part else ():
            shares = [part["polarity"][mode][name] for mode in modes]
            table.add_row(name.replace("_", " "), *(f"{share:.4f}" for share in shares))
        for name in ("p50", "p95"):
            times = [each["milliseconds"][name] for each in details]
            table.add_row(f"milliseconds {name}", *(f"{time:.1f}" for time in times))
        out.print(table)


def _print_comparison(shown: Comparison) -> None:
    out.print(f"{shown['data_set']} ({shown['split']}): {shown['queries']} questions")
    labels = []
    for letter, label in (("A", shown["a"]), ("B", shown["b"])):
        labels.append(label if named_mode(label) else letter)
        if labels[-1] != label:
            out.print(Text(f"{letter}: {label}"))
    headings = ("", *labels, "difference", "p", "wins", "losses", "ties")
    table = Table(*map(escape, headings), box=None, header_style="bold")
    for name, row in shown["measures"].items():
        table.add_row(
            name,
            f"{row['a']:.4f}",
            f"{row['b']:.4f}",
            f"{row['difference']:+.4f}",
            f"{row['p']:.4f}",
            *(str(row[each]) for each in ("wins", "losses", "ties")),
        )
    out.print(table)
    for changed in shown["changed"][:SHOWN_CHANGES]:
        out.print(Text(f"{changed['difference']:+.3f}  {changed['question']}"))
        for right in changed["relevant"]:
            ranks = f"rank {right['rank_a'] or '-'} before, {right['rank_b'] or '-'} after"
            out.print(Text(f"        {right['id']}: {ranks}"))


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
