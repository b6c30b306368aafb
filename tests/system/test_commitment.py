"""A real Orthanc commits to the objects it was sent, over associations of its own."""

from __future__ import annotations

import gc
import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from tests.conftest import PacsContent
from tests.support.delivering import EXAM, REPORTS, Delivering, delivering
from tests.support.intake import MemoryLedger
from tests.support.orthanc import running_orthanc
from tests.support.servers import eventually

from tetraview.delivery import ask_for_commitment
from tetraview.domain.clock import utc_now
from tetraview.domain.delivery import DeliveryState, ResultObject
from tetraview.domain.exam import ExamState
from tetraview.intake.dimse.listener import Listener
from tetraview.intake.gate import Gate
from tetraview.ledger import Ledger, SenderBook
from tetraview.ledger.database import ledger_engine
from tetraview.settings import Destination, Dicom, Settings, Triton
from tetraview.storage.spool import Spool
from tetraview.tools.demo.pacs import free_port
from tetraview.tools.doctor import Health, examine
from tetraview.wire.commitment import CommitmentReport
from tetraview.workflow.outbox import Outbox

pytestmark = [
    pytest.mark.system,
    # pynetdicom leaves a socket that was never connected to the garbage collector, which closes it at once.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]
COMMITTED = {DeliveryState.COMMITTED}


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Sockets that pynetdicom left are collected here, not in the middle of another file's test."""
    yield
    gc.collect()


def request(orthanc: Any, path: str, *, body: Any = None, method: str) -> None:
    data = None if body is None else json.dumps(body).encode()
    urllib.request.urlopen(
        urllib.request.Request(f"{orthanc.pacs.http}/{path}", data=data, method=method), timeout=10
    ).close()


def introduce(orthanc: Any, port: int) -> None:
    """Tell Orthanc where to send its reports."""
    us = {"AET": "TETRAVIEW", "Host": "127.0.0.1", "Port": port, "AllowStorageCommitment": True}
    request(orthanc, "modalities/tetraview", body=us, method="PUT")


def held(orthanc: Any) -> list[str]:
    """The SOP Instance UIDs that Orthanc holds."""
    return sorted(instance["MainDicomTags"]["SOPInstanceUID"] for instance in orthanc.instances())


@contextmanager
def committing(folder: Path, orthanc: Any, **options: Any) -> Iterator[tuple[Delivering, list[CommitmentReport]]]:
    """Three reports on their way to Orthanc, which commits, and its answers beside them."""
    said: list[CommitmentReport] = []
    outboxes: list[Outbox] = []

    def take(report: CommitmentReport) -> bool:
        said.append(report)
        return outboxes[0].take(report)

    there = orthanc.pacs.destination.model_copy(update={"commitment": True, "retry_seconds": 0.5})
    with Listener(Dicom(port=0), Spool(folder / "spool"), MemoryLedger(), take_commitment=take) as listener:
        introduce(orthanc, listener.port)
        with delivering(folder, there, reports=REPORTS[:3], **options) as sending:
            outboxes.append(sending.outbox)
            yield sending, said


def test_an_exam_is_done_when_orthanc_has_committed(orthanc: Any, tmp_path: Path) -> None:
    """Orthanc reports each object as committed, and only then is the exam done."""
    with committing(tmp_path, orthanc) as (sending, said):
        eventually(lambda: sending.states("pacs") == COMMITTED, seconds=30, what="Orthanc has committed")
        assert sending.ledger.count_exams() == {ExamState.DONE: 1}
    assert sorted(uid for report in said for uid in report.committed) == held(orthanc)
    assert held(orthanc) == [report.sop_instance_uid for report in REPORTS[:3]]


def test_what_orthanc_has_lost_is_sent_again(orthanc: Any, tmp_path: Path) -> None:
    """An object that vanished after it was stored is reported as 0112, sent again byte for byte, and committed."""
    lost: list[bytes] = []
    one_at_a_time = threading.Lock()

    def lose_the_first(transaction_uid: str, result: ResultObject, destination: Destination, **arguments: Any) -> None:
        with one_at_a_time:
            if not lost:
                identifier = identifier_of(orthanc, result.sop_instance_uid)
                lost.append(data_set(orthanc, identifier))
                request(orthanc, f"instances/{identifier}", method="DELETE")
        ask_for_commitment(transaction_uid, result, destination, **arguments)

    with committing(tmp_path, orthanc, ask=lose_the_first) as (sending, said):
        eventually(lambda: sending.states("pacs") == COMMITTED, seconds=60, what="Orthanc has committed")
        rounds = [delivery.round for delivery in sending.ledger.deliveries(EXAM)]
    assert sorted(rounds) == [0, 0, 1]
    (failure,) = [report.failed for report in said if report.failed]
    assert set(failure.values()) == {0x0112}
    assert held(orthanc) == [report.sop_instance_uid for report in REPORTS[:3]]
    (uid,) = failure
    assert data_set(orthanc, identifier_of(orthanc, uid)) == lost[0]


def test_after_an_outage_orthanc_gets_everything(tmp_path: Path) -> None:
    """While Orthanc is down its objects wait and it is left alone; when it is up again all of them arrive."""
    port = free_port()
    there = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=port, retry_seconds=0.1)
    with delivering(tmp_path, there, reports=REPORTS[:3]) as sending:
        eventually(lambda: sending.workflow.open_destinations()["pacs"], seconds=30, what="Orthanc is left alone")
        assert sending.states("pacs") == {DeliveryState.PENDING}
        with running_orthanc(tmp_path / "orthanc", {"DicomPort": port}) as pacs:
            eventually(lambda: sending.states("pacs") == {DeliveryState.DELIVERED}, seconds=60, what="all are there")
            assert held(PacsContent(pacs=pacs)) == [report.sop_instance_uid for report in REPORTS[:3]]
    assert sending.ledger.count_exams() == {ExamState.DONE: 1}


def identifier_of(orthanc: Any, sop_instance_uid: str) -> str:
    """Orthanc's own identifier of an object."""
    held = {instance["MainDicomTags"]["SOPInstanceUID"]: instance["ID"] for instance in orthanc.instances()}
    return str(held[sop_instance_uid])


def data_set(orthanc: Any, identifier: str) -> bytes:
    """A data set as Orthanc holds it."""
    with urllib.request.urlopen(f"{orthanc.pacs.http}/instances/{identifier}/file", timeout=10) as answer:
        file = answer.read()
    return file[dcmread(BytesIO(file), stop_before_pixels=True).file_meta.FileMetaInformationGroupLength + 144 :]


def test_killed_after_asking_everything_is_committed_once(service: Any, orthanc: Any, phantom_exam: Path) -> None:
    """After kill -9 at the moment of the answer the service asks again, and Orthanc holds each object once."""
    service.profiles = "commitment = true"
    service.start(killpoint="ask.answered")
    introduce(orthanc, service.port)
    assert all(service.store(path) for path in sorted(phantom_exam.glob("*.dcm")))
    service.process.wait(60)
    assert service.process.returncode == -9
    service.start()
    assert service.await_exam().state is ExamState.DONE
    with service.ledger() as ledger:
        deliveries = ledger.deliveries(service.exam().exam_id)
    assert {delivery.state for delivery in deliveries} == COMMITTED
    assert held(orthanc) == sorted(delivery.result.sop_instance_uid for delivery in deliveries)


def test_the_doctor_has_the_pacs_call_back(orthanc: Any, tmp_path: Path) -> None:
    """Asked about an object that it does not have, Orthanc calls the running service, which shows the way back."""
    there = orthanc.pacs.destination.model_copy(update={"commitment": True})
    settings = Settings.model_construct(
        data_dir=tmp_path, destinations=(there,), triton=Triton(url="127.0.0.1:1"), dicom=Dicom(port=0)
    )
    engine = ledger_engine(settings)
    Ledger(engine, clock=utc_now)
    gate = Gate(["TETRAVIEW"], ledger=SenderBook(engine, clock=utc_now))
    heard = threading.Event()

    def take(_: CommitmentReport) -> bool:
        gate.flush()
        heard.set()
        return False

    with Listener(
        Dicom(port=0), Spool(tmp_path / "spool"), MemoryLedger(), gate=gate, take_commitment=take
    ) as listener:
        introduce(orthanc, listener.port)
        found = {each.what: each for each in examine(settings)}
    assert heard.is_set()
    assert found["way back from pacs"].health is Health.GOOD, found["way back from pacs"].sentence
    engine.dispose()
