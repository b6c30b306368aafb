from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from fastapi import FastAPI
from fastapi.responses import RedirectResponse, Response
from tests.support.ups_server import UpsServer, running_ups_server, workitem

from tetraview.errors import SettingsInvalid, WorkitemRefused, WorklistUnavailable
from tetraview.settings import Worklist
from tetraview.ups import check_worklist
from tetraview.ups.client import WorklistClient
from tetraview.web.server import WebServer

OURS = Worklist(url="http://unused", workitem_codes=("110004^DCM", "110003^DCM"))


@pytest.fixture
def client(worklist: UpsServer) -> Iterator[WorklistClient]:
    client = WorklistClient(Worklist(url=worklist.url))
    yield client
    client.close()


def test_a_search_finds_what_is_scheduled_for_us(worklist: UpsServer, client: WorklistClient) -> None:
    """Only scheduled workitems of our codes are found; where there is none the answer without content is no fault."""
    assert client.search(OURS) == []
    for number, code in enumerate(("110004^DCM", "110005^DCM", "110003^DCM", "110004^DCM")):
        worklist.add(workitem(f"2.25.{number}", code=code))
    worklist.workitems["2.25.3"].ProcedureStepState = "CANCELED"
    assert client.search(OURS) == ["2.25.0", "2.25.2"]


def test_a_search_goes_on_to_the_last_page(worklist: UpsServer, client: WorklistClient) -> None:
    """Workitems that come after the first hundred are found as well."""
    for number in range(250):
        worklist.workitems[f"2.25.{number}"] = workitem(f"2.25.{number}")
    assert len(client.search(OURS)) == 250


def test_a_second_claim_is_refused(worklist: UpsServer, client: WorklistClient) -> None:
    """If two performers claim a workitem, the second is told 409, and only the first may update it."""
    worklist.add(workitem("2.25.1"))
    client.change_state("2.25.1", transaction_uid="2.25.8", state="IN PROGRESS")
    with pytest.raises(WorkitemRefused) as second:
        client.change_state("2.25.1", transaction_uid="2.25.9", state="IN PROGRESS")
    assert second.value.status == 409
    with pytest.raises(WorkitemRefused):
        client.update("2.25.1", transaction_uid="2.25.9", changes=workitem("2.25.1"))


def test_the_token_is_read_anew_for_each_request(worklist: UpsServer, tmp_path: Path) -> None:
    """A token that was renewed in its file is used at once; a wrong one is a fault that a person can mend."""
    worklist.token = "second"
    file = tmp_path / "token"
    file.write_text("first\n")
    client = WorklistClient(Worklist(url=worklist.url, token_file=file))
    with pytest.raises(WorklistUnavailable, match=r"worklist\.token_file"):
        client.search(OURS)
    file.write_text("second\n")
    assert client.search(OURS) == []
    client.close()


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_may_pass_is_tried_again(worklist: UpsServer, client: WorklistClient, status: int) -> None:
    """Answers that say nothing about the workitem are temporary faults."""
    worklist.broken = status
    with pytest.raises(WorklistUnavailable, match=str(status)):
        client.search(OURS)


def test_a_worklist_that_does_not_answer_is_named() -> None:
    """Where nothing listens, the sentence says which address and which setting."""
    with pytest.raises(WorklistUnavailable, match=r"127\.0\.0\.1:9.*worklist\.url"):
        check_worklist(Worklist(url="http://127.0.0.1:9"))


@pytest.fixture
def strange() -> Iterator[str]:
    """A server that is no worklist."""
    app = FastAPI()
    app.add_api_route("/a/workitems", lambda: RedirectResponse("http://127.0.0.1:9/"), response_model=None)
    app.add_api_route("/b/workitems", lambda: Response(b"<html>", media_type="text/html"), response_model=None)
    server = WebServer(app, host="127.0.0.1", port=0)
    yield f"http://127.0.0.1:{server.start()}"
    server.stop()


@pytest.mark.parametrize(
    ("path", "words"), [("a", "not followed"), ("b", "no DICOM JSON"), ("c", "404 Not Found: check")]
)
def test_what_is_no_worklist_is_said_to_be_none(strange: str, path: str, words: str) -> None:
    """A redirect is not followed, and a page that is no DICOM JSON is named as such."""
    with pytest.raises(WorklistUnavailable, match=words):
        check_worklist(Worklist(url=f"{strange}/{path}"))


def test_a_worklist_that_answers_passes_the_examination(worklist: UpsServer) -> None:
    """The check needs only an answered search, which changes nothing."""
    check_worklist(Worklist(url=worklist.url, workitem_codes=("110004^DCM",)))
    assert {method for method, _, _ in worklist.log} == {"GET"}


def test_certificates_are_checked(tmp_path: Path) -> None:
    """Over TLS a worklist is trusted only with a certificate of the configured authority."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    with running_ups_server(certificate=tmp_path / "server.pem") as server:
        check_worklist(Worklist(url=server.url, ca_file=tmp_path / "ca.pem"))
        with pytest.raises(WorklistUnavailable, match="does not answer"):
            check_worklist(Worklist(url=server.url))


def test_certificates_that_are_none_are_named(tmp_path: Path) -> None:
    """A file that holds no certificate is an error of the settings."""
    file = tmp_path / "ca.pem"
    with pytest.raises(SettingsInvalid, match=r"ca\.pem"):
        WorklistClient(Worklist(url="https://worklist.example", ca_file=file))


@pytest.mark.parametrize("address", ["ws://elsewhere.example/events", "wss://127.0.0.2/events"])
def test_events_are_not_heard_from_another_host(worklist: UpsServer, client: WorklistClient, address: str) -> None:
    """A worklist that names another host for its events gets neither our connection nor our token there."""
    worklist.events_at = address
    with pytest.raises(WorklistUnavailable, match="not its own"):
        client.subscribe("TETRAVIEW")
