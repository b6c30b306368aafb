"""From a reading to files: a Segmentation for each view with findings, and always one measurement report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydicom import Dataset

from tetraview import settings
from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.domain.exam import Exam
from tetraview.domain.reading import Reading
from tetraview.domain.view import View
from tetraview.durable import write_file
from tetraview.errors import ReportImpossible
from tetraview.report.document import Context, encode
from tetraview.report.equipment import Algorithm, Device
from tetraview.report.header import Header, read_headers
from tetraview.report.measurement_report import measurement_report
from tetraview.report.moment import Moment
from tetraview.report.segmentation import segmentation
from tetraview.report.uid import Identity


def write_report(
    exam: Exam, reading: Reading, *, spool: Path, folder: Path, settings: settings.Report
) -> tuple[ResultObject, ...]:
    """Write the result objects of a reading; the same input writes the same bytes.

    Args:
        exam: the images that were read.
        reading: what was read in them; every image has its view there.
        spool: folder that the images' paths are relative to.
        folder: where the results go; created if need be.
        settings: what the results look like.

    Returns:
        The Segmentations in the order of the views, then the report.

    Raises:
        ReportImpossible: reading and exam contradict each other, or no image's header can be read.
        StorageUnavailable: the spool cannot be read or the folder cannot be written.
    """
    _check(exam, reading)
    headers = read_headers(exam, spool=spool)
    context = _context(exam, reading, headers, report=settings)
    written = [
        _write(document, folder, view=view)
        for view, document in _documents(exam, reading, headers, context, report=settings)
    ]
    return tuple(written)


def _check(exam: Exam, reading: Reading) -> None:
    """A view that was lost on the way must never look like a view without findings."""
    read = {view.view: view.sop_instance_uid for view in reading.views}
    images = {view: image.sop_instance_uid for view, image in exam.images.items()}
    if read != images or len(reading.views) != len(images):
        raise ReportImpossible(f"exam {exam.exam_id}: the reading is not of the exam's images")
    for view in reading.views:
        if (view.failure is None) != (view.route is not None) or (view.failure is not None and view.findings):
            raise ReportImpossible(f"exam {exam.exam_id}, {view.view}: the view was neither read nor did it fail")
        if any(finding.view is not view.view for finding in view.findings):
            raise ReportImpossible(f"exam {exam.exam_id}, {view.view}: a finding of another view is among its findings")


def _context(exam: Exam, reading: Reading, headers: Mapping[View, Header], *, report: settings.Report) -> Context:
    utc_offset = next((header.utc_offset for header in headers.values() if header.utc_offset), None)
    moment = Moment.of(reading.started_at, utc_offset=utc_offset)
    identity = Identity.of(exam, reading, report=report, moment=moment)
    device = Device(
        detector=Algorithm(model=reading.model),
        segmenter=Algorithm(model=reading.segmenter) if reading.segmenter else None,
        classifier=Algorithm(model=reading.classifier) if reading.classifier else None,
        uid=identity.device_uid,
    )
    return Context(
        device=device,
        identity=identity,
        moment=moment,
        operating_point=reading.operating_point,
        report=report,
        generation=exam.generation,
    )


def _documents(
    exam: Exam, reading: Reading, headers: Mapping[View, Header], context: Context, *, report: settings.Report
) -> Iterator[tuple[View | None, Dataset]]:
    for view in sorted(reading.views, key=lambda view: list(View).index(view.view)):
        if view.findings:
            yield view.view, segmentation(view, headers[view.view], context, report=report)
    yield None, measurement_report(exam, reading, headers, context)


def _write(document: Dataset, folder: Path, *, view: View | None) -> ResultObject:
    name = f"seg-{view}.dcm" if view else "sr.dcm"
    write_file(folder / name, encode(document))
    return ResultObject(
        kind=ResultKind.SEGMENTATION if view else ResultKind.STRUCTURED_REPORT,
        sop_class_uid=str(document.SOPClassUID),
        sop_instance_uid=str(document.SOPInstanceUID),
        path=name,
        view=view,
    )
