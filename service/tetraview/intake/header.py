"""The header of a received data set, walked to its last byte without trusting it and without touching pixels.

Only the attributes that intake decides by are ever decoded; of those that identify a patient or an order only digests
are made, which say whether two images agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from tetraview.encoding.data_set import UNDECODABLE, data_set, key_in, raw_value
from tetraview.encoding.elements import PIXEL_DATA, Buffer, Damage, DataSetDamaged, Element, walk
from tetraview.intake.status import Status, refusal

#: Longest value that intake looks at.
_MAX_VALUE = 1 << 16

UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_KEYWORDS = (
    *UIDS,
    *("ImageType", "Modality", "PresentationIntentType", "Manufacturer", "ManufacturerModelName", "SoftwareVersions"),
    "ConversionType",
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

_STATUS = {
    Damage.TRUNCATED: Status.TRUNCATED,
    Damage.NOT_PARSABLE: Status.NOT_PARSABLE,
    Damage.TOO_COMPLEX: Status.TOO_COMPLEX,
}


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


def read_header(buffer: Buffer, *, offset: int, transfer_syntax_uid: str) -> Header:
    """Walk every element of a data set (PS3.5 section 7) and decode the few that matter.

    Args:
        buffer: a DICOM file.
        offset: where its data set begins.
        transfer_syntax_uid: any little-endian transfer syntax that is not deflated.

    Raises:
        InstanceRefused: the data set is truncated, not parsable or too complex.
    """
    explicit = transfer_syntax_uid != ImplicitVRLittleEndian
    try:
        elements = walk(buffer, offset=offset, explicit=explicit)
    except DataSetDamaged as error:
        raise refusal(_STATUS[error.damage]) from None
    small = [element for element in elements if element.end - element.start <= _MAX_VALUE]
    dataset = data_set(small, buffer, tags=_WANTED)
    uids = {keyword: raw_value(dataset, keyword).rstrip(b"\0 ").decode("latin-1") for keyword in UIDS}
    _drop_undecodable(dataset)
    identity = data_set(small, buffer, tags=_IDENTITY)
    return Header(
        uids=uids,
        dataset=dataset,
        pixel_bytes=_pixel_bytes(elements),
        patient_key=key_in(identity, "PatientID", "IssuerOfPatientID"),
        accession_key=key_in(identity, "AccessionNumber"),
        study_date_key=key_in(identity, "StudyDate"),
    )


def _pixel_bytes(elements: Sequence[Element]) -> int:
    """Length of Pixel Data; the first fragment of encapsulated ones is the offset table (PS3.5 A.4)."""
    pixels = next((element for element in elements if element.tag == PIXEL_DATA), None)
    if pixels is None:
        return 0
    if pixels.fragments is None:
        return pixels.end - pixels.value
    return sum(end - start for start, end in pixels.fragments[1:])


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
