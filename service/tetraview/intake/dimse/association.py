"""One association, from its first byte to its last, in one thread: the acceptor's side of PS3.8 section 9.2."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

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
from tetraview.intake.dimse.negotiation import Agreement, agree, decode_request, reject
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
    Refusal.UNKNOWN_SENDER: Rejection.CALLING_AE_TITLE_UNKNOWN,
    Refusal.WRONG_ADDRESS: Rejection.CALLING_AE_TITLE_UNKNOWN,
    Refusal.WRONG_CERTIFICATE: Rejection.CALLING_AE_TITLE_UNKNOWN,
    Refusal.WRONG_CALLED_AE_TITLE: Rejection.CALLED_AE_TITLE_UNKNOWN,
}
_MAX_REQUEST_BYTES = 1 << 17
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
        self._address = address
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
        #: The exam of the last instance that was accepted: more of it may come as long as the association is open.
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
            return end
        except HandshakeFailed as fault:
            self._gate.note(Caller(address=self._address), Refusal.TLS, detail=str(fault))
            return Ended(AssociationEnd.TLS_FAILED)
        except Exception as error:  # noqa: BLE001 - the loop's edge: the sender is told by an A-ABORT
            _log.critical("association_failed", exc_info=error)
            return Ended(AssociationEnd.FAILED, abort=AbortReason.NOT_SPECIFIED)

    def _associate(self) -> Agreement:
        kind, length = self._reader.header(wait_seconds=_REQUEST_SECONDS)
        if kind != PduType.ASSOCIATE_RQ:
            raise protocol_fault(AbortReason.UNEXPECTED_PDU)
        if length > _MAX_REQUEST_BYTES:
            raise protocol_fault()
        rejection, agreement = self._consider(self._reader.read(length), length)
        rejection = rejection or self._judge(agreement) or self._admit(self)
        if rejection is not None:
            if rejection not in _REJECTIONS.values():
                self._tell(
                    _log.warning,
                    "association_rejected",
                    reason=rejection.name.lower(),
                    calling_ae_title=agreement.calling_ae_title,
                    called_ae_title=agreement.called_ae_title,
                )
            self._send(encode_reject(rejection))
            raise Ended(AssociationEnd.REJECTED)
        self._send(agreement.answer)
        return agreement

    def _judge(self, agreement: Agreement) -> Rejection | None:
        """Whether this sender is let in; where nobody can tell, it may come back."""
        caller = Caller(
            address=self._address,
            names=self._channel.names,
            calling_ae_title=agreement.calling_ae_title,
            called_ae_title=agreement.called_ae_title,
        )
        if caller.calling_ae_title in {DICOMWEB, FETCHED_AS}:
            self._gate.note(caller, Refusal.UNKNOWN_SENDER, detail="this AE title stands for who comes another way")
            return Rejection.CALLING_AE_TITLE_UNKNOWN
        try:
            refusal = self._gate.refusal(caller)
        except StorageUnavailable as fault:
            _log.warning("senders_unknown", reason=str(fault))
            return Rejection.TEMPORARILY_CONGESTED
        return None if refusal is None else _REJECTIONS[refusal]

    def _consider(self, encoded: bytes, length: int) -> tuple[Rejection | None, Agreement]:
        try:
            request = decode_request(struct.pack(">BxL", PduType.ASSOCIATE_RQ, length) + encoded)
            rejection = reject(request)
            return rejection, agree(request, self._settings)
        except Exception as error:
            raise protocol_fault() from error

    def _serve_pdu(self, agreement: Agreement) -> None:
        kind, length = self._reader.header(wait_seconds=self._settings.idle_seconds)
        if kind == PduType.DATA:
            self._take_data(agreement, length)
        elif kind == PduType.RELEASE_RQ:
            raise Ended(AssociationEnd.RELEASED)
        elif kind == PduType.ABORT:
            raise Ended(AssociationEnd.ABORTED_BY_SENDER)
        else:
            raise protocol_fault(AbortReason.UNEXPECTED_PDU)

    def _take_data(self, agreement: Agreement, length: int) -> None:
        """Take the fragments of one P-DATA-TF (PS3.8 9.3.5)."""
        if length > self._settings.max_pdu_bytes:
            raise protocol_fault()
        while length:
            if length < _FRAGMENT.size:
                raise protocol_fault()
            fragment_length, context_id, control = _FRAGMENT.unpack(self._reader.read(_FRAGMENT.size))
            if not _FRAGMENT.size <= fragment_length + 4 <= length or context_id not in agreement.contexts:
                raise protocol_fault()
            self._take_fragment(agreement, context_id, control, fragment_length - 2)
            length -= fragment_length + 4

    def _take_fragment(self, agreement: Agreement, context_id: int, control: int, length: int) -> None:
        message = self._message
        is_command, is_last = bool(control & 1), bool(control & 2)
        if message.context_id not in {None, context_id} or is_command is not (message.command is None):
            raise protocol_fault(AbortReason.UNEXPECTED_PDU)
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
            raise protocol_fault()
        message.encoded += self._reader.read(length)
        if not is_last:
            return
        try:
            message.command = decode_command(bytes(message.encoded))
        except ValueError as error:
            raise protocol_fault() from error
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
            raise protocol_fault()
        response = encode_response(command, self._message.finish())
        if self._message.reception is not None:
            self.exam_id = self._message.reception.exam_id or self.exam_id
        self._send(encode_command_fragments(context_id, response, max_pdu_bytes=agreement.max_pdu_bytes))
        killpoint("intake.answered")
        self._quiet_since = time.monotonic()
        self._message = _Message()

    def _send(self, pdu: bytes) -> None:
        try:
            self._channel.send(pdu)
        except OSError as error:
            raise Ended(AssociationEnd.CLOSED_BY_SENDER) from error

    def _tell(self, log: Callable[..., object], event: str, **fields: object) -> None:
        """Log, unless peers have just made the log long enough; the next line counts the lines that were left out."""
        left_out = self._quota.take()
        if left_out is not None:
            log(event, count=left_out + 1, **fields)

    def _say_goodbye(self, end: Ended) -> None:
        """Send the sender its last answer; its place is free already."""
        if end.outcome not in _TOLD:
            self._tell(_log.info, "association_ended", state=end.outcome)
        with suppress(Ended):
            if end.outcome is AssociationEnd.RELEASED:
                self._send(encode_release())
            if end.abort is not None:
                self._send(encode_abort(end.abort))
            if end.outcome not in _SILENT:
                self._reader.discard_until_closed(seconds=_CLOSE_SECONDS)


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
