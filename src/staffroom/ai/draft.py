"""An answer while it is being written: short, without repetition, with nothing urgent left out."""

from collections.abc import Iterator, Sequence, Set
from itertools import count, groupby
from typing import Final

from staffroom.ai.advice import evidence, is_urgent
from staffroom.ai.grounding import Checked
from staffroom.types import Match, Sentence

SHORT_STEPS: Final = 5
"""Steps of a short answer. The first five hold 85 % of the key steps, the first four 76 %."""

MINIMUM_SENTENCES: Final = 3
"""An answer with fewer is filled up with the vetted advice itself."""


class Draft:
    """The sentences so far. `said` are those of earlier answers, which are not repeated while
    the matches have anything else to say."""

    def __init__(self, matches: Sequence[Match], said: Set[str] = frozenset()) -> None:
        fresh = [match for match in matches if has_news(match, said)]
        self.matches = tuple(fresh or matches)
        self.is_complete = False
        self.is_degraded = False
        """A writer failed, so that the advice is quoted in place of what it would have said."""
        self._earlier = frozenset(said) if fresh else frozenset[str]()
        self._said = set(self._earlier)
        self._evidence = evidence(self.matches)
        self._only_warns = all(part.warns for part in self._evidence)
        self._checked: list[Checked] = []

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """The answer so far."""
        return tuple(checked.sentence for checked in self._checked)

    def add(self, checked: Checked) -> bool:
        """The sentence is part of the answer, unless it was said before or is a warning.

        Warnings follow under `more`, since what not to do is no step.
        """
        sentence = checked.sentence
        if self._evidence[checked.place].warns and not self._only_warns:
            return False
        if sentence.text in self._said:
            return False
        self._said.add(sentence.text)
        self._checked.append(checked)
        return True

    def is_miss(self, checked: Checked | None) -> bool:
        """The writer lost the thread: it invented something, or said the same again."""
        return checked is None or any(
            said.sentence.text == checked.sentence.text for said in self._checked
        )

    def is_full_for(self, checked: Checked | None) -> bool:
        """Another step would be one too many."""
        steps = self._steps()
        return (
            checked is not None
            and len(steps) >= SHORT_STEPS
            and _step(checked.sentence) not in steps
        )

    def add_urgent(self) -> Iterator[Sentence]:
        """What the cited scenarios say for the case of danger is part of the answer."""
        cited = self._cited()
        for place, part in enumerate(self._evidence):
            urgent = is_urgent(part.text) and part.match.scenario.id in cited
            if urgent and self.add(Checked(part.quoted(), place, "passed")):
                yield part.quoted()

    def put_in_order(self) -> None:
        """The sentences stand as in the advice."""
        self._checked.sort(key=lambda checked: checked.place)

    def more(self) -> Iterator[Sentence]:
        """What the cited scenarios say beyond the short answer."""
        cited = self._cited()
        shown = self._earlier | {checked.sentence.text for checked in self._checked}
        for part in self._evidence:
            if part.match.scenario.id in cited and part.text not in shown:
                yield part.quoted()

    @property
    def is_thin(self) -> bool:
        """The writer broke off, or what it said is too little."""
        if len(self._checked) < MINIMUM_SENTENCES:
            return True
        return not self.is_complete and len(self._steps()) < SHORT_STEPS

    @property
    def text(self) -> str:
        """The sentences as one text: a numbered list if they are steps."""
        return answer_text(self.sentences)

    def _steps(self) -> set[object]:
        return {_step(checked.sentence) for checked in self._checked}

    def _cited(self) -> set[object]:
        return {citation for sentence in self.sentences for citation in sentence.citations}


def has_news(match: Match, said: Set[str]) -> bool:
    """The match's advice has a step that was not said yet."""
    return any(part.text not in said for part in evidence([match]) if not part.warns)


def answer_text(sentences: Sequence[Sentence]) -> str:
    """The sentences as one text; those of one step stand together, several steps are numbered."""
    groups = [list(group) for _, group in groupby(sentences, key=_step)]
    lines = [" ".join(sentence.text for sentence in group) for group in groups]
    if len(lines) == 1 or all(sentence.step is None for sentence in sentences):
        return " ".join(lines)
    numbers = count(1)
    return "\n".join(
        line if group[0].step is None else f"{next(numbers)}. {line}"
        for group, line in zip(groups, lines, strict=True)
    )


def _step(sentence: Sentence) -> object:
    return (sentence.citations, sentence.step) if sentence.step is not None else sentence.text
