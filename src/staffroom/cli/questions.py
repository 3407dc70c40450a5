"""`ask` and `search`: what teachers do."""

import readline  # noqa: F401 - gives the prompt its line editing and history
import signal
import sys
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from staffroom.ai.llm_service import last_answer
from staffroom.app import App
from staffroom.cli.answers import print_answer, print_hanging
from staffroom.cli.output import JsonOption, out, print_error, print_json
from staffroom.cli.run import with_app
from staffroom.documents import answer_document, search_document
from staffroom.errors import InputError, UnavailableError
from staffroom.scenario_life import overdue_mark
from staffroom.text import shorten
from staffroom.types import Filters, Match, SearchResult

questions = typer.Typer()

EXAMPLES = (
    "How to handle classroom disruption?",
    "a pupil told me something worrying and asked me to keep it secret",
    "parent shouting at me at the gate",
)


class SearchMode(StrEnum):
    """How a search compares."""

    hybrid = "hybrid"
    meaning = "meaning"
    words = "words"


@questions.command()
def ask(
    text: Annotated[str | None, typer.Argument(help="The question. Without it, ask many.")] = None,
    limit: Annotated[int, typer.Option(help="Scenarios an answer may rest on.")] = 5,
    more: Annotated[bool, typer.Option("--more", help="Show all of the cited advice.")] = False,
    conversation: Annotated[
        UUID | None, typer.Option(help="The conversation that the question continues.")
    ] = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """Answer a question from the library, with the scenario behind every sentence."""

    async def work(app: App) -> None:
        if text is None:
            await _converse(app, limit, conversation, more=more)
        elif json:
            answer = await last_answer(app.ask(text, limit=limit, conversation_id=conversation))
            print_json(answer_document(answer))
        else:
            parts = app.ask(text, limit=limit, conversation_id=conversation)
            await print_answer(parts, more=more)

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
    mode: Annotated[
        SearchMode, typer.Option(help="By meaning, by words, or by both.")
    ] = SearchMode.hybrid,
    category: Annotated[list[str] | None, typer.Option(help="Only this category.")] = None,
    grade: Annotated[
        list[str] | None, typer.Option(help='Only this grade band; "Year 5" or "KS2" will do.')
    ] = None,
    json: Annotated[bool, JsonOption] = False,
) -> None:
    """List the scenarios that fit a question, best first."""
    filters = Filters(categories=tuple(category or ()), grade_bands=tuple(grade or ()))

    async def work(app: App) -> SearchResult:
        return await app.vector_ops.search(text, limit, threshold, filters, mode=mode.value)

    result = with_app(work)
    if json:
        print_json(search_document(result))
        return
    for match in result.matches:
        _print_match(match)
    if not result.matches:
        out.print(_why_none(result))
    if result.related:
        out.print("Perhaps related:")
    for match in result.related:
        _print_match(match)


def _why_none(result: SearchResult) -> str:
    match result.emptiness:
        case "no_words":
            return "No scenario has one of these words; --mode hybrid finds what means the same."
        case "nothing_there":
            return "The library has no published scenario that passes the filters."
        case _:
            best = f"{result.best_relevance:.2f}"
            return f"Nothing has relevance {result.threshold:.2f} or more; the best is {best}."


async def _converse(app: App, limit: int, conversation: UUID | None, *, more: bool) -> None:
    """Questions are answered one after another until an empty line or the end of input."""
    if sys.stdin.isatty():
        out.print("Ask about your classroom, for example:")
        for example in EXAMPLES:
            out.print(Text(f"  {example}", style="dim"))
        out.print("A further question may refer to the last one. An empty line ends.")
    while question := _read_line().strip():
        try:
            parts = app.ask(question, limit=limit, conversation_id=conversation)
            conversation = (await print_answer(parts, more=more)).conversation_id
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
    title.append(overdue_mark(content.metadata), style="yellow")
    out.print(title)
    print_hanging("      ", shorten(content.description, 200))
    out.print(Text(f"      {match.scenario.id}", style="dim"))
