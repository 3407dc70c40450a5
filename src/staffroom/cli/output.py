"""How commands speak: results on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from staffroom.types import Progress, ProgressListener

out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)

JsonOption = typer.Option("--json", help="Print one JSON document.")


def print_json(document: Any) -> None:
    """The document is on standard output, unadorned."""
    json.dump(document, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")
    sys.stdout.flush()


def print_error(message: str) -> None:
    """The message is on standard error."""
    err.print(Text("Error: ", style="bold red") + Text(message))


class _Amount(ProgressColumn):
    """Bytes or rows, whichever the task counts."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = DownloadColumn()
        self._rows = MofNCompleteColumn()

    def render(self, task: Task) -> Text:
        column = self._bytes if task.fields.get("unit") == "bytes" else self._rows
        return column.render(task)


@contextmanager
def progress_bars() -> Iterator[ProgressListener]:
    """A listener that draws a bar for each task, on a terminal; elsewhere it stays silent."""
    bars = Bars(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        _Amount(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    tasks: dict[str, Any] = {}

    def listen(progress: Progress) -> None:
        if progress.task not in tasks:
            tasks[progress.task] = bars.add_task(progress.task, total=None, unit=progress.unit)
        bars.update(tasks[progress.task], completed=progress.done, total=progress.total)

    with bars:
        yield listen
