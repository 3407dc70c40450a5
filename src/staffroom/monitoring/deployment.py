"""Writes what is made from the definitions of the instruments: `python -m
staffroom.monitoring.deployment` in the root of the repository."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from staffroom.monitoring.alerts import ALERTS, alert_rules, scrape_configuration
from staffroom.monitoring.dashboard import dashboard
from staffroom.monitoring.reference import reference

COMMAND: Final = "python -m staffroom.monitoring.deployment"
PAGE: Final = Path("docs/monitoring.md")
FOLDER: Final = Path("deploy")


def files(root: Path) -> dict[Path, str]:
    """What each generated file should hold, by its place below the root."""
    page = (root / PAGE).read_text("utf-8")
    page = _between(page, "instruments", reference())
    page = _between(page, "alerts", _alert_table())
    return {
        PAGE: page,
        FOLDER / "prometheus.yml": _yaml(scrape_configuration()),
        FOLDER / "alerts.yml": _yaml(alert_rules()),
        FOLDER / "grafana-dashboard.json": json.dumps(dashboard(), indent=2) + "\n",
    }


def write(root: Path) -> None:
    """The generated files hold what they should."""
    for place, text in files(root).items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text, "utf-8")


def _between(page: str, name: str, text: str) -> str:
    begin, end = f"<!-- {name}: {COMMAND} -->\n", f"<!-- /{name} -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{text}\n{end}{after}"


def _alert_table() -> str:
    lines = ["| alert | severity | it says | what to do |", "|---|---|---|---|"]
    lines += [
        f"| `{alert.name}` | {alert.severity} | {alert.summary} | {alert.description} |"
        for alert in ALERTS
    ]
    return "\n".join(lines) + "\n"


def _yaml(document: Mapping[str, Any]) -> str:
    head = f"# Generated from the definitions of the instruments by `{COMMAND}`.\n"
    return head + yaml.safe_dump(document, sort_keys=False, width=96, allow_unicode=True)


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
