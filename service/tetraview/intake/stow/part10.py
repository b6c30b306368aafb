"""A PS3.10 file taken apart as its bytes come: the data set goes on to be received, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from tetraview.domain.uid import is_uid
from tetraview.encoding.part10 import NotPart10, Part10, data_set_offset
from tetraview.errors import InstanceRefused
from tetraview.intake.accept import Acceptor, Reception
from tetraview.intake.dimse.negotiation import STORAGE_CLASSES, TRANSFER_SYNTAXES
from tetraview.intake.file_meta import StoreRequest
from tetraview.intake.status import Status, refusal

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The outcome of one file."""

    status: Status
    #: As stated by the file meta information; empty where that states nothing that can be repeated.
    sop_class_uid: str = ""
    sop_instance_uid: str = ""


class FileReception:
    """One file whose bytes are arriving; a fault is kept until the sender can be told.

    Args:
        acceptor: takes the data set.
        request: facts known before the file comes; its file meta information gives the rest.
    """

    def __init__(self, acceptor: Acceptor, request: StoreRequest) -> None:
        self._acceptor = acceptor
        self._request = request
        #: Preamble and file meta information so far.
        self._head = bytearray()
        self._reception: Reception | None = None
        self._refused: Status | None = None

    def write(self, data: memoryview) -> None:
        """Take more bytes of the file; after a fault they are dropped."""
        if self._refused is not None:
            return
        if self._reception is None:
            self._head += data
            data = self._begun()
        if self._reception is not None:
            self._reception.write(data)

    def finish(self) -> Answer:
        """Accept the instance; the answer for the sender."""
        if self._reception is not None:
            status = self._reception.finish()
        else:
            status = self._refused or self._refuse(Status.TRUNCATED)
            self._acceptor.metrics.store_responses.labels(status=f"{status:04X}").inc()
        sop_class_uid, sop_instance_uid = self._request.sop_class_uid, self._request.sop_instance_uid
        if not (is_uid(sop_class_uid) and is_uid(sop_instance_uid)):
            return Answer(status=status)
        return Answer(status=status, sop_class_uid=sop_class_uid, sop_instance_uid=sop_instance_uid)

    @property
    def exam_id(self) -> str | None:
        """The exam of the instance, once it is accepted."""
        return None if self._reception is None else self._reception.exam_id

    def abandon(self) -> None:
        """Forget a file whose sender went away."""
        if self._reception is not None:
            self._reception.abandon()

    def _begun(self) -> memoryview:
        """Begin with the data set once the head is whole; the bytes of the data set that came with it."""
        try:
            offset = data_set_offset(bytes(self._head))
            if offset is None:
                return memoryview(b"")
            self._begin(Part10.of(bytes(self._head)))
        except (NotPart10, InstanceRefused) as error:
            self._refuse(Status(error.status) if isinstance(error, InstanceRefused) else Status.NOT_PARSABLE)
            return memoryview(b"")
        rest = memoryview(bytes(self._head))[offset:]
        self._head.clear()
        return rest

    def _begin(self, head: Part10) -> None:
        self._request = replace(
            self._request,
            sop_class_uid=head.sop_class_uid,
            sop_instance_uid=head.sop_instance_uid,
            transfer_syntax_uid=head.transfer_syntax_uid,
        )
        if self._request.transfer_syntax_uid not in TRANSFER_SYNTAXES:
            raise refusal(Status.TRANSFER_SYNTAX_NOT_SUPPORTED)
        if self._request.sop_class_uid not in STORAGE_CLASSES:
            raise refusal(Status.SOP_CLASS_NOT_SUPPORTED)
        self._reception = self._acceptor.begin(self._request)

    def _refuse(self, status: Status) -> Status:
        self._refused = status
        _log.warning(
            "instance_refused",
            status=f"{status:04X}",
            calling_ae_title=self._request.calling_ae_title,
            called_ae_title=self._request.called_ae_title,
        )
        return status
