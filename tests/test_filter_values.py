"""What is filtered by is a value, never a part of a statement, whatever it looks like."""

from typing import Any
from uuid import uuid4

import pytest

from staffroom.database.connection import Database
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError
from staffroom.types import Filters
from tests.fakes import WordEmbedder

NASTY = [
    "O'Brien's",
    "x' OR '1'='1",
    "x'); DROP TABLE staffroom.scenarios; --",
    'say "hello"',
    "back\\slash",
    "\\' OR 1=1 --",
    "100%",
    "_",
    "%",
    "%s %(tenant_id)s {0}",
    "$1",
    "{a,b}",
    "[null]",
    "NULL",
    "naïve ‘école’",
    "日本語 كيف 🤷",
]
"""Values that a statement made of text, a pattern or an array's text form would take apart."""

FIELDS = ("categories", "grade_bands", "subjects", "settings", "tags")

BROKEN = ["\x00", "a\x00b", "\ud800"]


def row(number: int, value: str) -> dict[str, Any]:
    return {
        "id": f"row-{number}",
        "name": f"Row {number}",
        "description": f"The whole class talks, case {number}.",
        "category": value,
        "setting": value,
        **{name: [value] for name in ("grade_bands", "subjects", "tags")},
    }


@pytest.fixture
async def libraries(database: Database) -> list[VectorOperations]:
    """Two tenants with the same values, one of which nobody but the second has."""
    found = []
    for number, title in enumerate(("St. John's", "x' OR '1'='1")):
        tenant_id = uuid4()
        await database.ensure_tenant(tenant_id, title)
        library = VectorOperations(database, WordEmbedder(), tenant_id=tenant_id)
        values = [*NASTY, "only here's"][: len(NASTY) + number]
        report = await library.batch_process([row(n, each) for n, each in enumerate(values)])
        assert report["failed"] == 0
        found.append(library)
    return found


def only(field: str, value: str) -> Filters:
    wanted: dict[str, Any] = {field: (value,)}
    return Filters(**wanted)


async def found(library: VectorOperations, filters: Filters) -> list[str]:
    result = await library.search("the class talks", 100, 0.0, filters)
    return [match.scenario.content.source_id for match in result.matches]


async def test_a_value_finds_its_own_rows_and_no_other(
    libraries: list[VectorOperations],
) -> None:
    first, second = libraries
    foreign = {match.id for match in await second.list_scenarios()}
    for number, value in enumerate(NASTY):
        for field in FIELDS:
            filters = only(field, value)
            assert await found(first, filters) == [f"row-{number}"], (field, value)
            (listed,) = await first.list_scenarios(filters)
            assert listed.content.source_id == f"row-{number}"
        assert await found(first, Filters(languages=(value,))) == []
    for field in FIELDS:
        assert await found(first, only(field, "only here's")) == []
        assert await found(second, only(field, "only here's")) != []
    assert not foreign & {each.id for each in await first.list_scenarios()}


@pytest.mark.parametrize("value", BROKEN)
async def test_what_no_text_may_hold_is_named(
    libraries: list[VectorOperations], value: str
) -> None:
    for field in (*FIELDS, "languages"):
        with pytest.raises(InputError, match=f"the filter {field} has .* at character "):
            await found(libraries[0], only(field, value))
