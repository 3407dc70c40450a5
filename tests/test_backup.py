"""Everything of a library goes out and comes back: the same, whole, or not at all."""

import asyncio
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, given

from staffroom.content.backup import EXCHANGE_FILES, LIBRARY_FILES, json_line
from staffroom.content.importer import Importer
from staffroom.content.manifest import MANIFEST
from staffroom.content.restore import restore_backup
from staffroom.database.connection import Database
from staffroom.database.golden import MAX_GOLDEN
from staffroom.database.likenesses import Decision, Pair, pair_of
from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import ConflictError, EmbedderUnavailable, StaffroomError, UnreadableFile
from staffroom.types import STATUSES, Answer, Filters, Role, Sentence, Vectors
from tests.backups import Plan, backed_up, documents, entries, fill, plans, spoiled
from tests.fakes import WordEmbedder

PLAN = Plan(
    [
        {"id": "noise", "name": "Noisy class", "text": "The whole class talks at once."},
        {"text": "Pupils arrive late.", "status": "draft", "review_by": "2030-01-01"},
    ],
    [(0, {"tags": ["loud"]}, "found a tag"), (0, {"status": "retired"}, "out of use")],
    [("Why is it so loud?", {0: 2, 1: 1})],
)
DECIDED = Plan([{"id": "a", "text": "A"}, {"id": "b", "text": "B"}], [], [], [(0, 1, "keep_both")])
REVISION = {
    "scenario_id": str(UUID(int=9)),
    "source_id": "x",
    "revision": 1,
    "name": "X",
    "description": "X",
    "expected_response": "",
    "example_questions": [],
    "metadata": {"category": "", "grade_bands": [], "subjects": [], "setting": "", "tags": [],
                 "language": "en", "status": "published", "review_by": None},
    "author": "a",
    "reason": "",
    "created_at": "2026-01-01T00:00:00+00:00",
}  # fmt: skip


@pytest.fixture
async def archive(vector_ops: VectorOperations) -> bytes:
    """A backup of a library with history, a golden question and an evaluation."""
    await fill(vector_ops, PLAN)
    return await backed_up(vector_ops)


@pytest.fixture
def empty(vector_ops: VectorOperations) -> VectorOperations:
    """Another tenant, whose library is empty."""
    return vector_ops.for_tenant(uuid4())


@pytest.fixture
def path(archive: bytes, tmp_path: Path) -> Path:
    """The backup as a file."""
    path = tmp_path / "backup.zip"
    path.write_bytes(archive)
    return path


@pytest.mark.slow
@hypothesis.settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(plan=plans())
async def test_what_is_restored_is_backed_up_the_same(
    vector_ops: VectorOperations, tmp_path: Path, plan: Plan
) -> None:
    first, second = vector_ops.for_tenant(uuid4()), vector_ops.for_tenant(uuid4())
    await fill(first, plan)
    before = await backed_up(first)
    path = tmp_path / "backup.zip"
    path.write_bytes(before)

    report = await restore_backup(second, path)

    assert entries(await backed_up(second)) == entries(before)
    assert report.scenarios.new == report.embedded
    scenarios = await first.list_scenarios(Filters(statuses=STATUSES))
    assert await second.list_scenarios(Filters(statuses=STATUSES)) == scenarios
    for scenario in scenarios:
        histories = [await library.list_revisions(scenario.id) for library in (first, second)]
        assert histories[0] == histories[1]
    assert await second.embed_missing() == 0


async def test_a_restored_library_is_searched_edited_and_not_given_the_starter(
    empty: VectorOperations, path: Path
) -> None:
    assert await empty.needs_starter_library()

    report = await restore_backup(empty, path)

    assert (report.scenarios.new, report.revisions.new, report.embedded) == (2, 4, 2)
    assert (report.golden.new, report.evaluations.new, report.left_out) == (1, 1, 0)
    assert not await empty.needs_starter_library()
    everything = Filters(statuses=STATUSES)
    found = await empty.search("the whole class talks", 1, 0.0, everything, mode="words")
    assert found.matches[0].scenario.name == "Noisy class"
    assert [r.author for r in await empty.list_revisions(found.matches[0].scenario.id)] == (
        ["tester"] * 3
    )
    edited = await empty.update_scenario(found.matches[0].scenario.id, {"setting": "hall"})
    assert edited.revision == 4
    assert (await empty.put_scenario(PLAN.rows[1])).changed is False


async def test_what_was_decided_of_two_scenarios_is_not_asked_again(
    vector_ops: VectorOperations, empty: VectorOperations, tmp_path: Path
) -> None:
    texts = ["Pupils shout.", "Pupils shout out.", "Pupils are late.", "A pupil is late."]
    loud, louder, late, later = [
        (await vector_ops.put_scenario({"id": text, "text": text})).scenario_id for text in texts
    ]
    merged, apart = pair_of(loud, louder), pair_of(late, later)
    await vector_ops.merging.merge(merged, loud, author="Ada", reason="one thing")
    await vector_ops.likenesses.decide(apart, "keep_both", author="Ben", reason="")
    path = tmp_path / "backup.zip"
    path.write_bytes(await backed_up(vector_ops))

    report = await restore_backup(empty, path)
    await empty.likenesses.compare()
    again = await restore_backup(empty, path)

    assert (report.decisions.new, again.decisions.unchanged) == (2, 2)
    decided: list[tuple[Decision, Pair]] = [("merged", merged), ("keep_both", apart)]
    for decision, pair in decided:
        (found,) = await empty.likenesses.page(decision=decision)
        (told,) = await vector_ops.likenesses.page(decision=decision)
        assert {found.one.id, found.other.id} == set(pair.ids)
        assert (found.kept, found.decided_by, found.reason, found.decided_at) == (
            told.kept, told.decided_by, told.reason, told.decided_at
        )  # fmt: skip


async def test_another_decision_than_the_backups_stays(
    empty: VectorOperations, vector_ops: VectorOperations, tmp_path: Path
) -> None:
    await fill(vector_ops, DECIDED)
    path = tmp_path / "backup.zip"
    path.write_bytes(await backed_up(vector_ops))
    await restore_backup(empty, path)
    (kept,) = await empty.likenesses.page(decision="keep_both")
    pair = pair_of(kept.one.id, kept.other.id)
    await empty.likenesses.decide(pair, "open", author="Ben", reason="")
    await empty.likenesses.decide(pair, "linked", author="Ben", reason="")

    with pytest.raises(ConflictError, match="another decision on the scenarios"):
        await restore_backup(empty, path)

    (stays,) = await empty.likenesses.page(decision="linked")
    assert stays.decided_by == "Ben"


async def test_a_backup_from_before_decisions_were_kept_is_restored(
    empty: VectorOperations, archive: bytes, tmp_path: Path
) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        manifest = json.loads(opened.read(MANIFEST))
    del manifest["files"]["decisions.jsonl"]
    path = spoiled(
        archive,
        tmp_path / "old.zip",
        files={"decisions.jsonl": None},
        manifest={"files": manifest["files"]},
    )

    report = await restore_backup(empty, path)

    assert (report.scenarios.new, report.decisions.new) == (2, 0)


async def test_the_scenarios_alone_can_be_imported(
    empty: VectorOperations, archive: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "scenarios.jsonl"
    file.write_bytes(entries(archive)["scenarios.jsonl"])

    report = await Importer(empty).import_file(file)

    assert (report["stored"], report["failed"], report.get("ignored")) == (2, 0, None)
    assert entries(await backed_up(empty))["scenarios.jsonl"] == file.read_bytes()


async def test_a_backup_is_no_file_to_import(empty: VectorOperations, path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"is a backup of a library.*staffroom restore"):
        await Importer(empty).import_file(path)

    assert await empty.list_scenarios(Filters(statuses=STATUSES)) == []


KEPT = {
    *("scenarios", "scenario_revisions", "golden_questions", "golden_judgements", "evaluations"),
    *("likenesses", "interactions", "interaction_matches", "feedback"),
}
LEFT_OUT = {
    "tenants": "restored into another",
    "audit": "what was done here",
    "idempotency_keys": "for a day",
    "imports": "records of this server",
    "import_errors": "records of this server",
    "import_parts": "files on their way",
    "word_statistics": "made anew",
    "vocabulary": "made anew",
    "scenario_words": "made anew",
    "postings": "made anew",
    "likeness_done": "made anew",
    "standings": "rest on exchanges, which are not put back",
    "gap_groups": "rest on exchanges",
    "gap_members": "rest on exchanges",
}


async def test_each_table_is_in_a_backup_or_left_out_for_a_reason(database: Database) -> None:
    await database.open()
    async with database.owner_transaction() as owner:
        cursor = await owner.execute(
            "SELECT table_name FROM information_schema.columns "
            "WHERE table_schema = 'staffroom' AND column_name = 'tenant_id'"
        )
        tables = {row["table_name"] for row in await cursor.fetchall()}

    made_anew = {table for table in tables if table.startswith("vectors_")}
    assert tables - made_anew == KEPT | LEFT_OUT.keys()


async def test_a_restore_is_run_again_and_does_nothing(empty: VectorOperations, path: Path) -> None:
    await restore_backup(empty, path)
    before = await backed_up(empty)

    again = await restore_backup(empty, path)

    assert (again.scenarios.new, again.scenarios.unchanged, again.embedded) == (0, 2, 0)
    assert (again.golden.unchanged, again.evaluations.unchanged) == (1, 1)
    assert entries(await backed_up(empty)) == entries(before)


async def test_a_restore_that_lost_its_model_is_finished_by_the_next(
    database: Database, path: Path
) -> None:
    class Broken(WordEmbedder):
        async def embed(self, texts: Sequence[str], role: Role) -> Vectors:
            raise EmbedderUnavailable("the model is away")

    tenant = uuid4()
    with pytest.raises(EmbedderUnavailable):
        await restore_backup(VectorOperations(database, Broken(), tenant_id=tenant), path)

    report = await restore_backup(
        VectorOperations(database, WordEmbedder(), tenant_id=tenant), path
    )

    assert (report.scenarios.new, report.scenarios.unchanged, report.embedded) == (0, 2, 2)


async def test_a_restore_that_is_cancelled_in_the_middle_leaves_nothing(
    empty: VectorOperations, path: Path
) -> None:
    def stop(told: object) -> None:
        running.cancel()

    running = asyncio.ensure_future(restore_backup(empty, path, progress=stop))
    with pytest.raises(asyncio.CancelledError):
        await running

    assert await empty.list_scenarios(Filters(statuses=STATUSES)) == []
    assert (await restore_backup(empty, path)).scenarios.new == 2


async def test_a_dry_run_tells_the_effect_and_has_none(empty: VectorOperations, path: Path) -> None:
    report = await restore_backup(empty, path, dry_run=True)

    assert (report.scenarios.new, report.revisions.new, report.embedded) == (2, 4, 0)
    assert await empty.list_scenarios(Filters(statuses=STATUSES)) == []
    assert await empty.needs_starter_library()


async def test_what_stands_in_the_way_is_named_and_nothing_is_restored(
    empty: VectorOperations, vector_ops: VectorOperations, path: Path
) -> None:
    await vector_ops.delete_scenario(
        (await vector_ops.search("talks", 1, 0.0, Filters(statuses=STATUSES)))
        .matches[0]
        .scenario.id
    )
    await empty.store_scenario("Another", "Something else", id="noise")
    for library, words in (
        (empty, r"another scenario under the id 'noise' than the backup"),
        (vector_ops, r"another golden question 'Why is it so loud\?' than the backup"),
    ):
        before = entries(await backed_up(library))
        with pytest.raises(ConflictError, match=words):
            await restore_backup(library, path)
        assert entries(await backed_up(library)) == before


async def test_a_scenario_that_was_edited_since_is_not_overwritten(
    vector_ops: VectorOperations, path: Path
) -> None:
    (draft,) = await vector_ops.list_scenarios(Filters(statuses=("draft",)))
    await vector_ops.update_scenario(draft.id, {"name": "Edited since"})

    with pytest.raises(ConflictError, match=r"another history of scenario .* \('Edited since'\)"):
        await restore_backup(vector_ops, path)


async def test_what_is_beside_the_backup_stays(empty: VectorOperations, path: Path) -> None:
    await empty.store_scenario("Another", "Something else")

    await restore_backup(empty, path)

    assert len(await empty.list_scenarios(Filters(statuses=STATUSES))) == 3


async def test_more_golden_questions_than_fit_are_refused(
    empty: VectorOperations, archive: bytes, tmp_path: Path
) -> None:
    line = documents(archive, "golden.jsonl")[0]
    many = "".join(
        json_line(line | {"golden_id": str(UUID(int=n)), "question": f"Question {n}?"})
        for n in range(MAX_GOLDEN + 1)
    )
    path = spoiled(archive, tmp_path / "many.zip", files={"golden.jsonl": many.encode()})

    with pytest.raises(ConflictError, match=r"1,001 golden questions; 1,000 are the most"):
        await restore_backup(empty, path)


async def refused(vector_ops: VectorOperations, path: Path, words: str) -> None:
    with pytest.raises(UnreadableFile, match=words):
        await restore_backup(vector_ops, path)
    assert await vector_ops.list_scenarios(Filters(statuses=STATUSES)) == []


async def test_what_is_no_whole_backup_is_refused_by_name(
    empty: VectorOperations, archive: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "b.zip"
    await refused(empty, path, "there is no file")
    path.write_bytes(b"id,text\n")
    await refused(empty, path, "is no whole ZIP archive")
    path.write_bytes(archive[: len(archive) // 2])
    await refused(empty, path, r"is no whole ZIP archive .* copy it again")
    with zipfile.ZipFile(path, "w") as foreign:
        foreign.writestr("rows.csv", "id,text\n")
    await refused(empty, path, r"no backup of Staffroom: it has no manifest\.json")
    with zipfile.ZipFile(path, "w") as foreign:
        foreign.writestr(MANIFEST, '{"name": "a web page"}')
    await refused(empty, path, r"its manifest\.json is of another kind")
    await refused(
        empty,
        spoiled(archive, path, manifest={"schema": 9_999, "staffroom": "9.1"}),
        r"written by Staffroom 9\.1 with schema 9999.* Upgrade Staffroom",
    )
    await refused(empty, tmp_path, "cannot be read: Is a directory")


@pytest.mark.parametrize(
    ("files", "sealed", "words"),
    [
        ({"revisions.jsonl": b""}, False, r"revisions\.jsonl is not what manifest\.json says"),
        ({"golden.jsonl": None}, True, r"it lacks golden\.jsonl"),
        ({"revisions.jsonl": b'{"id": 1}\n'}, True, r"line 1 of revisions\.jsonl is none of"),
        ({"revisions.jsonl": b"[" * 100_000 + b"\n"}, True, "line 1 of revisions"),
        ({"golden.jsonl": b"\xff\n"}, True, r"line 1 of golden\.jsonl is none of a backup"),
        ({"scenarios.jsonl": b"{}\n"}, True, r"scenarios\.jsonl has 2 rows, and manifest\.json"),
        ({"revisions.jsonl": b"a" * 30_000_000}, True, r"revisions\.jsonl is packed more than"),
    ],
    ids=["changed", "missing", "fields", "nested", "bytes", "counts", "bomb"],
)
async def test_a_damaged_backup_is_refused_before_anything_is_stored(
    empty: VectorOperations,
    archive: bytes,
    tmp_path: Path,
    files: dict[str, bytes | None],
    sealed: bool,
    words: str,
) -> None:
    path = spoiled(archive, tmp_path / "b.zip", files=files, sealed=sealed)

    await refused(empty, path, f"is damaged: .*{words}.* Nothing was restored")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"revision": True}, "is none of a backup"),
        ({"name": "\ud800"}, "is none of a backup"),
        ({"metadata": {}}, "is none of a backup"),
        ({"name": ""}, "the database refuses"),
        ({"name": "\0"}, "the database refuses"),
        ({"scenario_id": "no id"}, "the database refuses"),
        ({"created_at": "yesterday"}, "is none of a backup"),
        ({"created_at": "2026-01-01"}, "is none of a backup"),
    ],
)
async def test_a_forged_revision_is_refused(
    empty: VectorOperations,
    archive: bytes,
    tmp_path: Path,
    change: dict[str, object],
    words: str,
) -> None:
    line = json.dumps(REVISION | change).encode() + b"\n"
    path = spoiled(
        archive,
        tmp_path / "b.zip",
        files={"revisions.jsonl": line, "scenarios.jsonl": b"{}\n", "golden.jsonl": b""},
    )

    await refused(empty, path, words)


async def test_lines_out_of_order_are_refused(
    empty: VectorOperations, archive: bytes, tmp_path: Path
) -> None:
    line = json_line(REVISION).encode()
    path = spoiled(archive, tmp_path / "b.zip", files={"revisions.jsonl": line * 2})

    await refused(empty, path, r"line 2 of revisions\.jsonl is out of order")


@pytest.mark.parametrize(
    "manifest",
    [
        {"files": {}},
        {"files": []},
        {"files": {name: {} for name in LIBRARY_FILES}},
        {"files": {"../../etc/passwd": {"rows": 0, "bytes": 0, "sha256": ""}}},
        {"schema": "7"},
        {"created_at": None},
    ],
)
async def test_a_manifest_that_does_not_tell_what_is_there_is_refused(
    empty: VectorOperations, archive: bytes, tmp_path: Path, manifest: dict[str, object]
) -> None:
    path = spoiled(archive, tmp_path / "b.zip", manifest=manifest)

    await refused(empty, path, "does not tell what is in it")


async def test_entries_that_are_damaged_or_locked_are_refused(
    empty: VectorOperations, archive: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        info = opened.getinfo("revisions.jsonl")
    middle = info.header_offset + 30 + len(info.filename) + info.compress_size // 2
    path.write_bytes(archive[:middle] + bytes([archive[middle] ^ 255]) + archive[middle + 1 :])
    await refused(empty, path, r"is damaged: revisions\.jsonl")
    locked = bytearray(archive)
    place = archive.rindex(b"PK\x01\x02", 0, archive.rindex(b"golden.jsonl"))
    locked[place + 8] |= 1
    path.write_bytes(bytes(locked))
    await refused(empty, path, r"golden\.jsonl cannot be read: .*(encrypted|password)")


@pytest.mark.parametrize("seed", range(4))
async def test_no_flipped_byte_is_restored(
    empty: VectorOperations, archive: bytes, tmp_path: Path, seed: int
) -> None:
    """Any byte: the backup is refused by name, or restored as it was."""
    path = tmp_path / "b.zip"
    for place in np.random.default_rng(seed).integers(0, len(archive), 10):
        path.write_bytes(archive[:place] + bytes([archive[place] ^ 64]) + archive[place + 1 :])
        library = empty.for_tenant(uuid4())
        try:
            await restore_backup(library, path)
        except StaffroomError:
            assert await library.list_scenarios(Filters(statuses=STATUSES)) == []
        else:
            after = entries(await backed_up(library))
            assert {name: after[name] for name in LIBRARY_FILES} == {
                name: entries(archive)[name] for name in LIBRARY_FILES
            }


async def test_a_backup_is_of_one_moment(vector_ops: VectorOperations, archive: bytes) -> None:
    async with vector_ops.backups.snapshot(interactions=False) as snapshot:
        before = [row async for page in snapshot.scenarios() for row in page]
        await vector_ops.store_scenario("Added meanwhile", "Something else")
        revisions = [row async for page in snapshot.revisions() for row in page]

    assert len(before) == len({row["scenario_id"] for row in revisions}) == 2


async def test_no_other_tenants_rows_are_in_a_backup(
    empty: VectorOperations, archive: bytes
) -> None:
    found = entries(await backed_up(empty, interactions=True))

    assert all(found[name] == b"" for name in (*LIBRARY_FILES, *EXCHANGE_FILES))


async def test_backups_and_restores_are_on_record(
    database: Database, empty: VectorOperations, path: Path
) -> None:
    await restore_backup(empty, path)
    await backed_up(empty, interactions=True)

    async with database.transaction(empty.tenant_id) as connection:
        cursor = await connection.execute(
            "SELECT actor, action, detail FROM staffroom.audit ORDER BY audit_id"
        )
        rows = [tuple(row.values()) for row in await cursor.fetchall()]
    assert ("tester", "library.restore", {"scenarios": 2, "golden": 1}) in rows
    assert ("tester", "library.backup", {"interactions": True}) in rows


async def ask(
    vector_ops: VectorOperations, question: str, conversation_id: UUID | None = None
) -> UUID:
    embedding = (await WordEmbedder().embed([question], "query"))[0]
    answer = Answer(
        text="Amira may sit in front.",
        sentences=(Sentence("Amira may sit in front.", (), 1.0),),
        more=(Sentence("Thank her.", (), 0.5),),
        outcome="written",
        matches=(),
        threshold=0.123456,
        best_relevance=0.654321,
        writer="test",
        conversation_id=conversation_id,
    )
    return await vector_ops.store_interaction(question, embedding, answer)


async def test_exchanges_are_pseudonymised_and_not_put_back(
    vector_ops: VectorOperations, empty: VectorOperations, tmp_path: Path
) -> None:
    first = await ask(vector_ops, "My pupil Amira hits Kofi, amira@school.example")
    await ask(vector_ops, "And now?", first)
    await vector_ops.interactions.add_feedback(
        first, "worked", comment="Amira and Sefa are friends, call +44 20 7946 0958"
    )

    archive = await backed_up(vector_ops, interactions=True)

    asked = sorted(documents(archive, "interactions.jsonl"), key=lambda row: row["turn"])
    (said,) = documents(archive, "feedback.jsonl")
    assert asked[0]["question"] == "My pupil Pupil A hits Person B, [mail]"
    assert asked[0]["answer"] == asked[0]["sentences"][0]["text"] == "Pupil A may sit in front."
    assert asked[0]["more"][0]["text"] == "Thank her."
    assert (asked[0]["threshold"], asked[0]["best_relevance"]) == (0.1235, 0.6543)
    assert [row["turn"] for row in asked] == [1, 2]
    assert said["comment"] == "Pupil A and Person C are friends, call [phone]"
    assert said["interaction_id"] == asked[0]["id"]
    assert len(asked[0]["day"]) == len("2026-01-01")
    whole = b"".join(entries(archive).values()).decode()
    for secret in (str(first), "Amira", "Kofi", "Sefa", "conversation", 'embedding"', "timings"):
        assert secret not in whole
    other = await backed_up(vector_ops, interactions=True)
    assert {row["id"] for row in documents(other, "interactions.jsonl")}.isdisjoint(
        {row["id"] for row in asked}
    )
    path = tmp_path / "b.zip"
    path.write_bytes(archive)
    report = await restore_backup(empty, path)
    assert report.left_out == 3
    assert await empty.interactions.page() == []
