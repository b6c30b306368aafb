"""A DICOM file (PS3.10 section 7): its meta information, and where its data set begins."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from tetraview.encoding.data_set import data_set, raw_value
from tetraview.encoding.elements import Buffer, DataSetDamaged, walk

#: Preamble and prefix.
START = 132
_PREFIX = b"DICM"
_META_GROUP = 2
#: File Meta Information Group Length (0002,0000): tag, VR and length, then the value.
_GROUP_LENGTH = b"\x02\0\0\0UL\x04\0"
#: Longest file meta information; that of most files is a few hundred bytes.
MAX_META_BYTES = 1 << 16
_LONG_VRS = frozenset({b"OB", b"OW", b"UN", b"UT", b"SQ", b"OF", b"OD", b"OL", b"UC", b"UR"})


class NotPart10(ValueError):
    """This is not how a DICOM file starts."""


@dataclass(frozen=True, kw_only=True)
class Part10:
    """The head of a file; nothing in the data set can change what it says."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    #: Source and Receiving Application Entity Title (0002,0016), (0002,0018); empty where they are not there.
    source_ae_title: str
    receiving_ae_title: str
    #: Where the data set begins.
    offset: int

    @property
    def explicit(self) -> bool:
        """Whether the data set has explicit VRs."""
        return self.transfer_syntax_uid != ImplicitVRLittleEndian

    def data_set(self, buffer: Buffer, *, pixels: bool) -> Dataset:
        """The data set of this file.

        Args:
            buffer: the file.
            pixels: whether Pixel Data and its kin (group 7FE0) are wanted.

        Raises:
            DataSetDamaged: it is truncated, not parsable or too complex.
        """
        elements = walk(buffer, offset=self.offset, explicit=self.explicit, pixels=pixels)
        return data_set(elements, buffer)

    @classmethod
    def of(cls, buffer: Buffer) -> Part10:
        """The head of a file.

        Raises:
            NotPart10: it is none, or has no end.
        """
        offset = data_set_offset(buffer[: START + MAX_META_BYTES])
        if offset is None:
            raise NotPart10("The file ends within its meta information.")
        head = bytes(buffer[:offset])
        try:
            meta = data_set(walk(head, offset=START, explicit=True), head)
        except DataSetDamaged as error:
            raise NotPart10("The file meta information cannot be read.") from error

        def text(keyword: str) -> str:
            return raw_value(meta, keyword).strip(b"\0 ").decode("latin-1")

        if not all(map(text, ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID"))):
            raise NotPart10("The file meta information does not say what follows.")
        return cls(
            sop_class_uid=text("MediaStorageSOPClassUID"),
            sop_instance_uid=text("MediaStorageSOPInstanceUID"),
            transfer_syntax_uid=text("TransferSyntaxUID"),
            source_ae_title=text("SourceApplicationEntityTitle"),
            receiving_ae_title=text("ReceivingApplicationEntityTitle"),
            offset=offset,
        )


def data_set_offset(head: Buffer) -> int | None:
    """Where the data set of a file begins, None where more bytes are needed to tell.

    The group length counts. Where it is missing, as some writers leave it out, or is wrong, the data set begins with
    the first element that is not of group 0002 in rising order. So an element of group 0002 that stands in a data set
    stays one of the data set.

    Args:
        head: the beginning of the file.

    Raises:
        NotPart10: the file does not start as one, or its meta information is longer than any.
    """
    if not (_PREFIX.startswith(head[128:START]) and len(head) >= START):
        if len(head) < START and _PREFIX.startswith(head[128:START]):
            return None
        raise NotPart10("The file does not start as a DICOM file (Part 10).")
    stated = _stated_end(head)
    position, before = START, -1
    while position != stated:
        if position > START + MAX_META_BYTES:
            raise NotPart10("The file meta information is longer than any.")
        if len(head) < position + 8:
            return None
        group, number, vr, length = struct.unpack_from("<HH2sH", head, position)
        if group != _META_GROUP or number <= before:
            break
        before = number
        position += 8
        if vr in _LONG_VRS:
            if len(head) < position + 4:
                return None
            (length,) = struct.unpack_from("<L", head, position)
            position += 4
        position += length
    if before < 0:
        raise NotPart10("The file has no meta information.")
    return position if len(head) >= position else None


def _stated_end(head: Buffer) -> int:
    """Where the file meta information ends by its group length; -1 where there is none, or one of nothing."""
    if head[START : START + 8] != _GROUP_LENGTH or len(head) < START + 12:
        return -1
    (count,) = struct.unpack_from("<L", head, START + 8)
    return START + 12 + int(count) if count else -1
