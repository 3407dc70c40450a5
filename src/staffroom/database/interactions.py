"""What was asked, what was answered, what the answer rested on, and what teachers said of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args
from uuid import UUID

from pgvector import HalfVector
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from staffroom.database.connection import Database
from staffroom.database.generations import Generation
from staffroom.database.standings import count_worked
from staffroom.database.statements import statement
from staffroom.errors import InputError, NotFoundError
from staffroom.monitoring.tracing import stage_span
from staffroom.text import mend
from staffroom.types import (
    Answer,
    Asked,
    Feedback,
    Gap,
    Interaction,
    Outcome,
    Reason,
    Sentence,
    Turn,
    UsedMatch,
    Vector,
    Verdict,
)

VERDICTS: Final = get_args(Verdict)
REASONS: Final = tuple(filter(None, get_args(Reason)))
MAX_COMMENT: Final = 2_000
REMEMBERED_TURNS: Final = 12
"""Exchanges of a conversation that a further question is understood with."""


class Interactions:
    """The exchanges of one tenant."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        self._database = database
        self._tenant_id = tenant_id

    async def add(
        self,
        generation: Generation,
        question: str,
        embedding: Vector,
        answer: Answer,
        asked: str | None = None,
    ) -> UUID:
        """The exchange is stored, with its embedding and what the answer rested on.

        Its id is the one that the answer carries, or else a new one.
        """
        interaction_id = answer.interaction_id or uuid7()
        key = self._key(interaction_id)
        head = {
            **key,
            "conversation_id": answer.conversation_id or interaction_id,
            "question": question,
            "asked": asked or question,
            "generation_id": generation.id,
            "question_embedding": HalfVector(embedding),
            "answer": answer.text,
            "sentences": Jsonb(list(map(_sentence_row, answer.sentences))),
            "more": Jsonb(list(map(_sentence_row, answer.more))),
            "outcome": answer.outcome,
            "writer": answer.writer,
            "prompt_version": answer.prompt_version,
            "library_version": answer.library_version,
            "timings": Jsonb(dict(answer.timings)),
            "threshold": answer.threshold,
            "best_relevance": answer.best_relevance,
        }
        used = {
            **key,
            "scenario_ids": [match.scenario.id for match in answer.matches],
            "revisions": [match.scenario.revision for match in answer.matches],
            "relevances": [match.relevance for match in answer.matches],
        }
        with stage_span("store", db__system__name="postgresql"):
            async with self._database.sent_together(self._tenant_id) as connection:
                await connection.execute(statement("add_interaction"), head)
                await connection.execute(statement("add_interaction_matches"), used)
        return interaction_id

    async def get(self, interaction_id: UUID) -> Interaction:
        """The exchange as it was stored, with its feedback. Raises: NotFoundError."""
        key = self._key(interaction_id)
        async with self._database.read(self._tenant_id) as connection:
            parts = [
                await connection.execute(statement(name), key)
                for name in ("get_interaction", "get_interaction_matches", "get_feedback")
            ]
            heads, matches, feedback = [await part.fetchall() for part in parts]
        if not heads:
            raise _no_interaction(interaction_id)
        return _interaction(heads[0], matches, feedback)

    async def conversation(self, interaction_id: UUID) -> tuple[UUID, list[Turn]]:
        """The conversation that an exchange belongs to: its id, which is that of its first
        exchange, and its last exchanges, oldest first.

        Raises: NotFoundError.
        """
        key = self._key(interaction_id)
        rows = await self._fetch("get_turns", {**key, "limit": REMEMBERED_TURNS})
        if not rows:
            raise NotFoundError(
                f"there is no conversation {interaction_id}. Ask without one to begin a new one."
            )
        turns = [
            Turn(row["question"], row["asked"], tuple(s["text"] for s in row["sentences"]))
            for row in reversed(rows)
        ]
        return rows[0]["conversation_id"], turns

    async def add_feedback(
        self,
        interaction_id: UUID,
        verdict: str,
        *,
        reason: str = "",
        comment: str = "",
        scenario_id: UUID | None = None,
    ) -> UUID:
        """The verdict is kept with the exchange. Returns the feedback's id.

        Raises: InputError for a verdict, a reason or a scenario that does not belong there;
            NotFoundError if there is no such exchange.
        """
        comment = mend(comment)
        _check_choice("verdict", verdict, VERDICTS)
        if reason:
            _check_choice("reason", reason, REASONS)
        if len(comment) > MAX_COMMENT:
            raise InputError(f"the comment has {len(comment):,} characters; {MAX_COMMENT:,} fit.")
        used = {match.scenario_id for match in (await self.get(interaction_id)).matches}
        if scenario_id and scenario_id not in used:
            raise InputError(f"the answer does not rest on scenario {scenario_id}.")
        feedback_id = uuid7()
        row = {
            **self._key(interaction_id),
            "feedback_id": feedback_id,
            "verdict": verdict,
            "reason": reason,
            "comment": comment,
            "scenario_id": scenario_id,
        }
        async with self._database.transaction(self._tenant_id) as connection:
            await connection.execute(statement("add_feedback"), row)
            if verdict == "worked":
                await count_worked(connection, self._tenant_id, interaction_id)
        return feedback_id

    async def page(
        self, limit: int = 50, before: UUID | None = None, outcome: Outcome | None = None
    ) -> list[Asked]:
        """The exchanges that came before the given one, newest first."""
        parameters = {
            "tenant_id": self._tenant_id,
            "limit": limit,
            "before": before,
            "outcome": outcome,
        }
        return [Asked(**row) for row in await self._fetch("list_interactions", parameters)]

    async def gaps(self, limit: int = 100) -> list[Gap]:
        """The questions that the library could not answer, newest first."""
        if limit < 1:
            raise InputError(f"limit is {limit}; choose 1 or more.")
        key = {"tenant_id": self._tenant_id, "limit": limit}
        return [Gap(**row) for row in await self._fetch("list_gaps", key)]

    async def _fetch(self, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return await self._database.fetch(self._tenant_id, statement(name), parameters)

    def _key(self, interaction_id: UUID) -> dict[str, Any]:
        return {"tenant_id": self._tenant_id, "interaction_id": interaction_id}


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InputError(f"the {name} is {value!r}; choose one of {', '.join(choices)}.")


def _no_interaction(interaction_id: UUID) -> NotFoundError:
    return NotFoundError(f"there is no interaction {interaction_id}.")


def _sentence_row(sentence: Sentence) -> dict[str, Any]:
    return {
        "text": sentence.text,
        "citations": [str(citation) for citation in sentence.citations],
        "support": sentence.support,
        "step": sentence.step,
    }


def _sentence(row: Mapping[str, Any]) -> Sentence:
    citations = tuple(map(UUID, row["citations"]))
    return Sentence(row["text"], citations, row["support"], row.get("step"))


def _interaction(
    head: dict[str, Any],
    matches: Sequence[Mapping[str, Any]],
    feedback: Sequence[Mapping[str, Any]],
) -> Interaction:
    return Interaction(
        **{
            **head,
            "sentences": tuple(map(_sentence, head["sentences"])),
            "more": tuple(map(_sentence, head["more"])),
            "matches": tuple(UsedMatch(**match) for match in matches),
            "feedback": tuple(Feedback(**row) for row in feedback),
        }
    )
