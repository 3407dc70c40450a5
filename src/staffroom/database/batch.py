"""A batch of rows: read one by one, stored together, answered for one by one."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from staffroom.database.seen import SeenKeys
from staffroom.errors import InvalidScenario
from staffroom.scenario import ALIASES, content_sha256, scenario_from, source_key
from staffroom.types import ImportReport, RowError, ScenarioContent

Row = Mapping[str, Any] | ScenarioContent

Effect = Literal["new", "changed", "unchanged", "duplicate", "invalid"]
"""What a row does to the library. duplicate: it repeats an earlier row, or says the same as another
scenario; invalid: it is refused."""


@dataclass(frozen=True, slots=True)
class RowEffect:
    """What became of one row, or would; if it is invalid, which field is wrong and why; if it says
    the same as another scenario, which. `code` and `values` say the same as `reason`, for whoever
    tells it in another language."""

    row: int
    name: str
    effect: Effect
    field: str = ""
    reason: str = ""
    code: str = ""
    values: Mapping[str, str | int] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NumberedContent:
    """A valid scenario and the number of the row that it came from."""

    row: int
    content: ScenarioContent
    same_as: int | None = None
    """The first row with the same content, under another id."""


@dataclass(slots=True)
class RowReader:
    """Checks rows one by one: each is valid, repeats an earlier one, or has an error.

    `seen` knows the keys of earlier rows, and `contents` their contents' digests.
    """

    seen: SeenKeys = dataclasses.field(default_factory=SeenKeys)
    contents: SeenKeys = dataclasses.field(default_factory=SeenKeys)

    def read(
        self, rows: Iterable[tuple[int, Row]]
    ) -> tuple[list[NumberedContent], list[RowEffect]]:
        """The valid rows, and the others: invalid, or repeating an earlier one."""
        valid: list[NumberedContent] = []
        others: list[RowEffect] = []
        for number, row in rows:
            try:
                content = _content(row)
                digest = content_sha256(content)
                if self._is_new(number, content, digest):
                    valid.append(NumberedContent(number, content, self._same(number, digest)))
                else:
                    others.append(RowEffect(number, content.name, "duplicate"))
            except InvalidScenario as error:
                others.append(refused(number, given_name(row), error))
        return valid, others

    def _is_new(self, number: int, content: ScenarioContent, digest: bytes) -> bool:
        first, first_digest = self.seen.first(source_key(content), number, digest)
        if digest != first_digest:
            reason = "{id!r} is also the id of row {row}, with other content"
            raise InvalidScenario("id", "id_twice", reason, id=content.source_id, row=first)
        return first == number

    def _same(self, number: int, digest: bytes) -> int | None:
        first, _ = self.contents.first(digest.hex(), number, b"")
        return None if first == number else first


def refused(number: int, name: str, error: InvalidScenario) -> RowEffect:
    """What became of a row that is wrong."""
    return RowEffect(number, name, "invalid", error.field, error.reason, error.code, error.values)


def same_as(row: NumberedContent, code: str, reason: str, **values: str | int) -> RowEffect:
    """What became of a row that says the same as another scenario."""
    told = reason.format(**values)
    return RowEffect(row.row, row.content.name, "duplicate", "", told, code, values)


def errors_of(effects: Iterable[RowEffect]) -> list[RowError]:
    """The rows that were refused."""
    return [
        RowError(row=effect.row, field=effect.field, reason=effect.reason)
        for effect in effects
        if effect.effect == "invalid"
    ]


def duplicates_of(effects: Iterable[RowEffect]) -> list[RowError]:
    """The rows that were left out because another says the same."""
    return [
        RowError(row=effect.row, field="", reason=effect.reason)
        for effect in effects
        if effect.effect == "duplicate" and effect.reason
    ]


def given_name(row: object) -> str:
    """What a row that may be invalid calls its scenario, as far as that can be told."""
    if isinstance(row, ScenarioContent):
        return row.name
    if not isinstance(row, Mapping):
        return ""
    named = (row.get(alias) for alias in ALIASES["name"])
    return next((name for name in named if isinstance(name, str)), "")


def report(counts: Counter[Effect], errors: list[RowError]) -> ImportReport:
    """What became of the rows, by how many had which effect, and the errors that are listed."""
    read, failed = counts.total(), counts["invalid"]
    return ImportReport(
        status="success" if not failed else "error" if failed == read else "partial",
        read=read,
        stored=counts["new"] + counts["changed"],
        unchanged=counts["unchanged"],
        duplicate=counts["duplicate"],
        failed=failed,
        errors=errors,
    )


def _content(row: Row) -> ScenarioContent:
    if isinstance(row, ScenarioContent):
        return row
    if not isinstance(row, Mapping):
        raise InvalidScenario(
            "", "no_object", "is {kind}, not an object with named fields", kind=type(row).__name__
        )
    return scenario_from(row)
