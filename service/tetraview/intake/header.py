"""The header of a received data set, walked to its last byte without trusting it and without touching pixels.

Only the attributes that intake decides by are ever decoded; of those that identify a patient or an order only digests
are made, which say whether two images agree.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from io import BytesIO
from mmap import mmap

import pydicom.config
from pydicom.datadict import DicomDictionary, tag_for_keyword  # type: ignore[attr-defined]  # exported in fact
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.filereader import read_dataset
from pydicom.uid import ImplicitVRLittleEndian

from tetraview.domain.identity import key_of
from tetraview.intake.status import Status, refusal

#: Elements and items a data set may have, nested ones included.
MAX_ELEMENTS = 200_000
#: Sequences a data set may nest.
MAX_NESTING = 64
#: Longest value that intake looks at.
_MAX_VALUE = 1 << 16

UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_KEYWORDS = (
    *UIDS,
    *("ImageType", "Modality", "PresentationIntentType", "Manufacturer", "ManufacturerModelName", "SoftwareVersions"),
    *("AcquisitionDate", "AcquisitionTime", "ContentDate", "ContentTime"),
    *("VolumetricProperties", "VolumeBasedCalculationTechnique", "SourceImageSequence", "BiopsyTargetSequence"),
    *("QualityControlImage", "BurnedInAnnotation", "LossyImageCompression", "SpecimenDescriptionSequence"),
    *("ImageLaterality", "Laterality", "FrameLaterality", "SharedFunctionalGroupsSequence", "PatientOrientation"),
    *("ViewCodeSequence", "ViewModifierCodeSequence", "ViewPosition", "BreastImplantPresent", "PartialView"),
    *("EstimatedRadiographicMagnificationFactor", "FocalSpots", "PaddleDescription", "FieldOfViewDimensions"),
    *("ImagerPixelSpacing", "PixelSpacing", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel"),
    *("PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit"),
    *("ProcedureCodeSequence", "RequestedProcedureCodeSequence", "ReasonForRequestedProcedureCodeSequence"),
    *("StudyDescription", "RequestedProcedureDescription", "PerformedProcedureStepDescription"),
    "RequestAttributesSequence",
)
_WANTED = frozenset(tag_for_keyword(keyword) for keyword in _KEYWORDS)

_IDENTITY = frozenset(
    tag_for_keyword(keyword) for keyword in ("PatientID", "IssuerOfPatientID", "AccessionNumber", "StudyDate")
)

_PIXEL_DATA = 0x7FE00010
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_SEQUENCES = frozenset(tag for tag, (vr, *_) in DicomDictionary.items() if vr == "SQ")
#: VRs with lengths of 16 bits (PS3.5 7.1.2).
_SHORT_VRS = frozenset(re.findall(b"..", b"AEASATCSDADSDTFDFLISLOLTPNSHSLSSSTTMUIULUS"))


# Otherwise pydicom warns about values that break its rules, and quotes them.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


@dataclass(frozen=True, kw_only=True)
class Header:
    """Facts that intake knows about a data set."""

    #: UIDs by keyword as they stand in the data set, without padding.
    uids: Mapping[str, str]
    #: The attributes intake decides by, as far as they are there and can be decoded.
    dataset: Dataset
    #: Length of Pixel Data (7FE0,0010) without offset table; 0 where there is none.
    pixel_bytes: int
    #: Digest of Patient ID (0010,0020) and Issuer of Patient ID (0010,0021), 16 hex digits; empty without an ID.
    patient_key: str
    #: Digest of Accession Number (0008,0050), as above.
    accession_key: str
    #: Digest of Study Date (0008,0020), as above.
    study_date_key: str


def read_header(buffer: mmap | bytes, *, offset: int, transfer_syntax_uid: str) -> Header:
    """Walk every element of a data set (PS3.5 section 7) and decode the few that matter.

    Args:
        buffer: a DICOM file.
        offset: where its data set begins.
        transfer_syntax_uid: any little-endian transfer syntax that is not deflated.

    Raises:
        InstanceRefused: the data set is truncated, not parsable or too complex.
    """
    explicit = transfer_syntax_uid != ImplicitVRLittleEndian
    walk = _Walk(buffer, offset=offset, explicit=explicit)
    walk.run()
    dataset = _decode(b"".join(walk.wanted.values()), explicit=explicit)
    uids = {keyword: _raw_text(dataset, keyword) for keyword in UIDS}
    _drop_undecodable(dataset)
    return Header(
        uids=uids,
        dataset=dataset,
        pixel_bytes=walk.pixel_bytes,
        patient_key=walk.key("PatientID", "IssuerOfPatientID"),
        accession_key=walk.key("AccessionNumber"),
        study_date_key=walk.key("StudyDate"),
    )


class _Kind(Enum):
    DATA_SET = auto()
    SEQUENCE = auto()
    FRAGMENTS = auto()


@dataclass(frozen=True, slots=True)
class _Level:
    kind: _Kind
    #: Where the innermost enclosing value of known length ends.
    limit: int
    #: Ends at a delimitation item rather than at the limit.
    delimited: bool
    explicit: bool


class _Walk:
    """A pass over all elements with a stack of its own, so that nesting costs no recursion."""

    def __init__(self, buffer: mmap | bytes, *, offset: int, explicit: bool) -> None:
        self._buffer = buffer
        self._end = len(buffer)
        self._position = offset
        self._levels = [_Level(kind=_Kind.DATA_SET, limit=self._end, delimited=False, explicit=explicit)]
        self._count = 0
        self._outermost: tuple[int, int] | None = None
        self._fragments = 0
        #: Encoded outermost elements that are wanted, by tag.
        self.wanted: dict[int, bytes] = {}
        self.pixel_bytes = 0
        self._identity: dict[int, bytes] = {}

    def key(self, *keywords: str) -> str:
        """A short digest of outermost values as they are encoded, without padding; empty where the first is empty."""
        return key_of(*(self._identity.get(tag_for_keyword(keyword) or 0, b"") for keyword in keywords))

    def run(self) -> None:
        """Walk to the end."""
        while self._levels:
            level = self._levels[-1]
            if len(self._levels) == 1:
                self._finish_outermost()
            if self._position == level.limit and not level.delimited:
                self._levels.pop()
            elif level.kind is _Kind.DATA_SET:
                self._element(level)
            else:
                self._item(level)

    def _finish_outermost(self) -> None:
        if self._outermost is None:
            return
        tag, start = self._outermost
        if tag in _WANTED and tag not in self.wanted and self._position - start <= _MAX_VALUE:
            self.wanted[tag] = self._buffer[start : self._position]

    def _element(self, level: _Level) -> None:
        tag = self._tag(level)
        if tag == _ITEM_END and level.delimited:
            self._leave()
            return
        if tag >> 16 == _ITEM >> 16:
            raise refusal(Status.NOT_PARSABLE)
        if len(self._levels) == 1:
            self._outermost = tag, self._position
        vr, length = self._explicit(level) if level.explicit else self._implicit(tag)
        if length == _UNDEFINED:
            self._enter_undefined(level, tag, vr)
        elif vr == b"SQ":
            self._enter(level, _Kind.SEQUENCE, length, explicit=level.explicit)
        else:
            start = self._position
            self._skip(level, length)
            if len(self._levels) > 1:
                return
            if tag == _PIXEL_DATA:
                self.pixel_bytes = length
            if tag in _IDENTITY and length <= _MAX_VALUE:
                self._identity.setdefault(tag, self._buffer[start : self._position])

    def _explicit(self, level: _Level) -> tuple[bytes, int]:
        """VR and length of an element with explicit VR; moves to its value. VRs yet to come have long lengths."""
        vr, length = struct.unpack_from("<2sH", self._buffer, self._position + 4)
        self._position += 8
        if vr in _SHORT_VRS:
            return vr, length
        if not (vr.isalpha() and vr.isupper()):
            raise refusal(Status.NOT_PARSABLE)
        self._need(level, 4)
        (length,) = struct.unpack_from("<L", self._buffer, self._position)
        self._position += 4
        return vr, length

    def _implicit(self, tag: int) -> tuple[bytes, int]:
        """VR where it matters and length of an element with implicit VR; moves to its value."""
        (length,) = struct.unpack_from("<L", self._buffer, self._position + 4)
        self._position += 8
        return b"SQ" if tag in _SEQUENCES else b"", length

    def _enter_undefined(self, level: _Level, tag: int, vr: bytes) -> None:
        if tag == _PIXEL_DATA:
            self._fragments = 0
            self._enter(level, _Kind.FRAGMENTS, _UNDEFINED, explicit=level.explicit)
        elif level.explicit and vr not in {b"SQ", b"UN"}:
            raise refusal(Status.NOT_PARSABLE)
        else:
            # A sequence of unknown VR is encoded with implicit VR (PS3.5 6.2.2, note 2).
            self._enter(level, _Kind.SEQUENCE, _UNDEFINED, explicit=level.explicit and vr == b"SQ")

    def _item(self, level: _Level) -> None:
        tag = self._tag(level)
        if tag == _SEQUENCE_END and level.delimited:
            self._leave()
            return
        if tag != _ITEM:
            raise refusal(Status.NOT_PARSABLE)
        (length,) = struct.unpack_from("<L", self._buffer, self._position + 4)
        self._position += 8
        if level.kind is _Kind.SEQUENCE:
            self._enter(level, _Kind.DATA_SET, length, explicit=level.explicit)
            return
        if length == _UNDEFINED:
            raise refusal(Status.NOT_PARSABLE)
        self._count_fragment(length)
        self._skip(level, length)

    def _count_fragment(self, length: int) -> None:
        """Add a fragment of the image's own pixels; the first item is the offset table (PS3.5 A.4)."""
        if self._fragments and len(self._levels) == 2:  # noqa: PLR2004 - the data set and its pixel data
            self.pixel_bytes += length
        self._fragments += 1

    def _tag(self, level: _Level) -> int:
        self._need(level, 8)
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise refusal(Status.TOO_COMPLEX)
        group, element = struct.unpack_from("<HH", self._buffer, self._position)
        return int(group << 16 | element)

    def _need(self, level: _Level, length: int) -> None:
        if self._position + length > level.limit:
            raise refusal(Status.TRUNCATED if level.limit == self._end else Status.NOT_PARSABLE)

    def _skip(self, level: _Level, length: int) -> None:
        self._need(level, length)
        self._position += length

    def _enter(self, level: _Level, kind: _Kind, length: int, *, explicit: bool) -> None:
        if length == _UNDEFINED:
            inner = _Level(kind=kind, limit=level.limit, delimited=True, explicit=explicit)
        else:
            self._need(level, length)
            inner = _Level(kind=kind, limit=self._position + length, delimited=False, explicit=explicit)
        self._levels.append(inner)
        if len(self._levels) > 2 * MAX_NESTING + 1:
            raise refusal(Status.TOO_COMPLEX)

    def _leave(self) -> None:
        self._position += 8
        self._levels.pop()


#: Exceptions of pydicom for values that do not fit their VR; its warnings too, where warnings are errors.
UNDECODABLE = (
    *(BytesLengthException, ValueError, TypeError, ArithmeticError, LookupError, AttributeError),
    *(NotImplementedError, UserWarning),
)


def _decode(encoded: bytes, *, explicit: bool) -> Dataset:
    try:
        return read_dataset(BytesIO(encoded), is_implicit_VR=not explicit, is_little_endian=True)
    except UNDECODABLE as error:
        raise refusal(Status.NOT_PARSABLE) from error


def _raw_text(dataset: Dataset, keyword: str) -> str:
    """A value as it is encoded: pydicom's would be without line ends and other marks of damage."""
    element = dataset.get_item(tag_for_keyword(keyword) or 0)
    value = element.value if isinstance(element, RawDataElement) else None
    return (value or b"").rstrip(b"\0 ").decode("latin-1")


def _drop_undecodable(dataset: Dataset) -> None:
    """Leave only elements whose value can be decoded, at every depth."""
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except UNDECODABLE:
            del dataset[tag]
            continue
        for item in element.value if element.VR == "SQ" else ():
            _drop_undecodable(item)
