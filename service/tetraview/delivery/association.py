"""The one way in which we open an association, and the errors when none comes about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.presentation import PresentationContext

from tetraview.delivery.entity import application_entity, tls_arguments
from tetraview.delivery.handshake import tls_fault
from tetraview.errors import DeliveryRefused, DestinationUnavailable
from tetraview.settings import Destination
from tetraview.wire.items import used_items

_REJECTED_PERMANENT = 1


def associate(
    destination: Destination,
    contexts: list[PresentationContext],
    *,
    unaccepted: str,
    calling_ae_title: str,
    handlers: Sequence[EventHandlerType] = (),
) -> Association:
    """Open an association; the attempt ends within the destination's time limits, whatever the peer does.

    Args:
        destination: the peer to call.
        contexts: the presentation contexts to propose.
        unaccepted: name of the thing refused by a peer that accepts no context, and the remedy.
        calling_ae_title: our AE title.
        handlers: handlers of pynetdicom's events.

    Raises:
        DestinationUnavailable: it does not answer, or rejects us: a wrong AE title is set right some day.
        DeliveryRefused: it associates with us, but accepts none of the contexts.
        SettingsInvalid: our AE title cannot be one, or a certificate cannot be used.
    """
    entity = application_entity(
        calling_ae_title,
        connect_seconds=destination.connect_seconds,
        response_seconds=destination.response_seconds,
    )
    connected: list[evt.Event] = []
    try:
        association = entity.associate(
            destination.host,
            destination.port,
            ae_title=destination.ae_title,
            contexts=contexts,
            tls_args=tls_arguments(destination),
            evt_handlers=[
                (evt.EVT_CONN_OPEN, _limit_silence, [destination.connect_seconds]),
                (evt.EVT_CONN_OPEN, _skip_unknown),
                (evt.EVT_CONN_OPEN, connected.append),
                *handlers,
            ],
        )
    except OSError as error:
        raise DestinationUnavailable(f"{destination.name}: no host {destination.host}: check its address") from error
    if association.is_established:
        _let_be_silent(association, destination.response_seconds)
        return association
    raise _no_association(association, destination, unaccepted=unaccepted, is_connected=bool(connected))


def _limit_silence(event: evt.Event, seconds: float) -> None:
    """Give up on a peer that stops in the middle of a PDU; none of pynetdicom's timers covers that."""
    _let_be_silent(event.assoc, seconds)


def _skip_unknown(event: evt.Event) -> None:
    """Skip items of an acceptance that nobody knows (PS3.8 9.3.1), by which pynetdicom would end the association."""
    # pynetdicom hands the bytes of a PDU to nobody before it decodes them.
    provider: Any = event.assoc.dul
    decode = provider._decode_pdu  # noqa: SLF001
    provider._decode_pdu = lambda encoded: decode(bytearray(used_items(bytes(encoded))))  # noqa: SLF001


def _let_be_silent(association: Association, seconds: float) -> None:
    """Limit how long a peer may stop in the middle of a PDU, or take no more data."""
    connection = association.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.settimeout(seconds)


def _no_association(
    association: Association, destination: Destination, *, unaccepted: str, is_connected: bool
) -> DestinationUnavailable | DeliveryRefused:
    if rejection := _rejection_of(association):
        return DestinationUnavailable(f"{destination.name} {rejection}")
    if association.rejected_contexts and not association.accepted_contexts:
        return DeliveryRefused(f"{destination.name} does not accept {unaccepted}")
    there = f"{destination.name} ({destination.ae_title} at {destination.host}:{destination.port})"
    if fault := tls_fault(destination):
        return DestinationUnavailable(f"{there}: {fault}")
    what = "address and certificate" if destination.tls_ca_file else "address"
    if is_connected:
        return DestinationUnavailable(
            f"{there} is reached, but does not answer a request for an association: check its {what}, and its log"
        )
    return DestinationUnavailable(f"{there} does not answer: check its {what} and that it runs")


def _rejection_of(association: Association) -> str:
    """How a peer rejected an association (A-ASSOCIATE-RJ, PS3.8 9.3.4), and the remedy; empty if it did not."""
    answer = association.acceptor.primitive
    if not association.is_rejected or answer is None:
        return ""
    remedy = "; check both AE titles there" if answer.result == _REJECTED_PERMANENT else ""
    return f"rejected the association: {answer.result_str}, {answer.reason_str}{remedy}"


@contextmanager
def associated(
    destination: Destination,
    contexts: list[PresentationContext],
    *,
    unaccepted: str,
    calling_ae_title: str,
) -> Iterator[Association]:
    """An association for a command that a person waits for, released at its end.

    Args:
        destination: the peer to call.
        contexts: the presentation contexts to propose.
        unaccepted: name of the thing refused by a peer that accepts no context, and the remedy.
        calling_ae_title: our AE title.

    Raises:
        DestinationUnavailable: it does not answer, rejects us or the proposed contexts, or ends the association.
        SettingsInvalid: our AE title cannot be one, or a certificate cannot be used.
    """
    try:
        association = associate(
            destination,
            contexts,
            unaccepted=unaccepted,
            calling_ae_title=calling_ae_title,
        )
    except DeliveryRefused as refusal:
        raise DestinationUnavailable(str(refusal)) from refusal
    try:
        yield association
    except RuntimeError as error:
        raise DestinationUnavailable(f"{destination.name} ended the association: its log says why") from error
    finally:
        if association.is_established:
            association.release()
