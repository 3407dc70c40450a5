"""Numbers, times and days in the words of the page's language."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from staffroom.api.page.texts import Texts

A_SECOND: Final = 999.5
"""Milliseconds that would be rounded to a thousand."""

EXACT_BELOW: Final = 10
"""Milliseconds that are told with a decimal."""


@dataclass(frozen=True, slots=True)
class Words:
    """Numbers and dates as the reader's language writes them."""

    t: Texts

    def count(self, value: int) -> str:
        """A whole number with its thousands apart."""
        return f"{value:,}".replace(",", self.t("insights.number.thousands"))

    def percent(self, part: float, whole: float) -> str:
        """A part of a whole, rounded to whole percents; of nothing, a dash."""
        if not whole:
            return self.t("insights.sum.none")
        return self.t("insights.percent", value=f"{100 * part / whole:.0f}")

    def decimal(self, value: float) -> str:
        """A figure between 0 and 1, with two decimals."""
        return self._point(f"{value:.2f}")

    def duration(self, milliseconds: float | None) -> str:
        """Milliseconds, from a second on seconds; a dash where nothing was timed."""
        if milliseconds is None:
            return self.t("insights.sum.none")
        if milliseconds >= A_SECOND:
            return self.t("insights.seconds", value=self._point(f"{milliseconds / 1000:.1f}"))
        if milliseconds < EXACT_BELOW and milliseconds % 1:
            return self.t("insights.ms", value=self._point(f"{milliseconds:.1f}"))
        return self.t("insights.ms", value=f"{milliseconds:.0f}")

    def day(self, day: date) -> str:
        """A day without its year."""
        return self.t("insights.day", day=day.day, month=self.t(f"insights.month.{day.month}"))

    def days(self, first: datetime, last: datetime) -> str:
        """From one day to another, or the one that both are."""
        if first.date() == last.date():
            return self.day(first)
        return self.t("insights.days", first=self.day(first), last=self.day(last))

    def _point(self, number: str) -> str:
        return number.replace(".", self.t("insights.number.point"))
