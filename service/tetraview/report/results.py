"""From a reading to files: for each output profile the objects that its destinations get."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pydicom import Dataset

from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.domain.exam import Exam
from tetraview.domain.output import Output
from tetraview.domain.reading import Reading, ViewReading
from tetraview.domain.view import View
from tetraview.errors import ReportImpossible
from tetraview.report.cad_report import cad_report
from tetraview.report.document import Context, encode
from tetraview.report.equipment import Algorithm, Device
from tetraview.report.header import Header, read_headers
from tetraview.report.measurement_report import measurement_report
from tetraview.report.moment import Moment
from tetraview.report.presentation_state import presentation_state
from tetraview.report.secondary_capture import secondary_capture
from tetraview.report.segmentation import segmentation
from tetraview.report.tracking import Tracking
from tetraview.report.uid import Identity
from tetraview.storage.durable import sync_folder, write_file

_OfView = Callable[[ViewReading, Header, Context], Dataset]
_OfExam = Callable[[Exam, Reading, Mapping[View, Header], Context], Dataset]

#: Objects made for each view with findings.
_OF_VIEW: Mapping[ResultKind, _OfView] = {
    ResultKind.SEGMENTATION: segmentation,
    ResultKind.PRESENTATION_STATE: presentation_state,
    ResultKind.SECONDARY_CAPTURE: secondary_capture,
}
#: Objects made for each exam, even for one without findings.
_OF_EXAM: Mapping[ResultKind, _OfExam] = {
    ResultKind.MEASUREMENT_REPORT: measurement_report,
    ResultKind.CAD_REPORT: cad_report,
}
_FILE = {
    ResultKind.SEGMENTATION: "seg",
    ResultKind.MEASUREMENT_REPORT: "sr",
    ResultKind.CAD_REPORT: "cad",
    ResultKind.PRESENTATION_STATE: "pr",
    ResultKind.SECONDARY_CAPTURE: "sc",
}


def write_report(
    exam: Exam,
    reading: Reading,
    *,
    spool: Path,
    folder: Path,
    outputs: Sequence[Output],
    time_zone: str | None = None,
    predecessors: Sequence[ResultObject] = (),
) -> tuple[ResultObject, ...]:
    """Write the result objects of a reading; the same input writes the same bytes.

    Args:
        exam: the images that were read.
        reading: result of reading them; every image has its view there.
        spool: folder that the images' paths are relative to.
        folder: where the reading's previews are; each output profile's objects go into a folder of its name there.
        outputs: the output profiles.
        time_zone: zone of the site, for studies that do not state theirs.
        predecessors: results of the exam's previous generation, which these update.

    Returns:
        By output profile, in its order of kinds, and within a kind in the order of the views.

    Raises:
        ReportImpossible: reading and exam contradict each other, or no image's header can be read.
        StorageUnavailable: the spool cannot be read or the folder cannot be written.
    """
    _check(exam, reading)
    headers = read_headers(exam, spool=spool)
    utc_offset = next((header.utc_offset for header in headers.values() if header.utc_offset), None)
    moment = Moment.of(reading.started_at, utc_offset=utc_offset, time_zone=time_zone)
    written = []
    for output in outputs:
        before = tuple(result for result in predecessors if result.output == output.name)
        context = _context(exam, reading, output=output, moment=moment, previews=folder, predecessors=before)
        for kind, view, document in _documents(exam, reading, headers, context):
            written.append(_write(document, folder, kind=kind, view=view, output=output))
    sync_folder(folder.resolve())
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


def _context(
    exam: Exam,
    reading: Reading,
    *,
    output: Output,
    moment: Moment,
    previews: Path,
    predecessors: tuple[ResultObject, ...] = (),
) -> Context:
    identity = Identity.of(exam, reading, output=output, moment=moment, predecessors=predecessors)
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
        training=reading.training,
        output=output,
        tracking=Tracking.of(exam, reading, identity, scope=output.tracking_scope),
        previews=previews,
        generation=exam.generation,
        predecessors=predecessors,
    )


def _documents(
    exam: Exam, reading: Reading, headers: Mapping[View, Header], context: Context
) -> Iterator[tuple[ResultKind, View | None, Dataset]]:
    views = sorted(reading.views, key=lambda view: list(View).index(view.view))
    for kind in context.output.objects:
        if kind in _OF_EXAM:
            yield kind, None, _OF_EXAM[kind](exam, reading, headers, context)
            continue
        for view in views:
            if view.findings:
                yield kind, view.view, _OF_VIEW[kind](view, headers[view.view], context)


def _write(document: Dataset, folder: Path, *, kind: ResultKind, view: View | None, output: Output) -> ResultObject:
    name = f"{_FILE[kind]}-{view}.dcm" if view else f"{_FILE[kind]}.dcm"
    path = f"{output.name}/{name}"
    write_file(folder / path, encode(document))
    return ResultObject(
        kind=kind,
        sop_class_uid=str(document.SOPClassUID),
        sop_instance_uid=str(document.SOPInstanceUID),
        path=path,
        view=view,
        output=output.name,
        series_instance_uid=str(document.SeriesInstanceUID),
    )
