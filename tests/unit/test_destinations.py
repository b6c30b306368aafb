"""Destinations beside each other, with real sockets: what one of them does is felt by nobody else."""

from __future__ import annotations

import gc
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from tests.conftest import eventually

from tetraview.breaker import FAILURES
from tetraview.delivery import ask_for_commitment, deliver
from tetraview.domain.delivery import DeliveryState, ResultKind, ResultObject
from tetraview.domain.exam import ExamState, exam_id_of
from tetraview.domain.instance import Decision, Eligibility, Instance
from tetraview.domain.view import View
from tetraview.exam import judge
from tetraview.ledger import Ledger, open_engine
from tetraview.outbox import Outbox
from tetraview.settings import Completeness, Destination, Settings
from tetraview.steps import Folders
from tetraview.telemetry.metrics import Metrics
from tetraview.workflow import ExamWorkflow

# pynetdicom leaves a socket that was never or no longer connected to the garbage collector, which closes it at once.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXAM = exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid="2.25.1")
REPORTS = [
    ResultObject(
        kind=ResultKind.MEASUREMENT_REPORT,
        sop_class_uid=str(ComprehensiveSRStorage),
        sop_instance_uid=f"2.25.7{number}",
        path=f"pacs/sr-{number}.dcm",
        output="pacs",
    )
    for number in range(8)
]
IMAGE = Instance(
    sop_instance_uid="2.25.1.1",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.1.2",
    study_instance_uid="2.25.1",
    series_instance_uid="2.25.1.9",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    calling_ae_title="MODALITY",
    called_ae_title="TETRAVIEW",
    sha256="a" * 64,
    size=1,
    path="a/a.dcm",
    received_at=NOW,
    eligibility=Eligibility(decision=Decision.READ, view=View.L_CC),
)


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What pynetdicom left is collected here, not in the middle of another file's test."""
    yield
    gc.collect()


class ReadAlready:
    """The steps of an exam whose results are written."""

    def read(self, exam_id: str, generation: int) -> None:
        """Nothing is left to do."""

    def report(self, exam_id: str, generation: int) -> None:
        """Nothing is left to do."""


def keeping(received: list[bytes], *, status: int = 0x0000) -> Callable[[evt.Event], int]:
    """Notes each data set and answers with the status."""

    def keep(event: evt.Event) -> int:
        received.append(event.encoded_dataset(include_meta=False))
        return status

    return keep


@contextmanager
def pacs(answer: Callable[[evt.Event], int], *, port: int = 0) -> Iterator[int]:
    """A PACS that answers each C-STORE as told; yields its port."""
    entity = AE("PACS")
    entity.add_supported_context(ComprehensiveSRStorage)
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@contextmanager
def peer(connections: list[socket.socket], script: Callable[[socket.socket], None]) -> Iterator[int]:
    """A socket that keeps every connection and does with it what the script says; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                connections.append(connection)
                threading.Thread(target=script, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for connection in connections:
            connection.close()


def silent(_: socket.socket) -> None:
    """Say nothing."""


def close(connection: socket.socket) -> None:
    connection.close()


def to(name: str, port: int) -> Destination:
    return Destination(
        name=name,
        ae_title="PACS",
        host="127.0.0.1",
        port=port,
        connect_seconds=0.3,
        response_seconds=2.0,
        retry_seconds=0.05,
    )


@contextmanager
def delivering(folder: Path, *destinations: Destination) -> Iterator[tuple[ExamWorkflow, Ledger]]:
    """A workflow that owes eight reports to each destination, its ledger beside it."""
    settings = Settings.model_construct(data_dir=folder, completeness=Completeness(), destinations=destinations)
    engine, dbos_engine = (open_engine(f"sqlite:///{folder}/{name}.sqlite") for name in ("ledger", "workflow"))
    ledger = Ledger(engine, clock=lambda: NOW)
    ledger.record_instance(IMAGE)
    (waiting,) = ledger.unsettled()
    ledger.settle(waiting, judge(waiting.instances))
    ledger.open_deliveries(EXAM, 1, results=REPORTS, destinations=dict.fromkeys((d.name for d in destinations), "pacs"))
    folders = Folders(data=folder)
    for report in REPORTS:
        write(folders.results(EXAM, 1) / report.path, report)
    outbox = Outbox(
        settings=settings,
        ledger=ledger,
        metrics=Metrics(CollectorRegistry()),
        deliver=deliver,
        ask_for_commitment=ask_for_commitment,
        results_folder=folders.results,
        clock=lambda: NOW,
    )
    workflow = ExamWorkflow(
        settings=settings,
        ledger=ledger,
        steps=ReadAlready(),  # type: ignore[arg-type]
        outbox=outbox,
        clock=lambda: NOW,
        name=folder.name,
    )
    workflow.launch(dbos_engine, executor_id="test")
    try:
        yield workflow, ledger
    finally:
        workflow.stop()
        dbos_engine.dispose()
        engine.dispose()


def write(path: Path, report: ResultObject) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ComprehensiveSRStorage, report.sop_instance_uid
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path)


def delivered(ledger: Ledger, name: str) -> bool:
    """Whether a destination has everything."""
    states = {owed.state for owed in ledger.deliveries(EXAM) if owed.destination == name}
    return states == {DeliveryState.DELIVERED}


@pytest.mark.parametrize("script", [silent, close])
def test_a_destination_that_does_not_answer_holds_up_nobody_else(
    tmp_path: Path, script: Callable[[socket.socket], None]
) -> None:
    """Beside a silent or closing destination, which is left alone after some tries, another gets all its objects."""
    connections: list[socket.socket] = []
    received: list[bytes] = []
    with peer(connections, script) as dead, pacs(keeping(received)) as healthy:
        there = to("dead", dead).model_copy(update={"retry_seconds": 60.0})
        with delivering(tmp_path, there, to("healthy", healthy)) as (workflow, ledger):
            eventually(partial(delivered, ledger, "healthy"), seconds=20, what="the healthy destination has all")
            eventually(lambda: workflow.open_destinations()["dead"], seconds=10, what="the dead one is left alone")
            assert not workflow.open_destinations()["healthy"]
            jobs = ledger.jobs()
    assert len(received) == 8
    assert [job.destination for job in jobs] == ["dead"] * 8
    # One more than it takes may be under way at the same time.
    assert FAILURES <= len(connections) <= FAILURES + 1


def test_a_destination_that_comes_back_gets_everything(tmp_path: Path) -> None:
    """After an outage every object arrives, and the exam is done."""
    received: list[bytes] = []
    with pacs(keeping([])) as port:
        pass
    with delivering(tmp_path, to("pacs", port)) as (workflow, ledger):
        eventually(lambda: workflow.open_destinations()["pacs"], seconds=20, what="the PACS is left alone")
        with pacs(keeping(received), port=port):
            eventually(partial(delivered, ledger, "pacs"), seconds=20, what="the PACS has all")
        assert not workflow.open_destinations()["pacs"]
        assert ledger.count_exams() == {ExamState.DONE: 1}
    assert len(received) == len(set(received)) == 8


def test_an_unknown_outcome_is_sent_again_byte_for_byte(tmp_path: Path) -> None:
    """Where a PACS has taken an object and closes before its answer, the same bytes come once more and no others."""
    received: list[bytes] = []

    def answer_only_what_is_known(event: evt.Event) -> int:
        data_set = event.encoded_dataset(include_meta=False)
        if data_set not in received:
            event.assoc.abort()
        received.append(data_set)
        return 0x0000

    with pacs(answer_only_what_is_known) as port, delivering(tmp_path, to("pacs", port)) as (_, ledger):
        eventually(partial(delivered, ledger, "pacs"), seconds=20, what="the PACS has all")
    assert sorted(Counter(received).values()) == [2] * 8


def test_a_dead_letter_is_sent_again_when_a_person_asks(tmp_path: Path) -> None:
    """The running service takes up what is requeued: the exam goes back from failed to delivering and is then done."""
    received: list[bytes] = []
    with pacs(keeping(received, status=0x0124)) as port, delivering(tmp_path, to("pacs", port)) as (workflow, ledger):
        for round_ in (1, 2):
            eventually(lambda: ledger.count_exams() == {ExamState.FAILED: 1}, seconds=20, what="the exam failed")
            assert len(received) == 8 * round_
            assert ledger.requeue(exam_id=EXAM) == 8
            assert ledger.count_exams() == {ExamState.DELIVERING: 1}
            for _ in range(2):
                workflow.deliver_again()
    assert set(received[:8]) == set(received[8:16])
