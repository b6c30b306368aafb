"""Common parts of all our results: patient, time and device, and the way in which they are written to disk."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.uid import UID

from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.domain.output import Output
from tetraview.domain.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tetraview.report.equipment import Device, contributing_equipment
from tetraview.report.header import Header
from tetraview.report.moment import Moment
from tetraview.report.statement import research_only
from tetraview.report.text import ascii_text
from tetraview.report.tracking import Tracking
from tetraview.report.uid import Identity


@dataclass(frozen=True, kw_only=True)
class Context:
    """Facts that all results of one reading share."""

    device: Device
    identity: Identity
    moment: Moment
    #: Name of the score thresholds that were used.
    operating_point: str
    #: Training data of the weights, one sentence; empty where no view could be read.
    training: str
    #: The objects to make, and their form.
    output: Output
    #: Identifiers by which viewers recognise a finding in another object.
    tracking: Tracking
    #: Folder of the reading's previews.
    previews: Path
    #: Instance Number of each object: a later generation of the exam stands after an earlier one in its series.
    generation: int
    #: The objects of this output in the exam's generation before; none in its first.
    predecessors: tuple[ResultObject, ...]

    @property
    def research_only(self) -> str:
        """The clause that every object carries: that this is research, with the training data of the weights."""
        return ascii_text(research_only(self.training))

    def predecessor(self, kind: ResultKind, *, study_instance_uid: str) -> list[Dataset] | None:
        """Predecessor Documents Sequence (PS3.3 C.17.2): the document that this one updates; None for the first."""
        known = (before for before in self.predecessors if before.kind is kind and before.series_instance_uid)
        before = next(known, None)
        if before is None:
            return None
        document, series, study = Dataset(), Dataset(), Dataset()
        document.ReferencedSOPClassUID = before.sop_class_uid
        document.ReferencedSOPInstanceUID = before.sop_instance_uid
        series.SeriesInstanceUID = before.series_instance_uid
        series.ReferencedSOPSequence = [document]
        study.StudyInstanceUID = study_instance_uid
        study.ReferencedSeriesSequence = [series]
        return [study]


def finish(document: Dataset, header: Header, context: Context) -> Dataset:
    """Complete a document: patient, study, dates and equipment.

    Done last because highdicom writes the time of day, and refuses values that modalities do send.
    """
    for element in header.identity.elements():
        document[element.tag] = element
    for keyword in ("ContentDate", "SeriesDate", "InstanceCreationDate"):
        setattr(document, keyword, context.moment.date)
    for keyword in ("ContentTime", "SeriesTime", "InstanceCreationTime"):
        setattr(document, keyword, context.moment.time)
    if context.moment.utc_offset and "TimezoneOffsetFromUTC" not in document:
        document.TimezoneOffsetFromUTC = context.moment.utc_offset
    document.SoftwareVersions = context.device.software_versions
    document.ContributingEquipmentSequence = contributing_equipment(
        context.device, header=header, moment=context.moment
    )
    document.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    document.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return document


def encode(document: Dataset) -> bytes:
    """A document as a DICOM file (PS3.10) in Explicit VR Little Endian."""
    correct_ambiguous_vr(document, is_little_endian=True)
    # Patient and study are in the source's bytes already; saying so keeps pydicom from decoding them.
    repertoire = document.get("SpecificCharacterSet", default_encoding)
    document.set_original_encoding(
        is_implicit_vr=False, is_little_endian=True, character_encoding=convert_encodings(repertoire)
    )
    file = BytesIO()
    document.save_as(file, enforce_file_format=True)
    return file.getvalue()
