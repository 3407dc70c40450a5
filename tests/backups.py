"""Random libraries, and backups as archives that a test can look into and spoil."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from staffroom.content.backup import write_backup
from staffroom.content.manifest import MANIFEST
from staffroom.database.likenesses import Decision, pair_of
from staffroom.database.vector_ops import VectorOperations
from staffroom.scenario import LISTS, MAX_STRENGTH
from staffroom.scenario_life import STEPS
from staffroom.types import STATUSES

ODD = st.sampled_from(
    ["=1+1", "@x", "a|b; c", '"', "\\u0000", "\u2028", "e\u0301", "🏫", "مدرسة", "明"]
)
WORDS = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" \n"), max_size=12)
TEXTS = st.lists(ODD | WORDS, max_size=3).map("".join)
FIELDS: Mapping[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("name", "expected_response", "category", "setting"), TEXTS),
    **dict.fromkeys(("evidence_note", "contributor", "worked_with"), TEXTS),
    "evidence_strength": st.none() | st.integers(0, MAX_STRENGTH),
    **dict.fromkeys(LISTS, st.lists(TEXTS, max_size=3)),
    "description": TEXTS.map("S{}".format),
    "language": st.sampled_from(["en", "es", "pt-BR"]),
    "status": st.sampled_from(STATUSES),
    "review_by": st.none() | st.dates().map(str),
}


@dataclass(frozen=True)
class Plan:
    """A library to be: rows, and by their numbers edits, golden questions and decided pairs."""

    rows: list[dict[str, Any]]
    edits: list[tuple[int, dict[str, Any], str]]
    golden: list[tuple[str, dict[int, int]]]
    decided: list[tuple[int, int, Decision]] = field(default_factory=list)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Libraries with every field, all statuses, several revisions and golden questions."""
    rows = draw(st.lists(st.fixed_dictionaries(FIELDS), max_size=5))
    own = draw(st.lists(st.booleans(), min_size=5, max_size=5))
    rows = [row | ({"id": f"own {n}"} if own[n] else {}) for n, row in enumerate(rows)]
    if not rows:
        return Plan([], [], [])
    numbers = st.integers(0, len(rows) - 1)
    changes = st.fixed_dictionaries({}, optional=dict(FIELDS)).filter(bool)
    edits = draw(st.lists(st.tuples(numbers, changes, TEXTS), max_size=6))
    statuses = [row["status"] for row in rows]
    for number, edit, _ in edits:
        if "status" in edit:
            before = statuses[number]
            statuses[number] = edit["status"] = draw(st.sampled_from((before, *STEPS[before])))
    judged = st.dictionaries(numbers, st.integers(0, 2), min_size=1, max_size=3)
    asked = st.lists(judged.filter(lambda grades: any(grades.values())), max_size=3)
    golden = [(f"{draw(TEXTS)} question {n}?", grades) for n, grades in enumerate(draw(asked))]
    used = [number for number, status in enumerate(statuses) if status != "retired"]
    decisions: st.SearchStrategy[Decision] = st.sampled_from(("keep_both", "linked"))
    return Plan(rows, edits, golden, [(*pair, draw(decisions)) for pair in pairwise(used)])


async def fill(vector_ops: VectorOperations, plan: Plan) -> None:
    """The library is as planned, and was evaluated once if it has golden questions."""
    ids = [(await vector_ops.put_scenario(row, reason="planned")).scenario_id for row in plan.rows]
    for number, changes, reason in plan.edits:
        await vector_ops.update_scenario(ids[number], changes, reason=reason)
    golden = [
        await vector_ops.golden.add(question, {ids[n]: grade for n, grade in grades.items()}, "Ada")
        for question, grades in plan.golden
    ]
    for one, other, decision in plan.decided:
        if ids[one] != ids[other]:
            pair = pair_of(ids[one], ids[other])
            await vector_ops.likenesses.decide(pair, decision, author="Ada", reason="both\n=1+1")
    if golden:
        await vector_ops.golden.evaluations.add(
            {"hybrid": {"recall@5": 1 / 3, "ndcg@10": 1e-7}},
            {question.id: {"hybrid": 1, "words": None} for question in golden},
            library_version=7,
            model="words",
        )


async def backed_up(vector_ops: VectorOperations, *, interactions: bool = False) -> bytes:
    """A backup of the library."""
    file = io.BytesIO()
    await write_backup(vector_ops, file, interactions=interactions)
    return file.getvalue()


def entries(archive: bytes) -> dict[str, bytes]:
    """The files of a backup; the manifest without its time."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        found = {name: opened.read(name) for name in opened.namelist()}
    manifest = json.loads(found[MANIFEST])
    del manifest["created_at"]
    return found | {MANIFEST: json.dumps(manifest).encode()}


def documents(archive: bytes, name: str) -> list[dict[str, Any]]:
    """The lines of one of its files."""
    return [json.loads(line) for line in entries(archive)[name].decode().split("\n")[:-1]]


def spoiled(
    archive: bytes,
    path: Path,
    *,
    files: Mapping[str, bytes | None] | None = None,
    manifest: Mapping[str, Any] | None = None,
    sealed: bool = True,
) -> Path:
    """The backup at that path with other files (none for None) and another manifest, which, if
    sealed, tells what is in it."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        found: dict[str, bytes | None] = {name: opened.read(name) for name in opened.namelist()}
    told = json.loads(found[MANIFEST] or b"")
    for name, content in (files or {}).items():
        found[name] = content
        if sealed and content is not None and name in told["files"]:
            told["files"][name] = {
                "rows": content.count(b"\n"),
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
    found[MANIFEST] = json.dumps(told | dict(manifest or {})).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in (found | dict(files or {}) | {MANIFEST: found[MANIFEST]}).items():
            if content is not None:
                written.writestr(name, content)
    return path
