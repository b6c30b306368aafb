"""The transport side of the DICOM upper layer (PS3.8): PDUs read with deadlines, and the short ones we send.

Data set fragments are handed on in place, out of one buffer a connection, so that memory does not grow with what a
sender sends or announces.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum, IntEnum, StrEnum

from tetraview.intake.dimse.channel import Channel

#: Bytes read from the network at once, and the longest PDU that is read whole.
_BUFFER_BYTES = 1 << 18
#: Bytes taken from a sender that goes on after we have said goodbye; more than are on their way.
_MAX_DISCARDED_BYTES = 1 << 24
_HEADER = struct.Struct(">BxL")


class PduType(IntEnum):
    """First byte of a PDU (PS3.8 9.3.1)."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class AbortReason(IntEnum):
    """Why we, the service provider, abort (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6


class Rejection(Enum):
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    CONTEXT_NAME_UNSUPPORTED = (1, 1, 2)
    CALLING_AE_TITLE_UNKNOWN = (1, 1, 3)
    CALLED_AE_TITLE_UNKNOWN = (1, 1, 7)
    PROTOCOL_VERSION_UNSUPPORTED = (1, 2, 2)
    TEMPORARILY_CONGESTED = (2, 3, 1)
    LOCAL_LIMIT_EXCEEDED = (2, 3, 2)


class AssociationEnd(StrEnum):
    """How an association came to its end."""

    RELEASED = "released"
    REJECTED = "rejected"
    ABORTED_BY_SENDER = "aborted_by_sender"
    CLOSED_BY_SENDER = "closed_by_sender"
    #: No PDU began in time.
    IDLE = "idle"
    #: A PDU began and did not end in time.
    STALLED = "stalled"
    PROTOCOL_FAULT = "protocol_fault"
    OBJECT_TOO_LARGE = "object_too_large"
    #: No secure connection came about.
    TLS_FAILED = "tls_failed"
    #: Ended by us, because the service stops or needs the place.
    CANCELLED = "cancelled"
    FAILED = "failed"


class Ended(Exception):
    """The association is over.

    Attributes:
        outcome: how it ended.
        abort: reason of the A-ABORT that the sender is due, or None.
        fault: the sender's fault in words; empty where there is none that people should see.
    """

    def __init__(self, outcome: AssociationEnd, *, abort: AbortReason | None = None, fault: str = "") -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.abort = abort
        self.fault = fault


def protocol_fault(fault: str, *, reason: AbortReason = AbortReason.INVALID_PARAMETER) -> Ended:
    """The end of an association whose sender breaks the protocol, and how it does so."""
    return Ended(AssociationEnd.PROTOCOL_FAULT, abort=reason, fault=fault)


class PduReader:
    """Reads PDUs from a channel, each within a deadline of its own.

    Args:
        channel: gives up a wait for bytes often enough for the deadlines to be kept.
        pdu_seconds: longest time from a PDU's first byte to its last.
    """

    def __init__(self, channel: Channel, *, pdu_seconds: float) -> None:
        self._channel = channel
        self._pdu_seconds = pdu_seconds
        self._view = memoryview(bytearray(_BUFFER_BYTES))
        self._start = self._end = 0
        self._deadline = 0.0
        self._cancelled = False

    def header(self, *, wait_seconds: float) -> tuple[int, int]:
        """Type and length of the next PDU.

        Args:
            wait_seconds: longest time until it begins.

        Raises:
            Ended: it did not begin in time, stalled, or the sender is gone.
        """
        if self._start == self._end:
            self._fill(time.monotonic() + wait_seconds, AssociationEnd.IDLE)
        self._deadline = time.monotonic() + self._pdu_seconds
        kind, length = _HEADER.unpack(self.read(_HEADER.size))
        return kind, length

    def read(self, length: int) -> bytes:
        """The next bytes of the PDU, not more than one buffer."""
        while self._end - self._start < length:
            self._fill(self._deadline, AssociationEnd.STALLED)
        self._start += length
        return bytes(self._view[self._start - length : self._start])

    def spans(self, length: int) -> Iterator[memoryview]:
        """The next bytes of the PDU as they come; each span is gone when the next is asked for."""
        while length:
            if self._start == self._end:
                self._fill(self._deadline, AssociationEnd.STALLED)
            span = self._view[self._start : min(self._end, self._start + length)]
            self._start += len(span)
            length -= len(span)
            yield span

    def discard_until_closed(self, *, seconds: float) -> None:
        """Wait for the sender to close, so that our last PDU reaches it (PS3.8 state 13), but not for a flood."""
        deadline = time.monotonic() + seconds
        discarded, self._cancelled = 0, False
        with suppress(Ended):
            while discarded < _MAX_DISCARDED_BYTES:
                self._start = self._end = 0
                self._fill(deadline, AssociationEnd.STALLED)
                discarded += self._end

    def cancel(self) -> None:
        """End the association from another thread as soon as it reads again."""
        self._cancelled = True
        self._channel.interrupt()

    def _fill(self, deadline: float, late: AssociationEnd) -> None:
        """Receive something. A sender that drips is late although there is always something to receive."""
        self._make_room()
        received: int | None = None
        while received is None and not self._cancelled:
            if time.monotonic() > deadline:
                raise Ended(late, abort=AbortReason.NOT_SPECIFIED)
            received = self._receive()
        if self._cancelled:
            raise Ended(AssociationEnd.CANCELLED, abort=AbortReason.NOT_SPECIFIED)
        if not received:
            raise Ended(AssociationEnd.CLOSED_BY_SENDER)
        self._end += received

    def _receive(self) -> int | None:
        """Bytes received, 0 when the sender has closed; None when a tick has passed."""
        try:
            return self._channel.receive_into(self._view[self._end :])
        except OSError as error:
            raise Ended(AssociationEnd.CLOSED_BY_SENDER) from error

    def _make_room(self) -> None:
        """Move an unfinished PDU's bytes to the front of the buffer when its end is reached."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == _BUFFER_BYTES:
            rest = bytes(self._view[self._start : self._end])
            self._view[: len(rest)] = rest
            self._start, self._end = 0, len(rest)


def encode_reject(rejection: Rejection) -> bytes:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return struct.pack(">BxLx3B", PduType.ASSOCIATE_RJ, 4, *rejection.value)


def encode_release() -> bytes:
    """A-RELEASE-RP (PS3.8 9.3.7)."""
    return struct.pack(">BxL4x", PduType.RELEASE_RP, 4)


def encode_abort(reason: AbortReason) -> bytes:
    """A-ABORT by the service provider (PS3.8 9.3.8)."""
    return struct.pack(">BxL2xBB", PduType.ABORT, 4, 2, reason)


def encode_command_fragments(context_id: int, command: bytes, *, max_pdu_bytes: int) -> bytes:
    """P-DATA-TF PDUs that carry a command set (PS3.8 9.3.5, annex E.2).

    Args:
        context_id: presentation context of the message.
        command: the encoded command set.
        max_pdu_bytes: longest PDU the peer takes, without its header; 0 is any.
    """
    room = max(max_pdu_bytes - 6, 1) if max_pdu_bytes else len(command)
    pdus = []
    for start in range(0, len(command), room):
        fragment = command[start : start + room]
        control = 1 | (start + room >= len(command)) << 1
        length = len(fragment) + 2
        pdus.append(struct.pack(">BxLLBB", PduType.DATA, length + 4, length, context_id, control) + fragment)
    return b"".join(pdus)
