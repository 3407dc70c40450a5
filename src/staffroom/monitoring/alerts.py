"""What is worth waking somebody for, or telling them in the morning, and what to do about it."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from staffroom.monitoring import metrics as m
from staffroom.monitoring.promql import JOB, increase, mean, now, quantile, rate, share


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition, how long it has to last, and what whoever is told should look at first."""

    name: str
    expression: str
    lasting: str
    severity: Literal["page", "ticket"]
    summary: str
    description: str


ALERTS: Final = (
    Alert(
        "StaffroomDown",
        f'up{{job="{JOB["job"]}"}} == 0',
        "2m",
        "page",
        "Staffroom does not answer.",
        "No scrape has succeeded. See whether the process runs (`systemctl status`, the "
        "container), what it wrote last, and whether `/healthz` answers on the machine itself. A "
        "scrape that is refused with 401 wants the API key in the scrape configuration.",
    ),
    Alert(
        "StaffroomDatabaseDown",
        f"{now(m.DATABASE_UP, how='min')} == 0",
        "2m",
        "page",
        "PostgreSQL does not answer Staffroom.",
        "Nothing can be asked until it does. `staffroom doctor` says what is wrong; look at "
        "PostgreSQL's log, at its disk, and at how many connections it has.",
    ),
    Alert(
        "StaffroomQuestionsFail",
        f"{share(m.ANSWERS, '10m', {'outcome': 'failed'})} > 0.05",
        "10m",
        "page",
        "More than one question in twenty gets no answer.",
        "The search or the embedding model fails: `vector_operation_errors_total` has the class of "
        "error, the log the cause. `/readyz` names the part that does not work.",
    ),
    Alert(
        "StaffroomServerErrors",
        f"{share(m.REQUESTS, '10m', {'status': '5xx'})} > 0.05",
        "10m",
        "page",
        "More than one request in twenty ends with a status of 500 or more.",
        "`http_requests_total` says on which routes. 500 is a defect, which the log has with the "
        "request's id; 503 means that a part does not work or that too much is asked at once.",
    ),
    Alert(
        "StaffroomWriterDegraded",
        f"{share(m.ANSWERS, '15m', {'outcome': 'degraded'})} > 0.2",
        "15m",
        "ticket",
        "The language model fails; the advice is quoted instead.",
        "Teachers are still answered. `writer_failures_total` has the class of error, the log the "
        "reason. See that the model's server runs and is fast enough, or set STAFFROOM_WRITER to "
        "another one.",
    ),
    Alert(
        "StaffroomAnswersSlow",
        quantile(0.95, m.FIRST_SENTENCE_TIME, "15m", where={"writer": "!kept|none"}) + " > 5",
        "15m",
        "ticket",
        "One question in twenty waits longer than five seconds for its first sentence.",
        "`retrieval_stage_seconds` says whether finding takes the time; if not, the writer does: "
        "choose a smaller model or `extractive`. `embedding_queue_length` and "
        "`http_requests_refused_total` say whether too much is asked at once.",
    ),
    Alert(
        "StaffroomSearchSlow",
        quantile(0.95, m.SEARCH_TIME, "15m") + " > 0.5",
        "15m",
        "ticket",
        "One search in twenty takes longer than half a second.",
        "`retrieval_stage_seconds` says which stage. The database's: look at `database_dead_rows`, "
        "at its memory, and at `database_pool_wait_seconds_total`. The embedding's: an import or "
        "too many processes share the cores.",
    ),
    Alert(
        "StaffroomRefusesRequests",
        increase(m.REFUSED, "10m", where={"reason": "load|queue|timeout"}) + " > 20",
        "5m",
        "ticket",
        "Requests are turned away because too much is asked at once.",
        "They were told when to come back. More processes (`--workers`), imports in `staffroom "
        "worker` elsewhere, or a faster writer let more in; `staffroom bench serve` shows what the "
        "machine carries.",
    ),
    Alert(
        "StaffroomPoolExhausted",
        increase(m.POOL_FAILURES, "10m") + " > 0",
        "5m",
        "ticket",
        "Requests got no database connection in time.",
        "All connections of a process were in use. Look for slow statements in PostgreSQL "
        "(`pg_stat_activity`), and see that it takes as many connections as all processes may open "
        "(`database_pool_limit`).",
    ),
    Alert(
        "StaffroomImportWaits",
        now(m.IMPORT_AGE, where={"state": "waiting"}) + " > 3600",
        "10m",
        "ticket",
        "An import has waited for an hour.",
        "`staffroom imports list` says why. Either nobody runs imports (STAFFROOM_IMPORT_LANES is "
        "0 and no `staffroom worker` runs), or one waits for its next try after a failure.",
    ),
    Alert(
        "StaffroomIndexRecallLow",
        f"{mean(m.INDEX_RECALL, '1d')} < 0.95",
        "1h",
        "ticket",
        "The vector index misses more than one near scenario in twenty.",
        "It decays with many edits and deletions. The log names the index to build anew with "
        "REINDEX INDEX CONCURRENTLY, which keeps searches going.",
    ),
    Alert(
        "StaffroomDeadRows",
        f"{now(m.DEAD_ROWS, 'table')} > 10000 and "
        f"{now(m.DEAD_ROWS, 'table')} > 0.5 * {now(m.LIVE_ROWS, 'table')}",
        "1h",
        "ticket",
        "A table has half as many dead rows as living ones.",
        "Autovacuum does not keep up, or a transaction has been open for long and keeps it from "
        "cleaning (`pg_stat_activity`, oldest `xact_start`). VACUUM (ANALYZE) the table.",
    ),
    Alert(
        "StaffroomFindsLittle",
        f"{share(m.ANSWERS, '1d', {'outcome': 'abstained'})} > 0.5 and "
        f"{rate(m.ANSWERS, '1d')} > 0.0002",
        "1h",
        "ticket",
        "For more than half of a day's questions the library has nothing.",
        "Tell the editors: `/insights/gaps` groups these questions. If it began with a change of "
        "the model or of the library, see `staffroom_info` and `library_version`.",
    ),
)


def alert_rules() -> dict[str, Any]:
    """The alerts as Prometheus reads them."""
    return {
        "groups": [
            {
                "name": "staffroom",
                "rules": [
                    {
                        "alert": alert.name,
                        "expr": alert.expression,
                        "for": alert.lasting,
                        "labels": {"severity": alert.severity},
                        "annotations": {
                            "summary": alert.summary,
                            "description": alert.description,
                        },
                    }
                    for alert in ALERTS
                ],
            }
        ]
    }


def scrape_configuration() -> dict[str, Any]:
    """What Prometheus needs to find Staffroom and the alerts."""
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            {
                "job_name": JOB["job"],
                "metrics_path": "/metrics",
                "static_configs": [{"targets": ["127.0.0.1:8000"]}],
            }
        ],
    }
