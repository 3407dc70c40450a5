"""How an answer looks in a terminal: as it comes, step by step, with its sources."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from uuid import UUID

from rich.text import Text

from staffroom.ai.extractive import ExtractiveWriter
from staffroom.cli.output import out
from staffroom.scenario_life import overdue_mark
from staffroom.types import Answer, Match, SearchResult, Sentence, is_uncertain

_OUTCOMES = {
    "written": "Written by {writer}",
    "direct": "The advice for just this question, word for word",
    "quoted": "The vetted advice itself, because the writer failed or said too little",
    "abstained": "Not answered",
}
_READ_OUT = "The vetted advice itself"

LEAST_WIDTH = 20
"""Columns that text gets beside its margin, however narrow the terminal is."""


_UNCERTAIN = "This may be about another situation than yours: nothing in the library is very close."


async def print_answer(
    parts: AsyncGenerator[SearchResult | Sentence | Answer, None], *, more: bool = False
) -> Answer:
    """The sentences are printed as they are ready, then the sources. Returns the answer."""
    printer = _Printer()
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, SearchResult):
                printer.matches = part.matches
                out.print()
                if part.matches and is_uncertain(part.best_relevance):
                    print_hanging("", _UNCERTAIN, "yellow")
            elif isinstance(part, Sentence):
                printer.print(part)
            else:
                _print_end(part, printer, more=more)
                return part
    raise AssertionError("a stream ends with its answer")


class _Printer:
    """Prints sentences under the scenario and the step that they come from."""

    def __init__(self) -> None:
        self.matches: Sequence[Match] = ()
        self._cited: tuple[UUID, ...] = ()
        self._step: int | None = None
        self._steps = 0

    def print(self, sentence: Sentence) -> None:
        if sentence.citations != self._cited:
            self._cited, self._step = sentence.citations, None
            for number, match in enumerate(self.matches, 1):
                if match.scenario.id in sentence.citations:
                    print_hanging(f"[{number}] ", match.scenario.name, "bold cyan")
        lead = "   "
        if sentence.step is not None and sentence.step != self._step:
            self._step = sentence.step
            self._steps += 1
            lead = f"{self._steps:>2} "
        print_hanging(lead, sentence.text)


def print_hanging(lead: str, text: str, style: str = "") -> None:
    """The text is printed as it is, with what leads it in its margin and no space at a line's end.

    Markup in it is text, since teachers and editors wrote it.
    """
    width = max(LEAST_WIDTH, out.width - len(lead))
    for line in Text(text).wrap(out, width):
        out.print(Text((lead + line.plain).rstrip(), style), soft_wrap=True)
        lead = " " * len(lead)


def _print_end(answer: Answer, printer: _Printer, *, more: bool) -> None:
    beyond = len(answer.more)
    if answer.abstained:
        print_hanging("", answer.text)
    elif more and beyond:
        out.print(Text("More of the same advice", style="bold"))
        for sentence in answer.more:
            printer.print(sentence)
    elif beyond:
        sentences = "sentence" if beyond == 1 else "sentences"
        print_hanging("   ", f"{beyond} more {sentences} with --more", "dim")
    out.print()
    cited = {citation for sentence in answer.sentences for citation in sentence.citations}
    for number, match in enumerate(answer.matches, 1):
        style = "" if match.scenario.id in cited else "dim"
        print_hanging(f"[{number}] ", _named(match), style)
    if answer.related:
        print_hanging("", "Perhaps related:", "dim")
    for match in answer.related:
        print_hanging("    ", _named(match), "dim")
    print_hanging("", f"{_how(answer)}; kept as {answer.interaction_id}", "dim")


def _named(match: Match) -> str:
    mark = overdue_mark(match.scenario.content.metadata)
    return f"{match.scenario.name} (relevance {match.relevance:.2f}){mark}"


def _how(answer: Answer) -> str:
    if answer.outcome == "written" and answer.writer == ExtractiveWriter.name:
        return _READ_OUT
    return _OUTCOMES[answer.outcome].format(writer=answer.writer)
