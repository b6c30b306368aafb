"""Storage Commitment service class user (PS3.4 annex J): asks a destination to take responsibility for an object."""

from __future__ import annotations

import threading

from pydicom import Dataset
from pynetdicom import build_context, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from tetraview.delivery.association import associate
from tetraview.delivery.entity import awaiting_files
from tetraview.delivery.scu import PROPOSED_SYNTAXES
from tetraview.domain.delivery import ResultObject
from tetraview.errors import DeliveryRefused, DestinationUnavailable
from tetraview.settings import Destination
from tetraview.wire.commitment import TakesReports, answer_report, request_of

_REQUEST_COMMITMENT = 1
#: How long the association stays open for an answer; most destinations answer later, by one of their own.
ANSWER_SECONDS = 2.0
#: N-ACTION statuses that pass (PS3.7 10.1.4.1.10): processing failure, resource limitation.
_LATER = frozenset({0x0110, 0x0213})


@awaiting_files()
def ask_for_commitment(
    transaction_uid: str,
    result: ResultObject,
    destination: Destination,
    *,
    take: TakesReports,
    answered: threading.Event,
    calling_ae_title: str = "TETRAVIEW",
) -> None:
    """N-ACTION for one object; its N-EVENT-REPORT is taken if it comes at once.

    Args:
        transaction_uid: a new one.
        result: the object, which the destination has.
        destination: the destination to ask.
        take: keeps a report that comes within this association.
        answered: set when the report has come, also by another association.
        calling_ae_title: our AE title.

    Raises:
        DestinationUnavailable: nobody knows whether it will answer, it asked for another try, or we cannot read our
            certificates now.
        DeliveryRefused: it does not offer storage commitment.
    """
    context = build_context(StorageCommitmentPushModel, list(PROPOSED_SYNTAXES))
    association = associate(
        destination,
        [context],
        unaccepted="storage commitment: allow it there, or set `commitment = false` for it",
        calling_ae_title=calling_ae_title,
        handlers=[(evt.EVT_N_EVENT_REPORT, _take, [take])],
    )
    try:
        _judge(_send(association, request_of(transaction_uid, result)), destination)
        answered.wait(ANSWER_SECONDS)
    finally:
        if association.is_established:
            association.release()


def _send(association: Association, request: Dataset) -> Dataset:
    try:
        answer, _ = association.send_n_action(
            request, _REQUEST_COMMITMENT, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
    except RuntimeError:
        # The association ended between its acceptance and our request.
        return Dataset()
    return answer


def _take(event: evt.Event, take: TakesReports) -> tuple[int, None]:
    return answer_report(event.event_type, lambda: event.event_information, take), None


def _judge(answer: Dataset, destination: Destination) -> None:
    if "Status" not in answer:
        raise DestinationUnavailable(f"{destination.name} did not answer the request for storage commitment")
    status = int(answer.Status)
    if status in _LATER:
        raise DestinationUnavailable(f"{destination.name} could not take the request for commitment: 0x{status:04X}")
    if status:
        raise DeliveryRefused(f"{destination.name} refused the request for storage commitment: 0x{status:04X}")
