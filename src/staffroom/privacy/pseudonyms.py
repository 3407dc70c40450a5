"""Names, addresses and numbers in texts are replaced by rules. Pure.

The rules know how people are named in sentences, not the names of the world. They find most
names that are written with a capital and stand where names stand; they miss names in lower case,
in scripts without capitals, and at the beginning of a sentence that does not go on like one about
a person. They also take some other words for names. **Nobody may rely on their being complete**:
whoever passes texts on has to read them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Literal

from staffroom.privacy.words import (
    AFTER_NAMES,
    NAMED,
    NOT_NAMES,
    PARTICLES,
    PEOPLE,
    PUPILS,
    TITLES,
)

_MAIL: Final = re.compile(r"[^\s<>()\[\],;:\"'@]{1,64}@[^\s<>()\[\],;:\"'@]{1,250}\.[^\W\d_]{2,}")
_LINK: Final = re.compile(r"(?:https?://|www\.)[^\s<>\"']+[^\s<>\"'.,;:!?)\]]", re.IGNORECASE)
_HANDLE: Final = re.compile(r"(?<![\w@])@\w[\w.]*\w")
_PHONE: Final = re.compile(r"(?<![\w.])(?:\+|\()?\d(?:[ \t().\-/\u2010-\u2013]{0,2}\d){6,16}(?!\w)")
_YEARS: Final = re.compile(r"\d{4}[-/\u2013]\d{2,4}")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019\-][^\W\d_]+)*")
_POSSESSIVE: Final = re.compile(r"['\u2019](?:s|S)?$")
_BEGINS: Final = re.compile(
    r"(?:^|[.!?:\u2026\u00bf\u00a1\n\"\u201c\u201d(])[\s*\-\u2022\"\u201c(]*$"
)
_GAP: Final = re.compile(r"[ \t]+|, ?")
_JOINED: Final = re.compile(r"[ \t]+|\.[ \t]+")

ACRONYM: Final = 4
"""Letters of a word in capitals that is more likely an abbreviation than a name."""

Kind = Literal["Pupil", "Person"]


def pseudonymised(told: Sequence[str], said: Sequence[str] = ()) -> list[str]:
    """The texts of one exchange, with Pupil A and Person B for whoever people told of in them.

    One name is one person in all of the texts; what was said in answer adds no names of its own.
    Mail addresses, links and phone numbers become [mail], [link] and [phone].
    """
    bare = list(map(_without_addresses, [*told, *said]))
    people = _People()
    for text in bare[: len(told)]:
        people.learn(text)
    return list(map(people.replace, bare))


def _without_addresses(text: str) -> str:
    text = _LINK.sub("[link]", _MAIL.sub("[mail]", text))
    text = _HANDLE.sub("[link]", text)
    return _PHONE.sub(lambda found: found[0] if _YEARS.fullmatch(found[0]) else "[phone]", text)


@dataclass(frozen=True, slots=True)
class _Word:
    """A word and what stands before it."""

    text: str
    start: int
    end: int
    gap: str
    begins: bool

    @property
    def plain(self) -> str:
        return self.text.casefold().replace("\u2019", "'")

    @property
    def name(self) -> str:
        """Without the ending of a possessive."""
        return _POSSESSIVE.sub("", self.text)

    @property
    def is_name_like(self) -> bool:
        """It is written as a name, and is no other word that is written so."""
        name = self.name
        particle, _, rest = name.partition("-")
        if particle in PARTICLES:
            name = rest
        if not name[:1].isupper() or name.casefold() in NOT_NAMES or self.plain in NOT_NAMES:
            return False
        return len(name) > 1 and not (name.isupper() and len(name) <= ACRONYM)


@dataclass(slots=True)
class _People:
    """Who is named in texts that belong together, each with a pseudonym."""

    known: dict[str, str] = field(default_factory=dict)
    lower: set[str] = field(default_factory=set)
    letters: Iterator[str] = field(default_factory=lambda: map(_letters, count()))

    def learn(self, text: str) -> None:
        """Whom the text names has a pseudonym."""
        words = _words(text)
        number = 0
        while number < len(words):
            kind = _kind(words, number)
            size = _size(words, number) if kind else 1
            if kind:
                self._add(kind, [word.name for word in words[number : number + size]])
            number += size

    def replace(self, text: str) -> str:
        """The text with pseudonyms for all who are known."""
        words = _words(text)
        pieces: list[str] = []
        done = number = 0
        while number < len(words):
            size, pseudonym = self._find(words, number)
            if pseudonym:
                last = words[number + size - 1]
                pieces += [text[done : words[number].start], pseudonym, last.text[len(last.name) :]]
                done = last.end
            number += size
        return "".join([*pieces, text[done:]])

    def _add(self, kind: Kind, names: Sequence[str]) -> None:
        whole = " ".join(names).casefold()
        parts = [name.casefold() for name in names if name.casefold() not in PARTICLES]
        titled = parts[0] in TITLES
        pseudonym = self.known.get(whole)
        if pseudonym is None and not titled:
            pseudonym = next((self.known[part] for part in parts if part in self.known), None)
        pseudonym = pseudonym or f"{kind} {next(self.letters)}"
        self.known[whole] = pseudonym
        if names[0].islower():
            self.lower.add(whole)
        for part in parts[titled:]:
            self.known.setdefault(part, pseudonym)

    def _find(self, words: Sequence[_Word], number: int) -> tuple[int, str]:
        """How many words name someone here, and the pseudonym; one word and none if they do not."""
        longest = _size(words, number)
        for size in range(longest, 0, -1):
            named = words[number : number + size]
            whole = " ".join(word.name for word in named).casefold()
            written = any(word.name[:1].isupper() for word in named) or whole in self.lower
            if written and whole in self.known:
                return size, self.known[whole]
        return 1, ""


def _words(text: str) -> list[_Word]:
    words: list[_Word] = []
    end = 0
    for found in _WORD.finditer(text):
        gap = text[end : found.start()]
        begins = bool(_BEGINS.search(text[max(0, found.start() - 20) : found.start()]))
        words.append(_Word(found[0], *found.span(), gap, begins and not _is_title(words, gap)))
        end = found.end()
    return words


def _is_title(words: Sequence[_Word], gap: str) -> bool:
    """The point before belongs to "Mr." and the like, and ends no sentence."""
    return bool(words) and words[-1].plain in TITLES and gap.startswith(".")


def _kind(words: Sequence[_Word], number: int) -> Kind | None:
    """Whom the words name that begin here, if they name someone."""
    word = words[number]
    if word.plain in TITLES and word.text[:1].isupper():
        return "Person" if _size(words, number) > 1 else None
    before = words[number - 1].plain if number and _GAP.fullmatch(word.gap) else ""
    if before in NAMED and _names_someone(words, number - 1):
        told = word.text[:1].isupper() or word.plain not in NOT_NAMES
        return "Pupil" if told else None
    if not word.is_name_like:
        return None
    if before in PUPILS:
        return "Pupil"
    stands = not word.begins or before in PEOPLE or word.text != word.name
    return "Person" if stands or _goes_on(words, number + 1) else None


def _names_someone(words: Sequence[_Word], number: int) -> bool:
    """After a person, "called" and the like tell a name; in "she called home" they do not."""
    before = words[number - 1].plain if number else ""
    return words[number].plain in {"named", "llamado", "llamada"} or before in (
        PUPILS | PEOPLE | {"is", "was", "name", "se", "year"}
    )


def _goes_on(words: Sequence[_Word], number: int) -> bool:
    """The sentence goes on as one about a person does, or with the rest of a name."""
    if number == len(words) or words[number - 1].plain.endswith("ing"):
        return False
    word = words[number]
    if not _JOINED.fullmatch(word.gap):
        if word.gap.strip() != "," or words[number - 1].plain.endswith("ly"):
            return False
        return word.is_name_like or word.plain in {"a", "who", "my", "our", "one", "aged"}
    if word.plain == "and":
        return number + 1 < len(words) and words[number + 1].is_name_like
    return word.is_name_like or word.plain in AFTER_NAMES


def _size(words: Sequence[_Word], number: int) -> int:
    """How many words belong to the name that begins here."""
    size = 1
    while number + size < len(words) and words[number + size - 1].text == (
        words[number + size - 1].name
    ):
        end = number + size
        while end < len(words) and words[end].plain in PARTICLES and words[end].gap.isspace():
            end += 1
        if end == len(words) or not words[end].is_name_like or not _joins(words, number, end):
            break
        size = end + 1 - number
    return size


def _joins(words: Sequence[_Word], number: int, end: int) -> bool:
    """Between the name's beginning and this word there is nothing but space, or a title's point."""
    gap = words[end].gap
    return gap.isspace() or (
        end == number + 1 and words[number].plain in TITLES and bool(_JOINED.fullmatch(gap))
    )


def _letters(number: int) -> str:
    """A to Z, then AA, AB and so on."""
    letters = ""
    while number >= 0:
        letters = chr(ord("A") + number % 26) + letters
        number = number // 26 - 1
    return letters
