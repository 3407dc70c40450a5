"""What changed between two forms of a scenario, as somebody reads it: word by word. Pure.

The time is bounded: an alignment that takes too many steps is tried with lines in place of words,
and in the end the old text stands before the new one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal

from staffroom.scenario import ALIASES, LISTS

Kind = Literal["same", "removed", "added"]
Pieces = list[tuple[Kind, str]]

STEPS: Final = 300_000
"""How long two texts are aligned: a tenth of a second, or two."""

CONTEXT: Final = 1
"""Unchanged lines that are shown before and after a change."""

SLIDES: Final = 200
"""Tokens by which a change may be moved to where it reads better."""

SENTENCE_ENDS: Final = frozenset(".!?…”’\"'")

LONG: Final = 360
"""Characters of unchanged text within a line that are shown; of more, the middle is left out."""

MOST_LINES: Final = 500
"""Lines of a difference that are shown; of more, how many there are is told."""

LEAST_SHARED: Final = 0.3
"""Texts that share less than this part of their words are shown one after the other."""

TEXTS: Final = frozenset(
    {"name", "description", "expected_response", "evidence_note", "worked_with"}
)

_TOKEN: Final = re.compile(r"\w+(?:['’-]\w+)*|\n|[^\S\n]+|.")
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line, and what became of it."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the difference. Without pieces it stands for `skipped` lines that did not change,
    or for `further` ones that are too many to show."""

    pieces: tuple[Piece, ...] = ()
    skipped: int = 0
    further: int = 0

    @property
    def is_changed(self) -> bool:
        return any(piece.kind != "same" for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What became of one field.

    A text has `lines`, a list has `removed` and `added` items (neither, if only their order is
    another), and anything else has what it was `before` and is `after`.
    """

    name: str
    kind: Literal["text", "list", "value"]
    lines: tuple[Line, ...] = ()
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    before: str = ""
    after: str = ""


def field_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    """The fields in which two rows of a scenario differ, in the order of an export."""
    return [
        _field_change(name, before[name], after[name])
        for name in ALIASES
        if name != "id" and before[name] != after[name]
    ]


def compare_texts(before: str, after: str, steps: int = STEPS) -> list[Line]:
    """The lines of both texts, those that changed with their pieces; long unchanged parts are
    left out."""
    for pattern in (_TOKEN, _LINE):
        pieces = _aligned(pattern.findall(before), pattern.findall(after), steps)
        if pieces is not None and _shared(pieces) >= LEAST_SHARED * max(len(before), len(after)):
            return _shortened(list(_lines(_readable(pieces))))
    return _shortened(list(_lines([("removed", before), ("added", after)])))


def _field_change(name: str, before: Any, after: Any) -> FieldChange:
    if name in TEXTS:
        return FieldChange(name, "text", lines=tuple(compare_texts(before, after)))
    if name in LISTS:
        return FieldChange(
            name,
            "list",
            removed=tuple(item for item in before if item not in after),
            added=tuple(item for item in after if item not in before),
        )
    return FieldChange(name, "value", before=before, after=after)


def _shared(pieces: Pieces) -> int:
    return sum(len(text) for kind, text in pieces if kind == "same")


def _aligned(before: Sequence[str], after: Sequence[str], steps: int) -> Pieces | None:
    """The tokens of both with what became of each, runs of one kind joined; None if it would take
    more steps than that."""
    least = min(len(before), len(after))
    start = next((at for at in range(least) if before[at] != after[at]), least)
    end = next(
        (at for at in range(least - start) if before[-1 - at] != after[-1 - at]), least - start
    )
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    trace = _furthest(old, new, steps)
    if trace is None:
        return None
    marked: Pieces = [("same", token) for token in before[:start]]
    marked += reversed(list(_path(old, new, trace)))
    marked += [("same", token) for token in before[len(before) - end :]]
    runs = [
        (kind, [token for _, token in run])
        for kind, run in groupby(marked, key=lambda piece: piece[0])
    ]
    for (first, left), (kind, change), (last, right) in zip(runs, runs[1:], runs[2:], strict=False):
        if kind != "same" and first == last == "same":
            _slide(left, change, right)
    return [(kind, "".join(tokens)) for kind, tokens in runs]


def _slide(left: list[str], change: list[str], right: list[str]) -> None:
    """A change that could as well begin earlier or later is a line or a sentence, if it can be."""
    near, far = left[-SLIDES:], right[:SLIDES]
    window = [*near, *change, *far]
    begin, end = len(near), len(near) + len(change)
    back = next((n for n in range(begin) if window[begin - 1 - n] != window[end - 1 - n]), begin)
    on = next((n for n in range(len(far)) if window[begin + n] != window[end + n]), len(far))
    shift = max(
        range(-back, on + 1),
        key=lambda by: (_edges(window, begin + by, end + by), -abs(by)),
    )
    left[len(left) - len(near) :] = window[: begin + shift]
    right[: len(far)] = window[end + shift :]
    change[:] = window[begin + shift : end + shift]


def _edges(tokens: Sequence[str], begin: int, end: int) -> int:
    """How natural it is to cut there: at lines best, then at sentences, then at words."""
    before = tokens[begin - 1] if begin else "\n"
    if before == "\n":
        return 3 if end == len(tokens) or tokens[end - 1] == "\n" else 1
    if tokens[begin] == "\n" and end == len(tokens):
        return 3
    if before.isspace():
        return 2 if begin > 1 and tokens[begin - 2] in SENTENCE_ENDS else 1
    return 0


def _furthest(old: Sequence[str], new: Sequence[str], steps: int) -> list[list[int]] | None:
    """How far each diagonal gets with 0, 1, 2 … edits, until both ends are reached (Myers, 1986).

    The list for d edits has the diagonals -d to d, of which every other one counts.
    """
    front = [0]
    trace: list[list[int]] = []
    for edits in range(len(old) + len(new) + 1):
        reached = [0] * (2 * edits + 1)
        for diagonal in range(-edits, edits + 1, 2):
            x = _entry(front, edits, diagonal)
            begun = x
            while x < len(old) and 0 <= x - diagonal < len(new) and old[x] == new[x - diagonal]:
                x += 1
            steps -= 1 + x - begun
            reached[diagonal + edits] = x
            if x >= len(old) and x - diagonal >= len(new):
                return [*trace, reached]
        if steps < 0:
            return None
        trace.append(reached)
        front = reached
    return trace


def _entry(front: Sequence[int], edits: int, diagonal: int) -> int:
    """Where the diagonal is entered from the fronts of one edit less: by adding or removing."""
    if edits == 0:
        return 0
    by_adding = front[diagonal + edits] if diagonal + 1 < edits else -1
    by_removing = front[diagonal + edits - 2] + 1 if diagonal - 1 > -edits else -1
    return max(by_adding, by_removing)


def _path(
    old: Sequence[str], new: Sequence[str], trace: Sequence[Sequence[int]]
) -> Iterator[tuple[Kind, str]]:
    """The tokens on the way back from the end."""
    x, y = len(old), len(new)
    for edits in range(len(trace) - 1, -1, -1):
        diagonal = x - y
        entry = _entry(trace[edits - 1], edits, diagonal) if edits else 0
        while x > entry:
            x, y = x - 1, y - 1
            yield "same", old[x]
        if edits and _is_added(trace[edits - 1], edits, diagonal, entry):
            y -= 1
            yield "added", new[y]
        elif edits:
            x -= 1
            yield "removed", old[x]


def _is_added(front: Sequence[int], edits: int, diagonal: int, entry: int) -> bool:
    return diagonal + 1 < edits and front[diagonal + edits] == entry


def _readable(pieces: Pieces) -> Pieces:
    """Changes with no more than a word between them become one: nobody reads confetti.

    Of each change, what was removed stands before what was added.
    """
    joined: Pieces = []
    removed = added = between = ""
    for kind, text in pieces:
        if kind == "same" and (len(_WORD.findall(text)) > 1 or "\n" in text):
            joined += [*_change(removed, added), ("same", between + text)]
            removed = added = between = ""
        elif kind == "same":
            between += text
        elif removed or added:
            removed += between + (text if kind == "removed" else "")
            added += between + (text if kind == "added" else "")
            between = ""
        else:
            joined.append(("same", between))
            between = ""
            removed, added = (text, "") if kind == "removed" else ("", text)
    joined += [*_change(removed, added), ("same", between)]
    return [piece for piece in joined if piece[1]]


def _change(removed: str, added: str) -> Pieces:
    """What was removed before what was added; spaces at the end of both did not change."""
    spaces = min(len(text) - len(text.rstrip(" ")) for text in (removed, added))
    removed, added = (text[: len(text) - spaces] for text in (removed, added))
    return [("removed", removed), ("added", added), ("same", " " * spaces)]


def _lines(pieces: Pieces) -> Iterator[Line]:
    """The pieces line by line; where several lines are replaced, the new ones begin a line."""
    line: list[Piece] = []
    for number, (kind, text) in enumerate(pieces):
        before = pieces[number - 1] if number else ("same", "")
        if kind == "added" and before[0] == "removed" and "\n" in before[1] + text and line:
            yield Line(tuple(line))
            line = []
        first, *others = text.split("\n")
        if first:
            line.append(Piece(kind, first))
        for part in others:
            yield Line(tuple(line))
            line = [Piece(kind, part)] if part else []
    if line:
        yield Line(tuple(line))


def _shortened(lines: Sequence[Line]) -> list[Line]:
    """The lines around changes; the others as how many there are."""
    near = {
        other
        for number, line in enumerate(lines)
        if line.is_changed
        for other in range(number - CONTEXT, number + CONTEXT + 1)
    }
    shown = []
    for is_near, run in groupby(enumerate(lines), key=lambda entry: entry[0] in near):
        written = [line for _, line in run if line.pieces]
        if is_near or len(written) == 1:
            shown += [Line(tuple(map(_shortened_piece, line.pieces))) for line in written]
        elif written:
            shown.append(Line(skipped=len(written)))
    if len(shown) > MOST_LINES:
        shown[MOST_LINES:] = [Line(further=len(shown) - MOST_LINES)]
    return shown


def _shortened_piece(piece: Piece) -> Piece:
    if piece.kind != "same" or len(piece.text) <= LONG:
        return piece
    head, _, _ = piece.text[: LONG // 2].rpartition(" ")
    _, _, tail = piece.text[-LONG // 2 :].partition(" ")
    return Piece("same", f"{head} […] {tail}")
