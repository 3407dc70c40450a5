"""Golden questions: questions of one tenant whose right scenarios are known.

Editors write them, or promote what teachers asked and found answered. The search is measured on
them, and what came of that is kept.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from uuid_utils.compat import uuid7

from staffroom.database.catalogue import no_scenario
from staffroom.database.connection import Connection, Database
from staffroom.database.evaluations import Evaluations
from staffroom.database.statements import statement
from staffroom.errors import ConflictError, InputError, NotFoundError
from staffroom.text import clean_question, mend
from staffroom.types import Status, Verdict

MAX_GOLDEN: Final = 1_000
"""Golden questions of a tenant: what one evaluation can ask in a minute or two."""

MAX_JUDGED: Final = 50
"""Scenarios that are judged at once."""

MAX_GRADE: Final = 2
RIGHT: Final = MAX_GRADE
"""Grades: 2 is the right scenario, 1 a fitting one, 0 one that looks right and is not."""

MAX_LANGUAGE: Final = 200

NEWEST_FEEDBACK: Final = 1_000
"""Verdicts among which suggestions are looked for."""

Source = Literal["written", "promoted"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How right a scenario is for a question."""

    scenario_id: UUID
    name: str
    status: Status
    grade: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """A question whose right scenarios are known, the right ones first.

    `interaction_id` is where it was asked, if it was promoted and that was not erased since.
    """

    id: UUID
    question: str
    language: str
    source: Source
    interaction_id: UUID | None
    author: str
    created_at: datetime
    relevant: tuple[Judgement, ...]

    @property
    def grades(self) -> dict[UUID, int]:
        """The grade of each scenario that was judged."""
        return {judgement.scenario_id: judgement.grade for judgement in self.relevant}

    @property
    def is_usable(self) -> bool:
        """A right scenario is known; the only one may have been deleted."""
        return any(self.grades.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A question and a scenario that teachers found right for it, `times` times."""

    interaction_id: UUID
    question: str
    scenario_id: UUID
    name: str
    verdict: Verdict
    times: int
    created_at: datetime


class GoldenQuestions:
    """The golden questions of one tenant, and the evaluations on them."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self.evaluations = Evaluations(database, tenant_id)

    async def add(
        self, question: str, relevant: Mapping[UUID, int], author: str, language: str = ""
    ) -> Golden:
        """The question is golden; `relevant` are the grades of its scenarios.

        Without a language it has that of its best scenario. Raises: InputError for a question or
        grades that are none; NotFoundError for an unknown scenario; ConflictError if the same is
        asked already, or if there are 1,000.
        """
        text = clean_question(question)
        _check_grades(relevant)
        if not any(relevant.values()):
            raise InputError(
                "no scenario is right for the question. Give one of them grade 2 or 1."
            )
        async with self._database.transaction(self._tenant_id) as connection:
            same = await self._find_room(connection, text)
            if same is not None:
                raise ConflictError(
                    f"the same is asked by golden question {same}. Judge its scenarios instead."
                )
            golden_id = await self._insert(
                connection, text, relevant, {"author": author, "language": language}
            )
        return await self.get(golden_id)

    async def promote(
        self, interaction_id: UUID, scenario_id: UUID, grade: int = RIGHT, author: str = ""
    ) -> Golden:
        """What was asked in the exchange is golden, and the scenario right for it.

        Where the same is golden already, the judgement is added to that. Raises: InputError for
        another grade than 1 or 2; NotFoundError; ConflictError if there are 1,000.
        """
        relevant = {scenario_id: grade}
        _check_grades(relevant)
        if not grade:
            raise InputError("the grade is 0; only a scenario that is right can be promoted.")
        async with self._database.transaction(self._tenant_id) as connection:
            key = {"tenant_id": self._tenant_id, "interaction_id": interaction_id}
            cursor = await connection.execute(statement("asked_of_interaction"), key)
            row = await cursor.fetchone()
            if row is None:
                raise NotFoundError(f"there is no interaction {interaction_id}.")
            text = clean_question(row["asked"])
            golden_id = await self._find_room(connection, text)
            if golden_id is None:
                origin = {"interaction_id": interaction_id, "author": author}
                golden_id = await self._insert(connection, text, relevant, origin)
            else:
                await self._check_scenarios(connection, relevant)
                await self._judge(connection, golden_id, relevant)
        return await self.get(golden_id)

    async def judge(self, golden_id: UUID, scenario_id: UUID, grade: int) -> Golden:
        """The scenario has that grade for the question, whatever it had before.

        Raises: InputError for a grade outside 0 to 2; NotFoundError.
        """
        relevant = {scenario_id: grade}
        _check_grades(relevant)
        async with self._database.transaction(self._tenant_id) as connection:
            await connection.execute(statement("lock_golden"), self._key(golden_id))
            cursor = await connection.execute(statement("get_golden"), self._key(golden_id))
            if await cursor.fetchone() is None:
                raise _no_golden(golden_id)
            await self._check_scenarios(connection, relevant)
            await self._judge(connection, golden_id, relevant)
        return await self.get(golden_id)

    async def remove(self, golden_id: UUID) -> None:
        """The question is golden no more. Raises: NotFoundError."""
        async with self._database.transaction(self._tenant_id) as connection:
            await connection.execute(statement("lock_golden"), self._key(golden_id))
            cursor = await connection.execute(statement("remove_golden"), self._key(golden_id))
            if cursor.rowcount == 0:
                raise _no_golden(golden_id)

    async def get(self, golden_id: UUID) -> Golden:
        """The question with its judgements. Raises: NotFoundError."""
        found = await self._read("get_golden", self._key(golden_id))
        if not found:
            raise _no_golden(golden_id)
        return found[0]

    async def list(self, limit: int = MAX_GOLDEN, after: UUID | None = None) -> Sequence[Golden]:
        """The `limit` golden questions that follow the id `after`, newest first."""
        parameters = {"tenant_id": self._tenant_id, "limit": limit, "after": after}
        return await self._read("list_golden", parameters)

    async def suggested(self, limit: int = 50) -> Sequence[Suggestion]:
        """Questions with a scenario that teachers found right, which are not golden yet.

        One that was asked several times is suggested once, newest verdict first.
        """
        key = {"tenant_id": self._tenant_id, "newest": NEWEST_FEEDBACK}
        async with self._database.read(self._tenant_id) as connection:
            feedback = await connection.execute(statement("good_feedback"), key)
            judged = await connection.execute(statement("judged_already"), key)
            known = {
                (bytes(row["question_sha256"]), row["scenario_id"])
                for row in await judged.fetchall()
            }
            rows = await feedback.fetchall()
        return _grouped(rows, known)[:limit]

    async def _read(self, name: str, parameters: Mapping[str, Any]) -> Sequence[Golden]:
        async with self._database.read(self._tenant_id) as connection:
            cursor = await connection.execute(statement(name), parameters)
            heads = await cursor.fetchall()
            key = {"tenant_id": self._tenant_id, "golden_ids": [head["id"] for head in heads]}
            cursor = await connection.execute(statement("golden_judgements"), key)
            judgements = await cursor.fetchall()
        return _golden(heads, judgements)

    async def _find_room(self, connection: Connection, text: str) -> UUID | None:
        """The golden question that asks the same. Raises: ConflictError if none does and there
        is no room for another."""
        key = {"tenant_id": self._tenant_id, "question_sha256": question_digest(text)}
        await connection.execute(statement("lock_golden"), key)
        cursor = await connection.execute(statement("golden_room"), key)
        row = await cursor.fetchone()
        assert row is not None
        same: UUID | None = row["same"]
        if same is None and row["size"] >= MAX_GOLDEN:
            raise ConflictError(
                f"there are {MAX_GOLDEN:,} golden questions, which is the most. Remove one first."
            )
        return same

    async def _insert(
        self,
        connection: Connection,
        text: str,
        relevant: Mapping[UUID, int],
        origin: Mapping[str, Any],
    ) -> UUID:
        languages = await self._check_scenarios(connection, relevant)
        best = max(relevant, key=lambda scenario_id: relevant[scenario_id])
        golden_id = uuid7()
        interaction_id = origin.get("interaction_id")
        row = {
            **self._key(golden_id),
            "question": text,
            "question_sha256": question_digest(text),
            "language": _language(origin.get("language", "")) or languages[best],
            "source": "promoted" if interaction_id else "written",
            "interaction_id": interaction_id,
            "author": mend(origin["author"]),
        }
        await connection.execute(statement("add_golden"), row)
        await self._judge(connection, golden_id, relevant)
        return golden_id

    async def _check_scenarios(
        self, connection: Connection, relevant: Iterable[UUID]
    ) -> dict[UUID, str]:
        """The language of each scenario. Raises: NotFoundError if one is not there."""
        key = {"tenant_id": self._tenant_id, "scenario_ids": list(relevant)}
        cursor = await connection.execute(statement("golden_scenarios"), key)
        languages = {row["scenario_id"]: row["language"] for row in await cursor.fetchall()}
        for scenario_id in relevant:
            if scenario_id not in languages:
                raise no_scenario(scenario_id)
        return languages

    async def _judge(
        self, connection: Connection, golden_id: UUID, relevant: Mapping[UUID, int]
    ) -> None:
        row = {
            **self._key(golden_id),
            "scenario_ids": list(relevant),
            "grades": list(relevant.values()),
        }
        await connection.execute(statement("judge_golden"), row)

    def _key(self, golden_id: UUID) -> dict[str, Any]:
        return {"tenant_id": self._tenant_id, "golden_id": golden_id}


def question_digest(question: str) -> bytes:
    """What two questions share that differ in case, spacing and marks at the ends only."""
    same = " ".join(question.casefold().split())
    return hashlib.sha256((same.strip(" ?!.¿¡") or same).encode()).digest()


def _golden(
    heads: Iterable[Mapping[str, Any]], judgements: Iterable[Mapping[str, Any]]
) -> list[Golden]:
    relevant = defaultdict(list)
    for row in judgements:
        judgement = Judgement(row["scenario_id"], row["name"], row["status"], row["grade"])
        relevant[row["golden_id"]].append(judgement)
    return [Golden(**head, relevant=tuple(relevant[head["id"]])) for head in heads]


def _grouped(rows: Iterable[Mapping[str, Any]], known: set[tuple[bytes, UUID]]) -> list[Suggestion]:
    """One suggestion for each question and scenario, that of the newest verdict."""
    groups: dict[tuple[bytes, UUID], list[Mapping[str, Any]]] = {}
    for row in rows:
        key = (question_digest(row["question"]), row["scenario_id"])
        if key not in known:
            groups.setdefault(key, []).append(row)
    return [Suggestion(**same[0], times=len(same)) for same in groups.values()]


def _check_grades(relevant: Mapping[UUID, int]) -> None:
    if len(relevant) > MAX_JUDGED:
        raise InputError(f"{len(relevant)} scenarios are judged; {MAX_JUDGED} fit a question.")
    for grade in relevant.values():
        if isinstance(grade, bool) or grade not in range(MAX_GRADE + 1):
            raise InputError(
                f"the grade is {grade!r}; choose 2 (right), 1 (fits) or 0 (only looks right)."
            )


def _language(given: str) -> str:
    language = mend(given)
    if len(language) > MAX_LANGUAGE:
        raise InputError(f"the language has {len(language)} characters; write it as en or es-MX.")
    return language


def _no_golden(golden_id: UUID) -> NotFoundError:
    return NotFoundError(f"there is no golden question {golden_id}.")
