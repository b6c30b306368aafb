"""A PS3.10 file taken apart as its bytes come: the data set goes on to be received, byte for byte."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from io import BytesIO

import structlog
from pydicom.filereader import read_dataset

from tetraview.domain.uid import is_uid
from tetraview.errors import InstanceRefused
from tetraview.intake.accept import Acceptor, Reception
from tetraview.intake.dimse.negotiation import STORAGE_CLASSES, TRANSFER_SYNTAXES
from tetraview.intake.file_meta import StoreRequest
from tetraview.intake.status import Status, refusal

_log = structlog.get_logger()

#: Preamble, prefix and File Meta Information Group Length (0002,0000): tag, VR and length of 4 bytes, then the value.
_START = struct.Struct("<128x4s8sL")
_GROUP_LENGTH = b"\x02\0\0\0UL\x04\0"
#: Longest file meta information; that of most files is a few hundred bytes.
_MAX_META_BYTES = 1 << 16


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
        #: Preamble and file meta information so far, and their length as far as it is known.
        self._head, self._head_bytes = bytearray(), _START.size
        self._reception: Reception | None = None
        self._refused: Status | None = None

    def write(self, data: memoryview) -> None:
        """Take more bytes of the file; after a fault they are dropped."""
        while data and self._reception is None and self._refused is None:
            taken = data[: self._head_bytes - len(self._head)]
            self._head += taken
            data = data[len(taken) :]
            if len(self._head) == self._head_bytes:
                self._go_on()
        if data and self._reception is not None:
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

    def _go_on(self) -> None:
        try:
            if self._head_bytes == _START.size:
                self._head_bytes += _meta_bytes(self._head)
            else:
                self._begin()
        except InstanceRefused as error:
            self._refuse(Status(error.status))

    def _begin(self) -> None:
        self._request = replace(self._request, **_uids(bytes(self._head[_START.size :])))
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


def _meta_bytes(start: bytearray) -> int:
    """How many bytes of file meta information follow (PS3.10 7.1).

    Raises:
        InstanceRefused: this is not how a PS3.10 file starts.
    """
    prefix, group_length, count = _START.unpack(start)
    if (prefix, group_length) != (b"DICM", _GROUP_LENGTH) or not 0 < count <= _MAX_META_BYTES:
        raise refusal(Status.NOT_PARSABLE)
    return int(count)


def _uids(encoded: bytes) -> dict[str, str]:
    """UIDs of the instance in file meta information without its group length.

    Raises:
        InstanceRefused: it cannot be parsed or lacks one.
    """
    try:
        meta = read_dataset(BytesIO(encoded), is_implicit_VR=False, is_little_endian=True)
        return {
            "sop_class_uid": str(meta[0x00020002].value),
            "sop_instance_uid": str(meta[0x00020003].value),
            "transfer_syntax_uid": str(meta[0x00020010].value),
        }
    except Exception as error:
        raise refusal(Status.NOT_PARSABLE) from error
