"""A PACS reports on storage commitment over an association that it opens to us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)
from tests.support.intake import MAMMOGRAPHY, MemoryLedger, RawSender

from tetraview.errors import StorageUnavailable
from tetraview.intake.dimse.listener import Listener
from tetraview.intake.status import Status
from tetraview.settings import Dicom
from tetraview.storage.spool import Spool
from tetraview.wire.commitment import CommitmentReport

#: The only transaction that is ours.
OURS = "2.25.77"


class Outbox:
    """Notes the reports."""

    def __init__(self) -> None:
        self.reports: list[CommitmentReport] = []
        self.fault: Exception | None = None

    def take(self, report: CommitmentReport) -> bool:
        if self.fault is not None:
            raise self.fault
        self.reports.append(report)
        return report.transaction_uid == OURS


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def listener(tmp_path: Path, outbox: Outbox) -> Iterator[Listener]:
    settings = Dicom(port=0)
    with Listener(settings, Spool(tmp_path), MemoryLedger(), take_commitment=outbox.take) as listener:
        yield listener


@contextmanager
def calling(port: int, *, roles: bool = True, syntax: str = ExplicitVRLittleEndian) -> Iterator[Association]:
    """A PACS that opens an association as SCP of storage commitment, with or without role selection."""
    entity = AE("PACS")
    entity.add_requested_context(StorageCommitmentPushModel, syntax)
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    association = entity.associate("127.0.0.1", port, ae_title="TETRAVIEW", ext_neg=[role] if roles else None)
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def information(transaction_uid: str = OURS, *, failed: int | None = None) -> Dataset:
    """Event Information on one object: committed, or failed for a reason."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2", "2.25.7"
    data_set = Dataset()
    data_set.TransactionUID = transaction_uid
    if failed is None:
        data_set.ReferencedSOPSequence = Sequence([item])
    else:
        item.FailureReason = failed
        data_set.FailedSOPSequence = Sequence([item])
    return data_set


def report(association: Association, data_set: Dataset, *, event_type: int = 1) -> Dataset:
    status, _ = association.send_n_event_report(
        data_set, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    return status


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_report_is_taken(listener: Listener, outbox: Outbox, syntax: str) -> None:
    """In either encoding a report is answered 0000 and names the kept objects, and the others with their reasons."""
    with calling(listener.port, syntax=syntax) as association:
        assert report(association, information()).Status == Status.SUCCESS
        assert report(association, information(failed=0x0112), event_type=2).Status == Status.SUCCESS
    assert outbox.reports == [
        CommitmentReport(transaction_uid=OURS, committed=frozenset({"2.25.7"}), failed={}),
        CommitmentReport(transaction_uid=OURS, committed=frozenset(), failed={"2.25.7": 0x0112}),
    ]


def test_a_report_on_a_transaction_of_others_is_an_invalid_argument(listener: Listener) -> None:
    """A transaction UID that we never gave is answered 0115, with a sentence."""
    with calling(listener.port) as association:
        answer = report(association, information("2.25.1"))
    assert answer.Status == 0x0115
    assert answer.ErrorComment == "Not a report on a transaction of ours."


def test_what_is_no_report_is_told_so(listener: Listener, outbox: Outbox) -> None:
    """An unknown event type is 0113; a report without its transaction or with a number out of place is 0115."""
    nameless, odd = information(), information(failed=1)
    del nameless.TransactionUID
    del odd.FailedSOPSequence[0].FailureReason
    with calling(listener.port) as association:
        answers = [report(association, information(), event_type=3)]
        answers += [report(association, data_set, event_type=2) for data_set in (nameless, odd)]
    assert [answer.Status for answer in answers] == [0x0113, 0x0115, 0x0115]
    assert outbox.reports == []


def test_a_report_that_cannot_be_kept_is_to_come_again(listener: Listener, outbox: Outbox) -> None:
    """While the ledger is away a report is answered with a processing failure, and not silently lost."""
    outbox.fault = StorageUnavailable()
    with calling(listener.port) as association:
        assert report(association, information()).Status == Status.PROCESSING_FAILURE


def test_an_endless_report_is_dropped(listener: Listener, outbox: Outbox) -> None:
    """A report of more than 64 KiB is answered without being kept in memory."""
    with RawSender(listener.port, contexts={1: (str(StorageCommitmentPushModel), [ImplicitVRLittleEndian])}) as sender:
        sender.associate()
        sender.send_command(1, 0x0100, 0x0000, str(StorageCommitmentPushModel), str(StorageCommitmentPushModelInstance))
        sender.send_data_set(bytes(1 << 20))
        assert sender.read_status() == Status.INVALID_ARGUMENT
    assert outbox.reports == []


def test_a_report_without_a_data_set_is_an_invalid_argument(listener: Listener, outbox: Outbox) -> None:
    """A report that says nothing is answered 0115, a status of its service."""
    with RawSender(listener.port, contexts={1: (str(StorageCommitmentPushModel), [ImplicitVRLittleEndian])}) as sender:
        sender.associate()
        sender.send_command(1, 0x0100, 0x0101, str(StorageCommitmentPushModel), str(StorageCommitmentPushModelInstance))
        assert sender.read_status() == Status.INVALID_ARGUMENT
    assert outbox.reports == []


def test_a_report_in_the_context_of_another_class_is_refused(listener: Listener, outbox: Outbox) -> None:
    """Storage commitment is reported in its own presentation context."""
    with RawSender(listener.port, contexts={1: (MAMMOGRAPHY, [ImplicitVRLittleEndian])}) as sender:
        sender.associate()
        sender.send_command(1, 0x0100, 0x0000, str(StorageCommitmentPushModel), str(StorageCommitmentPushModelInstance))
        sender.send_data_set(b"")
        assert sender.read_status() == Status.SOP_CLASS_NOT_SUPPORTED
    assert outbox.reports == []


def test_a_pacs_that_negotiates_no_roles_is_heard(listener: Listener) -> None:
    """A peer that reports without role selection, as older ones do, is answered too."""
    contexts = {1: (str(StorageCommitmentPushModel), [ImplicitVRLittleEndian])}
    with RawSender(listener.port, contexts=contexts) as sender:
        sender.associate()
        sender.send_command(1, 0x0100, 0x0000, str(StorageCommitmentPushModel), str(StorageCommitmentPushModelInstance))
        sender.send_data_set(b"")
        assert sender.read_status() == Status.NO_SUCH_EVENT_TYPE


def test_we_commit_to_nothing(listener: Listener) -> None:
    """A request to keep a peer's objects is answered as no operation of ours (0211), and nothing is promised."""
    with calling(listener.port, roles=False) as association:
        answer, _ = association.send_n_action(
            information(), 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
    assert answer.Status == 0x0211


def test_nobody_is_accepted_as_one_who_asks_us_to_commit(listener: Listener) -> None:
    """Role selection grants the peer the SCP role only, and grants nothing to a peer that wants only the SCU role."""
    granted: list[Any] = []
    for scp_role in (True, False):
        entity = AE("PACS")
        entity.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scu_role=True, scp_role=scp_role)
        association = entity.associate("127.0.0.1", listener.port, ae_title="TETRAVIEW", ext_neg=[role])
        granted.append([(context.as_scu, context.as_scp) for context in association.accepted_contexts])
        association.release()
    assert granted == [[(False, True)], []]
