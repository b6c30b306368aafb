"""C-STORE service class user: hands one result object to one destination and says what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.presentation import PresentationContext

from tetraview.delivery.entity import application_entity, tls_arguments
from tetraview.delivery.handshake import tls_fault
from tetraview.domain.delivery import ResultObject
from tetraview.errors import DeliveryRefused, DestinationUnavailable, StorageUnavailable
from tetraview.settings import Destination

_REJECTED_PERMANENT = 1
#: A context for each leaves the choice to us: objects go as they are wherever that is accepted.
PROPOSED_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


class Outcome(Enum):
    """What an answer means for the object."""

    DELIVERED = "delivered"
    #: Try the same bytes again, later.
    LATER = "later"
    #: Trying again changes nothing.
    REFUSED = "refused"


#: C-STORE status (PS3.4 B.2.3, PS3.7 C): first and last code, meaning, words. A status that is not here may pass.
STATUSES = (
    (0x0000, 0x0000, Outcome.DELIVERED, "success"),
    (0xB000, 0xB000, Outcome.DELIVERED, "stored, data elements coerced"),
    (0xB006, 0xB006, Outcome.DELIVERED, "stored, data elements discarded"),
    (0xB007, 0xB007, Outcome.DELIVERED, "stored, data set does not match SOP class"),
    (0x0111, 0x0111, Outcome.DELIVERED, "duplicate SOP instance, it had been stored before"),
    (0xA700, 0xA7FF, Outcome.LATER, "out of resources"),
    (0x0110, 0x0110, Outcome.LATER, "processing failure"),
    (0x0213, 0x0213, Outcome.LATER, "resource limitation"),
    (0xA900, 0xA9FF, Outcome.REFUSED, "data set does not match SOP class"),
    (0xC000, 0xCFFF, Outcome.REFUSED, "cannot understand"),
    (0x0112, 0x0112, Outcome.REFUSED, "SOP class not supported"),
    (0x0117, 0x0118, Outcome.REFUSED, "invalid SOP instance or class"),
    (0x0122, 0x0122, Outcome.REFUSED, "SOP class not supported"),
    (0x0124, 0x0124, Outcome.REFUSED, "not authorized"),
    (0x0211, 0x0212, Outcome.REFUSED, "request not understood"),
)


def deliver(path: Path, result: ResultObject, destination: Destination, *, calling_ae_title: str = "TETRAVIEW") -> str:
    """C-STORE one object over an association of its own.

    Sending the same object again is safe: it has the same UID and the same bytes.

    Args:
        path: the DICOM file (PS3.10).
        result: what it holds.
        destination: who gets it.
        calling_ae_title: our AE title.

    Returns:
        The answer in words, for example ``0x0000 success``: the destination has the object.

    Raises:
        DestinationUnavailable: nobody knows whether it has the object, or it asked for another try.
        DeliveryRefused: it will not take the object.
        StorageUnavailable: the file cannot be read.
    """
    dataset = _read(path)
    contexts = [build_context(result.sop_class_uid, syntax) for syntax in PROPOSED_SYNTAXES]
    unaccepted = f"{result.kind} objects: allow their SOP class there"
    association = associate(destination, contexts, unaccepted=unaccepted, calling_ae_title=calling_ae_title)
    try:
        answer = association.send_c_store(dataset)
    except RuntimeError:
        # The association ended between its acceptance and our request.
        answer = Dataset()
    finally:
        if association.is_established:
            association.release()
    return _judged(answer, result, destination)


def outcome_of(status: int) -> tuple[Outcome, str]:
    """What a C-STORE status means for the object, and the status in words."""
    for first, last, outcome, words in STATUSES:
        if first <= status <= last:
            return outcome, f"0x{status:04X} {words}"
    return Outcome.LATER, f"0x{status:04X} unknown status"


def _read(path: Path) -> Dataset:
    """The whole file, before there is an association that would have to wait for the disk."""
    try:
        return dcmread(BytesIO(path.read_bytes()))
    except OSError as error:
        raise StorageUnavailable(f"the result {path.name} cannot be read: {error.strerror}") from error


def associate(
    destination: Destination,
    contexts: list[PresentationContext],
    *,
    unaccepted: str,
    calling_ae_title: str,
    handlers: Sequence[EventHandlerType] = (),
) -> Association:
    """Open an association with a destination.

    Args:
        destination: who is called.
        contexts: what is proposed.
        unaccepted: what it does not accept where it accepts no context, and the remedy.
        calling_ae_title: our AE title.
        handlers: of pynetdicom's events.

    Raises:
        DestinationUnavailable: it does not answer, or asks for another try.
        DeliveryRefused: it rejects us, or what is proposed, for good.
    """
    entity = application_entity(
        calling_ae_title,
        connect_seconds=destination.connect_seconds,
        response_seconds=destination.response_seconds,
    )
    try:
        association = entity.associate(
            destination.host,
            destination.port,
            ae_title=destination.ae_title,
            contexts=contexts,
            tls_args=tls_arguments(destination),
            evt_handlers=[(evt.EVT_CONN_OPEN, _limit_silence, [destination.response_seconds]), *handlers],
        )
    except OSError as error:
        raise DestinationUnavailable(f"{destination.name}: no host {destination.host}: check its address") from error
    if association.is_established:
        return association
    raise _no_association(association, destination, unaccepted=unaccepted)


def _limit_silence(event: evt.Event, seconds: float) -> None:
    """Give up on a peer that stops in the middle of a PDU or takes no more data: no timer of pynetdicom covers that."""
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.settimeout(seconds)


def _no_association(
    association: Association, destination: Destination, *, unaccepted: str
) -> DestinationUnavailable | DeliveryRefused:
    answer = association.acceptor.primitive
    if answer is not None and (rejection := rejection_of(association)):
        if answer.result == _REJECTED_PERMANENT:
            return DeliveryRefused(f"{destination.name} {rejection}")
        return DestinationUnavailable(f"{destination.name} {rejection}")
    if association.rejected_contexts and not association.accepted_contexts:
        return DeliveryRefused(f"{destination.name} does not accept {unaccepted}")
    address = f"{destination.ae_title} at {destination.host}:{destination.port}"
    if fault := tls_fault(destination):
        return DestinationUnavailable(f"{destination.name} ({address}): {fault}")
    what = "address and certificate" if destination.tls_ca_file else "address"
    return DestinationUnavailable(f"{destination.name} ({address}) does not answer: check its {what} and that it runs")


def rejection_of(association: Association) -> str:
    """How a peer rejected an association (A-ASSOCIATE-RJ, PS3.8 9.3.4), and the remedy; empty if it did not."""
    answer = association.acceptor.primitive
    if not association.is_rejected or answer is None:
        return ""
    return f"rejected the association: {answer.result_str}, {answer.reason_str}; check both AE titles there"


def _judged(answer: Dataset, result: ResultObject, destination: Destination) -> str:
    if "Status" not in answer:
        raise DestinationUnavailable(
            f"{destination.name} did not say whether it stored the {result.kind} object: it is sent again"
        )
    outcome, words = outcome_of(int(answer.Status))
    if outcome is Outcome.REFUSED:
        raise DeliveryRefused(f"{destination.name} refused the {result.kind} object: {words}")
    if outcome is Outcome.LATER:
        raise DestinationUnavailable(f"{destination.name} could not store the {result.kind} object: {words}")
    return words
