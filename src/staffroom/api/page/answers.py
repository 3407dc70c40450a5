"""An answer as the page lays it out: runs of steps, each from one source."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

BLANK_SOURCE: Final[Mapping[str, Any]] = {
    "id": "",
    "name": "",
    "relevance": 0.0,
    "description": "",
    "expected_response": "",
    "example_questions": [],
    "evidence_note": "",
    "review_by": "",
    "language": "en",
    "changed": False,
    "is_right": False,
}
"""What a source card is rendered from when a script will fill it."""


def runs(
    sentences: Sequence[Mapping[str, Any]], matches: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The sentences by the source that they rest on, and within it by step.

    Steps are counted through the answer, whatever number they have in the advice. What belongs to
    no step stands on its own. static/js/runs.js does the same while an answer comes in.
    """
    numbers = {match["id"]: number for number, match in enumerate(matches, 1)}
    found: list[dict[str, Any]] = []
    last: Mapping[str, Any] | None = None
    count = 0
    for sentence in sentences:
        sources = [numbers[cited] for cited in sentence["citations"] if cited in numbers]
        begins_run = last is None or sentence["citations"] != last["citations"]
        if begins_run:
            first = matches[sources[0] - 1] if sources else BLANK_SOURCE
            named = {"name": first["name"], "language": first["language"]}
            found.append({"sources": sources, **named, "steps": []})
        if begins_run or last is None or sentence["step"] != last["step"]:
            is_step = sentence["step"] is not None
            count += is_step
            found[-1]["steps"].append({"number": count if is_step else None, "sentences": []})
        found[-1]["steps"][-1]["sentences"].append(sentence["text"])
        last = sentence
    return found
