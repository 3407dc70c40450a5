"""The library as editors browse it."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from staffroom.database.catalogue import FACETS, FacetValue
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError, NotFoundError
from staffroom.types import STATUSES, Filters

ALL = Filters(statuses=STATUSES)


async def fill(vector_ops: VectorOperations, *rows: dict[str, Any]) -> list[UUID]:
    return [
        await vector_ops.store_scenario(f"Name {n}", f"Situation {n}.", **row)
        for n, row in enumerate(rows)
    ]


async def test_pages_are_in_the_order_of_writing_and_overlap_nowhere(
    vector_ops: VectorOperations,
) -> None:
    ids = await fill(vector_ops, *[{"id": f"s{n}"} for n in range(5)])

    first = await vector_ops.catalogue.page(ALL, 2)
    second = await vector_ops.catalogue.page(ALL, 2, first[-1].id)
    third = await vector_ops.catalogue.page(ALL, 2, second[-1].id)

    assert [scenario.id for scenario in first + second + third] == ids
    assert await vector_ops.catalogue.page(ALL, 2, third[-1].id) == []


async def test_an_edit_does_not_move_a_scenario_in_the_list(vector_ops: VectorOperations) -> None:
    ids = await fill(vector_ops, {"id": "a"}, {"id": "b"})

    await vector_ops.update_scenario(ids[0], {"name": "Changed"})

    assert [s.id for s in await vector_ops.catalogue.page(ALL)] == ids
    assert (await vector_ops.catalogue.page(ALL))[0].name == "Changed"


async def test_a_page_begins_behind_a_scenario_that_is_gone(vector_ops: VectorOperations) -> None:
    ids = await fill(vector_ops, {"id": "a"}, {"id": "b"}, {"id": "c"})

    await vector_ops.delete_scenario(ids[1])

    assert [s.id for s in await vector_ops.catalogue.page(ALL, 5, ids[1])] == [ids[2]]


async def test_only_published_scenarios_are_listed_unless_others_are_asked_for(
    vector_ops: VectorOperations,
) -> None:
    await fill(vector_ops, *[{"id": status, "status": status} for status in STATUSES])

    assert [s.content.source_id for s in await vector_ops.catalogue.page()] == ["published"]
    assert len(await vector_ops.catalogue.page(ALL)) == len(STATUSES)


async def test_values_within_a_filter_widen_it_and_filters_narrow_each_other(
    vector_ops: VectorOperations,
) -> None:
    await fill(
        vector_ops,
        {"id": "a", "category": "noise", "subjects": ["art"], "language": "en"},
        {"id": "b", "category": "noise", "subjects": ["maths", "art"], "language": "es"},
        {"id": "c", "category": "lateness", "tags": ["morning"], "setting": "school bus"},
    )

    async def found(**filters: tuple[str, ...]) -> str:
        page = await vector_ops.catalogue.page(Filters(**filters))  # type: ignore[arg-type]
        return "".join(scenario.content.source_id for scenario in page)

    assert await found() == "abc"
    assert await found(categories=("noise", "lateness")) == "abc"
    assert await found(subjects=("maths", "art")) == "ab"
    assert await found(subjects=("art",), languages=("es",)) == "b"
    assert await found(tags=("morning",), settings=("school bus",)) == "c"
    assert await found(tags=("morning",), categories=("noise",)) == ""


async def test_facets_count_what_the_filters_leave_and_every_status(
    vector_ops: VectorOperations,
) -> None:
    await fill(
        vector_ops,
        {"id": "a", "category": "noise", "grade_bands": ["1-3", "4-6"], "subjects": ["art"]},
        {"id": "b", "category": "noise", "grade_bands": ["4-6"], "status": "draft"},
        {"id": "c", "category": "lateness", "grade_bands": ["7-9"]},
        {"id": "d"},
    )

    published = await vector_ops.catalogue.facets()
    noise = await vector_ops.catalogue.facets(Filters(statuses=STATUSES, categories=("noise",)))

    assert tuple(published) == FACETS
    assert published["category"] == [FacetValue("lateness", 1), FacetValue("noise", 1)]
    assert published["status"] == [FacetValue("published", 3), FacetValue("draft", 1)]
    assert noise["category"] == [FacetValue("noise", 2)]
    assert noise["grade_band"] == [FacetValue("4-6", 2), FacetValue("1-3", 1)]
    assert noise["subject"] == [FacetValue("art", 1)]


async def test_an_empty_library_has_every_facet_and_no_value(vector_ops: VectorOperations) -> None:
    assert await vector_ops.catalogue.facets() == {facet: [] for facet in FACETS}


async def test_a_value_counts_as_known_whatever_the_status_of_what_has_it(
    vector_ops: VectorOperations,
) -> None:
    await fill(vector_ops, {"category": "noise", "status": "retired"})

    await vector_ops.catalogue.check_filters(Filters(categories=("noise",)))
    await vector_ops.catalogue.check_filters(Filters(statuses=("draft",)))


async def test_every_unknown_value_is_named_once(vector_ops: VectorOperations) -> None:
    await fill(vector_ops, {"category": "noise", "tags": ["lunch"]})
    filters = Filters(
        categories=("noise", "cooking", "cooking"),
        grade_bands=("40",),
        subjects=("alchemy",),
        settings=("moon",),
        tags=("lunch", "dinner"),
        languages=("tlh",),
    )

    with pytest.raises(InputError) as raised:
        await vector_ops.catalogue.check_filters(filters)

    assert str(raised.value) == (
        "categories: nothing has 'cooking'; grade_bands: nothing has '40'; subjects: nothing has "
        "'alchemy'; settings: nothing has 'moon'; tags: nothing has 'dinner'; languages: nothing "
        "has 'tlh'. The facets of the library list the values that there are."
    )


async def test_a_value_is_compared_as_it_is_written(vector_ops: VectorOperations) -> None:
    await fill(vector_ops, {"category": "noise"})

    for near in ("Noise", "noise ", "nois", "%", "no_se", "' OR 1=1 --"):
        with pytest.raises(InputError):
            await vector_ops.catalogue.check_filters(Filters(categories=(near,)))


async def test_another_tenant_sees_and_knows_nothing_of_it(vector_ops: VectorOperations) -> None:
    (scenario_id,) = await fill(vector_ops, {"category": "noise"})
    other = vector_ops.for_tenant(UUID(int=7)).catalogue

    assert await other.page(ALL) == []
    assert await other.facets(ALL) == {facet: [] for facet in FACETS}
    with pytest.raises(InputError):
        await other.check_filters(Filters(categories=("noise",)))
    for read in (other.get, other.revisions):
        with pytest.raises(NotFoundError):
            await read(scenario_id)


async def test_what_is_not_there_is_named(vector_ops: VectorOperations) -> None:
    nothing = uuid4()

    for read in (vector_ops.catalogue.get, vector_ops.catalogue.revisions):
        with pytest.raises(NotFoundError, match=str(nothing)):
            await read(nothing)


async def test_a_reason_is_kept_without_what_cannot_be_stored(
    vector_ops: VectorOperations,
) -> None:
    (scenario_id,) = await fill(vector_ops, {})

    await vector_ops.update_scenario(scenario_id, {"name": "New"}, reason="be\0cause\u202e")

    assert (await vector_ops.catalogue.revisions(scenario_id))[-1].reason == "be\ufffdcause"


async def test_a_row_that_is_put_again_says_that_nothing_changed(
    vector_ops: VectorOperations,
) -> None:
    row = {"id": "a", "description": "Pupils come late."}

    first, same = [await vector_ops.put_scenario(row) for _ in range(2)]
    edit = await vector_ops.put_scenario(row | {"name": "Late"})

    assert first.scenario_id == same.scenario_id == edit.scenario_id
    assert (first.changed, same.changed, edit.changed) == (True, False, True)
