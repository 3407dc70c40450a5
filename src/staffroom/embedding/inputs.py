"""Which texts can be embedded, and in which form they reach a model."""

from collections.abc import Sequence

from staffroom.errors import InputError
from staffroom.text import mend


def check_texts(texts: Sequence[str]) -> None:
    """Every text is a string with something in it.

    Raises: InputError naming the position, counted from 0, of the first that is not.
    """
    if isinstance(texts, str):
        raise InputError("a batch of texts is expected, not one text. Put it into a list.")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(
                f"text {position} is of the type {type(text).__name__}. Give a str instead."
            )
        if not text.strip():
            raise InputError(f"text {position} is empty. Leave it out, or say something in it.")


def prepared(text: str, limit: int) -> str:
    """The text in the form that models get: mended, and no longer than `limit` characters.

    It is cut before anything else looks at it, so that a huge text costs no more than a long one.
    """
    return mend(text[:limit])
