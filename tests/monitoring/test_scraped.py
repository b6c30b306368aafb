"""Real Prometheus and Alertmanager beside a real service: queries have answers, and alerts reach their receivers."""

from __future__ import annotations

import json
import math
import re
import socket
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.conftest import STORESCU, Service
from tests.monitoring.conftest import MONITORING, output, program
from tests.support.servers import eventually, missing

from tetraview.domain.exam import ExamState
from tetraview.phantom import RECIPES, generate
from tetraview.phantom.dicom import write_exam
from tetraview.tools.demo.pacs import Pacs

pytestmark = pytest.mark.system

#: Values that Grafana would put in place of its variables.
VARIABLES = {"$__rate_interval": "5m", "$job": ".*"}
#: Alerts that depend on the machine that tests run on.
OF_THE_MACHINE = ("TetraviewDiskFull", "TetraviewDiskFilling", "TetraviewLedgerSlow")


@dataclass(kw_only=True)
class Site:
    """A service that has read two exams of one device, and the servers that watch it."""

    service: Service
    prometheus: str
    alertmanager: str
    #: Alerts that the webhook was told of.
    told: list[dict[str, Any]] = field(default_factory=list)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Prometheus's answer to a query now."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.prometheus}/api/v1/query?{query}", timeout=10) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result

    def numbers(self, expression: str) -> list[float]:
        """The values that are numbers."""
        values = [float(series["value"][1]) for series in self.query(expression)]
        return [value for value in values if not math.isnan(value)]

    def page(self) -> str:
        """The metrics page of the service itself."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.service.web_port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())


@pytest.fixture(scope="module")
def site(triton: str, _orthanc: Pacs, phantom_exam: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One service for all tests of this file."""
    if not STORESCU.exists():
        missing("DCMTK")
    folder = tmp_path_factory.mktemp("monitoring")
    service = Service(folder=folder, triton_url=triton, pacs=_orthanc)
    told: list[dict[str, Any]] = []
    try:
        service.start()
        with (
            _webhook(told) as webhook,
            _alertmanager(folder / "alertmanager", webhook) as alertmanager,
            _prometheus(folder / "prometheus", service.web_port, alertmanager) as prometheus,
        ):
            site = Site(service=service, prometheus=prometheus, alertmanager=alertmanager, told=told)
            eventually(lambda: site.numbers("tetraview_build_info"), seconds=30, what="the service is scraped")
            _read_two_exams(site, [phantom_exam, _another_exam(folder / "another")])
            yield site
    finally:
        service.stop()


def _read_two_exams(site: Site, exams: list[Path]) -> None:
    """The second exam comes after the first was scraped, so that metrics of both are seen to rise."""
    for number, exam in enumerate(exams, start=1):
        assert all(site.service.store(path) for path in sorted(exam.glob("*.dcm"))), site.service.answers

        def is_seen(number: int = number) -> bool:
            delivered = site.numbers('tetraview_exams_ended_total{outcome="delivered"}')
            recorded = site.numbers("tetraview:view_score:mean1d") if number > 1 else [0.0]
            return delivered == [float(number)] and bool(recorded)

        eventually(is_seen, seconds=120, what=f"exam {number} is delivered")
    with site.service.ledger() as ledger:
        assert ledger.count_exams() == {ExamState.DONE: len(exams)}


def _another_exam(folder: Path) -> Path:
    write_exam(generate(7, recipe=RECIPES["training"]), folder)
    return folder


def test_what_the_service_shows_follows_the_conventions_and_is_documented(site: Site) -> None:
    """Promtool finds no fault with the page, and each of our metrics on it stands in metrics.md."""
    page = site.page()
    output("promtool", "check", "metrics", stdin=page)
    documented = (MONITORING / "metrics.md").read_text()
    for family in text_string_to_metric_families(page):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name.startswith("tetraview_"):
            assert f"| `{name}` | {family.type} |" in documented
            assert family.documentation in documented


def test_an_exam_leaves_its_marks_in_every_part(site: Site) -> None:
    """Two exams of four images: received, read by Triton, delivered, and kept by device."""
    images = sum(site.numbers('tetraview_images_received_total{decision="READ"}'))
    assert images == sum(site.numbers("tetraview_store_seconds_count")) == 8
    with site.service.ledger() as ledger:
        exams = ledger.exams(limit=9)
        deliveries = [delivery for exam in exams for delivery in ledger.deliveries(exam.exam_id)]
    assert site.numbers("tetraview_associations_accepted_total") == [8.0]
    assert site.numbers("tetraview_files_missing") == [0.0]
    assert sum(site.numbers("tetraview_received_bytes_total")) > 8 * 100_000
    assert site.numbers("tetraview_exam_seconds_count") == [2.0]
    assert sum(site.numbers('tetraview_delivery_seconds_count{outcome="answered"}')) == len(deliveries)
    assert sum(site.numbers('tetraview_triton_requests_total{outcome="answered"}')) >= 2
    assert sum(site.numbers('tetraview_triton_requests_total{outcome!="answered"}')) == 0
    (views,) = site.query("tetraview_view_score_count")
    assert float(views["value"][1]) == 8
    assert views["metric"]["device"] not in {"unknown", "other"}
    assert site.numbers("tetraview_finding_score_count") == [float(sum(exam.findings or 0 for exam in exams))]


def test_no_identifier_of_a_patient_or_an_image_is_shown(site: Site) -> None:
    """The page has nothing from a data set but the device."""
    page = site.page()
    with site.service.ledger() as ledger:
        exams = ledger.exams(limit=9)
    assert exams
    for exam in exams:
        assert exam.exam_id not in page
    assert "2.25." not in page
    assert "^" not in page


def _panels() -> list[Any]:
    found = []
    for file in sorted((MONITORING / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            found += [pytest.param(target["expr"], id=f"{file.stem}: {panel['title']}") for target in panel["targets"]]
    return found


@pytest.mark.parametrize("expression", _panels())
def test_every_panel_shows_something(site: Site, expression: str) -> None:
    """The query of a panel is answered with at least one number."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    assert site.numbers(expression), expression


def _recorded() -> list[str]:
    groups = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]
    return [rule["record"] for group in groups for rule in group["rules"] if "record" in rule]


@pytest.mark.parametrize("name", _recorded())
def test_every_recorded_series_has_numbers(site: Site, name: str) -> None:
    """Two exams are enough for each recorded series."""
    assert site.numbers(name)


def test_two_exams_in_time_keep_both_objectives(site: Site) -> None:
    """Nothing is late and nothing lost, and no alert about the service fires."""
    assert site.numbers("tetraview:exams_late:ratio_rate1h") == [pytest.approx(0.0, abs=1e-9)]
    assert site.numbers("tetraview:exams_lost:ratio_rate1h") == [0.0]
    firing = {series["metric"]["alertname"] for series in site.query('ALERTS{alertstate="firing"}')}
    assert firing <= set(OF_THE_MACHINE)


def test_who_is_on_duty_is_told_that_a_service_died(site: Site) -> None:
    """A killed service is noticed, and the alert that arrives says where and what to do."""
    assert site.service.process is not None
    site.service.process.kill()

    def told() -> dict[str, Any] | None:
        return next((alert for alert in site.told if alert["labels"]["alertname"] == "TetraviewDown"), None)

    alert = eventually(told, seconds=60, what="the alert has arrived")
    assert alert["status"] == "firing"
    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["summary"] == f"127.0.0.1:{site.service.web_port} does not answer Prometheus."
    assert alert["annotations"]["runbook"] == "deploy/monitoring/runbooks.md#tetraviewdown"


# Servers


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def _webhook(told: list[dict[str, Any]]) -> Iterator[str]:
    """Stands for the system that calls the person on duty."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.extend(json.loads(self.rfile.read(int(self.headers["content-length"])))["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@contextmanager
def _running(url: str, log: Path, *command: str) -> Iterator[str]:
    """A server from when it is ready until the end of the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: process.poll() is not None or _is_ready(url), seconds=60, what=f"{command[0]} is ready")
        assert process.poll() is None, log.read_text()
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@contextmanager
def _alertmanager(folder: Path, webhook: str) -> Iterator[str]:
    """Alertmanager with our configuration, except for shorter waits and the address of the person on duty."""
    folder.mkdir()
    settings = yaml.safe_load((MONITORING / "alertmanager.yaml").read_text())
    for route in (settings["route"], *settings["route"]["routes"]):
        route |= {"group_wait": "0s", "group_interval": "1s"}
    for receiver in settings["receivers"]:
        receiver.pop("email_configs", None)
        receiver["webhook_configs"] = [{"url": webhook}] if receiver["name"] == "duty" else []
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{_free_port()}"
    with _running(
        f"http://{address}",
        folder / "log",
        program("prometheus-alertmanager"),
        f"--config.file={folder}/alertmanager.yaml",
        f"--storage.path={folder}/data",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ) as url:
        yield url


@contextmanager
def _prometheus(folder: Path, service_port: int, alertmanager: str) -> Iterator[str]:
    """Prometheus with our configuration and rules, except for addresses and shorter waits."""
    folder.mkdir()
    settings = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    settings["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    settings["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager.removeprefix("http://")]
    settings["scrape_configs"] = settings["scrape_configs"][:1]
    settings["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{service_port}"]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    rules = re.sub(r"^( +for): \w+$", r"\1: 2s", (MONITORING / "rules.yaml").read_text(), flags=re.MULTILINE)
    (folder / "rules.yaml").write_text(rules)
    address = f"127.0.0.1:{_free_port()}"
    with _running(
        f"http://{address}",
        folder / "log",
        program("prometheus"),
        f"--config.file={folder}/prometheus.yaml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
    ) as url:
        yield url
