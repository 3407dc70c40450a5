"""What may be stored, and in which form."""

import pytest

from staffroom.text import clean, damage, mend, shorten


def test_clean_text_is_in_normal_form_with_plain_line_ends() -> None:
    assert clean("  cafe\u0301\r\nnoir\r ") == "caf\u00e9\nnoir"


def test_invisible_characters_that_can_hide_instructions_are_removed() -> None:
    assert clean("be\u200b kind\U000e0049\U000e0067\ufeff") == "be kind"


def test_what_turns_the_reading_direction_or_acts_on_terminals_does_not_stay() -> None:
    assert clean("pupils \u202elet go\u202c and \u2066wait\u2069") == "pupils let go and wait"
    assert clean("5\u0096 10 \u0093quiet\u0094 \u009bred\x81") == "5– 10 “quiet” ›red"  # noqa: RUF001
    assert damage("5\u0096 10") is None


@pytest.mark.parametrize("text", ["👩‍🏫 reads", "می‌خواهم", "❤️", "שלום כיתה", "日本語"])
def test_joiners_emoji_and_scripts_stay_as_they_are(text: str) -> None:
    assert clean(text) == text
    assert damage(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\x00b", "U+0000) at character 2"),
        ("\ud83d alone", "half of a surrogate pair (U+D83D) at character 1"),
        ("bell\x07", "U+0007"),
    ],
)
def test_damage_is_named_with_its_place(text: str, words: str) -> None:
    assert words in str(damage(text))


def test_a_question_is_mended_rather_than_refused() -> None:
    assert mend(" why\x00 \ud800? ") == "why\ufffd \ufffd?"


def test_shortened_text_ends_between_words() -> None:
    assert shorten("one two three four", 12) == "one two…"
    assert shorten("one line\nanother", 40) == "one line"
    assert shorten("x" * 50, 10) == "x" * 9 + "…"
