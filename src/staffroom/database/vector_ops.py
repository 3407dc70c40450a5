"""VectorOperations: everything that Staffroom keeps and finds, for one tenant."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, get_args
from uuid import UUID

import numpy as np
import psycopg

from staffroom.config import DEFAULT_TENANT, SIMILARITY_THRESHOLD
from staffroom.database.backup import Backups
from staffroom.database.batch import NumberedContent, Row, RowEffect
from staffroom.database.catalogue import Catalogue
from staffroom.database.connection import Database
from staffroom.database.drafts import Drafts
from staffroom.database.edits import Edit, edit_scenario
from staffroom.database.gaps import Gaps
from staffroom.database.generations import set_calibration
from staffroom.database.golden import GoldenQuestions
from staffroom.database.idempotency import IdempotencyKeys
from staffroom.database.imports import Imports
from staffroom.database.insights import Insights
from staffroom.database.interactions import Interactions
from staffroom.database.items import NOT_AHEAD, Ahead
from staffroom.database.library import Library, Told
from staffroom.database.likenesses import Likenesses
from staffroom.database.merging import Merging
from staffroom.database.parts import store_in_parts
from staffroom.database.rows import check_vectors
from staffroom.database.search import Candidates, Searcher, Wanted
from staffroom.database.standings import Standings
from staffroom.database.store import Stored
from staffroom.errors import InputError, Overloaded, SearchError, UnavailableError
from staffroom.monitoring.error_tracking import track_vector_operation
from staffroom.monitoring.metrics import STAGE_TIME
from staffroom.retrieval.calibration import Calibration
from staffroom.scenario import scenario_from
from staffroom.scenario_life import today
from staffroom.text import clean_question
from staffroom.types import (
    Answer,
    Embedder,
    Filters,
    ImportReport,
    Interaction,
    Match,
    Mode,
    ProgressListener,
    Revision,
    Scenario,
    ScenarioContent,
    SearchResult,
    Vector,
    Vectors,
)

MAX_LIMIT: Final = 1_000
RELATED: Final = 3
"""Scenarios that are named as perhaps related where none passed."""


class VectorOperations:
    """The library and the interactions of one tenant.

    Everything here touches the database and is therefore awaited, also where the
    guide does not. `author` is named in revisions and in the audit trail.
    """

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        *,
        tenant_id: UUID = DEFAULT_TENANT,
        threshold: float = SIMILARITY_THRESHOLD,
        author: str = "",
        hold_back_overdue: bool = False,
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._tenant_id = tenant_id
        self._threshold = threshold
        self._author = author
        self._hold_back_overdue = hold_back_overdue
        self._library = Library(database, embedder, tenant_id, author)
        self.catalogue = Catalogue(database, tenant_id)
        self.interactions = Interactions(database, tenant_id)
        self.gaps = Gaps(database, tenant_id)
        self.insights = Insights(database, tenant_id, self.gaps)
        self.standings = Standings(database, tenant_id, author)
        self.idempotency = IdempotencyKeys(database, tenant_id)
        self.golden = GoldenQuestions(database, tenant_id)
        self.imports = Imports(database, tenant_id)
        self.drafts = Drafts(database, self._library, tenant_id)
        self.backups = Backups(database, self._library, tenant_id, author)
        self.likenesses = Likenesses(database, self._library, tenant_id)
        self.merging = Merging(database, self._library, self.likenesses, tenant_id)
        self._searcher: Searcher | None = None

    @property
    def tenant_id(self) -> UUID:
        return self._tenant_id

    @property
    def author(self) -> str:
        """Who is named in revisions, golden questions and the audit trail."""
        return self._author

    @property
    def threshold(self) -> float:
        """The relevance below which a scenario is not used, unless a call says otherwise."""
        return self._threshold

    def for_tenant(self, tenant_id: UUID) -> "VectorOperations":
        """The same operations on another tenant's library."""
        return VectorOperations(
            self._database,
            self._embedder,
            tenant_id=tenant_id,
            threshold=self._threshold,
            author=self._author,
            hold_back_overdue=self._hold_back_overdue,
        )

    async def store_scenario(
        self,
        name: str,
        description: str,
        expected_response: str = "",
        *,
        reason: str = "",
        **fields: Any,
    ) -> UUID:
        """The scenario is in the library, embedded and searchable. Returns its id.

        `fields` are those of `scenario_from`: id, example_questions, category and so on; the
        reason is kept with the revision.
        Raises: InvalidScenario naming the field that is wrong.
        """
        row = {"name": name, "description": description, "expected_response": expected_response}
        return (await self.put_scenario(row | fields, reason=reason)).scenario_id

    async def put_scenario(
        self, row: Mapping[str, Any], *, reason: str = "", author: str = ""
    ) -> Stored:
        """As `store_scenario`, for a row of fields; says too whether that changed the library.

        The revision names the `author`, or else the author of these operations.
        """
        return (await self._library.store([scenario_from(row)], reason=reason, author=author))[0]

    async def batch_process(self, batch: Sequence[Row]) -> ImportReport:
        """Every valid row is embedded and stored; the others are named with their reason."""
        return await self.batch_store_content(batch)

    @track_vector_operation("store")
    async def batch_store_content(
        self, content: Sequence[Row], embeddings: Vectors | None = None
    ) -> ImportReport:
        """Every valid row is stored, with its ready embedding if one is given.

        Shape: embeddings (rows, dimensions), rows of unit length, of the model in use.
        Rows that the library already has in this form, under whatever id, are left out. Rows
        are numbered from 1 in the report. Many rows are stored in parts, each wholly or not at all:
        if one cannot be, the error says how many rows before it are stored.
        """
        if embeddings is not None:
            embeddings = check_vectors(embeddings, len(content), self._embedder.dimensions)
        return await store_in_parts(self._library, content, embeddings)

    async def store_numbered(
        self,
        rows: Sequence[NumberedContent],
        *,
        reason: str = "",
        told: Told | None = None,
        ahead: Ahead = NOT_AHEAD,
    ) -> list[RowEffect]:
        """The rows are stored, and `told` as by `Library.store_numbered`."""
        return await self._library.store_numbered(rows, reason=reason, told=told, ahead=ahead)

    async def preview(self, rows: Sequence[NumberedContent]) -> list[RowEffect]:
        """What storing the rows would do, one by one."""
        return await self._library.preview(rows)

    async def repeated(self, rows: Sequence[NumberedContent]) -> dict[int, RowEffect]:
        """By their number, the new rows that say the same as another scenario or an earlier row."""
        return await self._library.repeated(rows)

    async def embed_ahead(self, contents: Sequence[ScenarioContent]) -> Ahead:
        """As `Library.embed_ahead`, for rows that will probably be stored."""
        return await self._library.embed_ahead(contents) if contents else NOT_AHEAD

    async def update_scenario(
        self,
        scenario_id: UUID,
        changes: Mapping[str, Any],
        *,
        reason: str = "",
        author: str = "",
        expected_revision: int | None = None,
    ) -> Scenario:
        """The scenario has a new revision with the named fields changed, if anything changed.

        Raises: NotFoundError; InvalidScenario naming the field that is wrong; StepRefused for a
            status that cannot follow; EditConflict if its revision is not the expected one.
        """
        edit = Edit(reason, author, expected_revision)
        return await edit_scenario(self._library, self.catalogue, scenario_id, changes, edit)

    async def delete_scenario(
        self, scenario_id: UUID, *, author: str = "", expected_revision: int | None = None
    ) -> None:
        """The scenario, its history and its vectors are gone. To take it out of use, retire it.

        Raises: NotFoundError; EditConflict if its revision is not the expected one.
        """
        await self._library.delete(scenario_id, expected_revision, author)

    async def find_similar_scenarios(
        self,
        query: str | Vector,
        limit: int = 5,
        threshold: float | None = None,
        filters: Filters | None = None,
        *,
        mode: Mode = "hybrid",
    ) -> list[Match]:
        """The scenarios that fit a question, best first, none below the threshold."""
        return list((await self.search(query, limit, threshold, filters, mode=mode)).matches)

    @track_vector_operation("search")
    async def search(
        self,
        query: str | Vector,
        limit: int = 5,
        threshold: float | None = None,
        filters: Filters | None = None,
        *,
        mode: Mode = "hybrid",
        embedding: Vector | None = None,
        overdue_too: bool = False,
    ) -> SearchResult:
        """As `find_similar_scenarios`, with the threshold used and the best relevance found.

        What is past its review date is left out if it is held back, unless `overdue_too`.
        By words alone no model is needed; an embedding in place of a question has a meaning alone.
        The question is not embedded if its embedding is given.
        Raises: InputError for an empty or over-long question, a limit outside 1 to 1000, a
            threshold outside 0 to 1 or an unknown mode; SearchError if the model or the database
            fails; Overloaded if too many questions wait for the model.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise InputError(f"limit is {limit}; choose 1 to {MAX_LIMIT}.")
        threshold = self._threshold if threshold is None else threshold
        if not 0 <= threshold <= 1:
            raise InputError(f"threshold is {threshold}; choose 0 to 1, 0 lets everything pass.")
        if mode not in get_args(Mode):
            raise InputError(f"mode is {mode!r}; choose {', '.join(get_args(Mode))}.")
        question = clean_question(query) if isinstance(query, str) else ""
        if not isinstance(query, str):
            mode, embedding = "meaning", query
        try:
            if mode != "words":
                embedding = await self._embedding(question if embedding is None else embedding)
            scope = (filters or Filters()) if overdue_too else self.scope(filters)
            wanted = Wanted(question, embedding, limit, scope, mode)
            found = await (await self._open_searcher()).find(self._tenant_id, wanted)
        except Overloaded:
            raise
        except (UnavailableError, psycopg.Error) as error:
            raise SearchError(f"the search failed: {error}") from error
        matches = tuple(match for match in found if match.relevance >= threshold)
        return SearchResult(
            matches,
            threshold,
            found[0].relevance if found else None,
            related=() if matches else tuple(found[:RELATED]),
            mode=mode,
        )

    async def retrieve(
        self,
        query: str,
        embedding: Vector | None = None,
        *,
        limit: int = 5,
        threshold: float | None = None,
        filters: Filters | None = None,
    ) -> SearchResult:
        """What an answer may rest on: as `search`, but nothing for a question that vetted
        classroom advice must not answer (medical, legal, harmful, …). `reason` says which.

        The embedding is made if it is not given. Raises: as `search`, and EmbedderUnavailable.
        """
        question = clean_question(query)
        vector = await self._embedding(question if embedding is None else embedding)
        found = await self.search(question, limit, threshold, filters, embedding=vector)
        searcher = await self._open_searcher()
        reason = searcher.reason_against(question, vector, found.best_relevance)
        if reason is None:
            return found
        related = found.related or found.matches[:RELATED]
        return replace(found, matches=(), related=related, reason=reason)

    def scope(self, filters: Filters | None) -> Filters:
        """The filters of an answer today: without what is overdue, if that is held back."""
        filters = filters or Filters()
        return replace(filters, without_overdue_on=today()) if self._hold_back_overdue else filters

    async def candidates(self, question: str, embedding: Vector) -> Candidates:
        """What comes into question, with the scores that a calibration is fitted on."""
        wanted = Wanted(question, embedding, 1, Filters())
        return await (await self._open_searcher()).candidates(self._tenant_id, wanted)

    async def ranking(self) -> str:
        """What turns a question into matches: the model, and what its scores are read as."""
        generation = await self._library.generation()
        return f"{generation.model} {generation.calibration and generation.calibration.digest}"

    async def is_calibrated(self) -> bool:
        """It is known what the scores of the model in use mean."""
        return (await self._library.generation()).calibration is not None

    async def calibrate(self, calibration: Calibration) -> None:
        """The scores of the model in use are read in this way, by all tenants."""
        await self._library.generation()
        await set_calibration(self._database, self._embedder.model, calibration)
        self._library.forget_generation()
        self._searcher = None

    async def get_scenario(self, scenario_id: UUID) -> Scenario:
        """The scenario as it is now. Raises: NotFoundError."""
        return await self.catalogue.get(scenario_id)

    async def list_scenarios(
        self, filters: Filters | None = None, limit: int = 100, after: UUID | None = None
    ) -> list[Scenario]:
        """A page of the library, oldest first: the `limit` scenarios that follow the id `after`."""
        return await self.catalogue.page(filters, limit, after)

    async def list_revisions(self, scenario_id: UUID) -> list[Revision]:
        """What the scenario said in each revision, oldest first. Raises: NotFoundError."""
        return await self.catalogue.revisions(scenario_id)

    @track_vector_operation("store_interaction")
    async def store_interaction(
        self,
        query: str,
        query_embedding: Vector,
        response: Answer,
        *,
        asked: str | None = None,
    ) -> UUID:
        """The question, its embedding, the answer and what it rested on are stored.

        `asked` is the question with what it refers to, if it continues a conversation.
        Returns the interaction's id.
        """
        embedding = check_vectors(query_embedding[np.newaxis], 1, self._embedder.dimensions)[0]
        generation = await self._library.generation()
        return await self.interactions.add(
            generation, clean_question(query), embedding, response, asked
        )

    async def get_interaction(self, interaction_id: UUID) -> Interaction:
        """The exchange as it was stored, with its feedback. Raises: NotFoundError."""
        return await self.interactions.get(interaction_id)

    async def library_version(self) -> int:
        """Grows with every change of the library."""
        return await self._library.version()

    async def needs_starter_library(self) -> bool:
        """The tenant has not been given the starter library yet."""
        return await self._library.needs_starter()

    async def mark_starter_library(self) -> None:
        """The tenant will not be given the starter library again."""
        await self._library.mark_starter()

    async def embed_missing(self, progress: ProgressListener | None = None) -> int:
        """As `Library.embed_missing`."""
        return await self._library.embed_missing(progress)

    async def _embedding(self, query: str | Vector) -> Vector:
        if isinstance(query, str):
            with STAGE_TIME.labels("embedding").time():
                vectors = await self._embedder.embed([query], "query")
        else:
            vectors = check_vectors(query[np.newaxis], 1, self._embedder.dimensions)
        vector: Vector = vectors[0]
        return vector

    async def _open_searcher(self) -> Searcher:
        if self._searcher is None:
            self._searcher = Searcher(self._database, await self._library.generation())
        return self._searcher
