"""The Secondary Capture of one view: a picture with outlines and labels, for viewers that show nothing else."""

from __future__ import annotations

import hashlib
import textwrap

import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from tetraview.domain.delivery import ResultKind
from tetraview.domain.geometry import Affine, Box
from tetraview.domain.product import MANUFACTURER
from tetraview.domain.reading import ViewReading
from tetraview.domain.view import View
from tetraview.errors import ReportImpossible
from tetraview.report import codes
from tetraview.report.document import Context, finish
from tetraview.report.drawing import AMBER, Sheet, read_preview
from tetraview.report.equipment import MODEL_NAME, concept
from tetraview.report.header import Header
from tetraview.report.labels import label_of

_SERIES_NUMBER = 9005
_DERIVATION = "Reduced to 8 bits, with outlines and labels of findings by software burned in"
_LINE_HEIGHT = 28
_MARGIN = 12


def secondary_capture(view: ViewReading, header: Header, context: Context) -> Dataset:
    """A Secondary Capture Image (PS3.3 A.8.1) in RGB: the view's preview with its findings, and a statement below it.

    Pixels are native, because not every archive takes RLE. The pictures of an exam are one series.

    Args:
        view: the reading of the image, with at least one finding.
        header: the image.
        context: facts that all results of the reading share.

    Raises:
        ReportImpossible: the view's preview is gone.
    """
    preview = read_preview(view, folder=context.previews)
    if preview is None:
        raise ReportImpossible(f"{view.view}: the preview for a picture is gone: send the images again")
    pixels = _picture(view, preview, context)
    # Other results do not depend on the preview, so no other UID does.
    picture = hashlib.sha256(pixels.tobytes()).hexdigest()
    source = header.instance.sop_instance_uid
    document = SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        # A placeholder: highdicom does not know all values that images have.
        patient_orientation=("L", "F"),
        study_instance_uid=header.instance.study_instance_uid,
        series_instance_uid=context.identity.series_uid(ResultKind.SECONDARY_CAPTURE),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=context.identity.instance_uid(ResultKind.SECONDARY_CAPTURE, source, picture=picture),
        instance_number=len(View) * (context.generation - 1) + list(View).index(view.view) + 1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        device_serial_number=context.device.serial_number,
        series_description="AI mass overlay, research only",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    _complete(document, header, context)
    return finish(document, header, context)


def _picture(view: ViewReading, preview: NDArray[np.uint8], context: Context) -> NDArray[np.uint8]:
    """The preview with a band under it, so that the statement hides nothing; uint8 [rows, columns, 3], RGB."""
    rows, columns = preview.shape
    lines = _lines(f"{view.view}: AI, not for diagnosis. {context.research_only}.", width=columns - 2 * _MARGIN)
    sheet = Sheet(width=columns, height=rows + _LINE_HEIGHT * len(lines) + _MARGIN)
    sheet.paste(preview, Affine.scale(1, 1))
    texts = [label_of(finding, graded=context.output.emit_malignancy) for finding in view.findings]
    to_sheet = Affine.scale(view.preview_scale, view.preview_scale)
    sheet.findings(view.findings, texts, to_sheet, place=Box(0, 0, columns, rows))
    for number, line in enumerate(lines, start=1):
        sheet.write(line, (_MARGIN, rows + _LINE_HEIGHT * number), colour=AMBER)
    return np.ascontiguousarray(sheet.pixels[..., ::-1])


def _lines(text: str, *, width: int) -> list[str]:
    characters = len(text) * width / Sheet(width=1, height=1).width_of(text)
    return textwrap.wrap(text, max(int(characters), 1))


def _complete(document: Dataset, header: Header, context: Context) -> None:
    for element in header.compression:
        document.add(element)
    document.PatientOrientation = list(header.patient_orientation) if header.patient_orientation else None
    document.ImageLaterality = header.view.laterality.value
    document.ConversionType = "WSD"
    document.BurnedInAnnotation = "YES"
    document.DerivationDescription = _DERIVATION
    document.SourceImageSequence = [_source(header)]
    document.DateOfSecondaryCapture, document.TimeOfSecondaryCapture = context.moment.date, context.moment.time


def _source(header: Header) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.instance.sop_class_uid
    item.ReferencedSOPInstanceUID = header.instance.sop_instance_uid
    item.SpatialLocationsPreserved = "NO"
    item.PurposeOfReferenceCodeSequence = [concept(codes.PROCESSED_IMAGE)]
    return item
