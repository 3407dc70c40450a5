"""Scenarios that may be one: found, ranked, decided by people, and merged."""

import asyncio
import random
from typing import Any
from uuid import UUID

import pytest

from staffroom.config import DEFAULT_TENANT
from staffroom.content.likenesses import compare_all, compare_some, decide
from staffroom.database.connection import Database
from staffroom.database.likenesses import MAX_REASON, NEAR_DUPLICATE, Likeness, Place
from staffroom.database.statements import statement
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import ConflictError, EditConflict, InputError, NotFoundError
from staffroom.scenario import MAX_ITEMS
from staffroom.types import STATUSES, Filters
from tests.fakes import WordEmbedder

PHONES = "Pupils use phones under the desk."
PHONES_TOO = "Pupils hold phones under the desk."


async def add(vector_ops: VectorOperations, text: str, **fields: Any) -> UUID:
    return await vector_ops.store_scenario(text.rsplit(maxsplit=1)[-1], text, **fields)


async def two(vector_ops: VectorOperations) -> tuple[UUID, UUID]:
    """Two scenarios that say almost the same, and one that does not."""
    one = await add(vector_ops, PHONES, example_questions=["Phones?", "May they text?"])
    other = await add(vector_ops, PHONES_TOO, example_questions=["phones?", "Take them away?"])
    await add(vector_ops, "A parent shouts at the gate in the morning.")
    return one, other


async def listed(vector_ops: VectorOperations, decision: str = "open") -> list[Likeness]:
    await compare_all(vector_ops.likenesses)
    return await vector_ops.likenesses.page(decision=decision)  # type: ignore[arg-type]


def ids(likeness: Likeness) -> set[UUID]:
    return {likeness.one.id, likeness.other.id}


async def pair(vector_ops: VectorOperations, one: UUID, other: UUID, decision: str) -> Likeness:
    rows = await listed(vector_ops, decision)
    return next(row for row in rows if ids(row) == {one, other})


async def judged(vector_ops: VectorOperations, decision: str, one: UUID, other: UUID) -> Likeness:
    keep = one if decision == "merged" else None
    return await decide(vector_ops, one, other, decision, author="Ann", keep=keep)  # type: ignore[arg-type]


async def test_nothing_is_cut_and_the_most_similar_come_first(
    vector_ops: VectorOperations,
) -> None:
    one, other = await two(vector_ops)
    rows = await listed(vector_ops)

    assert len(rows) == 3
    assert ids(rows[0]) == {one, other}
    similarities = [row.similarity for row in rows]
    assert similarities == sorted(similarities, reverse=True)
    assert rows[-1].similarity < 0.75
    assert {row.decision for row in rows} == {"open"}
    assert {row.one.name for row in rows[:1]} == {"desk."}
    assert rows[0].one.id < rows[0].other.id


async def test_comparing_again_changes_nothing(vector_ops: VectorOperations) -> None:
    await two(vector_ops)
    rows = await listed(vector_ops)

    assert await vector_ops.likenesses.compare() is False
    assert await listed(vector_ops) == rows
    compared = await vector_ops.likenesses.compared()
    assert (compared.done, compared.total, compared.is_whole) == (3, 3, True)


WORDS = ["desk", "door", "bus", "song", "ball", "tent", "lamp", "fork"]


@pytest.mark.parametrize("seed", range(4))
async def test_every_scenario_stands_beside_its_nearest_others(
    vector_ops: VectorOperations, embedder: WordEmbedder, seed: int
) -> None:
    """Also after edits, retirements, returns and deletions, in any order."""
    chance = random.Random(seed)

    def text() -> str:
        return " ".join(chance.choices(WORDS, k=chance.randint(1, 6)))

    for turn in range(6):
        texts = [text() for _ in range(chance.randint(1, 4))]
        await vector_ops.batch_process(
            [{"id": f"{turn}-{n}", "name": f"n{n}", "text": told} for n, told in enumerate(texts)]
        )
        everything = await vector_ops.list_scenarios(Filters(statuses=STATUSES))
        for victim in chance.sample(everything, min(2, len(everything))):
            match chance.choice(["edit", "retire", "publish", "delete"]):
                case "edit":
                    await vector_ops.update_scenario(victim.id, {"description": text()})
                case "retire":
                    await vector_ops.update_scenario(victim.id, {"status": "retired"})
                case "publish":
                    await vector_ops.update_scenario(victim.id, {"status": "published"})
                case _:
                    await vector_ops.delete_scenario(victim.id)
        await check_nearest(vector_ops, embedder, turn)


async def check_nearest(vector_ops: VectorOperations, embedder: WordEmbedder, turn: int) -> None:
    in_use = await vector_ops.list_scenarios(Filters(statuses=("published",)), 1000)
    await compare_all(vector_ops.likenesses)
    rows = await vector_ops.likenesses.page(1000)
    pairs = {frozenset(ids(row)): row.similarity for row in rows}
    texts = ["\n".join((s.content.name, s.content.description)) for s in in_use]
    vectors = await embedder.embed(texts, "passage")
    exact = {
        (a.id, b.id): float(vectors[x] @ vectors[y])
        for x, a in enumerate(in_use)
        for y, b in enumerate(in_use)
        if a.id != b.id
    }

    assert frozenset().union(*pairs) <= {scenario.id for scenario in in_use}
    for (one, other), cosine in exact.items():
        found = pairs.get(frozenset({one, other}))
        assert found == pytest.approx(cosine, abs=2e-3) if found else cosine < NEAR_DUPLICATE
    for scenario in in_use if len(in_use) > 1 else []:
        own = sorted((found for pair, found in pairs.items() if scenario.id in pair), reverse=True)
        assert own
        if scenario.content.source_id.startswith(f"{turn}-"):
            near = sorted((c for (one, _), c in exact.items() if one == scenario.id), reverse=True)
            assert own[:3] == pytest.approx(near[:3], abs=2e-3)


async def test_both_stay_kept_until_a_text_changes(vector_ops: VectorOperations) -> None:
    one, other = await two(vector_ops)
    decided = await judged(vector_ops, "keep_both", one, other)
    changes = {"expected_response": "Take them.", "status": "in_review"}
    await vector_ops.update_scenario(one, changes)
    await vector_ops.update_scenario(one, {"status": "published"})

    assert (decided.decision, decided.decided_by) == ("keep_both", "Ann")
    assert decided.decided_at is not None
    assert (await pair(vector_ops, one, other, "keep_both")).decided_by == "Ann"
    await vector_ops.update_scenario(one, {"description": PHONES + " Every day."})
    assert (await pair(vector_ops, one, other, "open")).decided_by == ""
    assert await listed(vector_ops, "keep_both") == []


async def test_a_decision_is_made_once_and_can_be_opened_again(
    vector_ops: VectorOperations,
) -> None:
    one, other = await two(vector_ops)
    linked = await judged(vector_ops, "linked", one, other)

    assert await judged(vector_ops, "linked", other, one) == linked
    with pytest.raises(ConflictError, match=r"Ann has decided already: linked\. Open the pair"):
        await judged(vector_ops, "keep_both", one, other)
    assert (await judged(vector_ops, "open", one, other)).decision == "open"
    assert (await judged(vector_ops, "keep_both", one, other)).decision == "keep_both"


async def test_of_two_editors_who_decide_at_once_one_is_told(
    vector_ops: VectorOperations,
) -> None:
    one, other = await two(vector_ops)
    outcomes = await asyncio.gather(
        judged(vector_ops, "keep_both", one, other),
        judged(vector_ops, "linked", one, other),
        return_exceptions=True,
    )

    refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert [type(error) for error in refused] == [ConflictError]


async def test_of_two_editors_who_merge_at_once_one_is_told(vector_ops: VectorOperations) -> None:
    one, other = await two(vector_ops)
    outcomes = await asyncio.gather(
        decide(vector_ops, one, other, "merged", author="Ann", keep=one),
        decide(vector_ops, one, other, "merged", author="Bob", keep=other),
        return_exceptions=True,
    )

    (refused,) = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert isinstance(refused, ConflictError)
    assert "has merged the two already" in str(refused)
    retired = await vector_ops.list_scenarios(Filters(statuses=("retired",)))
    assert len(retired) == 1


async def test_a_merge_keeps_questions_golden_judgements_and_history(
    vector_ops: VectorOperations,
) -> None:
    one, other = await two(vector_ops)
    golden = vector_ops.golden
    alone = await golden.add("Who takes the phones?", {other: 1}, "Ann")
    both = await golden.add("What about phones?", {one: 1, other: 2}, "Ann")

    merged = await decide(
        vector_ops, one, other, "merged", author="Bob", keep=one, reason="told twice"
    )

    kept, gone = [await vector_ops.get_scenario(scenario) for scenario in (one, other)]
    assert (merged.decision, merged.kept, merged.reason) == ("merged", one, "told twice")
    assert kept.content.example_questions == ("Phones?", "May they text?", "Take them away?")
    assert gone.content.metadata.status == "retired"
    assert gone.content.example_questions == ("phones?", "Take them away?")
    for scenario, reason in (
        (one, f"merged with desk. ({other}): told twice"),
        (other, f"merged into desk. ({one}): told twice"),
    ):
        last = (await vector_ops.list_revisions(scenario))[-1]
        assert (last.number, last.author, last.reason) == (2, "Bob", reason)
    assert (await golden.get(alone.id)).grades == {one: 1}
    assert (await golden.get(both.id)).grades == {one: 2}
    assert (await vector_ops.search("Take them away?", 1, 0.0)).matches[0].scenario.id == one
    assert await judged(vector_ops, "merged", one, other) == merged
    assert all(other not in ids(row) for row in await listed(vector_ops))


async def test_a_merge_is_undone_by_restoring_both(vector_ops: VectorOperations) -> None:
    one, other = await two(vector_ops)
    before = await vector_ops.get_scenario(one)
    await judged(vector_ops, "merged", one, other)
    with pytest.raises(ConflictError, match=r"were merged by Ann\. To undo that, restore"):
        await judged(vector_ops, "open", one, other)

    questions = list(before.content.example_questions)
    await vector_ops.update_scenario(one, {"example_questions": questions})
    await vector_ops.update_scenario(other, {"status": "published"})

    assert (await vector_ops.get_scenario(one)).content == before.content
    assert (await pair(vector_ops, one, other, "open")).kept is None
    assert await listed(vector_ops, "merged") == []


async def test_a_merge_has_room_for_as_many_questions_as_fit(vector_ops: VectorOperations) -> None:
    one = await add(vector_ops, PHONES, example_questions=[f"One {n}?" for n in range(MAX_ITEMS)])
    other = await add(vector_ops, PHONES_TOO, example_questions=["Two?", "One 3?", "Three?"])

    await judged(vector_ops, "merged", other, one)

    kept = await vector_ops.get_scenario(other)
    assert len(kept.content.example_questions) == MAX_ITEMS
    assert kept.content.example_questions[:3] == ("Two?", "One 3?", "Three?")
    last = (await vector_ops.list_revisions(other))[-1]
    assert last.reason == f"merged with desk. ({one}), without 2 of its questions"


async def test_a_merge_that_fails_leaves_nothing_behind(
    vector_ops: VectorOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await two(vector_ops)

    async def fail(*_: object) -> list[str]:
        raise RuntimeError("the golden questions are on fire")

    monkeypatch.setattr(type(vector_ops.merging), "_repoint", fail)
    with pytest.raises(RuntimeError, match="on fire"):
        await judged(vector_ops, "merged", one, other)

    assert [(await vector_ops.get_scenario(scenario)).revision for scenario in (one, other)] == [
        1,
        1,
    ]
    assert (await pair(vector_ops, one, other, "open")).kept is None


async def test_an_edit_during_a_merge_is_not_lost(
    vector_ops: VectorOperations, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await two(vector_ops)
    embed = embedder.embed

    async def embed_slowly(texts: list[str], role: str) -> object:
        monkeypatch.setattr(embedder, "embed", embed)
        await vector_ops.update_scenario(one, {"expected_response": "Lock them up."})
        return await embed(texts, role)  # type: ignore[arg-type]

    monkeypatch.setattr(embedder, "embed", embed_slowly)
    await judged(vector_ops, "merged", one, other)

    kept = await vector_ops.get_scenario(one)
    assert (kept.revision, kept.content.expected_response) == (3, "Lock them up.")
    assert len(kept.content.example_questions) == 3


@pytest.mark.parametrize("decision", ["linked", "merged"])
async def test_a_decision_on_what_has_changed_since_is_refused(
    vector_ops: VectorOperations, decision: str
) -> None:
    one, other = await two(vector_ops)
    await vector_ops.update_scenario(other, {"expected_response": "Lock them up."})

    with pytest.raises(EditConflict, match="is at revision 2"):
        await decide(
            vector_ops, one, other, decision, author="Ann",  # type: ignore[arg-type]
            keep=one if decision == "merged" else None, revisions={one: 1, other: 1},
        )  # fmt: skip


async def test_what_cannot_be_decided_is_refused(vector_ops: VectorOperations) -> None:
    one, other = await two(vector_ops)
    nobody = UUID(int=1)

    with pytest.raises(InputError, match="is named twice"):
        await judged(vector_ops, "linked", one, one)
    with pytest.raises(NotFoundError, match="is not in the library"):
        await judged(vector_ops, "linked", one, nobody)
    with pytest.raises(NotFoundError, match="there is no scenario"):
        await judged(vector_ops, "merged", one, nobody)
    with pytest.raises(InputError, match=r"keeps one of the two\. Say which"):
        await decide(vector_ops, one, other, "merged", author="Ann")
    with pytest.raises(InputError, match="is neither of the two"):
        await decide(vector_ops, one, other, "merged", author="Ann", keep=nobody)
    with pytest.raises(InputError, match="only a merge keeps one"):
        await decide(vector_ops, one, other, "linked", author="Ann", keep=one)
    with pytest.raises(InputError, match="the reason has 1,001 characters"):
        await decide(vector_ops, one, other, "linked", author="Ann", reason="x" * (MAX_REASON + 1))
    await vector_ops.update_scenario(other, {"status": "retired"})
    with pytest.raises(ConflictError, match="is retired, so there is nothing to decide"):
        await judged(vector_ops, "linked", one, other)


async def test_any_two_can_be_linked(vector_ops: VectorOperations) -> None:
    """Also those that are not among the nearest of each other."""
    first = await add(vector_ops, "A parent shouts at the gate.")
    await add(vector_ops, "Parents shout at a gate.")
    for place in ("the gate", "a gate", "the bus", "the door"):
        await add(vector_ops, f"A parent shouts at {place}, again.")
    for n in range(4):
        last = await add(vector_ops, f"{PHONES} {n} {n}")
    assert {first, last} not in map(ids, await listed(vector_ops))

    linked = await judged(vector_ops, "linked", first, last)

    assert await vector_ops.likenesses.page(decision="linked", scenario_id=first) == [linked]
    assert await vector_ops.likenesses.page(decision="linked", scenario_id=UUID(int=1)) == []


async def test_pages_join_without_a_gap(vector_ops: VectorOperations) -> None:
    for n in range(6):
        await add(vector_ops, PHONES, id=f"same-{n}")
    rows = await listed(vector_ops)
    paged: list[Likeness] = []
    after = None
    while page := await vector_ops.likenesses.page(4, after):
        paged += page
        after = Place(page[-1].similarity, page[-1].one.id, page[-1].other.id)

    assert len(rows) > 8
    assert paged == rows


async def test_another_model_ranks_anew_and_keeps_what_was_decided(
    database: Database, vector_ops: VectorOperations
) -> None:
    one, other = await two(vector_ops)
    await judged(vector_ops, "keep_both", one, other)
    before = await listed(vector_ops)
    another = VectorOperations(database, WordEmbedder("other words", 8), author="tester")
    await another.embed_missing()
    after = await listed(another)

    assert {frozenset(ids(row)) for row in after} == {frozenset(ids(row)) for row in before}
    assert [row.similarity for row in after] != [row.similarity for row in before]
    assert (await pair(another, one, other, "keep_both")).decided_by == "Ann"


async def test_while_somebody_writes_nobody_waits(
    database: Database, vector_ops: VectorOperations
) -> None:
    await two(vector_ops)
    async with database.transaction(DEFAULT_TENANT) as connection:
        await connection.execute(statement("lock_library"), {"tenant_id": DEFAULT_TENANT})
        compared = await compare_some(vector_ops.likenesses)

    assert (compared.done, compared.total) == (0, 3)
    assert (await compare_some(vector_ops.likenesses)).is_whole


async def test_the_audit_names_who_decided(
    database: Database, vector_ops: VectorOperations
) -> None:
    one, other = await two(vector_ops)
    golden = await vector_ops.golden.add("Phones?", {other: 2}, "Ann")
    await judged(vector_ops, "linked", one, other)
    await judged(vector_ops, "open", one, other)
    await judged(vector_ops, "merged", one, other)
    async with database.transaction(DEFAULT_TENANT) as connection:
        cursor = await connection.execute(
            "SELECT actor, action, detail FROM staffroom.audit "
            "WHERE action LIKE 'likeness%' ORDER BY audit_id"
        )
        rows = await cursor.fetchall()

    assert [(row["actor"], row["action"]) for row in rows] == [
        ("Ann", "likeness.linked"), ("Ann", "likeness.open"), ("Ann", "likeness.merged"),
    ]  # fmt: skip
    assert rows[-1]["detail"]["golden"] == [str(golden.id)]


async def test_nothing_of_an_erased_tenant_is_left(
    database: Database, vector_ops: VectorOperations
) -> None:
    tenant = vector_ops.for_tenant(UUID(int=7))
    await two(tenant)
    await compare_all(tenant.likenesses)
    await database.erase_tenant(UUID(int=7))

    async with database.transaction(UUID(int=7)) as connection:
        for table in ("likenesses", "likeness_done"):
            cursor = await connection.execute(f"SELECT count(*) AS n FROM staffroom.{table}")
            assert await cursor.fetchone() == {"n": 0}
