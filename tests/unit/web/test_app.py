"""Probes, metrics, addresses and headers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs
from tests.support.builders import an_instance

from tetraview.domain.exam import exam_id_of
from tetraview.domain.view import View
from tetraview.errors import StorageUnavailable, TritonUnavailable
from tetraview.ledger import Ledger, open_engine
from tetraview.telemetry.metrics import Metrics
from tetraview.web.app import create_app
from tetraview.web.headers import HEADERS
from tetraview.web.server import WebServer

if TYPE_CHECKING:
    from conftest import Site

EXAM = "/exams/0f3ab2c4d5e6f708"
MOMENT = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
INSTANCE = an_instance(View.R_CC, study="1.2.3", received_at=MOMENT)


def fail() -> None:
    raise TritonUnavailable("Triton does not answer at 127.0.0.1:8001: start it")


def test_a_live_process_says_so_whatever_else_fails(site: Site) -> None:
    """Liveness does not depend on any check, so that a fault elsewhere causes no restart."""
    site.checks["triton"] = fail
    assert site.client.get("/livez").status_code == 200


def test_a_service_is_ready_when_every_check_holds(site: Site) -> None:
    """Readiness is 200 and names every check."""
    site.checks["ledger"] = lambda: None
    answer = site.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": {"ledger": "ok"}}


def test_a_failed_check_makes_the_service_not_ready_and_says_why(site: Site) -> None:
    """Readiness is 503 when one check fails, with the sentence that says what to do."""
    site.checks |= {"ledger": lambda: None, "triton": fail}
    answer = site.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "checks": {"ledger": "ok", "triton": "Triton does not answer at 127.0.0.1:8001: start it"},
    }


def test_metrics_are_what_prometheus_reads(site: Site) -> None:
    """The metrics page parses and shows a count that was made."""
    Metrics(site.registry).images_received.labels(decision="READ").inc(3)
    answer = site.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    read = next(s for s in families["tetraview_images_received"].samples if s.labels == {"decision": "READ"})
    assert read.value == 3


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/exams/0000000000000000",
        "/exams/<script>",
        f"{EXAM}/2",
        f"{EXAM}/0",
        f"{EXAM}/-1",
        f"{EXAM}/one",
        f"{EXAM}/99999999999999999999999999",
        f"{EXAM}/2/R-CC.png",
        f"{EXAM}/0/R-CC.png",
        f"{EXAM}/1/L-CC.png",
        f"{EXAM}/1/L-MLO.png",
        f"{EXAM}/1/XX.png",
        f"{EXAM}/1/..%2f..%2fsecret.png",
        "/exams/..%2f..%2fetc/1/R-CC.png",
        f"{EXAM}/1/objects/",
        f"{EXAM}/1/objects/pacs",
        f"{EXAM}/1/objects/pacs/other.dcm",
        f"{EXAM}/1/objects/R-CC.png",
        f"{EXAM}/1/objects//etc/passwd",
        f"{EXAM}/1/objects/%2fetc%2fpasswd",
        f"{EXAM}/1/objects/pacs/..%2ffull/sr.dcm",
        f"{EXAM}/1/objects/../../../secret",
        f"{EXAM}/1/objects/full/sr.dcm%00",
        f"{EXAM}/2/objects/full/sr.dcm",
        "/exams/0000000000000000/1/objects/full/sr.dcm",
        "/?state=lost",
        "/?outcome=cancer",
        "/?page=0",
        "/?page=201",
        f"/?ae={'X' * 17}",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/docs",
        "/openapi.json",
    ],
)
def test_what_is_not_there_is_not_found(site: Site, path: str) -> None:
    """Every other address is answered 404 in words, which quote nothing of the request."""
    answer = site.client.get(path)
    assert answer.status_code == 404
    assert "There is nothing at this address" in answer.text
    assert "<script>" not in answer.text


def test_pages_can_only_be_looked_at(site: Site) -> None:
    """A request that would change something is refused."""
    assert site.client.post("/").status_code == 405


def test_a_preview_is_the_file_of_its_reading(site: Site) -> None:
    """The picture of a view is the preview's bytes."""
    answer = site.client.get(f"{EXAM}/1/R-CC.png")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == (site.results / "0f3ab2c4d5e6f708" / "1" / "R-CC.png").read_bytes()


def test_a_preview_outside_the_readings_folder_is_not_served(site: Site) -> None:
    """Even a reading that names a file elsewhere does not make that file public."""
    (site.results / "secret.png").write_bytes((site.results / "0f3ab2c4d5e6f708" / "1" / "R-CC.png").read_bytes())
    view = site.ledger.readings[0].views[0]
    object.__setattr__(view, "preview", "../../secret.png")
    assert site.client.get(f"{EXAM}/1/R-CC.png").status_code == 404


@pytest.mark.parametrize(
    "path", ["/", EXAM, f"{EXAM}/1/objects/full/sr.dcm", "/livez", "/readyz", "/metrics", "/nothing"]
)
def test_every_answer_carries_the_security_headers(site: Site, path: str) -> None:
    """No answer may run foreign code, be framed, be cached by others or tell where its reader came from."""
    headers = site.client.get(path).headers
    assert HEADERS.items() <= headers.items()
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "cache"),
    [(f"{EXAM}/1/R-CC.png", "private, max-age=3600, immutable"), ("/static/tetraview.css", "no-cache")],
)
def test_pictures_and_style_are_kept_by_the_browser_alone(site: Site, path: str, cache: str) -> None:
    """A picture that never changes and our style are fetched once in a session; all other headers are as everywhere."""
    headers = site.client.get(path).headers
    assert HEADERS | {"cache-control": cache} == {name: headers[name] for name in HEADERS}


@pytest.mark.parametrize("path", ["pacs/seg-R-CC.dcm", "full/sr.dcm"])
def test_a_download_is_the_objects_bytes(site: Site, path: str) -> None:
    """An object comes as the file that was sent, under a name without patient data, and the log says that it went."""
    with capture_logs() as logged:
        answer = site.client.get(f"{EXAM}/1/objects/{path}")
    assert [entry["event"] for entry in logged] == ["result_downloaded"]
    assert answer.headers["content-type"] == "application/dicom"
    name = f"0f3ab2c4d5e6f708-1-{path.replace('/', '-')}"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.content == (site.results / "0f3ab2c4d5e6f708" / "1" / path).read_bytes()


def test_an_object_that_is_gone_is_not_found(site: Site) -> None:
    """An object that the ledger knows and whose file was removed is 404."""
    (site.results / "0f3ab2c4d5e6f708" / "1" / "full" / "sr.dcm").unlink()
    assert site.client.get(f"{EXAM}/1/objects/full/sr.dcm").status_code == 404


def test_an_object_outside_the_readings_folder_is_not_served(site: Site) -> None:
    """Even an object whose path leads elsewhere does not make that file public."""
    (site.results / "secret.dcm").write_bytes(b"secret")
    known = site.ledger.written["0f3ab2c4d5e6f708", 1]
    link = site.results / "0f3ab2c4d5e6f708" / "1" / "link.dcm"
    link.symlink_to(site.results / "secret.dcm")
    astray = [replace(known[0], path=path) for path in ("../../secret.dcm", "link.dcm")]
    site.ledger.written["0f3ab2c4d5e6f708", 1] = (*known, *astray)
    for path in ("..%2f..%2fsecret.dcm", "%2e%2e/%2e%2e/secret.dcm", "link.dcm"):
        assert site.client.get(f"{EXAM}/1/objects/{path}").status_code == 404


def test_a_ledger_that_is_away_is_said(site: Site) -> None:
    """When the ledger cannot be asked, the page is 503 with its sentence."""
    with patch.object(site.ledger, "exams", side_effect=StorageUnavailable("the ledger did not answer")):
        answer = site.client.get("/")
    assert answer.status_code == 503
    assert "the ledger did not answer" in answer.text


def test_an_unexpected_fault_shows_nothing_of_itself(site: Site) -> None:
    """An error of ours is 500 with the security headers and without its text."""
    with patch.object(site.ledger, "exams", side_effect=KeyError("ZZCANARY")):
        answer = site.client.get("/")
    assert answer.status_code == 500
    assert "ZZCANARY" not in answer.text
    assert HEADERS.items() <= answer.headers.items()


def test_the_real_ledger_answers_the_pages(tmp_path: Path) -> None:
    """An exam that the ledger keeps in SQLite is on the worklist and has its page; odd generations are not found."""
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    ledger = Ledger(engine, clock=lambda: MOMENT)
    ledger.record_instance(INSTANCE)
    exam = f"/exams/{exam_id_of(called_ae_title='TETRAVIEW', study_instance_uid='1.2.3')}"
    app = create_app(ledger=ledger, results=tmp_path, registry=CollectorRegistry(), checks={})
    server = WebServer(app, host="127.0.0.1", port=0)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.start()}") as client:
        assert exam in client.get("/").text
        assert exam in client.get("/?state=collecting&ae=TETRAVIEW").text
        for other in ("state=done", "ae=OTHER", "outcome=none", "page=2"):
            assert exam not in client.get(f"/?{other}").text
        assert "Received, not read yet" in client.get(exam).text
        assert client.get(f"{exam}/{10**30}/R-CC.png").status_code == 404
    server.stop()
    engine.dispose()


def test_a_scrape_asks_what_is_ready(site: Site) -> None:
    """Metrics of readiness are of the moment of the scrape, also where nobody asks for readiness."""
    asked: list[str] = []
    site.checks["ledger"] = lambda: asked.append("ledger")
    assert site.client.get("/metrics").status_code == 200
    assert asked == ["ledger"]
