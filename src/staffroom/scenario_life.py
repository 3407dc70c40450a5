"""The life of a scenario: which status may follow which, and when it has to be read again."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

from staffroom.errors import StepRefused
from staffroom.types import Metadata, Status

STEPS: Final[Mapping[Status | None, tuple[Status, ...]]] = {
    None: ("draft", "in_review", "published"),
    "draft": ("in_review", "published"),
    "in_review": ("draft", "published"),
    "published": ("in_review", "retired"),
    "retired": ("draft", "published"),
}
"""Where a person can take a scenario from each status; None is one that is not in the library yet.
An import brings the status that its file says."""


def check_step(old: Status, new: Status) -> None:
    """The step may be taken, or there is none. Raises: StepRefused naming those that there are."""
    if new != old and new not in STEPS[old]:
        raise StepRefused(
            f"a scenario that is {old} cannot become {new}. "
            f"From {old} it goes to {' or '.join(STEPS[old])}."
        )


def today() -> date:
    """The day by which reviews are due, the same for every server: that of UTC."""
    return datetime.now(UTC).date()


def next_review() -> str:
    """The day that is offered for a next review: in a year."""
    return (today() + timedelta(365)).isoformat()


def overdue_mark(metadata: Metadata) -> str:
    """What stands behind the name of a scenario wherever it is used past its review date."""
    return f" (review due since {metadata.review_by})" if is_overdue(metadata) else ""


def is_overdue(metadata: Metadata, on: date | None = None) -> bool:
    """On that day, or today, its review date has passed. What is retired waits for no review."""
    due = metadata.review_by
    return due is not None and due < (on or today()) and metadata.status != "retired"
