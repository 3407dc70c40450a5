"""`eval` and `bench`: how good and how fast, in figures."""

from pathlib import Path
from typing import Annotated

import typer

from staffroom.app import App
from staffroom.cli.output import JsonOption, out, print_json
from staffroom.cli.run import with_app
from staffroom.evaluation.beir import read_data_set
from staffroom.evaluation.evaluate import Evaluation, evaluate
from staffroom.types import ProgressListener

measure = typer.Typer()


@measure.command("eval")
def eval_(
    folder: Annotated[Path, typer.Argument(help="A data set in BEIR layout.")],
    split: Annotated[str | None, typer.Option(help="The judgements to use.")] = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Measure the search on a data set, in a scratch tenant that is erased afterwards."""
    data_set = read_data_set(folder, split)

    async def work(app: App, progress: ProgressListener) -> Evaluation:
        return await evaluate(data_set, app.database, app.vector_ops, progress)

    result = with_app(work)
    if json:
        print_json(result)
        return
    out.print(f"{result['documents']} documents, {result['queries']} questions")
    for name, value in result["meaning"].items():
        out.print(f"meaning  {name:<12}{value:.4f}")
