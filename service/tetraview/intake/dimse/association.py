"""One association, from its first byte to its last, in one thread: the acceptor's side of PS3.8 section 9.2."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]  # made at import

from tetraview.domain.sender import DICOMWEB, Refusal
from tetraview.domain.workitem import FETCHED_AS
from tetraview.errors import StorageUnavailable
from tetraview.intake.accept import Acceptor, Reception
from tetraview.intake.dimse.channel import Channel, HandshakeFailed
from tetraview.intake.dimse.command import MAX_COMMAND_BYTES, Command, Field, decode_command, encode_response
from tetraview.intake.dimse.commitment import ReportReception
from tetraview.intake.dimse.negotiation import Agreement, agree, reject
from tetraview.intake.dimse.request import MAX_REQUEST_BYTES, Request
from tetraview.intake.dimse.upper_layer import (
    AbortReason,
    AssociationEnd,
    Ended,
    PduReader,
    PduType,
    Rejection,
    encode_abort,
    encode_command_fragments,
    encode_reject,
    encode_release,
    protocol_fault,
)
from tetraview.intake.file_meta import StoreRequest
from tetraview.intake.gate import Caller, Gate
from tetraview.intake.status import Status
from tetraview.settings import Dicom
from tetraview.storage.killpoint import killpoint
from tetraview.telemetry.quota import Quota
from tetraview.wire.commitment import TakesReports

_log = structlog.get_logger()

#: Longest time until a connection says what it wants (ARTIM, PS3.8 9.1.5).
_REQUEST_SECONDS = 5.0
#: Longest time a sender has to close after our last PDU.
_CLOSE_SECONDS = 2.0
#: Outcomes after which nothing more is expected from the sender.
_SILENT = frozenset(
    {
        AssociationEnd.CLOSED_BY_SENDER,
        AssociationEnd.ABORTED_BY_SENDER,
        AssociationEnd.IDLE,
        AssociationEnd.STALLED,
        AssociationEnd.TLS_FAILED,
    }
)
#: Outcomes that need no log line, or have had one.
_TOLD = frozenset(
    {AssociationEnd.RELEASED, AssociationEnd.CLOSED_BY_SENDER, AssociationEnd.REJECTED, AssociationEnd.TLS_FAILED}
)
#: Answers to senders that are not let in; they do not tell whether the AE title is known from elsewhere.
_REJECTIONS = {
    Refusal.NO_AE_TITLE: Rejection.CALLING_AE_TITLE_UNKNOWN,
    Refusal.UNKNOWN_SENDER: Rejection.CALLING_AE_TITLE_UNKNOWN,
    Refusal.WRONG_ADDRESS: Rejection.CALLING_AE_TITLE_UNKNOWN,
    Refusal.WRONG_CERTIFICATE: Rejection.CALLING_AE_TITLE_UNKNOWN,
    Refusal.WRONG_CALLED_AE_TITLE: Rejection.CALLED_AE_TITLE_UNKNOWN,
}
#: First byte of a peer that speaks TLS to a plain port: the type of a TLS record (RFC 8446 5.1).
_TLS_HANDSHAKE = 22
#: Answers to requests whose data set is not taken; any other request is not an operation of ours.
_WITHOUT_DATA_SET: dict[int | None, Status] = {
    Field.C_ECHO_RQ: Status.SUCCESS,
    Field.C_STORE_RQ: Status.NOT_PARSABLE,
    Field.N_EVENT_REPORT_RQ: Status.INVALID_ARGUMENT,
}
#: Length, presentation context and message control header of a presentation data value (PS3.8 9.3.5.1, annex E.2).
_FRAGMENT = struct.Struct(">LBB")


class Association:
    """Serves one connection.

    Args:
        address: IP address of the sender.
        gate: says who is let in.
        quota: limits the log lines that a peer can provoke.
        take_commitment: keeps reports of storage commitment.
        admit: asked once the sender has said who it is; a rejection, or None with a place taken.
        dismiss: told when the place is free again.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        address: str,
        settings: Dicom,
        acceptor: Acceptor,
        gate: Gate,
        quota: Quota,
        take_commitment: TakesReports,
        admit: Callable[[Association], Rejection | None],
        dismiss: Callable[[Association], None],
    ) -> None:
        self._channel = channel
        #: The sender, as far as it could be read who that is.
        self._caller = Caller(address=address)
        self._settings = settings
        self._acceptor = acceptor
        self._gate = gate
        self._quota = quota
        self._take_commitment = take_commitment
        self._admit = admit
        self._dismiss = dismiss
        self._reader = PduReader(channel, pdu_seconds=min(settings.pdu_seconds, settings.idle_seconds))
        self._message = _Message()
        self._quiet_since = time.monotonic()
        #: The exam of the last instance that was accepted, while the sender sends nothing else: more of it may come.
        self.exam_id: str | None = None

    @property
    def quiet_seconds(self) -> float:
        """How long the sender has been silent between two messages; 0 within one."""
        return 0.0 if self._message.encoded else time.monotonic() - self._quiet_since

    def cancel(self) -> None:
        """Abort from another thread; an answer that is due is still sent."""
        self._reader.cancel()

    def run(self) -> None:
        """Serve until the end."""
        try:
            end = self._serve()
            self._message.abandon()
            self._dismiss(self)
            self._say_goodbye(end)
        finally:
            self._channel.close()

    def _serve(self) -> Ended:
        try:
            agreement = self._associate()
            while True:
                self._serve_pdu(agreement)
        except Ended as end:
            if end.fault:
                self._gate.note(self._caller, Refusal.PROTOCOL_FAULT, detail=end.fault)
            return end
        except HandshakeFailed as fault:
            self._gate.note(self._caller, Refusal.TLS, detail=str(fault))
            return Ended(AssociationEnd.TLS_FAILED)
        except Exception as error:  # noqa: BLE001 - the loop's edge: the sender is told by an A-ABORT
            _log.critical("association_failed", exc_info=error)
            return Ended(AssociationEnd.FAILED, abort=AbortReason.NOT_SPECIFIED)

    def _associate(self) -> Agreement:
        kind, length = self._reader.header(wait_seconds=_REQUEST_SECONDS)
        if kind != PduType.ASSOCIATE_RQ:
            raise protocol_fault(_no_request(kind), reason=AbortReason.UNEXPECTED_PDU)
        if length > MAX_REQUEST_BYTES:
            raise protocol_fault(f"its request has {length} bytes, and {MAX_REQUEST_BYTES} are read at most")
        request = self._receive_request(length)
        if not request.is_whole:
            raise protocol_fault(f"its request ends after {length} bytes, within the part that names both sides")
        if rejection := self._judge(request):
            raise self._rejected(rejection)
        agreement = self._negotiate(request)
        if rejection := self._admit(self):
            self._gate.note(self._caller, Refusal.NO_PLACE, detail=rejection.name.lower().replace("_", " "))
            raise self._rejected(rejection)
        self._send(agreement.answer)
        return agreement

    def _receive_request(self, length: int) -> Request:
        """The rest of a request; where not all of it comes, its first part still names the sender."""
        content = bytearray()
        try:
            for span in self._reader.spans(length):
                content += span
        except Ended as end:
            if end.outcome is not AssociationEnd.CANCELLED:
                end.fault = f"it stopped after {len(content)} of the {length} bytes of its request"
            raise
        finally:
            request = Request(bytes(content))
            self._caller = replace(
                self._caller,
                names=self._channel.names,
                calling_ae_title=request.calling_ae_title,
                called_ae_title=request.called_ae_title,
            )
        return request

    def _judge(self, request: Request) -> Rejection | None:
        """Whether this sender is let in; where nobody can tell, it may come back."""
        if not request.has_titles:
            self._gate.note(self._caller, Refusal.NO_AE_TITLE)
            return _REJECTIONS[Refusal.NO_AE_TITLE]
        if request.calling_ae_title in {DICOMWEB, FETCHED_AS}:
            detail = "this AE title stands for who comes another way"
            self._gate.note(self._caller, Refusal.UNKNOWN_SENDER, detail=detail)
            return _REJECTIONS[Refusal.UNKNOWN_SENDER]
        try:
            refusal = self._gate.refusal(self._caller)
        except StorageUnavailable as fault:
            _log.warning("senders_unknown", reason=str(fault))
            self._gate.note(self._caller, Refusal.NO_PLACE, detail="the ledger did not say whether it may send")
            return Rejection.TEMPORARILY_CONGESTED
        return None if refusal is None else _REJECTIONS[refusal]

    def _negotiate(self, request: Request) -> Agreement:
        try:
            decoded = request.decode()
        except ValueError as error:
            raise protocol_fault(str(error)) from error
        if rejection := reject(decoded, protocol_version=request.protocol_version):
            self._gate.note(self._caller, Refusal.OTHER_PROTOCOL, detail=rejection.name.lower().replace("_", " "))
            raise self._rejected(rejection)
        return agree(decoded, self._settings, repeated=request.repeated)

    def _rejected(self, rejection: Rejection) -> Ended:
        """The end of an association that does not come about, once its sender was told."""
        self._send(encode_reject(rejection))
        return Ended(AssociationEnd.REJECTED)

    def _serve_pdu(self, agreement: Agreement) -> None:
        kind, length = self._reader.header(wait_seconds=self._settings.idle_seconds)
        if kind == PduType.DATA:
            self._take_data(agreement, length)
        elif kind == PduType.RELEASE_RQ:
            raise Ended(AssociationEnd.RELEASED)
        elif kind == PduType.ABORT:
            raise Ended(AssociationEnd.ABORTED_BY_SENDER)
        else:
            raise protocol_fault(f"a PDU of type {kind} where data were due", reason=AbortReason.UNEXPECTED_PDU)

    def _take_data(self, agreement: Agreement, length: int) -> None:
        """Take the fragments of one P-DATA-TF (PS3.8 9.3.5)."""
        if length > self._settings.max_pdu_bytes:
            raise protocol_fault(f"a PDU of {length} bytes, and {self._settings.max_pdu_bytes} were agreed on")
        while length:
            if length < _FRAGMENT.size:
                raise protocol_fault("a PDU that ends within the head of a fragment")
            fragment_length, context_id, control = _FRAGMENT.unpack(self._reader.read(_FRAGMENT.size))
            if not _FRAGMENT.size <= fragment_length + 4 <= length:
                raise protocol_fault("a fragment that is longer or shorter than its PDU allows")
            if context_id not in agreement.contexts:
                raise protocol_fault(f"data in presentation context {context_id}, which was not accepted")
            self._take_fragment(agreement, context_id, control, fragment_length - 2)
            length -= fragment_length + 4

    def _take_fragment(self, agreement: Agreement, context_id: int, control: int, length: int) -> None:
        message = self._message
        is_command, is_last = bool(control & 1), bool(control & 2)
        if message.context_id not in {None, context_id} or is_command is not (message.command is None):
            raise protocol_fault("command and data set out of order", reason=AbortReason.UNEXPECTED_PDU)
        message.context_id = context_id
        if is_command:
            self._take_command(agreement, length, is_last=is_last)
            return
        for span in self._reader.spans(length):
            message.write(span)
        if message.is_too_large:
            self._answer(agreement)
            raise Ended(AssociationEnd.OBJECT_TOO_LARGE, abort=AbortReason.NOT_SPECIFIED)
        if is_last:
            self._answer(agreement)

    def _take_command(self, agreement: Agreement, length: int, *, is_last: bool) -> None:
        message = self._message
        if len(message.encoded) + length > MAX_COMMAND_BYTES:
            raise protocol_fault(f"a command of more than {MAX_COMMAND_BYTES} bytes")
        message.encoded += self._reader.read(length)
        if not is_last:
            return
        try:
            message.command = decode_command(bytes(message.encoded))
        except ValueError as error:
            raise protocol_fault(str(error)) from error
        if not message.command.has_data_set:
            self._answer(agreement)
        elif message.command.field == Field.C_STORE_RQ:
            message.reception = self._begin(agreement, message.command)
        elif message.command.field == Field.N_EVENT_REPORT_RQ:
            message.reception = self._begin_report(agreement, message.command)

    def _begin(self, agreement: Agreement, command: Command) -> Reception:
        sop_class_uid, transfer_syntax_uid = agreement.contexts[self._message.context_id or 0]
        reception = self._acceptor.begin(
            StoreRequest(
                sop_class_uid=command.sop_class_uid,
                sop_instance_uid=command.sop_instance_uid,
                transfer_syntax_uid=transfer_syntax_uid,
                calling_ae_title=agreement.calling_ae_title,
                called_ae_title=agreement.called_ae_title,
            )
        )
        if command.sop_class_uid != sop_class_uid and reception.refused is None:
            reception.refuse(Status.SOP_CLASS_NOT_SUPPORTED)
        return reception

    def _begin_report(self, agreement: Agreement, command: Command) -> ReportReception:
        sop_class_uid, transfer_syntax_uid = agreement.contexts[self._message.context_id or 0]
        reception = ReportReception(
            command.event_type,
            is_implicit_vr=transfer_syntax_uid == ImplicitVRLittleEndian,
            take=self._take_commitment,
        )
        if not command.sop_class_uid == sop_class_uid == StorageCommitmentPushModel:
            reception.refuse(Status.SOP_CLASS_NOT_SUPPORTED)
        return reception

    def _answer(self, agreement: Agreement) -> None:
        command, context_id = self._message.command, self._message.context_id
        if command is None or context_id is None:
            raise protocol_fault("a data set without a command")
        response = encode_response(command, self._message.finish())
        self.exam_id = self._exam_after(command)
        self._send(encode_command_fragments(context_id, response, max_pdu_bytes=agreement.max_pdu_bytes))
        killpoint("intake.answered")
        self._quiet_since = time.monotonic()
        self._message = _Message()

    def _exam_after(self, command: Command) -> str | None:
        """The exam that is being sent after a message: one that is no image, a C-ECHO perhaps, keeps none waiting."""
        if command.field != Field.C_STORE_RQ or self._message.reception is None:
            return None
        return self._message.reception.exam_id or self.exam_id

    def _send(self, pdu: bytes) -> None:
        try:
            self._channel.send(pdu)
        except OSError as error:
            raise Ended(AssociationEnd.CLOSED_BY_SENDER) from error

    def _tell_end(self, end: Ended) -> None:
        """Log, unless peers have just made the log long enough; the next line counts the lines that were left out."""
        left_out = self._quota.take()
        if left_out is not None:
            title, peer = self._caller.calling_ae_title, self._caller.address
            _log.info("association_ended", state=end.outcome, calling_ae_title=title, peer=peer, count=left_out + 1)

    def _say_goodbye(self, end: Ended) -> None:
        """Send the sender its last answer; its place is free already."""
        if not end.fault and end.outcome not in _TOLD:
            self._tell_end(end)
        with suppress(Ended):
            if end.outcome is AssociationEnd.RELEASED:
                self._send(encode_release())
            if end.abort is not None:
                self._send(encode_abort(end.abort))
            if end.outcome not in _SILENT:
                self._reader.discard_until_closed(seconds=_CLOSE_SECONDS)


def _no_request(kind: int) -> str:
    """The fault of a peer that does not begin with a request for an association, by the type of its first PDU."""
    if kind == _TLS_HANDSHAKE:
        return "it speaks TLS, which [dicom.tls] would turn on"
    if kind in set(PduType):
        return f"it began with a PDU of type {kind}, not with a request"
    return f"it does not speak DICOM: its first byte is 0x{kind:02X}"


@dataclass
class _Message:
    """One DIMSE message while it comes."""

    context_id: int | None = None
    #: The command set so far.
    encoded: bytearray = field(default_factory=bytearray)
    command: Command | None = None
    #: Receiver of the data set; None where it is dropped.
    reception: Reception | ReportReception | None = None

    @property
    def is_too_large(self) -> bool:
        return self.reception is not None and self.reception.refused is Status.OBJECT_TOO_LARGE

    def write(self, span: memoryview) -> None:
        if self.reception is not None:
            self.reception.write(span)

    def finish(self) -> Status:
        """End the message; the status that the sender is told."""
        if self.reception is not None:
            return self.reception.finish()
        field = None if self.command is None else self.command.field
        return _WITHOUT_DATA_SET.get(field, Status.UNRECOGNISED_OPERATION)

    def abandon(self) -> None:
        if self.reception is not None:
            self.reception.abandon()
