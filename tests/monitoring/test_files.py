"""Prometheus, Alertmanager and Grafana take our rules, settings and dashboards, and the runbooks fit them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from tests.monitoring.conftest import MONITORING, output
from typer.main import get_command

from tetraview.cli.main import app
from tetraview.telemetry.metrics import Metrics

DASHBOARDS = sorted((MONITORING / "dashboards").glob("*.json"))
RUNBOOKS = (MONITORING / "runbooks.md").read_text()
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
PARTS = ("Means", "Impact", "Look first", "Mend", "Afterwards")
FAMILIES = {
    family.name: family
    for metric in vars(Metrics(CollectorRegistry())).values()
    if isinstance(metric, MetricWrapperBase)
    for family in metric.describe()
}
#: Every file that asks Prometheus something.
ASKING = [MONITORING / "rules.yaml", MONITORING / "runbooks.md", *DASHBOARDS]


def test_prometheus_takes_rules_and_configuration() -> None:
    """Promtool finds no fault with either file."""
    assert "SUCCESS" in output("promtool", "check", "rules", "rules.yaml")
    assert "SUCCESS" in output("promtool", "check", "config", "prometheus.yaml")


def test_alertmanager_takes_its_configuration() -> None:
    """Amtool finds no fault with the file."""
    assert "SUCCESS" in output("amtool", "check-config", "alertmanager.yaml")


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
def test_every_severity_has_somebody_who_is_told(severity: str) -> None:
    """Critical alerts go to the person on duty, all others go out by mail."""
    told = output("amtool", "config", "routes", "test", "--config.file=alertmanager.yaml", f"severity={severity}")
    assert told.splitlines()[0] == ("duty" if severity == "critical" else "mail")


@pytest.mark.parametrize("file", ["rules.test.yaml", "rules.days.test.yaml"])
def test_alerts_fire_when_they_should_and_only_then(file: str) -> None:
    """Each alert's own tests hold, and in each of them no other alert fires."""
    assert "SUCCESS" in output("promtool", "test", "rules", file)


def test_every_alert_is_tested() -> None:
    """Each alert has a test in which it fires."""
    tests = "".join((MONITORING / file).read_text() for file in ("rules.test.yaml", "rules.days.test.yaml"))
    assert {rule["alert"] for rule in ALERTS} == set(re.findall(r'alertname="(\w+)"', tests))


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_what_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    """Each alert has one sentence for the pager, one for the responder, and a runbook."""
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    for part in ("summary", "description"):
        assert re.fullmatch(r"\S.*\.", rule["annotations"][part]), part
    assert rule["annotations"]["runbook"] == f"deploy/monitoring/runbooks.md#{rule['alert'].lower()}"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    """The headings of the page are the alerts, in their order in the rules."""
    headings = re.findall(r"^### (\w+)$", RUNBOOKS, re.MULTILINE)
    assert sorted(headings) == sorted(rule["alert"] for rule in ALERTS)


@pytest.mark.parametrize("name", [rule["alert"] for rule in ALERTS])
def test_a_runbook_is_whole(name: str) -> None:
    """Each runbook says what the alert means, whom it touches, where to look, how to mend it and what to do then."""
    text = RUNBOOKS.split(f"### {name}\n")[1].split("\n#")[0]
    assert re.findall(r"^- \*\*([\w ]+)\*\* ", text, re.MULTILINE) == list(PARTS)


def test_runbooks_name_only_commands_and_alerts_that_there_are() -> None:
    """A command of ours that a runbook asks for exists, and so does an alert that it refers to."""
    commands = set(getattr(get_command(app), "commands"))  # noqa: B009 - a group of Click's, which typer types as less
    assert set(re.findall(r"`tetraview ([a-z]+)", RUNBOOKS)) <= commands
    assert set(re.findall(r"Tetraview[A-Z]\w+", RUNBOOKS)) == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("file", ASKING, ids=lambda file: file.name)
def test_only_metrics_that_there_are_are_asked_for(file: Path) -> None:
    """Each metric is registered under that name, with the suffix of its type; each recorded series has its rule."""
    text = file.read_text()
    assert set(re.findall(r"\btetraview_[a-z_]+", text)) <= set(_series())
    assert set(re.findall(r"\btetraview:[a-z_]+:[a-z0-9_]+", text)) <= {rule.get("record") for rule in RULES}


@pytest.mark.parametrize("file", ASKING, ids=lambda file: file.name)
def test_what_is_alike_at_every_replica_is_never_summed(file: Path) -> None:
    """Two replicas on one ledger must not make two of each exam."""
    alike = [name for name, family in FAMILIES.items() if "never sum" in family.documentation]
    assert len(alike) >= 7
    for before in re.findall(rf"(.{{0,80}})\b(?:{'|'.join(alike)})\b[{{[)]", file.read_text()):
        assert re.search(r"max(?: by \([a-z, ]+\))? ?\($", before), before


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_is_one_of_grafanas(file: Path) -> None:
    """Grafana's own types know every key of it, and each panel says what it shows."""
    written = json.loads(file.read_text())
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(written)))
    assert set(_keys(written)) <= set(_keys(read))
    assert written["uid"] == f"tetraview-{file.stem}"
    assert [variable["name"] for variable in written["templating"]["list"]] == ["datasource", "job"]
    for panel in written["panels"]:
        assert panel["description"].endswith(".")
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all("$job" in target["expr"] or "ALERTS" in target["expr"] for target in panel["targets"])


def _series() -> Iterator[str]:
    """The names under which Prometheus keeps our metrics."""
    for name, family in FAMILIES.items():
        if family.type == "histogram":
            yield from (f"{name}_{part}" for part in ("bucket", "sum", "count"))
        # Runbooks speak of a histogram as a whole.
        yield f"{name}_total" if family.type == "counter" else name


def _keys(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield f"{path}.{key}"
            yield from _keys(part, f"{path}.{key}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _keys(part, f"{path}[{number}]")
