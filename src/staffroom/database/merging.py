"""Two scenarios become one: what was asked for either leads to the one that is kept."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from staffroom.database.catalogue import Catalogue
from staffroom.database.connection import Connection, Database
from staffroom.database.library import Library
from staffroom.database.likenesses import Likeness, Likenesses, Pair
from staffroom.database.statements import statement
from staffroom.database.store import Item, TextChanged, check_revision, write_scenarios
from staffroom.errors import ConflictError, EditConflict, InputError
from staffroom.scenario import MAX_ITEMS
from staffroom.types import Scenario, ScenarioContent

TRIES: Final = 5
"""How often a merge begins anew because somebody changed one of the two meanwhile."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a merge writes, and what it was made on."""

    kept: Scenario
    gone: Scenario
    merged: ScenarioContent
    retired: ScenarioContent
    left_out: int
    reason: str

    @property
    def reasons(self) -> tuple[str, str]:
        """Why, for the history of the one that is kept, and of the other."""
        because = f": {self.reason}" if self.reason else ""
        unfit = f", without {self.left_out} of its questions" if self.left_out else ""
        return (
            f"merged with {self.gone.content.name} ({self.gone.id}){unfit}{because}",
            f"merged into {self.kept.content.name} ({self.kept.id}){because}",
        )


class Merging:
    """Merges scenarios of one tenant."""

    def __init__(
        self,
        database: Database,
        library: Library,
        likenesses: Likenesses,
        tenant_id: UUID,
    ) -> None:
        self._database = database
        self._library = library
        self._likenesses = likenesses
        self._catalogue = Catalogue(database, tenant_id)
        self._tenant_id = tenant_id

    async def merge(self, pair: Pair, keep: UUID, *, author: str, reason: str) -> Likeness:
        """The one that is kept has the example questions of both, as many as fit, and the golden
        judgements of both; the other is retired. All of it happens at once, or nothing.

        Raises: InputError if `keep` is neither; as `Likenesses.decide`; EditConflict if somebody
            keeps changing them.
        """
        if keep not in pair.ids:
            raise InputError(f"{keep} is neither of the two. Keep {pair.one} or {pair.other}.")
        for _ in range(TRIES):
            kept, gone = [
                await self._catalogue.get(scenario_id)
                for scenario_id in sorted(pair.ids, key=lambda scenario_id: scenario_id != keep)
            ]
            for scenario in (kept, gone):
                check_revision(scenario.id, scenario.revision, pair.revisions.get(scenario.id))
            plan = _planned(kept, gone, reason)
            items = await self._library.items([plan.merged, plan.retired])
            with suppress(TextChanged):
                if merged := await self._write(pair, plan, items, author):
                    return merged
        raise EditConflict(
            f"one of {pair.one} and {pair.other} was changed again and again. Try it again."
        )

    async def _write(
        self, pair: Pair, plan: _Plan, items: Sequence[Item], author: str
    ) -> Likeness | None:
        """The pair as it was merged; None if one of them is not what the plan was made on."""
        generation = await self._library.generation()
        planned = {plan.kept.id: plan.kept.revision, plan.gone.id: plan.gone.revision}
        async with self._database.transaction(self._tenant_id) as connection:
            known = await self._likenesses.open_pair(connection, pair, "merged")
            if known.decision == "merged":
                return _merged_already(known, plan.kept.id)
            if any(planned[alike.id] != alike.revision for alike in (known.one, known.other)):
                return None
            for item, written in zip(items, plan.reasons, strict=True):
                await write_scenarios(
                    connection, self._tenant_id, generation, [item], author=author, reason=written
                )
            golden = await self._repoint(connection, plan)
            await self._likenesses.write_decision(
                connection,
                pair,
                "merged",
                author=author,
                reason=plan.reason,
                kept=plan.kept.id,
                detail={"revisions": list(planned.values()), "golden": golden},
            )
            return await self._likenesses.get(connection, pair)

    async def _repoint(self, connection: Connection, plan: _Plan) -> list[str]:
        """Golden questions that knew the one that goes know the one that stays. Returns which."""
        key = {"tenant_id": self._tenant_id, "gone": plan.gone.id, "kept": plan.kept.id}
        await connection.execute(statement("lock_golden"), key)
        cursor = await connection.execute(statement("repoint_judgements"), key)
        return [str(row["golden_id"]) for row in await cursor.fetchall()]


def _merged_already(known: Likeness, keep: UUID) -> Likeness:
    if known.kept != keep:
        raise ConflictError(
            f"{known.decided_by} has merged the two already, and kept {known.kept}. To undo that, "
            "restore what both said before; then merge again."
        )
    return known


def _planned(kept: Scenario, gone: Scenario, reason: str) -> _Plan:
    """A question that both have in another case or spacing is one question."""
    questions = {
        " ".join(question.casefold().split()): question
        for question in (*gone.content.example_questions, *kept.content.example_questions)
    }
    own = kept.content.example_questions
    added = [question for question in questions.values() if question not in own]
    room = MAX_ITEMS - len(own)
    return _Plan(
        kept,
        gone,
        replace(kept.content, example_questions=(*own, *added[:room])),
        replace(gone.content, metadata=replace(gone.content.metadata, status="retired")),
        left_out=max(0, len(added) - room),
        reason=reason,
    )
