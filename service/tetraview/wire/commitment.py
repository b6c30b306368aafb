"""Storage Commitment Push Model (PS3.4 annex J): the request for an object, and the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from tetraview.domain.delivery import ResultObject
from tetraview.errors import StorageUnavailable

#: Event types of the N-EVENT-REPORT (PS3.4 J.3.3.1): all committed; some not.
_EVENT_TYPES = frozenset({1, 2})
#: Failure Reason (0008,1197) (PS3.3 C.14.1.1) in words.
_REASONS = {
    0x0110: "processing failure",
    0x0112: "no such object there",
    0x0119: "its SOP class differs there",
    0x0122: "its SOP class is not supported there",
    0x0131: "duplicate transaction UID",
    0x0213: "no resources for it there",
}


@dataclass(frozen=True, kw_only=True)
class CommitmentReport:
    """A destination's answer about one transaction."""

    transaction_uid: str
    #: SOP Instance UIDs that it keeps.
    committed: frozenset[str]
    #: Failure Reason by SOP Instance UID that it does not promise to keep.
    failed: Mapping[str, int] = field(default_factory=dict)


def new_transaction_uid() -> str:
    """A Transaction UID (0008,1195) that nobody can guess."""
    return str(generate_uid(prefix=None))


#: Takes a report into the ledger; whether its transaction is one of ours.
TakesReports = Callable[[CommitmentReport], bool]


def reason_in_words(reason: int) -> str:
    """A failure reason as people read it, for example ``0x0112 no such object there``."""
    return f"0x{reason:04X} {_REASONS.get(reason, 'unknown reason')}"


def request_of(transaction_uid: str, result: ResultObject) -> Dataset:
    """Action Information of the N-ACTION (PS3.4 table J.3-1)."""
    item = Dataset()
    item.ReferencedSOPClassUID = result.sop_class_uid
    item.ReferencedSOPInstanceUID = result.sop_instance_uid
    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = Sequence([item])
    return request


def report_of(information: Dataset) -> CommitmentReport:
    """Event Information of the N-EVENT-REPORT (PS3.4 table J.3-2).

    Raises:
        ValueError: it lacks what it must have.
    """
    try:
        return CommitmentReport(
            transaction_uid=str(information.TransactionUID),
            committed=frozenset(str(item.ReferencedSOPInstanceUID) for item in _items(information, "Referenced")),
            failed={
                str(item.ReferencedSOPInstanceUID): int(item.FailureReason) for item in _items(information, "Failed")
            },
        )
    except (AttributeError, TypeError) as error:
        raise ValueError("a commitment report lacks what it must have") from error


def answer_report(event_type: int | None, information: Callable[[], Dataset], take: TakesReports) -> int:
    """The DIMSE status that an N-EVENT-REPORT is answered with (PS3.7 10.1.1.1.8).

    A transaction that is none of ours is an invalid argument; a report that comes twice is told success twice.

    Args:
        event_type: Event Type ID (0000,1002).
        information: decodes the Event Information, which may raise whatever a broken data set makes it raise.
        take: keeps the report.
    """
    if event_type not in _EVENT_TYPES:
        return 0x0113
    try:
        report = report_of(information())
    except Exception:  # noqa: BLE001 - a broken data set makes pydicom raise anything; the sender gets a status
        return 0x0115
    try:
        return 0x0000 if take(report) else 0x0115
    except StorageUnavailable:
        return 0x0110


def _items(information: Dataset, kind: str) -> Sequence:
    return information.get(f"{kind}SOPSequence") or Sequence()
