"""The one way into a tenant's library: embed what changed, then write it with its vectors."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from staffroom.database.batch import Effect, NumberedContent, RowEffect, same_as
from staffroom.database.catalogue import no_scenario
from staffroom.database.connection import Connection, Database
from staffroom.database.generations import Generation, open_generation
from staffroom.database.items import (
    NOT_AHEAD,
    Ahead,
    Before,
    items_of,
    ready_items,
    texts_before,
    vectors_of,
    words_of,
)
from staffroom.database.rows import content_from_row
from staffroom.database.statements import statement
from staffroom.database.store import (
    Item,
    Known,
    Stored,
    TextChanged,
    Within,
    add_audit,
    check_revision,
    forget_words,
    known_scenarios,
    with_words,
    write_scenarios,
)
from staffroom.database.vector_index import LARGE_LOAD, build_vector_index, built_afterwards
from staffroom.scenario import content_sha256, source_key
from staffroom.types import (
    Embedder,
    Progress,
    ProgressListener,
    ScenarioContent,
    Vectors,
)

FILL_BATCH: Final = 256

Told = Callable[[Connection, Sequence[RowEffect]], Awaitable[None]]
"""Hears what became of rows, within the transaction that stored them."""


class Library:
    """Scenarios and their vectors, of one tenant and one embedding model."""

    def __init__(
        self, database: Database, embedder: Embedder, tenant_id: UUID, author: str
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._tenant_id = tenant_id
        self._author = author
        self._generation: Generation | None = None

    async def generation(self) -> Generation:
        if self._generation is None:
            await self._database.ensure_tenant(self._tenant_id)
            self._generation = await open_generation(
                self._database,
                self._tenant_id,
                self._embedder.model,
                self._embedder.dimensions,
            )
        return self._generation

    def forget_generation(self) -> None:
        """The generation is read anew at its next use: something about it changed."""
        self._generation = None

    async def store(
        self,
        contents: Sequence[ScenarioContent],
        embeddings: Vectors | None = None,
        *,
        reason: str = "",
        author: str = "",
        expected_revision: int | None = None,
        within: Within | None = None,
    ) -> list[Stored]:
        """All contents are in the library, in their order. Their keys must differ.

        `within` joins the transaction that writes.
        Raises: EditConflict if a revision is expected and a scenario has another by now.
        """
        edit = _Edit(author or self._author, reason, expected_revision, within)
        return await self._store(contents, embeddings, edit)

    async def store_numbered(
        self,
        rows: Sequence[NumberedContent],
        embeddings: Vectors | None = None,
        *,
        reason: str = "",
        told: Told | None = None,
        ahead: Ahead = NOT_AHEAD,
    ) -> list[RowEffect]:
        """The rows are stored. Returns what became of each, in their order.

        What the database refuses is one row: the batch is halved until that row stands alone.
        `told` hears of every row once, in the order of the rows, within the transaction that
        stored it or, of a row that is refused, one of its own. What was made ahead is not made
        again.
        """
        if not rows:
            return []

        async def within(connection: Connection, stored: Sequence[Stored]) -> None:
            if told:
                await told(connection, _effects(rows, stored))

        edit = _Edit(self._author, reason, None, within if told else None)
        try:
            stored = await self._store([row.content for row in rows], embeddings, edit, ahead)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(rows) == 1:
                refusal = str(error).strip().splitlines()[0]
                (row,) = rows
                refused = [RowEffect(row.row, row.content.name, "invalid", "", refusal)]
                if told:
                    async with self._database.transaction(self._tenant_id) as connection:
                        await told(connection, refused)
                return refused
            effects: list[RowEffect] = []
            for half in (slice(len(rows) // 2), slice(len(rows) // 2, None)):
                ready = None if embeddings is None else embeddings[half]
                effects += await self.store_numbered(
                    rows[half], ready, reason=reason, told=told, ahead=ahead
                )
            return effects
        return _effects(rows, stored)

    async def preview(self, rows: Sequence[NumberedContent]) -> list[RowEffect]:
        """What storing the rows would do, in their order."""
        generation = await self.generation()
        keys = [source_key(row.content) for row in rows]
        async with self._database.read(self._tenant_id) as connection:
            known = await known_scenarios(connection, self._tenant_id, generation, keys)
        return [
            _effect(
                row,
                is_new=key not in known,
                changed=key not in known or not known[key].holds(row.content),
            )
            for key, row in zip(keys, rows, strict=True)
        ]

    async def repeated(self, rows: Sequence[NumberedContent]) -> dict[int, RowEffect]:
        """By their number, the new rows that say the same as another scenario or an earlier row."""
        if not rows:
            return {}
        keys = [source_key(row.content) for row in rows]
        digests = [content_sha256(row.content) for row in rows]
        found_rows = await self._database.fetch(
            self._tenant_id,
            statement("repeated_content"),
            {"tenant_id": self._tenant_id, "source_ids": keys, "digests": digests},
        )
        new = {found["source_id"]: found for found in found_rows}
        repeated = {}
        for key, row in zip(keys, rows, strict=True):
            found = new.get(key)
            if found and found["scenario_id"]:
                named = {"name": found["name"], "id": str(found["scenario_id"])}
                repeated[row.row] = same_as(
                    row, "same_scenario", "the same as {name} ({id})", **named
                )
            elif found and row.same_as is not None:
                repeated[row.row] = same_as(
                    row, "same_row", "the same as row {number}", number=row.same_as
                )
        return repeated

    async def embed_ahead(self, contents: Sequence[ScenarioContent]) -> Ahead:
        """The vectors and words of those texts that storing the contents would embed if it happened
        now."""
        _, due = await self._due(await self.generation(), contents)
        items = await self._found(await items_of(*due, self._embedder))
        return Ahead(vectors_of(items), words_of(items))

    async def words_ahead(self, contents: Sequence[ScenarioContent], embeddings: Vectors) -> Ahead:
        """The words of contents that will be stored with those embeddings."""
        return Ahead(words=words_of(await self._found(ready_items(contents, embeddings))))

    async def embed_missing(self, progress: ProgressListener | None = None) -> int:
        """Every scenario has a vector of the model in use, and its words; the vector index stands.
        Returns how many had not.

        Needed after a change of model or of version; a stop in the middle loses nothing.
        """
        generation = await self.generation()
        done = 0
        (missing,) = await self._to_index(generation.vectors_table, "vectors_missing", LARGE_LOAD)
        async with self.loading(missing["rows"]):
            while rows := await self._to_index(
                generation.vectors_table, "scenarios_to_index", FILL_BATCH
            ):
                await self.store([content_from_row(row) for row in rows])
                done += len(rows)
                if progress:
                    progress(Progress("Indexing the library anew", done, None, "rows"))
        await build_vector_index(self._database, generation)
        return done

    @asynccontextmanager
    async def loading(self, rows: int) -> AsyncIterator[None]:
        """As `built_afterwards`, for the model in use."""
        async with built_afterwards(self._database, await self.generation(), rows):
            yield

    async def delete(
        self, scenario_id: UUID, expected_revision: int | None, author: str = ""
    ) -> None:
        """The scenario, its history and its vectors are gone.

        Raises: NotFoundError; EditConflict if its revision is not the expected one.
        """
        key = {"tenant_id": self._tenant_id, "scenario_id": scenario_id}
        async with self._database.transaction(self._tenant_id) as connection:
            await connection.execute(statement("lock_library"), {"tenant_id": self._tenant_id})
            cursor = await connection.execute(statement("get_scenario"), key)
            if row := await cursor.fetchone():
                check_revision(scenario_id, row["revision"], expected_revision)
            await forget_words(connection, self._tenant_id, [scenario_id])
            cursor = await connection.execute(statement("delete_scenario"), key)
            if cursor.rowcount == 0:
                raise no_scenario(scenario_id)
            await connection.execute(statement("advance_library"), {"tenant_id": self._tenant_id})
            await add_audit(
                connection,
                self._tenant_id,
                actor=author or self._author,
                action="scenario.delete",
                subject_id=scenario_id,
                detail={},
            )

    async def version(self) -> int:
        """Grows with every change of the library."""
        await self._database.ensure_tenant(self._tenant_id)
        (row,) = await self._database.fetch(
            self._tenant_id, statement("library_version"), {"tenant_id": self._tenant_id}
        )
        return int(row["version"])

    async def needs_starter(self) -> bool:
        """The tenant has not been given the starter library yet."""
        await self._database.ensure_tenant(self._tenant_id)
        rows = await self._database.fetch(
            self._tenant_id, statement("needs_starter_library"), {"tenant_id": self._tenant_id}
        )
        return any(row["needed"] for row in rows)

    async def mark_starter(self) -> None:
        """The tenant will not be given the starter library again."""
        async with self._database.transaction(self._tenant_id) as connection:
            await connection.execute(
                statement("mark_starter_library"), {"tenant_id": self._tenant_id}
            )

    async def _store(
        self,
        contents: Sequence[ScenarioContent],
        embeddings: Vectors | None,
        edit: "_Edit",
        ahead: Ahead = NOT_AHEAD,
    ) -> list[Stored]:
        generation = await self.generation()
        while embeddings is None:
            with suppress(TextChanged):
                return await self._store_changed(generation, contents, edit, ahead)
        return await self._write(generation, ready_items(contents, embeddings, ahead), edit)

    async def _store_changed(
        self,
        generation: Generation,
        contents: Sequence[ScenarioContent],
        edit: "_Edit",
        ahead: Ahead,
    ) -> list[Stored]:
        """Those of the contents that the library lacks are in it. Raises: TextChanged."""
        keys = [source_key(content) for content in contents]
        known, due = await self._due(generation, contents)
        items = await items_of(*due, self._embedder, ahead)
        there = {key: Stored(entry.scenario_id, changed=False) for key, entry in known.items()}

        def all_of(written: Sequence[Stored]) -> list[Stored]:
            made = zip((source_key(item.content) for item in items), written, strict=True)
            results = there | dict(made)
            return [results[key] for key in keys]

        async def within(connection: Connection, written: Sequence[Stored]) -> None:
            if edit.within:
                await edit.within(connection, all_of(written))

        whole = replace(edit, within=within if edit.within else None)
        return all_of(await self._write(generation, items, whole))

    async def items(self, contents: Sequence[ScenarioContent]) -> list[Item]:
        """The contents as `write_scenarios` takes them; what the library has of their texts is not
        embedded again."""
        generation = await self.generation()
        keys = [source_key(content) for content in contents]
        async with self._database.read(self._tenant_id) as connection:
            known = await known_scenarios(connection, self._tenant_id, generation, keys)
            before = await texts_before(connection, self._tenant_id, generation, known.values())
        there = [(content, known.get(key)) for content, key in zip(contents, keys, strict=True)]
        return await items_of(there, before, self._embedder)

    async def _due(
        self, generation: Generation, contents: Sequence[ScenarioContent]
    ) -> tuple[dict[str, Known], "_Due"]:
        """What the library has of the contents; those that it lacks, with what it has in place."""
        keys = [source_key(content) for content in contents]
        async with self._database.read(self._tenant_id) as connection:
            known = await known_scenarios(connection, self._tenant_id, generation, keys)
            due = [
                (content, known.get(key))
                for content, key in zip(contents, keys, strict=True)
                if key not in known or known[key].lacks(content)
            ]
            there = [entry for _, entry in due if entry]
            before = await texts_before(connection, self._tenant_id, generation, there)
        return known, (due, before)

    async def _to_index(self, vectors: str, name: str, limit: int) -> list[DictRow]:
        parameters = {"tenant_id": self._tenant_id, "limit": limit}
        return await self._database.fetch(self._tenant_id, statement(name, vectors), parameters)

    async def _write(
        self, generation: Generation, items: Sequence[Item], edit: "_Edit"
    ) -> list[Stored]:
        if not items and not edit.within:
            return []
        items = await self._with_words(items)
        async with self._database.transaction(self._tenant_id) as connection:
            stored: list[Stored] = []
            if items:
                stored = await write_scenarios(
                    connection,
                    self._tenant_id,
                    generation,
                    items,
                    author=edit.author,
                    reason=edit.reason,
                    expected_revision=edit.expected_revision,
                )
            if edit.within:
                await edit.within(connection, stored)
            return stored

    async def _found(self, items: Sequence[Item]) -> Sequence[Item]:
        # Where the database refuses a text, storing finds out which, and says so.
        with suppress(psycopg.DataError):
            return await self._with_words(items)
        return items

    async def _with_words(self, items: Sequence[Item]) -> Sequence[Item]:
        if all(item.words is not None or item.vectors is None for item in items):
            return items
        async with self._database.read(self._tenant_id) as connection:
            return await with_words(connection, items)


_Due = tuple[list[tuple[ScenarioContent, Known | None]], dict[UUID, Before]]


@dataclass(frozen=True, slots=True)
class _Edit:
    """Who changes the library, why and on what, and what happens with it or not at all."""

    author: str
    reason: str
    expected_revision: int | None
    within: Within | None


def _effects(rows: Sequence[NumberedContent], stored: Sequence[Stored]) -> list[RowEffect]:
    return [
        _effect(row, is_new=result.is_new, changed=result.changed)
        for row, result in zip(rows, stored, strict=True)
    ]


def _effect(row: NumberedContent, *, is_new: bool, changed: bool) -> RowEffect:
    effect: Effect = "new" if is_new else "changed" if changed else "unchanged"
    return RowEffect(row.row, row.content.name, effect)
