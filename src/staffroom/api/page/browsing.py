"""What a reader of the library looks for, and the ways on from there: filters and addresses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import Query

from staffroom.api.schemas import MAX_FILTER_VALUES, Value
from staffroom.database.catalogue import Catalogue, FacetValue
from staffroom.types import STATUSES, Filters, Status

Kind = Literal["category", "grade_band", "subject", "status", "setting", "tag", "language"]

FACETS: Final[tuple[Kind, ...]] = ("category", "grade_band", "subject")
"""What is offered to filter by, the status apart."""

KINDS: Final[tuple[Kind, ...]] = (*FACETS, "setting", "tag", "language", "status")

GRADE_BANDS: Final = (
    "early-years",
    "lower-primary",
    "upper-primary",
    "lower-secondary",
    "upper-secondary",
    "post-16",
)
"""The bands that the starter library uses, youngest first; others follow."""

SHOWN_CHOICES: Final = 10
"""Choices of a facet that are shown at once; the others unfold."""

Values = Annotated[list[Value] | None, Query(max_length=MAX_FILTER_VALUES)]


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is set, and the address without it."""

    kind: Kind
    value: str
    address: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A value to filter by, and how many scenarios it would leave."""

    value: str
    count: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of one kind; `more` are the rarer ones."""

    kind: Kind
    shown: tuple[Choice, ...]
    more: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a reader looks for. Without a question it is everything within the filters."""

    question: str
    filters: Filters

    def values(self, kind: Kind) -> tuple[str, ...]:
        """What is filtered by, of that kind."""
        values: tuple[str, ...] = getattr(self.filters, _NAMES[kind])
        return values

    def without(self, kind: Kind, value: str | None = None) -> "Wish":
        """The same with one value less, or with none of that kind."""
        left = tuple(other for other in self.values(kind) if value not in {None, other})
        return replace(self, filters=replaced(self.filters, kind, left))

    @property
    def is_narrowed(self) -> bool:
        """Something other than the status is filtered by."""
        return self.filters != Filters(statuses=self.filters.statuses)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The parameters of its address."""
        question = [("q", self.question)] if self.question else []
        return question + [
            (kind, value)
            for kind in KINDS
            if not (kind == "status" and self.filters.statuses == Filters().statuses)
            for value in self.values(kind)
        ]

    def address(self, path: str = "/library", **more: str) -> str:
        """The address of what it finds."""
        query = urlencode([*self.pairs, *more.items()])
        return f"{path}?{query}" if query else path

    @property
    def export_query(self) -> str:
        """The parameters of an export of everything within the filters."""
        return urlencode([(kind, value) for kind in KINDS for value in self.values(kind)])

    @property
    def chips(self) -> list[Chip]:
        """The filters that are set, in the order of the facets."""
        return [
            Chip(kind, value, self.without(kind, value).address())
            for kind, value in self.pairs
            if kind in KINDS
        ]


async def wish(
    q: str = "",
    status: Annotated[list[Status] | None, Query(max_length=len(STATUSES))] = None,
    category: Values = None,
    grade_band: Values = None,
    subject: Values = None,
    setting: Values = None,
    tag: Values = None,
    language: Values = None,
) -> Wish:
    """What the address of the library asks for. Published scenarios, unless it names a status."""
    filters = Filters(
        statuses=tuple(name for name in STATUSES if name in status)
        if status
        else Filters().statuses,
        categories=tuple(category or ()),
        grade_bands=tuple(grade_band or ()),
        subjects=tuple(subject or ()),
        settings=tuple(setting or ()),
        tags=tuple(tag or ()),
        languages=tuple(language or ()),
    )
    return Wish(q.strip(), filters)


async def facets(catalogue: Catalogue, filters: Filters) -> list[Facet]:
    """What there is to filter by. A facet counts as if it were not filtered by itself, so that
    further values can be added to those that are chosen."""
    found = await catalogue.facets(filters)
    shown = []
    for kind in FACETS:
        chosen: Sequence[str] = getattr(filters, _NAMES[kind])
        values = found[kind]
        if chosen:
            values = (await catalogue.facets(replaced(filters, kind, ())))[kind]
        shown.append(_facet(kind, values, chosen))
    return shown


async def statuses(catalogue: Catalogue, filters: Filters) -> Facet:
    """The statuses, each with how many scenarios within the other filters have it."""
    choices = [
        Choice(
            status,
            await catalogue.count(replaced(filters, "status", (status,))),
            status in filters.statuses,
        )
        for status in STATUSES
    ]
    return Facet("status", tuple(choices))


def replaced(filters: Filters, kind: Kind, values: Sequence[str]) -> Filters:
    """The filters with these values of one kind."""
    return replace(filters, **{_NAMES[kind]: tuple(values)})  # type: ignore[arg-type]


_NAMES: Final[dict[str, str]] = {
    "category": "categories",
    "grade_band": "grade_bands",
    "subject": "subjects",
    "status": "statuses",
    "setting": "settings",
    "tag": "tags",
    "language": "languages",
}


def _facet(kind: Kind, values: Sequence[FacetValue], chosen: Sequence[str]) -> Facet:
    counts = dict.fromkeys(chosen, 0) | {entry.value: entry.count for entry in values}
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    first = {*ranked[:SHOWN_CHOICES], *chosen}
    if kind == "grade_band":
        ranked.sort(key=_school_order)
    choices = [Choice(value, counts[value], value in chosen) for value in ranked]
    return Facet(
        kind,
        tuple(choice for choice in choices if choice.value in first),
        tuple(choice for choice in choices if choice.value not in first),
    )


def _school_order(band: str) -> int:
    return GRADE_BANDS.index(band) if band in GRADE_BANDS else len(GRADE_BANDS)
