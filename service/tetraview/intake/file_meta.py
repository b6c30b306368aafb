"""File meta information: ours, around a data set that stays as it was received."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from tetraview.domain.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tetraview.encoding.part10 import MAX_META_BYTES, START, Part10

_PREAMBLE = bytes(128) + b"DICM"


@dataclass(frozen=True, kw_only=True)
class StoreRequest:
    """Statements of a sender about an instance before its bytes."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str
    #: The study it has to be of; None where the sender names none.
    study_instance_uid: str | None = None


def encode_file_meta(request: StoreRequest) -> bytes:
    """Preamble of zeros and file meta information (PS3.10 section 7.1); the AE titles tell who sent it to whom."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(request.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(request.sop_instance_uid)
    meta.TransferSyntaxUID = UID(request.transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    meta.SourceApplicationEntityTitle = request.calling_ae_title
    meta.ReceivingApplicationEntityTitle = request.called_ae_title
    buffer = DicomBytesIO(_PREAMBLE)
    buffer.seek(0, os.SEEK_END)
    write_file_meta_info(buffer, meta)
    return buffer.getvalue()


def read_file_meta(path: Path) -> tuple[StoreRequest, int]:
    """Read back the file meta information that ``encode_file_meta`` wrote, and find where the data set begins.

    Raises:
        NotPart10: the file has none.
    """
    with path.open("rb") as file:
        head = Part10.of(file.read(START + MAX_META_BYTES))
    request = StoreRequest(
        sop_class_uid=head.sop_class_uid,
        sop_instance_uid=head.sop_instance_uid,
        transfer_syntax_uid=head.transfer_syntax_uid,
        calling_ae_title=head.source_ae_title,
        called_ae_title=head.receiving_ae_title,
    )
    return request, head.offset
