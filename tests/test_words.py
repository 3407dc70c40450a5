"""The way by words: BM25 in the database, kept with every write, safe for any question."""

import math
import re
from typing import Any
from uuid import UUID

import pytest

from staffroom.config import DEFAULT_TENANT
from staffroom.database.connection import Database
from staffroom.database.search import Searcher, Wanted
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError
from staffroom.types import Filters
from tests.fakes import WordEmbedder

OTHER_TENANT = UUID("00000000-0000-7000-8000-00000000000b")

NOISE = {"id": "noise", "name": "Noisy class", "description": "The whole class shouts at once."}
LATE = {"id": "late", "name": "Late pupils", "description": "Pupils arrive after the bell. Late!"}
PHONES = {"id": "phones", "name": "Phones", "description": "Telephones ring in the noisy hall."}
ROWS: list[dict[str, Any]] = [NOISE, LATE, PHONES]


LED_TO = """
    SELECT v.word, p.scenario_id
    FROM staffroom.postings AS p JOIN staffroom.vocabulary AS v USING (tenant_id, term)
    ORDER BY v.word, p.scenario_id
"""


async def by_words(operations: VectorOperations, question: str, **more: Any) -> list[str]:
    found = await operations.search(question, 10, 0.0, mode="words", **more)
    return [match.scenario.content.source_id for match in found.matches]


async def rows_of(database: Database, query: str) -> list[dict[str, Any]]:
    async with database.transaction(DEFAULT_TENANT) as connection:
        return await (await connection.execute(query)).fetchall()


async def state(database: Database) -> list[list[dict[str, Any]]]:
    """Everything that is kept about words, but for the numbers of the words."""
    return [
        await rows_of(database, query)
        for query in (
            "SELECT * FROM staffroom.word_statistics WHERE scenarios > 0 ORDER BY language",
            "SELECT word, scenarios FROM staffroom.vocabulary WHERE scenarios > 0 ORDER BY word",
            LED_TO,
        )
    ]


async def test_the_share_is_that_of_the_published_formula(
    vector_ops: VectorOperations, database: Database, embedder: WordEmbedder
) -> None:
    await vector_ops.batch_process(ROWS)
    vector = (await embedder.embed(["noisy telephones"], "query"))[0]

    found = await vector_ops.candidates("noisy telephones", vector)

    # The words of each, the name twice; "the", "in", "at", "once" and "after" are in every text.
    texts = {
        "noise": "noisi class noisi class whole class shout",
        "late": "late pupil late pupil pupil arriv bell late",
        "phones": "phone phone telephon ring noisi hall",
    }
    words = {name: text.split() for name, text in texts.items()}
    mean = sum(map(len, words.values())) / 3
    rarity = {"noisi": math.log(1 + 1.5 / 2.5), "telephon": math.log(1 + 2.5 / 1.5)}
    expected = {
        name: sum(
            rarity[word]
            * own.count(word)
            / (own.count(word) + 1.2 * (0.25 + 0.75 * len(own) / mean))
            for word in rarity
        )
        / sum(rarity.values())
        for name, own in words.items()
    }
    names = {
        scenario.id: scenario.content.source_id for scenario in await vector_ops.list_scenarios()
    }
    shares = {names[own]: share for own, share in zip(found.ids, found.shares, strict=True)}
    assert shares == pytest.approx(expected, abs=1e-5)
    assert set(found.languages) == {"en"}


async def test_a_rare_word_decides_and_words_that_every_text_has_do_not(
    vector_ops: VectorOperations,
) -> None:
    await vector_ops.batch_process(ROWS)

    assert await by_words(vector_ops, "the pupils' telephones are ringing") == ["phones", "late"]
    assert await by_words(vector_ops, "what is it that the and of") == []


async def test_an_edit_or_a_delete_leaves_the_words_as_if_it_had_always_been_so(
    vector_ops: VectorOperations, database: Database
) -> None:
    await vector_ops.batch_process([NOISE, PHONES])
    before = await state(database)
    edited = {**LATE, "description": "Algo muy diferente.", "language": "es"}

    await vector_ops.batch_process([LATE])
    await vector_ops.batch_process([edited])
    assert await by_words(vector_ops, "bell") == []
    (late,) = (await vector_ops.search("diferentes", mode="words", threshold=0)).matches
    await vector_ops.delete_scenario(late.scenario.id)

    assert await state(database) == before
    leftovers = await rows_of(database, "SELECT min(scenarios) AS m FROM staffroom.vocabulary")
    assert leftovers[0]["m"] == 0


async def test_storing_again_changes_nothing(
    vector_ops: VectorOperations, database: Database
) -> None:
    await vector_ops.batch_process(ROWS)
    before = await state(database)

    await vector_ops.batch_process(ROWS)
    await vector_ops.batch_process(ROWS[:1])

    assert await state(database) == before


async def test_a_library_of_an_older_version_gets_its_words(
    vector_ops: VectorOperations, database: Database
) -> None:
    await vector_ops.batch_process(ROWS)
    before = await state(database)
    async with database.transaction(DEFAULT_TENANT) as connection:
        for table in ("scenario_words", "postings", "vocabulary", "word_statistics"):
            await connection.execute(f"DELETE FROM staffroom.{table}")
    assert await by_words(vector_ops, "bell") == []

    assert await vector_ops.embed_missing() == 3

    assert await by_words(vector_ops, "bell") == ["late"]
    assert await state(database) == before


@pytest.mark.parametrize(
    ("language", "text", "question"),
    [
        ("es", "Los alumnos llegan tarde después del timbre.", "alumno llegando tarde despues"),
        ("de", "Die Schüler schwätzen während der Stillarbeit.", "schwatzende Schulerin"),
        ("fr", "Les élèves bavardent pendant les exercices.", "eleve bavarde"),
        ("ru", "Ученики разговаривают на уроке.", "ученик разговаривал"),
        ("pl", "Uczniowie rozmawiają podczas lekcji.", "rozmawiajacy uczen"),
        ("ja", "生徒が授業中に携帯電話を使う。", "携帯電話"),
        ("xx", "Discipuli in schola garriunt.", "discipulus garrit"),
    ],
)
async def test_words_are_found_in_the_scenarios_own_language(
    vector_ops: VectorOperations, language: str, text: str, question: str
) -> None:
    own = {
        "id": "own",
        "name": "-",
        "description": text,
        "language": language.split("-", maxsplit=1)[0],
    }
    await vector_ops.batch_process([*ROWS, own])

    assert await by_words(vector_ops, question) == ["own"]


@pytest.mark.parametrize(
    "question", ["telephnes", "telephonse", "telexphones", "telephanes", "TELEHPONE"]
)
async def test_a_slip_in_a_long_word_is_forgiven(
    vector_ops: VectorOperations, question: str
) -> None:
    await vector_ops.batch_process(ROWS)

    assert await by_words(vector_ops, question) == ["phones"]
    assert await by_words(vector_ops, "balls") == []


STRANGE = [
    "the of and",
    "a",
    "x",
    "😀",
    '"unbalanced',
    "''\"'",
    "a & | ! ( ) <-> :* ' \\",
    "-late",
    "late or -",
    "SELECT '; DROP TABLE staffroom.scenarios; --",
    "%s %(question)s {braces}",
    "\u202ereversed",
    "word " * 400,
    "w" * 1_900,
    "Was tun, wenn alle durcheinander reden?",
    "授業中",
]


@pytest.mark.parametrize("question", STRANGE, ids=range(len(STRANGE)))
@pytest.mark.parametrize("mode", ["words", "hybrid"])
async def test_any_question_is_searched_and_none_is_an_error(
    vector_ops: VectorOperations, question: str, mode: Any
) -> None:
    await vector_ops.batch_process(ROWS)

    found = await vector_ops.search(question, 10, 0.0, mode=mode)

    relevances = [match.relevance for match in found.matches]
    assert relevances == sorted(relevances, reverse=True)
    assert all(0 <= relevance <= 1 for relevance in relevances)
    assert mode == "words" or len(found.matches) == 3


@pytest.mark.parametrize(
    ("question", "mode", "threshold", "filters", "reason"),
    [
        ("the of", "words", 0.0, Filters(), "no_words"),
        ("bell", "words", 0.0, Filters(), None),
        ("bell", "hybrid", 1.0, Filters(), "below_threshold"),
        ("bell", "hybrid", 0.0, Filters(categories=("none",)), "nothing_there"),
    ],
)
async def test_an_empty_list_says_why(
    vector_ops: VectorOperations,
    question: str,
    mode: Any,
    threshold: float,
    filters: Filters,
    reason: str | None,
) -> None:
    await vector_ops.batch_process(ROWS)

    found = await vector_ops.search(question, 10, threshold, filters, mode=mode)

    assert found.emptiness == reason


async def test_an_unknown_mode_is_refused(vector_ops: VectorOperations) -> None:
    with pytest.raises(InputError, match="mode is 'fuzzy'; choose hybrid, meaning, words"):
        await vector_ops.search("late", mode="fuzzy")  # type: ignore[arg-type]


async def test_words_need_no_model(database: Database, embedder: WordEmbedder) -> None:
    operations = VectorOperations(database, embedder)
    await operations.batch_process(ROWS)
    embedder.embedded.clear()

    assert await by_words(operations, "bell") == ["late"]
    assert embedder.embedded == []


async def test_words_of_another_school_are_neither_found_nor_counted(
    vector_ops: VectorOperations,
) -> None:
    other = vector_ops.for_tenant(OTHER_TENANT)
    await vector_ops.batch_process(ROWS)
    (alone,) = (await vector_ops.search("bell", mode="words", threshold=0)).matches

    await other.batch_process([{**row, "id": f"x{row['id']}"} for row in (LATE, LATE, LATE)])

    assert await by_words(vector_ops, "bell") == ["late"]
    (still,) = (await vector_ops.search("bell", mode="words", threshold=0)).matches
    assert still.relevance == alone.relevance
    assert await by_words(other, "telephones") == []


@pytest.mark.parametrize("exact_limit", [0, 10_000])
async def test_filters_hold_for_words_and_leave_the_list_full(
    database: Database, vector_ops: VectorOperations, exact_limit: int
) -> None:
    rows = [
        {"id": str(n), "description": f"Late again {n}", "category": "rare" if n == 7 else "common"}
        for n in range(300)
    ]
    await vector_ops.batch_process(rows)
    searcher = Searcher(database, await vector_ops._library.generation(), exact_limit)

    for filters, expected in ((Filters(categories=("rare",)), 1), (Filters(), 50)):
        vector = (await vector_ops._embedder.embed(["late"], "query"))[0]
        found = await searcher.find(DEFAULT_TENANT, Wanted("late", vector, 50, filters))
        assert len(found) == expected
    none = Filters(categories=("none",))
    assert await searcher.find(DEFAULT_TENANT, Wanted("late", vector, 50, none)) == []


async def test_a_draft_is_searched_by_words_only_when_drafts_are_asked_for(
    vector_ops: VectorOperations,
) -> None:
    await vector_ops.batch_process([*ROWS, {**LATE, "id": "draft", "status": "draft"}])

    assert await by_words(vector_ops, "bell") == ["late"]
    assert await by_words(vector_ops, "bell", filters=Filters(statuses=("draft",))) == ["draft"]


async def test_a_text_of_stop_words_alone_is_stored_and_found_by_meaning(
    vector_ops: VectorOperations,
) -> None:
    await vector_ops.batch_process([{"id": "empty", "name": "the", "description": "of it"}])

    assert await by_words(vector_ops, "the") == []
    found = await vector_ops.search("the of it", threshold=0)
    assert [match.scenario.content.source_id for match in found.matches] == ["empty"]


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("en", "Running runners ran", {"run": 1, "runner": 1, "ran": 1}),
        ("en-GB", "Running", {"run": 1}),
        ("es", "atención ATENCION", {"atencion": 2}),
        ("zz", "Über", {"uber": 1}),
        ("zz", "abcdef", {"abcd": 1, "bcde": 1, "cdef": 1}),
        ("ja", "携帯電話", {"携帯": 1, "帯電": 1, "電話": 1}),
        ("en", "", {}),
    ],
)
async def test_words_are_stems_or_where_there_is_no_stemmer_groups_of_letters(
    database: Database, language: str, text: str, words: dict[str, int]
) -> None:
    async with database.transaction(DEFAULT_TENANT) as connection:
        cursor = await connection.execute(
            "SELECT word, frequency FROM staffroom.words_in(%s, %s)", (language, text)
        )
        found = {row["word"]: row["frequency"] for row in await cursor.fetchall()}

    assert found == words


async def test_the_way_by_words_uses_its_index_under_row_level_security(
    database: Database, vector_ops: VectorOperations
) -> None:
    rows = [{"id": str(n), "description": f"Word{n} again and again"} for n in range(1_000)]
    await vector_ops.batch_process(rows)
    async with database.owner_transaction() as connection:
        await connection.execute("RESET ROLE")
        await connection.execute("ANALYZE staffroom.postings")
    async with database.transaction(DEFAULT_TENANT) as connection:
        cursor = await connection.execute(
            "EXPLAIN SELECT scenario_id FROM staffroom.postings WHERE tenant_id = %s AND term = 5 "
            "ORDER BY weight DESC LIMIT 10",
            (DEFAULT_TENANT,),
        )
        plan = "\n".join(str(row["QUERY PLAN"]) for row in await cursor.fetchall())

    assert re.search(r"Index (Only )?Scan Backward using postings_pkey", plan), plan
    assert "Seq Scan" not in plan
