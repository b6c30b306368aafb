"""We ask a PACS to commit to an object."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ComprehensiveSRStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from tetraview.delivery import ask_for_commitment
from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.errors import DeliveryRefused, DestinationUnavailable
from tetraview.settings import Destination
from tetraview.wire.commitment import CommitmentReport

# pynetdicom leaves a socket that was never or no longer connected to the garbage collector, which closes it at once.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
RESULT = ResultObject(
    kind=ResultKind.MEASUREMENT_REPORT,
    sop_class_uid=str(ComprehensiveSRStorage),
    sop_instance_uid="2.25.42",
    path="sr.dcm",
)


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Sockets that pynetdicom left are collected here, not in the middle of another file's test."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tetraview.delivery.commitment.ANSWER_SECONDS", 0.3)


class Pacs:
    """A pynetdicom SCP of storage commitment that notes the requests and the answers to its reports."""

    def __init__(self, *, status: int = 0x0000, reports: int = 0, failed: int | None = None) -> None:
        self.asked: list[Dataset] = []
        self.instances: list[str] = []
        self.answers: list[int] = []
        self.answered = threading.Semaphore(0)
        self._status = status
        self._reports = reports
        self._failed = failed

    @contextmanager
    def serving(self, sop_class: Any = StorageCommitmentPushModel) -> Iterator[Destination]:
        entity = AE("PACS")
        entity.add_supported_context(sop_class)
        handlers = [(evt.EVT_N_ACTION, self._act)]
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        try:
            yield Destination(
                name="pacs",
                ae_title="PACS",
                host="127.0.0.1",
                port=server.server_address[1],
                connect_seconds=1.0,
                response_seconds=1.0,
            )
        finally:
            server.shutdown()

    def _act(self, event: evt.Event) -> tuple[int, None]:
        assert event.action_type == 1
        self.asked.append(event.action_information)
        self.instances.append(event.request.RequestedSOPInstanceUID)
        if self._reports:
            threading.Thread(target=self._report, args=(event.assoc, event.action_information)).start()
        return self._status, None

    def _report(self, association: Any, asked: Dataset) -> None:
        """Report within the same association, after the answer to the request."""
        information = Dataset()
        information.TransactionUID = asked.TransactionUID
        if self._failed is None:
            information.ReferencedSOPSequence = asked.ReferencedSOPSequence
        else:
            item = asked.ReferencedSOPSequence[0]
            item.FailureReason = self._failed
            information.FailedSOPSequence = Sequence([item])
        for _ in range(self._reports):
            status, _ = association.send_n_event_report(
                information,
                1 if self._failed is None else 2,
                StorageCommitmentPushModel,
                StorageCommitmentPushModelInstance,
            )
            self.answers.append(status.Status)
            self.answered.release()


class Outbox:
    """Notes the reports and signals that the first has come."""

    def __init__(self) -> None:
        self.reports: list[CommitmentReport] = []
        self.answered = threading.Event()

    def take(self, report: CommitmentReport) -> bool:
        self.reports.append(report)
        self.answered.set()
        return True


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


def ask(destination: Destination, outbox: Outbox) -> None:
    ask_for_commitment("2.25.77", RESULT, destination, take=outbox.take, answered=outbox.answered)


def test_the_request_names_transaction_and_object(outbox: Outbox) -> None:
    """The N-ACTION carries the transaction UID and the object's class and instance (PS3.4 J.3.2)."""
    pacs = Pacs()
    with pacs.serving() as destination:
        ask(destination, outbox)
    (asked,) = pacs.asked
    assert asked.TransactionUID == "2.25.77"
    (item,) = asked.ReferencedSOPSequence
    assert (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) == (ComprehensiveSRStorage, "2.25.42")
    assert pacs.instances == [StorageCommitmentPushModelInstance]
    assert outbox.reports == []


@pytest.mark.parametrize("failed", [None, 0x0112])
def test_a_report_within_the_association_is_taken(outbox: Outbox, failed: int | None) -> None:
    """A PACS that reports at once, over our own association, is answered 0000."""
    pacs = Pacs(reports=1, failed=failed)
    with pacs.serving() as destination:
        ask(destination, outbox)
        assert pacs.answered.acquire(timeout=5)
    (report,) = outbox.reports
    assert (report.transaction_uid, pacs.answers) == ("2.25.77", [0x0000])
    assert report.committed == (frozenset() if failed else {"2.25.42"})
    assert report.failed == ({"2.25.42": failed} if failed else {})


@pytest.mark.parametrize("status", [0x0110, 0x0213])
def test_a_pacs_in_trouble_is_asked_later(outbox: Outbox, status: int) -> None:
    """Processing failures and lack of resources are temporary."""
    pacs = Pacs(status=status)
    with pacs.serving() as destination, pytest.raises(DestinationUnavailable, match=f"0x{status:04X}"):
        ask(destination, outbox)


@pytest.mark.parametrize("status", [0x0118, 0x0124, 0x0211])
def test_a_pacs_that_refuses_is_not_asked_again(outbox: Outbox, status: int) -> None:
    """A refusal by a PACS that knows no storage commitment, or does not allow it to us, is final."""
    pacs = Pacs(status=status)
    with pacs.serving() as destination, pytest.raises(DeliveryRefused, match=f"0x{status:04X}"):
        ask(destination, outbox)


def test_a_pacs_without_storage_commitment_is_told_with_the_remedy(outbox: Outbox) -> None:
    """Where the presentation context is not accepted, the message says what to do."""
    with Pacs().serving(Verification) as destination, pytest.raises(DeliveryRefused, match="commitment = false"):
        ask(destination, outbox)


def test_a_pacs_that_is_away_is_asked_later(outbox: Outbox) -> None:
    """A refused connection counts as no answer."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        there = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=reserved.getsockname()[1])
        with pytest.raises(DestinationUnavailable, match="does not answer"):
            ask(there, outbox)
