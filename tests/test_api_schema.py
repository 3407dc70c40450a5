"""The API does what its description says, and survives what the description forbids.

`API_EXAMPLES=300 API_SEED=7 pytest tests/test_api_schema.py` looks harder than the suite does,
and elsewhere.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import httpx
import pytest
import schemathesis
from pydantic import SecretStr
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.specs.openapi.schemas import OpenApiSchema

from staffroom.ai.llm_service import last_answer
from staffroom.app import App
from staffroom.config import Settings
from tests.imports import begin_import
from tests.serving import serving

EXAMPLES = int(os.environ.get("API_EXAMPLES", "15"))
KEY = "a key that is long enough"
SCENARIO: dict[str, Any] = {
    "id": "kept",
    "name": "Noisy class",
    "description": "The whole class talks loudly after lunch.",
    "expected_response": "1. Wait for silence.\n2. Thank the ready pupils.",
    "category": "behaviour",
    "grade_bands": ["7-9"],
    "subjects": ["maths"],
    "setting": "whole class",
    "tags": ["noise"],
}
STORED = {
    "category": "behaviour",
    "categories": "behaviour",
    "grade_band": "7-9",
    "grade_bands": "7-9",
    "subject": "maths",
    "subjects": "maths",
    "setting": "whole class",
    "settings": "whole class",
    "tag": "noise",
    "tags": "noise",
    "language": "en",
    "languages": "en",
}
"""What the library can be filtered by; another value is refused, as no schema can say."""

CONFIG: dict[str, Any] = {
    "seed": int(os.environ.get("API_SEED", "4")),
    "generation": {"database": "none", "deterministic": True, "max-examples": EXAMPLES},
    "auth": {"openapi": {"key": {"bearer": KEY}}},
    "checks": {
        "positive_data_acceptance": {
            # 412: the drawn ETag is not that of the scenario.
            "expected-statuses": ["2xx", "304", "404", "409", "412"]
        },
        "missing_required_header": {"expected-statuses": ["428"]},
    },
    "operations": [
        {
            # What is drawn as null or a list is, in a form, a file or no field at all.
            "include-name": name,
            "checks": {"negative_data_rejection": {"enabled": False}},
        }
        for name in ("POST /api/v1/imports", "POST /api/v1/imports/inspect")
    ],
}


class Known:
    """What a client that uses the API well would know: ids, values that exist, keys of its own."""

    def __init__(
        self,
        interaction: str,
        scenario: str,
        spare: str,
        golden: str,
        spare_golden: str,
        gaps: Sequence[tuple[str, str]],
    ) -> None:
        self._interaction = interaction
        self._golden = golden
        self._spare_golden = spare_golden
        self._scenario = scenario
        self._spare = spare
        (self._gap, _), (self._gap_to_draft, _), (self._gap_to_extend, self._asked) = gaps
        self._numbers = count()
        self.import_id = ""
        self.waiting = ""

    def apply(self, case: Any) -> None:
        """The case with what is known in place of what was drawn."""
        if case.headers and "idempotency-key" in case.headers:
            key = case.headers["idempotency-key"]
            case.headers["idempotency-key"] = f"{key[:150]}{next(self._numbers)}"
        self._name_known(case)
        _put_stored(case.query)
        if isinstance(case.body, dict):
            self._fill_in(case.body)

    def _name_known(self, case: Any) -> None:
        """The path leads to what is there; what is removed is not what others still need."""
        for name, known in (
            ("interaction_id", self._interaction),
            ("import_id", self.waiting if case.method == "PATCH" else self.import_id),
            ("one_id", self._scenario),
            ("other_id", self._spare),
            ("golden_id", self._spare_golden if case.method == "DELETE" else self._golden),
            ("model_id", "staffroom"),
            ("group_id", self._group(case.operation.path)),
        ):
            if name in case.path_parameters:
                case.path_parameters[name] = known
        if case.method == "PUT":
            case.path_parameters["scenario_id"] = self._scenario
        elif case.method != "GET" and case.path_parameters.get("scenario_id") == self._scenario:
            case.path_parameters["scenario_id"] = self._spare

    def _group(self, path: str) -> str:
        """What is drafted or extended once cannot be again."""
        action = path.rpartition("/")[2]
        return {"draft": self._gap_to_draft, "examples": self._gap_to_extend}.get(action, self._gap)

    def _fill_in(self, body: dict[str, Any]) -> None:
        _put_stored(body.get("filters"))
        for name in body.keys() & {"mapping", "encoding", "delimiter", "sheet"}:
            body[name] = ""  # no schema can say which encodings there are, or columns
        if body.get("source_id") == SCENARIO["id"]:
            body["source_id"] = "another"
        for name, known in (
            ("conversation_id", self._interaction),
            ("scenario_id", self._scenario),
        ):
            if body.get(name):
                body[name] = known
        if "decision" in body:
            body["keep"] = self._scenario if body["decision"] == "merged" else None
        if body.get("interaction_ids"):
            body["interaction_ids"] = [self._asked]
        if body.get("relevant"):
            body["relevant"] = [{"scenario_id": self._scenario, "grade": 2}]


def _put_stored(filters: Any) -> None:
    if isinstance(filters, Mapping):
        for name in filters.keys() & STORED.keys():
            filters[name] = [STORED[name]] * len(filters[name])  # type: ignore[index]


async def _begin(app: App) -> Known:
    scenario = await app.vector_ops.store_scenario(**SCENARIO)
    spare = await app.vector_ops.store_scenario("Late", "Pupils come late.")
    answer = await last_answer(app.ask("The whole class talks loudly after lunch, what now?"))
    assert answer.matches
    golden = [
        str((await app.vector_ops.golden.add(question, {scenario: 2}, "")).id)
        for question in ("Why so loud?", "Why so late?")
    ]
    for question in (
        "How do I bake bread?",
        "Which oil does a tractor take?",
        "Is it cold on Mars?",
    ):
        await last_answer(app.ask(question))
    gaps = [
        (str(group.id), str((await app.vector_ops.gaps.questions(group.id, 1))[0].interaction_id))
        for group in await app.vector_ops.gaps.page()
    ]
    return Known(str(answer.interaction_id), str(scenario), str(spare), golden[0], golden[1], gaps)


@pytest.fixture
def api_schema(settings: Settings) -> Iterator[OpenApiSchema]:
    keyed = settings.model_copy(update={"api_key": SecretStr(KEY)})
    with serving(keyed) as served:
        known = served.run(_begin(served.app))
        uploaded = httpx.post(
            f"{served.url}/api/v1/imports",
            files={"file": ("late.csv", b"description\nPupils come late to sports.\n")},
            headers={"Authorization": f"Bearer {KEY}"},
        )
        known.import_id = uploaded.json()["id"]
        imports = served.app.vector_ops.imports
        waiting = served.run(begin_import(imports, "later.csv", b"description\nLater.\n"))
        served.run(imports.ask(waiting, "pause"))
        known.waiting = str(waiting)
        config = SchemathesisConfig.from_dict(CONFIG)
        loaded = schemathesis.openapi.from_url(f"{served.url}/openapi.json", config=config)

        @schemathesis.hook
        def before_call(_: object, case: Any, kwargs: object) -> None:
            if case.meta and case.meta.generation.mode.is_positive:
                known.apply(case)

        yield loaded
        schemathesis.hooks.unregister(before_call)


@pytest.mark.slow
@pytest.mark.timeout(3600 if EXAMPLES > 15 else 300)
def test_every_operation_does_what_the_description_says(api_schema: OpenApiSchema) -> None:
    wrong: list[str] = []
    succeeded: set[str] = set()
    for event in from_schema(api_schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            wrong.append(str(event))
        if isinstance(event, events.ScenarioFinished):
            wrong += failures(event.recorder)
            succeeded |= answered(event.recorder)

    assert not wrong, "\n\n".join(wrong)
    described = {
        found.ok().label for found in api_schema.get_all_operations() if isinstance(found, Ok)
    }
    assert succeeded == described


def failures(recorder: ScenarioRecorder) -> list[str]:
    """What went wrong, and the call that shows it."""
    return [
        f"{recorder.label}: {check.failure_info.failure}\n{check.failure_info.code_sample[:2000]}\n"
        f"{_body(recorder, case_id)}"
        for case_id, checks in recorder.checks.items()
        for check in checks
        if check.failure_info
    ]


def _body(recorder: ScenarioRecorder, case_id: str) -> str:
    response = recorder.interactions[case_id].response
    return response.text[:1000] if response else "no response"


def answered(recorder: ScenarioRecorder) -> set[str]:
    """The operations that did what they are for at least once."""
    return {
        recorder.cases[case_id].value.operation.label
        for case_id, interaction in recorder.interactions.items()
        if interaction.response and interaction.response.status_code < 300
    }
