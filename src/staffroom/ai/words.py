"""What the words of a sentence commit it to: negation, conditions, numbers, roles.

Pure, and made for English.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import Final

_WORD: Final = re.compile(r"\d+(?:[.,]\d+)*|[^\W_]+(?:['’-][^\W_]+)*")

NEGATIONS: Final = frozenset(
    """
    avoid cannot hardly neither never no nobody none nor not nothing refuse stop without
    """.split()  # noqa: SIM905 - one word beside the other reads better
)

GUARDS: Final = NEGATIONS | frozenset(
    """
    after alone always before both could either except first if instead last may might must
    often only or rather should sometimes unless until usually
    """.split()  # noqa: SIM905 - one word beside the other reads better
)
"""Words that turn a sentence: to lose or gain one is to say something else."""

CONNECTING: Final = frozenset(
    """
    a about also am an and are as at be been being by did do does for from had has have here
    in into is it its just of off on onto out over so such than that the then there these
    this those to too up very was were what when which while who whom whose will with would
    """.split()  # noqa: SIM905 - one word beside the other reads better
)
"""Words whose loss leaves the meaning as it was. Pronouns are not among them: who does what
to whom is the point of most advice."""

_STRONG: Final = frozenset(
    """
    all always certain certainly definitely every guarantee guaranteed must need needs never
    only proven required will
    """.split()  # noqa: SIM905 - one word beside the other reads better
)

_WEAK: Final = frozenset(
    """
    can consider could likely may maybe might often perhaps possibly some sometimes try
    usually
    """.split()  # noqa: SIM905 - one word beside the other reads better
)

_NUMBERS: Final = {
    "half": "0.5", "once": "1x", "twice": "2x", "one": "1", "two": "2", "three": "3", "four": "4",
    "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11",
    "twelve": "12", "fifteen": "15", "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50",
    "sixty": "60", "hundred": "100", "first": "1st", "second": "2nd", "third": "3rd",
}  # fmt: skip

_ROLES: Final = {
    word: role
    for role, words in {
        "pupil": "pupil pupils child children student students kid kids boy boys girl girls",
        "family": "parent parents mother father mum dad family families carer carers guardian",
        "teacher": "teacher teachers me i my",
        "colleague": "colleague colleagues assistant staff",
        "leader": "head principal headteacher leader",
        "specialist": "lead coordinator nurse counsellor doctor police psychologist",
    }.items()
    for word in words.split()
}

_OPPOSITES: Final = """
accept/refuse/reject add/remove agree/disagree alone/together allow/ban/forbid/prevent
aloud/silently always/never angrily/calmly angry/calm answer/ignore apart/together
approach/avoid ask/tell before/after begin/end/finish/stop beneficial/harmful benefit/harm
boy/girl close/open correct/wrong daily/weekly decrease/increase/rise/raise early/late
earlier/later easier/harder easy/hard enhance/impair/inhibit/reduce/suppress everyone/nobody
exclude/include father/mother fewer/more first/last gain/lose gently/firmly give/take
hidden/visible hide/show high/low higher/lower group/individual improve/impair/worsen
indoors/outdoors inhibit/activate/promote inside/outside keep/remove/discard large/small
leave/stay less/more let/prevent/stop likely/unlikely long/short loud/quiet loudly/quietly
louder/quieter lower/raise most/least near/far negative/positive oppose/support
praise/punish/blame presence/absence present/absent private/public privately/publicly
promote/prevent/block quickly/slowly reduce/increase/raise/enhance resistant/sensitive
right/wrong safe/unsafe/dangerous same/different shrink/grow sit/stand speak/listen
start/stop/end stronger/weaker strong/weak today/tomorrow morning/afternoon up/down whole/part
win/lose written/spoken with/without decline/growth
"""


class Wording:
    """A text seen as its words."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = words(text)

    @cached_property
    def telling(self) -> tuple[str, ...]:
        """The words that carry the meaning, in their order; guards are counted apart."""
        return tuple(t for t in self.tokens if t not in CONNECTING and not is_guard(t))

    @cached_property
    def stems(self) -> frozenset[str]:
        """Every word without its ending."""
        return frozenset(map(stem, self.tokens))

    @cached_property
    def telling_stems(self) -> tuple[str, ...]:
        return tuple(map(stem, self.telling))

    @cached_property
    def guards(self) -> Counter[str]:
        """How often each word stands here that turns a sentence."""
        return Counter(filter(is_guard, self.tokens))

    @cached_property
    def negations(self) -> int:
        return sum(is_negation(token) for token in self.tokens)

    @cached_property
    def numbers(self) -> frozenset[str]:
        return frozenset(_NUMBERS.get(t, t) for t in self.tokens if t in _NUMBERS or t[0].isdigit())

    @cached_property
    def roles(self) -> frozenset[str]:
        return frozenset(_ROLES[token] for token in self.tokens if token in _ROLES)

    @cached_property
    def strong(self) -> bool:
        return not _STRONG.isdisjoint(self.tokens)

    @cached_property
    def weak(self) -> bool:
        return not _WEAK.isdisjoint(self.tokens)

    def opposes(self, other: "Wording") -> int:
        """How many of its words the other lacks, having their opposite instead."""
        return sum(
            word not in other.stems and not OPPOSITES.get(word, frozenset()).isdisjoint(other.stems)
            for word in set(self.telling_stems) | {stem(t) for t in self.guards}
        )


def words(text: str) -> list[str]:
    """The words of a text in lower case, contractions and compounds whole."""
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


def is_negation(word: str) -> bool:
    """The word denies."""
    return word in NEGATIONS or word.endswith("n't")


def is_guard(word: str) -> bool:
    """The word turns a sentence, as GUARDS do."""
    return word in GUARDS or word.endswith("n't")


def stem(word: str) -> str:
    """The word without its ending: crude, but the same for what is compared."""
    for ending, replacement in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) + len(replacement) >= _LEAST_STEM:
            return word.removesuffix(ending) + replacement
    return word


_LEAST_STEM: Final = 3
_ENDINGS: Final = (
    ("ies", "y"), ("ations", "at"), ("ation", "at"), ("ings", ""), ("ing", ""), ("edly", ""),
    ("ed", ""), ("ness", ""), ("ment", ""), ("ly", ""), ("es", ""), ("s", ""), ("e", ""),
)  # fmt: skip


def _read_opposites(pairs: Iterable[str]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for pair in pairs:
        first, *others = map(stem, pair.split("/"))
        for other in others:
            found[first] = found.get(first, frozenset()) | {other}
            found[other] = found.get(other, frozenset()) | {first}
    return found


OPPOSITES: Final = _read_opposites(_OPPOSITES.split())
"""Stem to the stems of words that say the contrary."""
