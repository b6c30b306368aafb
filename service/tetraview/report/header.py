"""The header of a source image, from which results copy and to which they refer; it is read without trust or pixels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.sr.coding import Code

from tetraview.domain.exam import Exam
from tetraview.domain.instance import Instance
from tetraview.domain.lengths import Lengths
from tetraview.domain.view import View
from tetraview.encoding.data_set import key_in, raw_value
from tetraview.encoding.elements import DataSetDamaged
from tetraview.encoding.part10 import NotPart10, Part10
from tetraview.errors import ImageUnreadable, ReportImpossible
from tetraview.report import codes
from tetraview.report.grey_scale import grey_scale
from tetraview.report.lenient import items_of, numbers_of, text_of, value_of, values_of
from tetraview.storage.stored import read_stored

#: Patient, Study and SOP Common attributes that a result shares with its source (PS3.3 C.7.1.1, C.7.2, C.12.1).
_IDENTITY = (
    "SpecificCharacterSet", "TimezoneOffsetFromUTC",
    "PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "OtherPatientIDsSequence",
    "PatientBirthDate", "PatientSex", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "PatientAge", "PatientSize", "PatientWeight",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "ProcedureCodeSequence",
)  # fmt: skip
#: Type 2 of these modules: present even where the source lacks them.
_REQUIRED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_EQUIPMENT = (
    "Manufacturer", "ManufacturerModelName", "InstitutionName", "StationName", "DeviceSerialNumber", "SoftwareVersions",
)  # fmt: skip
_COMPRESSION = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_OFFSET = re.compile(r"[+-](0\d|1[0-4])[0-5]\d")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_ALONG_ROWS_AND_COLUMNS = 2
_FULL_TURN = 360
#: View modifiers (PS3.16 CID 4015) that a standard view can have.
_VIEW_MODIFIERS = {
    codes.NIPPLE_IN_PROFILE.value: codes.NIPPLE_IN_PROFILE,
    codes.SRT[codes.NIPPLE_IN_PROFILE.value].value: codes.NIPPLE_IN_PROFILE,
}


@dataclass(frozen=True, kw_only=True)
class Header:
    """One source image as its results need it; values that cannot be read are None or absent."""

    view: View
    instance: Instance
    #: Whether the file could be parsed at all.
    readable: bool
    #: Rows (0028,0010) and Columns (0028,0011).
    shape: tuple[int, int] | None
    #: Row and column spacing, millimetres.
    spacing_mm: tuple[float, float] | None
    #: The attributes that lengths are from.
    lengths_by: str
    #: Patient Orientation (0020,0020) of rows and columns.
    patient_orientation: tuple[str, str] | None
    #: View Modifier Code Sequence (0054,0222), as far as a standard view can have any.
    view_modifiers: tuple[Code, ...]
    #: Study Date (0008,0020) and Time (0008,0030), DA and TM.
    study_date: str | None
    study_time: str | None
    #: Content Date (0008,0023) and Time (0008,0033), DA and TM.
    content_date: str | None
    content_time: str | None
    #: Positioner Primary Angle (0018,1510) and Secondary Angle (0018,1511), degrees.
    primary_angle: float | None
    secondary_angle: float | None
    #: Timezone Offset From UTC (0008,0201), for example ``+0100``.
    utc_offset: str | None
    #: Patient and study attributes; text keeps the bytes that were received.
    identity: Dataset
    #: The device that made the image.
    equipment: Dataset
    #: Attributes that a presentation state takes over, so that the image looks the same as without it.
    grey_scale: Dataset
    #: Lossy Image Compression (0028,2110) with ratio and method; empty for an image that never was compressed so.
    compression: Dataset
    #: Item of Referenced Request Sequence for the order that the image was made for.
    request: Dataset | None

    @classmethod
    def of(cls, dataset: Dataset | None, *, view: View, instance: Instance) -> Header:
        """The header of a data set that somebody else made; none of its values is trusted."""
        readable, dataset = dataset is not None, dataset or Dataset()
        lengths = _lengths(dataset)
        offset = text_of(dataset, "TimezoneOffsetFromUTC")
        utc_offset = offset if _OFFSET.fullmatch(offset) else None
        return cls(
            view=view,
            instance=instance,
            readable=readable,
            shape=_shape(dataset),
            spacing_mm=lengths.spacing_mm if lengths else None,
            lengths_by=lengths.source if lengths else "",
            patient_orientation=_patient_orientation(dataset),
            view_modifiers=_view_modifiers(dataset),
            study_date=_date(dataset, "StudyDate"),
            study_time=_time(dataset, "StudyTime"),
            content_date=_date(dataset, "ContentDate"),
            content_time=_time(dataset, "ContentTime"),
            primary_angle=_angle(dataset, "PositionerPrimaryAngle"),
            secondary_angle=_angle(dataset, "PositionerSecondaryAngle"),
            utc_offset=utc_offset,
            identity=_identity(dataset, keep_offset=utc_offset is not None),
            equipment=_present(dataset, _EQUIPMENT),
            grey_scale=grey_scale(dataset),
            compression=_compression(dataset),
            request=_request(dataset, instance),
        )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and Columns, for those who cannot do without.

        Raises:
            ReportImpossible: the image does not state them.
        """
        if self.shape is None:
            raise ReportImpossible(f"{self.view}: the image does not state its Rows and Columns")
        return self.shape

    @property
    def skeleton(self) -> Dataset:
        """A data set with what highdicom demands of a source image and nothing that could upset it."""
        skeleton = Dataset()
        for keyword in _REQUIRED:
            setattr(skeleton, keyword, "")
        skeleton.Modality = "MG"
        skeleton.SOPClassUID = self.instance.sop_class_uid
        skeleton.SOPInstanceUID = self.instance.sop_instance_uid
        skeleton.StudyInstanceUID = self.instance.study_instance_uid
        skeleton.SeriesInstanceUID = self.instance.series_instance_uid
        if self.shape:
            skeleton.Rows, skeleton.Columns = self.shape
        for element in self.compression:
            skeleton.add(element)
        return skeleton


def read_headers(exam: Exam, *, spool: Path) -> Mapping[View, Header]:
    """The headers of an exam's images, also of those whose file cannot be read.

    Raises:
        ReportImpossible: no image has a readable header, so nobody can say whose result it is.
        StorageUnavailable: the spool cannot be read now.
    """
    datasets = {view: _read(spool, exam.images[view]) for view in View if view in exam.images}
    if all(dataset is None for dataset in datasets.values()):
        raise ReportImpossible(f"no image of exam {exam.exam_id} has a readable header: check the spool's volume")
    return {view: Header.of(dataset, view=view, instance=exam.images[view]) for view, dataset in datasets.items()}


def requests(headers: Iterable[Header]) -> list[Dataset] | None:
    """Referenced Request Sequence (PS3.3 C.17.2): the order of the first image that names one."""
    return next(([header.request] for header in headers if header.request), None)


def _read(spool: Path, instance: Instance) -> Dataset | None:
    """The header of an image; of a file that is not the one received nothing is believed, least of all whose it is."""
    try:
        content = read_stored(spool / instance.path, sha256=instance.sha256)
        dataset = Part10.of(content).data_set(content, pixels=False)
    except (ImageUnreadable, NotPart10, DataSetDamaged):
        return None
    return dataset if _is_of(dataset, instance) else None


def _is_of(dataset: Dataset, instance: Instance) -> bool:
    """Whether a header is that of the image and patient that were accepted; older rows say less of the patient."""
    uids = {
        "SOPClassUID": instance.sop_class_uid,
        "SOPInstanceUID": instance.sop_instance_uid,
        "StudyInstanceUID": instance.study_instance_uid,
        "SeriesInstanceUID": instance.series_instance_uid,
    }
    same_image = all(raw_value(dataset, keyword).rstrip(b"\0 ") == uid.encode() for keyword, uid in uids.items())
    return same_image and instance.patient_key in {None, key_in(dataset, "PatientID", "IssuerOfPatientID")}


def _present(dataset: Dataset, keywords: Iterable[str]) -> Dataset:
    """Attributes that have a value, decoded, unlike the identity: they are encoded anew."""
    present = Dataset()
    for keyword in keywords:
        if value := value_of(dataset, keyword):
            setattr(present, keyword, value)
    return present


def _compression(dataset: Dataset) -> Dataset:
    """Compression attributes, since results derived from a lossily compressed image must say so (PS3.3 C.8.20.2)."""
    was_lossy = text_of(dataset, "LossyImageCompression") == "01"
    return _present(dataset, _COMPRESSION) if was_lossy else Dataset()


def _identity(dataset: Dataset, *, keep_offset: bool) -> Dataset:
    identity = Dataset()
    for keyword in _IDENTITY:
        if keyword in dataset:
            element = _verbatim(dataset, keyword)
            identity[element.tag] = element
    if not _is_date(text_of(dataset, "PatientBirthDate").replace(".", "")):
        identity.PatientBirthDate = ""  # some devices write 00000000 where nobody knows it
    for keyword in _REQUIRED:
        if keyword not in identity:
            setattr(identity, keyword, "")
    if not keep_offset and "TimezoneOffsetFromUTC" in identity:
        del identity.TimezoneOffsetFromUTC
    return identity


def _verbatim(dataset: Dataset, keyword: str) -> DataElement | RawDataElement:
    """An element with the very bytes received, so that a text in any repertoire, right or wrong, stays what it was."""
    element = dataset.get_item(keyword)
    vr = dictionary_VR(keyword)
    if vr == "SQ" or not isinstance(element, RawDataElement):
        return dataset[keyword]
    value = element.value or b""
    padding = (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    return element._replace(VR=vr, value=value + padding, is_implicit_VR=False, is_little_endian=True)


def _request(dataset: Dataset, instance: Instance) -> Dataset | None:
    """An item of Referenced Request Sequence (PS3.3 C.17.2) from the first of Request Attributes Sequence."""
    requests = items_of(dataset, "RequestAttributesSequence")
    if not requests:
        return None
    request = Dataset()
    request.StudyInstanceUID = instance.study_instance_uid
    request.AccessionNumber = value_of(dataset, "AccessionNumber") or ""
    request.ReferencedStudySequence = []
    request.RequestedProcedureCodeSequence = []
    for keyword in ("PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"):
        setattr(request, keyword, "")
    for keyword in ("RequestedProcedureID", "RequestedProcedureDescription"):
        setattr(request, keyword, value_of(requests[0], keyword) or "")
    return request


def _shape(dataset: Dataset) -> tuple[int, int] | None:
    rows, columns = value_of(dataset, "Rows"), value_of(dataset, "Columns")
    if isinstance(rows, int) and isinstance(columns, int) and min(rows, columns) > 0:
        return rows, columns
    return None


def _lengths(dataset: Dataset) -> Lengths | None:
    (factor, *_) = numbers_of(dataset, "EstimatedRadiographicMagnificationFactor") or (None,)
    return Lengths.of(
        pixel_mm=_spacing(dataset, "PixelSpacing"),
        imager_mm=_spacing(dataset, "ImagerPixelSpacing"),
        calibration=text_of(dataset, "PixelSpacingCalibrationType"),
        magnification=factor,
    )


def _spacing(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    spacing = numbers_of(dataset, keyword)
    return (spacing[0], spacing[1]) if len(spacing) == _ALONG_ROWS_AND_COLUMNS and min(spacing) > 0 else None


def _patient_orientation(dataset: Dataset) -> tuple[str, str] | None:
    directions = values_of(dataset, "PatientOrientation")
    if len(directions) != _ALONG_ROWS_AND_COLUMNS or not all(directions):
        return None
    return directions[0], directions[1]


def _view_modifiers(dataset: Dataset) -> tuple[Code, ...]:
    views = items_of(dataset, "ViewCodeSequence")
    values = [text_of(item, "CodeValue") for view in views for item in items_of(view, "ViewModifierCodeSequence")]
    return tuple(_VIEW_MODIFIERS[value] for value in values if value in _VIEW_MODIFIERS)


def _date(dataset: Dataset, keyword: str) -> str | None:
    """A date that is in the calendar, in the eight digits of a DA."""
    date = text_of(dataset, keyword)
    return date if _is_date(date) else None


def _is_date(date: str) -> bool:
    try:
        return f"{datetime.strptime(date, '%Y%m%d'):%Y%m%d}" == date  # noqa: DTZ007 - no instant
    except ValueError:
        return False


def _time(dataset: Dataset, keyword: str) -> str | None:
    time = text_of(dataset, keyword)
    return time if _TIME.fullmatch(time) else None


def _angle(dataset: Dataset, keyword: str) -> float | None:
    try:
        angle = float(value_of(dataset, keyword))
    except (TypeError, ValueError):
        return None
    return angle if abs(angle) <= _FULL_TURN else None
