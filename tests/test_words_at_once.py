"""The words of many scenarios are found and stored in one go, and are what they always were."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg import sql

from staffroom.content.starter import starter_rows
from staffroom.database import store
from staffroom.database.connection import Database
from staffroom.database.statements import statement
from staffroom.database.vector_ops import VectorOperations

BEFORE, _, ADD_WORDS = (
    (Path(__file__).parent / "words_before.sql")
    .read_text("utf-8")
    .partition("-- name: add_words\n")
)
OTHER_TENANT = UUID("00000000-0000-7000-8000-00000000000b")

ODD: list[dict[str, Any]] = [
    {"name": "the", "description": "of it"},
    {"name": "Ünïcödé", "description": "naïve Façade ÉCOLE e\u0301cole œuvre ǅ ﬁne ½ ①"},
    {"name": "x", "description": "a-b-c it's foo@bar.org http://x.y/z?q=1 -5 1e10 007 a_b"},
    {"name": "{1:2}", "description": "{{1:0.5}}/1000000000 ':* & | ! <-> \\ % %s %(rows)s"},
    {"name": "w" * 300, "description": "same same same " * 300},
    {"name": "授業中", "description": "生徒が授業中に携帯電話を使う。", "language": "ja"},
    {"name": "ห้องเรียน", "description": "นักเรียนคุยกันในห้องเรียน", "language": "th"},
    {"name": "Uczeń", "description": "Uczniowie rozmawiają podczas lekcji.", "language": "pl"},
    {"name": "Ученик", "description": "Ученики разговаривают на уроке.", "language": "ru"},
    {
        "name": "Schüler",
        "description": "Die Schüler schwätzen; die SCHÜLERIN nicht.",
        "language": "de-AT",
    },
    {"name": "ş", "description": "İstanbul'da öğrenciler çok konuşuyor", "language": "tr"},
    {"name": "élève", "description": "Les élèves bavardent", "language": "FR"},
    {"name": "a", "description": "a ab abc abcd abcde", "language": "xx"},
    {"name": "طالب", "description": "الطلاب يتحدثون أثناء الدرس", "language": "ar"},
    {"name": "😀 🎉", "description": "😀 class 🎉", "language": "en"},
    {"name": "Long", "description": " ".join(f"word{n} other{n % 90}" for n in range(400))},
]
"""Of every kind of language that is treated in its own way, and what may upset a statement."""

KEPT = {
    "vocabulary": "SELECT word, term, scenarios FROM staffroom.vocabulary ORDER BY word",
    "statistics": "SELECT language, scenarios, length FROM staffroom.word_statistics "
    "ORDER BY language",
    "words": "SELECT s.source_id, w.revision, w.language, w.length, w.words::text AS words "
    "FROM staffroom.scenario_words AS w "
    "JOIN staffroom.scenarios AS s USING (tenant_id, scenario_id) ORDER BY s.source_id",
    "postings": "SELECT s.source_id, p.term, p.weight FROM staffroom.postings AS p "
    "JOIN staffroom.scenarios AS s USING (tenant_id, scenario_id) ORDER BY s.source_id, p.term",
}


async def kept(database: Database, tenant_id: UUID) -> dict[str, list[dict[str, Any]]]:
    async with database.transaction(tenant_id) as connection:
        return {
            what: await (await connection.execute(query.encode())).fetchall()
            for what, query in KEPT.items()
        }


async def store_batches(operations: VectorOperations) -> None:
    odd = [{"id": f"odd-{n}", **row} for n, row in enumerate(ODD)]
    edited = [{**row, "description": f"{row['description']} Another word."} for row in odd[::2]]
    for batch in (starter_rows()[:90], odd, starter_rows()[90:], edited):
        report = await operations.batch_process(batch)
        assert report["failed"] == 0, report


async def test_what_is_kept_of_words_is_what_the_statement_of_before_keeps(
    database: Database, vector_ops: VectorOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.owner_transaction() as owner:
        await owner.execute(BEFORE.encode())
    await store_batches(vector_ops)
    now = await kept(database, vector_ops.tenant_id)

    def of_before(name: str, vectors_table: str = "") -> bytes:
        if name == "words_of":
            return b"SELECT * FROM json_to_recordset(%(rows)s) AS r (language text, body text)"
        if name == "add_words":
            return sql.SQL(ADD_WORDS).format().as_bytes()
        return statement(name, vectors_table)

    monkeypatch.setattr(store, "statement", of_before)
    other = vector_ops.for_tenant(OTHER_TENANT)
    await store_batches(other)
    before = await kept(database, OTHER_TENANT)

    assert len(now["words"]) == len(starter_rows()) + len(ODD)
    assert len(now["postings"]) > 10 * len(now["words"])
    for what, rows in now.items():
        assert rows == before[what], what


async def test_nothing_of_its_words_is_left_of_a_tenant_that_is_erased(
    database: Database, vector_ops: VectorOperations
) -> None:
    other = vector_ops.for_tenant(OTHER_TENANT)
    for operations in (vector_ops, other):
        await operations.batch_process([{"id": "1", "name": "Late", "description": "A bell."}])

    await database.erase_tenant(OTHER_TENANT)

    left = {what: len(rows) for what, rows in (await kept(database, OTHER_TENANT)).items()}
    assert left == dict.fromkeys(KEPT, 0)
    async with database.owner_transaction() as owner:
        await owner.execute("RESET ROLE")
        query = "SELECT DISTINCT tenant_id FROM staffroom.postings"
        found = await (await owner.execute(query)).fetchall()
    assert [row["tenant_id"] for row in found] == [vector_ops.tenant_id]
