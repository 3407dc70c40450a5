"""What was asked, what was answered, and what the answer rested on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pgvector import HalfVector
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from staffroom.database.connection import Connection
from staffroom.database.generations import Generation
from staffroom.database.statements import statement
from staffroom.types import Answer, Sentence, Vector


@dataclass(frozen=True, slots=True)
class UsedMatch:
    """A scenario, in the revision that an answer rested on."""

    scenario_id: UUID
    revision: int
    name: str
    relevance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """An exchange as it was stored."""

    id: UUID
    question: str
    answer: str
    sentences: tuple[Sentence, ...]
    matches: tuple[UsedMatch, ...]
    abstained: bool
    writer: str
    threshold: float | None
    best_relevance: float | None
    created_at: datetime


async def add_interaction(
    connection: Connection,
    tenant_id: UUID,
    generation: Generation,
    question: str,
    embedding: Vector,
    answer: Answer,
) -> UUID:
    """The exchange is stored, with its embedding and what the answer rested on."""
    interaction_id = uuid7()
    key = {"tenant_id": tenant_id, "interaction_id": interaction_id}
    sentences = [
        {"text": s.text, "citations": [str(c) for c in s.citations], "support": s.support}
        for s in answer.sentences
    ]
    await connection.execute(
        statement("add_interaction"),
        {
            **key,
            "question": question,
            "generation_id": generation.id,
            "question_embedding": HalfVector(embedding),
            "answer": answer.text,
            "sentences": Jsonb(sentences),
            "abstained": answer.abstained,
            "writer": answer.writer,
            "threshold": answer.threshold,
            "best_relevance": answer.best_relevance,
        },
    )
    await connection.execute(
        statement("add_interaction_matches"),
        {
            **key,
            "scenario_ids": [match.scenario.id for match in answer.matches],
            "revisions": [match.scenario.revision for match in answer.matches],
            "relevances": [match.relevance for match in answer.matches],
        },
    )
    return interaction_id


async def find_interaction(
    connection: Connection, tenant_id: UUID, interaction_id: UUID
) -> Interaction | None:
    """The exchange of that id, or None."""
    key = {"tenant_id": tenant_id, "interaction_id": interaction_id}
    cursor = await connection.execute(statement("get_interaction"), key)
    row = await cursor.fetchone()
    if row is None:
        return None
    cursor = await connection.execute(statement("get_interaction_matches"), key)
    used = [UsedMatch(**match) for match in await cursor.fetchall()]
    return _interaction(row, used)


def _interaction(row: dict[str, Any], used: list[UsedMatch]) -> Interaction:
    return Interaction(
        id=row["interaction_id"],
        question=row["question"],
        answer=row["answer"],
        sentences=tuple(
            Sentence(s["text"], tuple(map(UUID, s["citations"])), s["support"])
            for s in row["sentences"]
        ),
        matches=tuple(used),
        abstained=row["abstained"],
        writer=row["writer"],
        threshold=row["threshold"],
        best_relevance=row["best_relevance"],
        created_at=row["created_at"],
    )
