"""What a teacher is told in place of an answer: why, how near the library came, whom to ask.

Pure.
"""

from typing import Final

from staffroom.types import SearchResult

_NO_LIBRARY: Final = "The library holds no scenario yet, so there is nothing to answer from."

_REASONS: Final = {
    "medical": "This reads like a medical question, and the library holds no medical advice. In an "
    "emergency call an ambulance and your first-aider now; otherwise ask the school nurse or a "
    "doctor.",
    "legal": "This reads like a legal question. Ask your school's leadership, your union or a "
    "lawyer; the library holds no legal advice.",
    "harmful": "The library has no advice that could harm, deceive or single out anybody. If you "
    "are worried about a child, speak to your safeguarding lead today.",
    "not_covered": "This seems to be about school, but of a kind that the library does not cover. "
    "If anybody may be at risk, tell your safeguarding lead now. Otherwise ask a colleague, or add "
    "a scenario so that the next teacher finds one.",
    "off_topic": "The library is about situations with pupils, and this seems to be about "
    "something else.",
}


def abstention(found: SearchResult) -> str:
    """The words in place of an answer."""
    if found.best_relevance is None:
        return _NO_LIBRARY
    if found.reason:
        return _REASONS[found.reason]
    if found.matches:
        return "What was found holds no sentence that could be quoted as an answer."
    return (
        "The library has no scenario that fits this question: the closest has relevance "
        f"{found.best_relevance:.2f}, and {found.threshold:.2f} is needed. Ask a colleague, or "
        "add a scenario so that the next teacher finds one. If anybody may be at risk, tell your "
        "safeguarding lead now."
    )
