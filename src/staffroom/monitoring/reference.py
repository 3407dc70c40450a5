"""The table of instruments in `docs/monitoring.md`, as the definitions have it."""

from collections.abc import Iterator
from typing import Final, get_args

from staffroom.monitoring.instruments import Configured, Group, Instrument, Values
from staffroom.monitoring.metrics import INSTRUMENTS, OPERATIONS, ROUTES

GROUPS: Final[tuple[Group, ...]] = get_args(Group)

MOST_VALUES: Final = 12
"""Values of a label that are listed; of more, their number is told."""

_BY_CODE: Final = {id(OPERATIONS): "what the code tracks", id(ROUTES): "templates of the routes"}


def reference() -> str:
    """A table for each group, instruments in the order of their definition."""
    return "\n".join("\n".join(_table(group)) for group in GROUPS)


def of_group(group: Group) -> list[Instrument]:
    """The instruments of the group, in the order of their definition."""
    return [instrument for instrument in INSTRUMENTS if instrument.group == group]


def _table(group: Group) -> Iterator[str]:
    yield f"### {group.capitalize()}"
    yield ""
    yield "| name | kind | labels | what it says |"
    yield "|---|---|---|---|"
    for instrument in of_group(group):
        labels = "; ".join(
            f"`{name}`: {_values(values)}" for name, values in instrument.label_sets.items()
        )
        yield f"| `{instrument.name}` | {instrument.kind} | {labels or '-'} | {instrument.help} |"
    yield ""


def _values(values: Values) -> str:
    if isinstance(values, Configured):
        return "as installed"
    if by_code := _BY_CODE.get(id(values)):
        return by_code
    listed = list(values)
    if len(listed) > MOST_VALUES:
        return f"{len(listed)} values"
    return ", ".join(listed)
