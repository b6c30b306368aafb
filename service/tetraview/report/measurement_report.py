"""The measurement report of an exam: TID 1500 in a Comprehensive SR, also when nothing was found or read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from highdicom.sr import Comprehensive3DSR, ComprehensiveSR, ContentItem
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from tetraview.domain.delivery import ResultKind
from tetraview.domain.exam import Exam
from tetraview.domain.finding import Finding
from tetraview.domain.output import ReportClass
from tetraview.domain.product import MANUFACTURER
from tetraview.domain.reading import Reading
from tetraview.domain.view import View
from tetraview.report import codes
from tetraview.report.content import (
    ACQUISITION_CONTEXT,
    CONTAINS,
    MODIFIER,
    OBSERVATION_CONTEXT,
    code,
    container,
    image,
    number,
    region,
    text,
    uid,
)
from tetraview.report.document import Context, finish
from tetraview.report.equipment import MODEL_NAME, Device
from tetraview.report.grade import grade, identification, lesion_certainty, probabilities
from tetraview.report.header import Header, requests
from tetraview.report.outline import clamped, simplified
from tetraview.report.summary import sentences, summary_code
from tetraview.report.text import ascii_text

_SERIES_NUMBER = 9002
_REPORT_CLASS = {
    ReportClass.COMPREHENSIVE: ComprehensiveSR,
    ReportClass.COMPREHENSIVE_3D: Comprehensive3DSR,
}


def measurement_report(exam: Exam, reading: Reading, headers: Mapping[View, Header], context: Context) -> Dataset:
    """The report with one measurement group for each finding in each view (PS3.16 TID 1500, TID 1410).

    Args:
        exam: the images, all of which become evidence.
        reading: result of reading them.
        headers: the header of each image.
        context: facts that all results of the reading share.
    """
    first = next(header for header in headers.values() if header.readable)
    document = _REPORT_CLASS[context.output.report_class](
        evidence=[header.skeleton for header in headers.values()],
        content=_document(exam, reading, headers, context),
        series_instance_uid=context.identity.series_uid(ResultKind.MEASUREMENT_REPORT),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=context.identity.instance_uid(ResultKind.MEASUREMENT_REPORT),
        instance_number=context.generation,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=True,
        requested_procedures=requests(headers.values()),
        series_description="AI mass measurements, research only",
        manufacturer_model_name=MODEL_NAME,
        software_versions=context.device.software,
        device_serial_number=context.device.serial_number,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    study = next(iter(exam.images.values())).study_instance_uid
    if before := context.predecessor(ResultKind.MEASUREMENT_REPORT, study_instance_uid=study):
        document.PredecessorDocumentsSequence = before
    if _has_own_concepts(reading, context):
        document.CodingSchemeIdentificationSequence = [_own_scheme()]
    return finish(document, first, context)


def _has_own_concepts(reading: Reading, context: Context) -> bool:
    output = context.output
    return any(
        (output.emit_malignancy and finding.malignancy is not None)
        or (output.emit_probability and finding.calibrated is not None)
        for finding in reading.findings
    )


def _own_scheme() -> Dataset:
    """Item of Coding Scheme Identification Sequence (PS3.3 C.12.1.1.2) for our own concepts."""
    item = Dataset()
    item.CodingSchemeDesignator = codes.SCHEME
    item.CodingSchemeName = "Concepts of tetraview"
    item.CodingSchemeResponsibleOrganization = MANUFACTURER
    return item


def _document(exam: Exam, reading: Reading, headers: Mapping[View, Header], context: Context) -> ContentItem:
    library = container(codes.IMAGE_LIBRARY_GROUP, [_library_entry(header) for header in headers.values()])
    children = [
        code(MODIFIER, codes.LANGUAGE, codes.ENGLISH),
        *_observer(context.device),
        code(MODIFIER, codes.PROCEDURE_REPORTED, codes.MAMMOGRAPHY_PROCEDURE),
        container(codes.IMAGE_LIBRARY, [library]),
        container(codes.IMAGING_MEASUREMENTS, _groups(reading, headers, context)),
        container(codes.QUALITATIVE_EVALUATIONS, _evaluations(exam, reading, context)),
    ]
    return container(codes.IMAGING_MEASUREMENT_REPORT, children, template="1500", root=True)


def _observer(device: Device) -> Iterator[ContentItem]:
    """TID 1004."""
    yield code(OBSERVATION_CONTEXT, codes.OBSERVER_TYPE, codes.DEVICE)
    yield uid(OBSERVATION_CONTEXT, codes.DEVICE_UID, device.uid)
    yield text(OBSERVATION_CONTEXT, codes.DEVICE_NAME, MODEL_NAME)
    yield text(OBSERVATION_CONTEXT, codes.DEVICE_MANUFACTURER, MANUFACTURER)
    yield text(OBSERVATION_CONTEXT, codes.DEVICE_MODEL_NAME, MODEL_NAME)
    yield text(OBSERVATION_CONTEXT, codes.DEVICE_SERIAL_NUMBER, device.serial_number)


def _library_entry(header: Header) -> ContentItem:
    return image(CONTAINS, header.instance, _descriptors(header))


def _descriptors(header: Header) -> Iterator[ContentItem]:
    """TID 1602 and TID 1603: the facts known about an image."""
    yield code(ACQUISITION_CONTEXT, codes.MODALITY, codes.MAMMOGRAPHY)
    if header.shape:
        rows, columns = header.shape
        yield number(ACQUISITION_CONTEXT, codes.PIXEL_DATA_ROWS, rows, codes.PIXELS)
        yield number(ACQUISITION_CONTEXT, codes.PIXEL_DATA_COLUMNS, columns, codes.PIXELS)
    if header.patient_orientation:
        row, column = map(ascii_text, header.patient_orientation)
        yield text(ACQUISITION_CONTEXT, codes.PATIENT_ORIENTATION_ROW, row)
        yield text(ACQUISITION_CONTEXT, codes.PATIENT_ORIENTATION_COLUMN, column)
    if header.spacing_mm:
        vertical, horizontal = header.spacing_mm
        yield number(ACQUISITION_CONTEXT, codes.HORIZONTAL_PIXEL_SPACING, horizontal, codes.MILLIMETER)
        yield number(ACQUISITION_CONTEXT, codes.VERTICAL_PIXEL_SPACING, vertical, codes.MILLIMETER)
    yield code(ACQUISITION_CONTEXT, codes.IMAGE_LATERALITY, codes.SIDE[header.view.laterality])
    yield code(ACQUISITION_CONTEXT, codes.IMAGE_VIEW, codes.PROJECTION[header.view.position])


def _groups(reading: Reading, headers: Mapping[View, Header], context: Context) -> Iterator[ContentItem]:
    for finding in sorted(reading.findings, key=lambda finding: (-finding.score, finding.label)):
        yield container(codes.MEASUREMENT_GROUP, _group(finding, headers[finding.view], context), template="1410")


def _group(finding: Finding, header: Header, context: Context) -> Iterator[ContentItem]:
    """TID 1410. Viewers show the first two or three measurements beside the outline."""
    outline = clamped(finding.outline, header.shape) if header.shape else finding.outline
    parameters = (
        f"operating point {context.operating_point}; route {finding.route}; "
        f"outline by {context.device.outliner(finding).software}; lengths by {header.lengths_by}"
    )
    yield text(OBSERVATION_CONTEXT, codes.TRACKING_IDENTIFIER, context.tracking.identifier(finding))
    yield uid(OBSERVATION_CONTEXT, codes.TRACKING_UNIQUE_IDENTIFIER, context.tracking.uid(finding))
    yield code(CONTAINS, codes.FINDING, codes.MASS)
    yield code(MODIFIER, codes.FINDING_SITE, codes.BREAST[finding.view.laterality])
    yield text(MODIFIER, codes.ALGORITHM_NAME, context.device.detector.name)
    yield text(MODIFIER, codes.ALGORITHM_VERSION, context.device.detector.version)
    yield text(MODIFIER, codes.ALGORITHM_PARAMETERS, ascii_text(parameters))
    yield from _measurements(finding, context.device)
    yield from grade(finding, context)
    if context.output.emit_probability:
        yield from probabilities(finding)
    yield region(simplified(outline), header.instance)


def _measurements(finding: Finding, device: Device) -> Iterator[ContentItem]:
    """Measurements; those of a segmenter's outline name the segmenter, all others belong to the group's algorithm."""
    outliner = device.outliner(finding)
    by = list(identification(outliner)) if outliner is not device.detector else []
    yield number(CONTAINS, codes.LONG_AXIS, round(finding.long_axis_mm, 1), codes.MILLIMETER, by)
    yield number(CONTAINS, codes.CERTAINTY_OF_FINDING, round(100 * finding.score, 1), codes.PERCENT)
    yield number(CONTAINS, codes.AREA, round(finding.area_mm2, 1), codes.SQUARE_MILLIMETER, by)
    if finding.nipple_distance_mm is not None:
        distance = round(finding.nipple_distance_mm, 1)
        yield number(CONTAINS, codes.DISTANCE_FROM_NIPPLE, distance, codes.MILLIMETER)
    yield from lesion_certainty(finding)


def _evaluations(exam: Exam, reading: Reading, context: Context) -> Iterator[ContentItem]:
    yield code(CONTAINS, codes.PROCESSING_SUMMARY, summary_code(reading))
    for sentence in sentences(exam, reading, output=context.output):
        yield text(CONTAINS, codes.COMMENT, sentence)
