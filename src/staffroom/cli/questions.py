"""`ask` and `search`: what teachers do."""

import readline  # noqa: F401 - gives the prompt its line editing and history
import signal
import sys
from collections.abc import Sequence
from contextlib import aclosing
from enum import StrEnum
from typing import Annotated

import typer
from rich.padding import Padding
from rich.text import Text

from staffroom import flows
from staffroom.app import App
from staffroom.cli.output import JsonOption, out, print_error, print_json
from staffroom.cli.run import with_app
from staffroom.documents import answer_document, search_document
from staffroom.errors import InputError, UnavailableError
from staffroom.text import shorten
from staffroom.types import Answer, Filters, Match, SearchResult, Sentence

questions = typer.Typer()

EXAMPLES = (
    "How to handle classroom disruption?",
    "a pupil told me something worrying and asked me to keep it secret",
    "parent shouting at me at the gate",
)


class Mode(StrEnum):
    """How a search compares: by meaning."""

    meaning = "meaning"


@questions.command()
def ask(
    text: Annotated[str | None, typer.Argument(help="The question. Without it, ask many.")] = None,
    limit: Annotated[int, typer.Option(help="Scenarios an answer may rest on.")] = 5,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Answer a question from the library, with the scenario behind every sentence."""

    async def work(app: App) -> None:
        if text is None:
            await _converse(app, limit)
        elif json:
            answer = await _answer(app, text, limit)
            print_json(answer_document(answer))
        else:
            await _print_answer(app, text, limit)

    if json and text is None:
        raise InputError("--json answers one question; write it after the command.")
    with_app(work)


@questions.command()
def search(
    text: Annotated[str, typer.Argument(help="What to look for.")],
    limit: Annotated[int, typer.Option(help="Scenarios at most.")] = 5,
    threshold: Annotated[
        float | None, typer.Option(help="Least relevance, 0 to 1; 0 lets all pass.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="What is compared.")] = Mode.meaning,
    category: Annotated[list[str] | None, typer.Option(help="Only this category.")] = None,
    grade: Annotated[list[str] | None, typer.Option(help="Only this grade band.")] = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """List the scenarios that fit a question, best first."""
    filters = Filters(categories=tuple(category or ()), grade_bands=tuple(grade or ()))

    async def work(app: App) -> SearchResult:
        return await app.vector_ops.search(text, limit, threshold, filters)

    result = with_app(work)
    if json:
        print_json(search_document(result))
        return
    for match in result.matches:
        _print_match(match)
    if not result.matches:
        best = "none" if result.best_relevance is None else f"{result.best_relevance:.2f}"
        out.print(f"Nothing has relevance {result.threshold:.2f} or more; the best is {best}.")


async def _answer(app: App, text: str, limit: int) -> Answer:
    return await flows.process_teacher_query(
        text,
        embedder=app.cache,
        vector_ops=app.vector_ops,
        llm_service=app.llm_service,
        limit=limit,
    )


async def _print_answer(app: App, text: str, limit: int) -> None:
    """Sentences appear as they are ready, each with the numbers of its sources."""
    stream = flows.stream_teacher_query(
        text,
        embedder=app.cache,
        vector_ops=app.vector_ops,
        llm_service=app.llm_service,
        limit=limit,
    )
    found = SearchResult((), 0.0, None)
    async with aclosing(stream):
        async for part in stream:
            if isinstance(part, SearchResult):
                found = part
                out.print()
            elif isinstance(part, Sentence):
                _print_sentence(part, found.matches)
            else:
                _print_sources(part)


def _print_sentence(sentence: Sentence, matches: Sequence[Match]) -> None:
    numbers = [n for n, match in enumerate(matches, 1) if match.scenario.id in sentence.citations]
    marks = "".join(f" [{number}]" for number in numbers)
    out.print(Text.assemble(sentence.text, (marks, "cyan")))


def _print_sources(answer: Answer) -> None:
    if answer.abstained:
        out.print(answer.text)
    cited = {citation for sentence in answer.sentences for citation in sentence.citations}
    out.print()
    for number, match in enumerate(answer.matches, 1):
        style = "" if match.scenario.id in cited else "dim"
        line = f"[{number}] {match.scenario.name} (relevance {match.relevance:.2f})"
        out.print(Text(line, style=style))
    out.print(Text(f"Written by {answer.writer}, kept as {answer.interaction_id}", style="dim"))


async def _converse(app: App, limit: int) -> None:
    """Questions are answered one after another until an empty line or the end of input."""
    if sys.stdin.isatty():
        out.print("Ask about your classroom, for example:")
        for example in EXAMPLES:
            out.print(Text(f"  {example}", style="dim"))
        out.print("An empty line ends.")
    while question := _read_line().strip():
        try:
            await _print_answer(app, question, limit)
        except (InputError, UnavailableError) as error:
            print_error(str(error))


def _read_line() -> str:
    """The next question; nothing at the end of the input or after Ctrl-C.

    Waits in the main thread, since a thread that waits for a terminal cannot be stopped.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    # asyncio answers Ctrl-C by cancelling, which would be noticed after the next line only.
    patient = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input("\nYour question: ")
    except (EOFError, KeyboardInterrupt):
        return ""
    finally:
        signal.signal(signal.SIGINT, patient)


def _print_match(match: Match) -> None:
    content = match.scenario.content
    title = Text.assemble((f"{match.relevance:.2f}  ", "cyan"), (content.name, "bold"))
    title.append(f"  {content.metadata.category}", style="dim")
    out.print(title)
    out.print(Padding(shorten(content.description, 200), (0, 0, 0, 6)))
    out.print(Text(f"      {match.scenario.id}", style="dim"))
