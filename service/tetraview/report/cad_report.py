"""The Mammography CAD SR of an exam (PS3.3 A.35.5), also when nothing was found or read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MammographyCADSRStorage

from tetraview.domain.delivery import ResultKind
from tetraview.domain.exam import Exam
from tetraview.domain.instance import Instance
from tetraview.domain.product import MANUFACTURER
from tetraview.domain.reading import Reading
from tetraview.domain.view import View
from tetraview.report.cad.content import MammographyCADReport
from tetraview.report.cad.library import ImageLibraryEntry
from tetraview.report.cad.tree import encode
from tetraview.report.cad.verify import verify
from tetraview.report.document import Context, finish
from tetraview.report.equipment import MODEL_NAME
from tetraview.report.header import Header, requests

_SERIES_NUMBER = 9003


def cad_report(exam: Exam, reading: Reading, headers: Mapping[View, Header], context: Context) -> Dataset:
    """The report with one impression for each lesion, and the outcome of each detection and analysis.

    Args:
        exam: the images, all of which become evidence.
        reading: result of reading them.
        headers: the header of each image.
        context: facts that all results of the reading share.

    Raises:
        ReportImpossible: a code has no equivalent in the output's coding scheme.
    """
    library = {view: ImageLibraryEntry(header=header) for view, header in headers.items()}
    root = MammographyCADReport(reading=reading, library=library, context=context).node()
    document = encode(root, scheme=context.output.coding_scheme)
    _describe(document, context)
    document.CurrentRequestedProcedureEvidenceSequence = [_evidence(exam.images.values())]
    if answered := requests(headers.values()):
        document.ReferencedRequestSequence = answered
    study = next(iter(exam.images.values())).study_instance_uid
    if before := context.predecessor(ResultKind.CAD_REPORT, study_instance_uid=study):
        document.PredecessorDocumentsSequence = before
    verify(document)
    first = next(header for header in headers.values() if header.readable)
    return finish(document, first, context)


def _describe(document: Dataset, context: Context) -> None:
    """SR Document Series, General Equipment and SR Document General (PS3.3 C.17.1, C.7.5.1, C.17.2)."""
    document.file_meta = FileMetaDataset()
    document.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    document.SOPClassUID = MammographyCADSRStorage
    document.SOPInstanceUID = context.identity.instance_uid(ResultKind.CAD_REPORT)
    document.Modality = "SR"
    document.SeriesInstanceUID = context.identity.series_uid(ResultKind.CAD_REPORT)
    document.SeriesNumber = _SERIES_NUMBER
    document.SeriesDescription = "AI mass CAD SR, research only"
    document.InstanceNumber = context.generation
    document.Manufacturer = MANUFACTURER
    document.ManufacturerModelName = MODEL_NAME
    document.DeviceSerialNumber = context.device.serial_number
    document.CompletionFlag, document.PreliminaryFlag, document.VerificationFlag = "COMPLETE", "FINAL", "UNVERIFIED"
    document.ReferencedPerformedProcedureStepSequence = []
    document.PerformedProcedureCodeSequence = []


def _evidence(images: Iterable[Instance]) -> Dataset:
    """Item of Current Requested Procedure Evidence Sequence (PS3.3 C.17.2) for a study, its images by series."""
    by_series: dict[str, list[Instance]] = {}
    for image in sorted(images, key=lambda image: (image.series_instance_uid, image.sop_instance_uid)):
        by_series.setdefault(image.series_instance_uid, []).append(image)
    study = Dataset()
    study.StudyInstanceUID = next(iter(by_series.values()))[0].study_instance_uid
    study.ReferencedSeriesSequence = [_series(uid, members) for uid, members in by_series.items()]
    return study


def _series(uid: str, images: Iterable[Instance]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = uid
    series.ReferencedSOPSequence = [_reference(image) for image in images]
    return series


def _reference(image: Instance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.sop_class_uid, image.sop_instance_uid
    return item
