"""Text becomes sentences, also while it is still being written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staffroom.ai.sentences import SentenceStream, split_sentences

ADVICE = (
    '1. Stop talking. Say once, "Pens down. Eyes on me, thank you."\n'
    "2. Wait for silence, up to 20 seconds.\n\n"
    "Avoid: Do not shout! Who listens then?"
)

SENTENCES = [
    "Stop talking.",
    'Say once, "Pens down. Eyes on me, thank you."',
    "Wait for silence, up to 20 seconds.",
    "Avoid: Do not shout!",
    "Who listens then?",
]


def test_steps_become_sentences_without_their_numbers_and_quotations_stay_whole() -> None:
    assert split_sentences(ADVICE) == SENTENCES


@given(st.lists(st.integers(1, 12), max_size=80))
def test_the_pieces_in_which_a_text_arrives_do_not_matter(sizes: list[int]) -> None:
    stream, sentences, rest = SentenceStream(), [], ADVICE
    for size in sizes:
        sentences += stream.feed(rest[:size])
        rest = rest[size:]
    sentences += stream.feed(rest) + stream.finish()

    assert sentences == SENTENCES


def test_a_sentence_that_was_cut_off_does_not_leave() -> None:
    stream = SentenceStream()

    assert stream.feed("Stay calm. Walk to the do") == ["Stay calm."]
    assert stream.finish() == []


@pytest.mark.parametrize("text", ["", "\n\n", "1. ", "   "])
def test_text_without_words_has_no_sentences(text: str) -> None:
    assert split_sentences(text) == []
