"""Scenarios as Markdown, for readers that show a text and no more. Pure."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final
from uuid import UUID

from staffroom.scenario import MAX_STRENGTH
from staffroom.scenario_life import is_overdue, overdue_mark
from staffroom.types import Match, Scenario

SCHEME: Final = "scenario://"

_NOT_VETTED: Final = (
    "**This scenario is not published ({status}). Nobody has vetted it for use: do not give its "
    "text as advice.**"
)
_OVERDUE: Final = (
    "**The review of this scenario has been due since {day}. It may be out of date: say so when "
    "you use it.**"
)
_ADVICE: Final = {True: "Vetted advice", False: "Advice"}


def scenario_uri(scenario_id: UUID) -> str:
    """Where the scenario is found as a resource."""
    return f"{SCHEME}{scenario_id}"


def scenario_markdown(scenario: Scenario) -> str:
    """The whole scenario; a warning first, if it is not to be used."""
    content, about = scenario.content, scenario.content.metadata
    is_vetted = about.status == "published"
    strength = about.evidence_strength
    facts = {
        "Category": about.category,
        "Grade bands": ", ".join(about.grade_bands),
        "Subjects": ", ".join(about.subjects),
        "Setting": about.setting,
        "Tags": ", ".join(about.tags),
        "Language": about.language,
        "Status": about.status,
        "Review by": about.review_by.isoformat() if about.review_by else "",
        "Evidence strength": "" if strength is None else f"{strength} of {MAX_STRENGTH}",
        "Contributor": about.contributor,
        "Worked with": about.worked_with,
        "Id": f"{scenario.id}, revision {scenario.revision}",
    }
    parts = [
        f"# {content.name}",
        "" if is_vetted else _NOT_VETTED.format(status=about.status),
        _OVERDUE.format(day=about.review_by) if is_overdue(about) else "",
        f"## Situation\n\n{content.description}",
        f"## {_ADVICE[is_vetted]}\n\n{content.expected_response}"
        if content.expected_response
        else "",
        _list("Questions it answers", content.example_questions),
        f"## Evidence\n\n{about.evidence_note}" if about.evidence_note else "",
        _list("About", (f"{name}: {value}" for name, value in facts.items() if value)),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def library_markdown(scenarios: Sequence[Scenario], total: int) -> str:
    """The published scenarios by category; says so when these are not all of them."""
    by_category = sorted(scenarios, key=_category)
    sections = [
        _list(category, (_link(scenario) for scenario in group))
        for category, group in groupby(by_category, _category)
    ]
    shown = (
        f", of which {len(scenarios):,} are listed; search for the others"
        if total > len(scenarios)
        else ""
    )
    return (
        "\n\n".join([f"# The library\n\n{total:,} published scenarios{shown}.", *sections]) + "\n"
    )


def matches_markdown(matches: Iterable[Match]) -> str:
    """The matches as a list: relevance, name and where the whole scenario is."""
    return "\n".join(
        f"- {match.relevance:.2f} {_link(match.scenario)}"
        f"{overdue_mark(match.scenario.content.metadata)}\n"
        f"  {' '.join(match.scenario.content.description.split())}"
        for match in matches
    )


def _list(heading: str, items: Iterable[str]) -> str:
    lines = "\n".join(f"- {item}" for item in items)
    return f"## {heading}\n\n{lines}" if lines else ""


def _category(scenario: Scenario) -> str:
    return scenario.content.metadata.category or "Without a category"


def _link(scenario: Scenario) -> str:
    return f"[{scenario.name}]({scenario_uri(scenario.id)})"
