"""Evaluates the part of PromQL that the dashboard and the alerts are written in, on two scrapes.

Whatever window a rate is asked for, it is taken between the scrapes. As in Prometheus, a series
has a rate only if both have it, comparisons keep what fits, and vectors are matched by all labels.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Final

from staffroom.monitoring.summary import quantile

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Scrape = Mapping[str, Vector]

SECONDS: Final = 60.0
"""Between the scrapes."""

_TOKEN: Final = re.compile(
    r"\s*([a-z_]+\{[^}]*\}(?:\[[^]]+\])?|[a-z_]+|[\d.]+|==|[-+*/()<>,])", re.ASCII
)
_MATCHER: Final = re.compile(r'(\w+)(=~|!~|=)"([^"]*)"')
_BINARY: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda one, other: one / other if other else math.nan,
}
_COMPARED: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}
_AGGREGATES: Final[Mapping[str, Callable[[list[float]], float]]] = {
    "sum": sum,
    "max": max,
    "min": min,
}


def evaluated(expression: str, before: Scrape, after: Scrape) -> Vector:
    """The series that the expression has, with their values."""
    found = _Evaluation(expression, before, after).whole()
    assert isinstance(found, dict), f"{expression} is no vector"
    return found


class _Evaluation:
    def __init__(self, expression: str, before: Scrape, after: Scrape) -> None:
        self._tokens = _TOKEN.findall(expression)
        left = _TOKEN.sub("", expression).strip()
        assert not left, f"what is {left} in {expression}?"
        self._before = before
        self._after = after

    def whole(self) -> Vector | float:
        found = self._both()
        assert not self._tokens, f"what is {self._tokens}?"
        return found

    def _take(self, *expected: str) -> str:
        token: str = self._tokens.pop(0)
        assert not expected or token in expected, f"{token} is none of {expected}"
        return token

    def _next(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def _both(self) -> Vector | float:
        found = self._compared()
        while self._next() == "and":
            self._take()
            other = self._compared()
            assert isinstance(found, dict)
            assert isinstance(other, dict)
            found = {labels: value for labels, value in found.items() if labels in other}
        return found

    def _compared(self) -> Vector | float:
        found = self._binary(("+", "-"))
        if self._next() in _COMPARED:
            fits = _COMPARED[self._take()]
            other = self._binary(("+", "-"))
            assert isinstance(found, dict)
            found = {
                labels: value
                for labels, value in found.items()
                if (bound := _at(other, labels)) is not None and fits(value, bound)
            }
        return found

    def _binary(self, operators: tuple[str, str]) -> Vector | float:
        deeper = operators == ("+", "-")
        found = self._binary(("*", "/")) if deeper else self._part()
        while self._next() in operators:
            apply = _BINARY[self._take()]
            other = self._binary(("*", "/")) if deeper else self._part()
            if isinstance(found, float) and isinstance(other, float):
                found = apply(found, other)
                continue
            series = found if isinstance(found, dict) else other
            assert isinstance(series, dict)
            pairs = {labels: (_at(found, labels), _at(other, labels)) for labels in series}
            found = {
                labels: apply(one, two)
                for labels, (one, two) in pairs.items()
                if one is not None and two is not None
            }
        return found

    def _part(self) -> Vector | float:
        token = self._take()
        if re.fullmatch(r"[\d.]+", token):
            return float(token)
        if token == "(":
            found = self._both()
            self._take(")")
            return found
        if token in _AGGREGATES:
            return self._aggregated(_AGGREGATES[token])
        if token in {"rate", "increase"}:
            self._take("(")
            series = self._risen(self._take())
            self._take(")")
            return {k: v / (SECONDS if token == "rate" else 1) for k, v in series.items()}
        if token == "histogram_quantile":
            return self._quantiles()
        return _selected(token, self._after)

    def _aggregated(self, combine: Callable[[list[float]], float]) -> Vector:
        by: set[str] = set()
        if self._next() == "by":
            self._take()
            self._take("(")
            while (token := self._take()) != ")":
                by |= {token} - {","}
        self._take("(")
        inner = self._both()
        self._take(")")
        assert isinstance(inner, dict)
        groups: dict[Labels, list[float]] = {}
        for labels, value in inner.items():
            groups.setdefault(frozenset(x for x in labels if x[0] in by), []).append(value)
        return {labels: combine(values) for labels, values in groups.items()}

    def _risen(self, selector: str) -> Vector:
        assert selector.endswith("]"), f"{selector} has no window"
        name = selector.partition("[")[0]
        before = _selected(name, self._before)
        after = _selected(name, self._after)
        return {labels: after[labels] - before[labels] for labels in after if labels in before}

    def _quantiles(self) -> Vector:
        self._take("(")
        part = float(self._take())
        self._take(",")
        inner = self._both()
        self._take(")")
        assert isinstance(inner, dict)
        groups: dict[Labels, list[tuple[float, float]]] = {}
        for labels, value in inner.items():
            others = frozenset(x for x in labels if x[0] != "le")
            groups.setdefault(others, []).append((float(dict(labels)["le"]), value))
        found = {labels: quantile(part, sorted(buckets)) for labels, buckets in groups.items()}
        return {labels: value for labels, value in found.items() if value is not None}


def _at(found: Vector | float, labels: Labels) -> float | None:
    return found.get(labels) if isinstance(found, dict) else found


def _selected(selector: str, scrape: Scrape) -> Vector:
    name, _, matchers = selector.rstrip("}").partition("{")
    wanted = [each for each in _MATCHER.findall(matchers) if each[0] != "job"]
    return {
        labels: value
        for labels, value in scrape.get(name, {}).items()
        if all(_fits(dict(labels).get(label, ""), how, value_) for label, how, value_ in wanted)
    }


def _fits(value: str, how: str, wanted: str) -> bool:
    match how:
        case "=":
            return value == wanted
        case "=~":
            return re.fullmatch(wanted, value) is not None
        case _:
            return re.fullmatch(wanted, value) is None
