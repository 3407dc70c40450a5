"""What is generated from the definitions of the instruments fits them, and a real scrape."""

import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import httpx
import pytest
import yaml

from staffroom.monitoring import deployment
from staffroom.monitoring import metrics as m
from staffroom.monitoring.dashboard import COLUMNS
from staffroom.monitoring.exposition import exposition
from staffroom.monitoring.instruments import Family, Reading
from staffroom.monitoring.metrics import DATABASE_UP, INFO, INSTRUMENTS
from staffroom.monitoring.promql import JOB, quantile, rate
from tests.promql import Vector, evaluated
from tests.scrapes import families, samples
from tests.serving import Served

REPOSITORY = Path(__file__).parent.parent
DEPLOY = REPOSITORY / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))
RULES = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]

ALERTS = {rule["alert"]: rule["expr"] for rule in RULES}
PANELS = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    if panel["type"] != "row"
    for target in panel["targets"]
}
SELECTOR = re.compile(r"([a-z_]+){([^}]*)}(\[[^]]+])?")
MATCHER = re.compile(r'(\w+)(=~|!~|=)"([^"]*)"')


@pytest.fixture
async def scrape(library_server: Served) -> str:
    """What a server tells that has answered a question and sent a page away."""
    async with httpx.AsyncClient(base_url=library_server.url) as client:
        await client.post("/api/v1/ask", json={"question": "The class is too loud."})
        await client.get("/nowhere")
        return (await client.get("/metrics")).text


@pytest.mark.parametrize("place", deployment.files(REPOSITORY), ids=str)
def test_generated_files_are_as_the_definitions_have_them(place: Path) -> None:
    wanted = deployment.files(REPOSITORY)[place]

    assert (REPOSITORY / place).read_text("utf-8") == wanted, f"run `{deployment.COMMAND}`"


def test_a_label_or_value_that_an_instrument_cannot_have_is_refused() -> None:
    with pytest.raises(ValueError, match="answers_total has no outcome 'lost'"):
        rate(m.ANSWERS, "5m", where={"outcome": "written|lost"})
    with pytest.raises(ValueError, match="answer_seconds has no model 'llama'"):
        quantile(0.5, m.ANSWER_TIME, "5m", where={"model": "!llama"})


async def test_every_panel_and_alert_asks_for_what_a_server_tells(scrape: str) -> None:
    told = samples(scrape)
    types = {name: family.type for name, family in families(scrape).items()}
    for title, expression in (ALERTS | PANELS).items():
        assert expression.count("(") == expression.count(")"), title
        selectors = SELECTOR.findall(expression)
        assert selectors, title
        for name, matchers, window in selectors:
            wanted = {label: (how, value) for label, how, value in MATCHER.findall(matchers)}
            assert wanted.pop("job") == ("=", JOB["job"]), title
            if name == "up":
                continue
            assert name in told, f"{title}: a server does not tell {name}"
            family = re.sub("_(bucket|sum|count|total)$", "", name)
            is_gauge = types.get(name, types.get(family)) == "gauge"
            assert is_gauge == (not window), f"{title}: {name} is used as what it is not"
            assert name.endswith("_bucket") == ("le" in _grouped(expression)), title
            for label, (how, value) in wanted.items():
                values = {labels[label] for labels, _ in told[name]}
                if label != "status":  # whose series begin with the first request
                    assert set(value.split("|")) <= values, f"{title}: {name} has no {value}"
                assert how == ("=" if "|" not in value else how), title
            for label in _grouped(expression):
                assert label in told[name][0][0], f"{title}: {name} has no {label}"


def _grouped(expression: str) -> set[str]:
    """The labels by which the expression groups."""
    return {label for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(", ")}


def as_scrape(text: str) -> dict[str, Vector]:
    """What an evaluation reads, with what Prometheus itself says of the scrape."""
    told = {
        name: {frozenset(labels.items()): value for labels, value in series}
        for name, series in samples(text).items()
    }
    return {**told, "up": {frozenset(): 1.0}}


async def test_the_queries_say_what_happened_between_two_scrapes(library_server: Served) -> None:
    async with httpx.AsyncClient(base_url=library_server.url) as client:
        question = {"question": "Why does nobody listen after lunch?"}
        await client.post("/api/v1/ask", json=question)
        before = as_scrape((await client.get("/metrics")).text)
        await client.post("/api/v1/ask", json={"question": "The class is too loud to be heard."})
        await client.post("/api/v1/ask", json=question)
        await client.get("/", headers={"Host": "evil.example"})
        after = as_scrape((await client.get("/metrics")).text)

    found = {title: evaluated(query, before, after) for title, query in PANELS.items()}
    fired = {name for name, query in ALERTS.items() if evaluated(query, before, after)}

    def value(title: str, **labels: str) -> float:
        return found[title][frozenset(labels.items())]

    assert value("Questions per minute A") == pytest.approx(2)
    assert value("Answered A") == pytest.approx(1)
    assert value("Refused per minute A") == pytest.approx(1)
    assert value("From the cache A") == pytest.approx(0.5)
    assert 0 < value("First sentence, 95% A") < 10
    assert 0 < value("Search, 95% A") < 10
    assert value("Time to the whole answer A", writer="kept") > 0
    assert value("Refused requests A", reason="host") == pytest.approx(1 / 60)
    assert value("Database answers A") == 1
    for stage in ("embedding", "database", "ranking", "scope"):
        assert value("Time of a search by stage B", stage=stage) > 0
    assert found["Versions A"]
    assert fired <= {"StaffroomSearchSlow", "StaffroomAnswersSlow"}  # on a slow machine


@pytest.mark.parametrize(
    ("alert", "name", "labels", "risen"),
    [
        ("StaffroomDown", "up", {}, -1),
        ("StaffroomDatabaseDown", "database_up", {}, -1),
        ("StaffroomQuestionsFail", "answers_total", {"outcome": "failed"}, 10),
        ("StaffroomWriterDegraded", "answers_total", {"outcome": "degraded"}, 30),
        ("StaffroomFindsLittle", "answers_total", {"outcome": "abstained"}, 200),
        ("StaffroomRefusesRequests", "http_requests_refused_total", {"reason": "load"}, 21),
        ("StaffroomPoolExhausted", "database_pool_failures_total", {}, 1),
        ("StaffroomImportWaits", "import_oldest_age_seconds", {"state": "waiting"}, 3601),
        ("StaffroomIndexRecallLow", "vector_index_recall_count", {}, 20),
        ("StaffroomDeadRows", "database_dead_rows", {"table": "vectors"}, 20_000),
        ("StaffroomAnswersSlow", "answer_first_sentence_seconds_bucket", {"le": "+Inf"}, 10),
        ("StaffroomSearchSlow", "vector_search_seconds_bucket", {"le": "+Inf"}, 10),
    ],
)
def test_an_alert_fires_when_that_happens_and_not_without(
    alert: str, name: str, labels: dict[str, str], risen: float
) -> None:
    quiet = as_scrape(
        exposition([DATABASE_UP.family({(): 1}), *_readings()]).decode(),
    )
    busy = _after(quiet, "answers_total", {"outcome": "direct"}, 100)
    troubled = _after(busy, name, labels, risen)

    assert evaluated(ALERTS[alert], quiet, busy) == {}
    assert list(evaluated(ALERTS[alert], quiet, troubled).values()) != []


def test_requests_that_end_as_errors_are_told() -> None:
    def told(failed: float) -> dict[str, Vector]:
        series = {frozenset({"status": "2xx"}.items()): 90.0 + failed}
        return {"http_requests_total": series | {frozenset({"status": "5xx"}.items()): failed}}

    expression = ALERTS["StaffroomServerErrors"]

    assert evaluated(expression, told(0), told(0)) == {}
    assert evaluated(expression, told(0), told(10))


def _readings() -> list[Family]:
    return [
        instrument.family(dict.fromkeys(product(*instrument.label_sets.values()), 0))
        for instrument in INSTRUMENTS
        if isinstance(instrument, Reading) and instrument not in {DATABASE_UP, INFO}
    ]


def _after(
    scrape: dict[str, Vector], name: str, labels: dict[str, str], risen: float
) -> dict[str, Vector]:
    """The scrape with the first series of those labels risen."""
    fitting = (each for each in scrape[name] if labels.items() <= dict(each).items())
    key = next(each for each in fitting if dict(each).get("writer") not in {"kept", "none"})
    return {**scrape, name: {**scrape[name], key: scrape[name][key] + risen}}


def test_every_instrument_is_drawn_once_below_the_first_row() -> None:
    drawn = " ".join(PANELS.values())
    titles = [panel["title"] for panel in DASHBOARD["panels"]]

    for instrument in INSTRUMENTS:
        assert re.search(rf"\b{instrument.name}(_bucket|_sum)?{{", drawn), instrument.name
        assert titles.count(instrument.title) == 1, instrument.title


def test_panels_lie_beside_each_other() -> None:
    covered: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = set(_cells(at["x"], at["y"], at["w"], at["h"]))
        assert at["x"] + at["w"] <= COLUMNS
        assert not cells & covered, panel["title"]
        covered |= cells
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)


def _cells(x: int, y: int, width: int, height: int) -> Iterator[tuple[int, int]]:
    return ((column, row) for column in range(x, x + width) for row in range(y, y + height))


def test_every_alert_says_what_to_do_and_the_configuration_finds_it() -> None:
    configuration = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))

    assert configuration["rule_files"] == ["alerts.yml"]
    assert [job["job_name"] for job in configuration["scrape_configs"]] == [JOB["job"]]
    for rule in RULES:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert re.fullmatch(r"\d+[mh]", rule["for"])
        assert len(rule["annotations"]["description"]) > 60
        for name in re.findall(r"`([a-z]+_[a-z_]+)`", rule["annotations"]["description"]):
            assert name in {i.name for i in INSTRUMENTS} | {"pg_stat_activity", "xact_start"}, name
