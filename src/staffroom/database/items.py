"""Scenarios become items to be stored: what of their text is new is embedded, the rest is kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import numpy as np

from staffroom.database.connection import Connection
from staffroom.database.generations import Generation
from staffroom.database.statements import statement
from staffroom.database.store import Item, Known, TextVectors
from staffroom.scenario import embedded_text, indexed_words
from staffroom.types import Embedder, Role, ScenarioContent, Vector, Vectors


@dataclass(frozen=True, slots=True)
class Ahead:
    """What was made of texts that will probably be stored."""

    vectors: Mapping[tuple[Role, str], Vector] = field(default_factory=dict)
    """By what the texts are and what they say."""
    words: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """By the language of a scenario and the text whose words lead to it."""

    def words_of(self, content: ScenarioContent) -> Mapping[str, Any] | None:
        """The words that lead to the scenario, if they were found."""
        return self.words.get(_spoken(content))


NOT_AHEAD: Final = Ahead()

Text = tuple[str, str, tuple[str, ...], str]
"""What is embedded and indexed of a scenario: name, description, example questions, language."""


@dataclass(frozen=True, slots=True)
class Before:
    """What the library has of a scenario's text, and vectors of the parts of it."""

    text: Text
    whole: Mapping[str, Vector] = field(default_factory=dict)
    examples: Mapping[str, Vector] = field(default_factory=dict)


_NOTHING = Before(("", "", (), ""))


async def texts_before(
    connection: Connection, tenant_id: UUID, generation: Generation, known: Iterable[Known]
) -> dict[UUID, Before]:
    """What the library has of those scenarios' texts, by their ids."""
    ids = [scenario.scenario_id for scenario in known]
    if not ids:
        return {}
    cursor = await connection.execute(
        statement("embedded_texts", generation.vectors_table),
        {"tenant_id": tenant_id, "scenario_ids": ids},
    )
    return {row["scenario_id"]: _before(row) for row in await cursor.fetchall()}


async def items_of(
    contents: Sequence[tuple[ScenarioContent, Known | None]],
    before: Mapping[UUID, Before],
    embedder: Embedder,
    ahead: Ahead = NOT_AHEAD,
) -> list[Item]:
    """The contents with their vectors, or without where nothing of their text is new.

    An example question is embedded as a question, and only if the scenario did not have it. What
    was made ahead is not made again.
    """
    had = [before.get(known.scenario_id, _NOTHING) if known else _NOTHING for _, known in contents]
    since = [_kept_since(*pair, of) for pair, of in zip(contents, had, strict=True)]
    lacking = [
        (content, of)
        for (content, _), of, kept in zip(contents, had, since, strict=True)
        if kept is None
    ]
    wholes = await _vectors(
        [([embedded_text(content)], of.whole) for content, of in lacking],
        embedder,
        "passage",
        ahead,
    )
    examples = await _vectors(
        [(content.example_questions, of.examples) for content, of in lacking],
        embedder,
        "query",
        ahead,
    )
    none = np.empty((0, embedder.dimensions), np.float32)
    made = (
        TextVectors(whole[0], np.stack(of) if of else none)
        for whole, of in zip(wholes, examples, strict=True)
    )
    return [
        Item(content, next(made), words=ahead.words_of(content))
        if kept is None
        else Item(content, None, kept)
        for (content, _), kept in zip(contents, since, strict=True)
    ]


def ready_items(
    contents: Sequence[ScenarioContent], embeddings: Vectors, ahead: Ahead = NOT_AHEAD
) -> list[Item]:
    """The contents with embeddings of their own, which they bring without those of questions."""
    none = np.empty((0, embeddings.shape[1]), np.float32)
    return [
        Item(content, TextVectors(vector, none), words=ahead.words_of(content))
        for content, vector in zip(contents, embeddings, strict=True)
    ]


def vectors_of(items: Iterable[Item]) -> dict[tuple[Role, str], Vector]:
    """The vectors of the items' texts, as `Ahead` has them."""
    made: dict[tuple[Role, str], Vector] = {}
    for item in items:
        if item.vectors:
            made["passage", embedded_text(item.content)] = item.vectors.whole
            questions = zip(item.content.example_questions, item.vectors.examples, strict=True)
            made.update((("query", question), vector) for question, vector in questions)
    return made


def words_of(items: Iterable[Item]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The words of the items' texts, as `Ahead` has them."""
    return {_spoken(item.content): item.words for item in items if item.words is not None}


def _kept_since(content: ScenarioContent, known: Known | None, had: Before) -> int | None:
    """The revision under which vectors and words of just this text are kept, if any are."""
    is_kept = known is not None and known.is_indexed and had.text == _text(content)
    return known.text_revision if known and is_kept else None


async def _vectors(
    wanted: Sequence[tuple[Sequence[str], Mapping[str, Vector]]],
    embedder: Embedder,
    role: Role,
    ahead: Ahead,
) -> list[list[Vector]]:
    """A vector for each text: the one that is there, or was made ahead, or a new one."""
    made = ahead.vectors
    there = [[kept.get(text, made.get((role, text))) for text in texts] for texts, kept in wanted]
    lacking = [
        text
        for (texts, _), found in zip(wanted, there, strict=True)
        for text, vector in zip(texts, found, strict=True)
        if vector is None
    ]
    new = iter(await embedder.embed(lacking, role)) if lacking else iter(())
    return [[next(new) if vector is None else vector for vector in found] for found in there]


def _spoken(content: ScenarioContent) -> tuple[str, str]:
    return content.metadata.language, indexed_words(content)


def _text(content: ScenarioContent) -> Text:
    language = content.metadata.language
    return content.name, content.description, content.example_questions, language


def _before(row: Mapping[str, Any]) -> Before:
    content = ScenarioContent(
        name=row["name"],
        description=row["description"],
        example_questions=tuple(row["example_questions"]),
    )
    text = (content.name, content.description, content.example_questions, row["language"])
    if row["embedding"] is None:
        return Before(text)
    vectors = [vector.to_numpy().astype(np.float32) for vector in row["examples"] or ()]
    # Ready vectors may have come without those of the questions.
    is_whole = len(vectors) == len(content.example_questions)
    return Before(
        text,
        {embedded_text(content): row["embedding"].to_numpy().astype(np.float32)},
        dict(zip(content.example_questions, vectors, strict=True)) if is_whole else {},
    )
