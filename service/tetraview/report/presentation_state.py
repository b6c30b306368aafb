"""The presentation state of one view: outlines and scores that a workstation draws over the image itself."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import numpy as np
from highdicom.color import CIELabColor
from highdicom.pr import (
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GrayscaleSoftcopyPresentationState,
    TextObject,
)
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from tetraview.domain.delivery import ResultKind
from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Box
from tetraview.domain.product import MANUFACTURER
from tetraview.domain.reading import ViewReading
from tetraview.report.document import Context, finish
from tetraview.report.equipment import MODEL_NAME
from tetraview.report.header import Header
from tetraview.report.labels import label_of, place_labels
from tetraview.report.outline import clamped, simplified
from tetraview.report.text import ascii_text

_SERIES_NUMBER = 9004
_ORANGE = CIELabColor(67.0, 43.0, 74.0)
#: Height of a line and width of a character, text sizes; fonts are the viewer's, so this is a guess.
_LINE, _CHARACTER = 1.3, 0.6
#: Characters in a line as wide as the image.
_CHARACTERS = 68


def presentation_state(view: ViewReading, header: Header, context: Context) -> Dataset:
    """A Grayscale Softcopy Presentation State (PS3.3 A.33.1) of the whole image with its findings.

    Graphics are in units of PIXEL: column and row from the corner of the first pixel (PS3.3 C.10.5.1.2), as in the
    measurement report. The image's own grey scale is used. Each image has its own series, because Laterality is an
    attribute of the series.

    Args:
        view: the reading of the image, with at least one finding.
        header: the image.
        context: facts that all results of the reading share.

    Raises:
        ReportImpossible: the image does not state its size.
    """
    rows, columns = header.grid
    image = header.skeleton
    image.Rows, image.Columns, image.SamplesPerPixel = rows, columns, 1
    findings = sorted(view.findings, key=lambda finding: finding.score, reverse=True)
    layer = GraphicLayer("AI_MASS", order=1, description="Masses found by software", display_color=_ORANGE)
    # For viewers that cannot colour, white on the greys.
    layer.GraphicLayerRecommendedDisplayGrayscaleValue = 0xFFFF
    annotation = GraphicAnnotation(
        referenced_images=[image],
        graphic_layer=layer,
        graphic_objects=[_outline(finding, header, context) for finding in findings],
        text_objects=list(_texts(findings, header, context)),
    )
    source = header.instance.sop_instance_uid
    document = GrayscaleSoftcopyPresentationState(
        referenced_images=[image],
        series_instance_uid=context.identity.series_uid(ResultKind.PRESENTATION_STATE, source),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=context.identity.instance_uid(ResultKind.PRESENTATION_STATE, source),
        instance_number=context.generation,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions=context.device.software,
        device_serial_number=context.device.serial_number,
        content_label="AI_MASS",
        content_description="Masses found by software, research only",
        content_creator_name="",
        graphic_annotations=[annotation],
        graphic_layers=[layer],
        series_description=f"AI mass PR {view.view.replace('-', ' ')}, research only",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    finish(document, header, context)
    _complete(document, header, context)
    return document


def _complete(document: Dataset, header: Header, context: Context) -> None:
    document.update(header.grey_scale)
    # A presentation state calls its content's date and time by other names.
    del document.ContentDate, document.ContentTime
    document.PresentationCreationDate, document.PresentationCreationTime = context.moment.date, context.moment.time
    document.Laterality = header.view.laterality.value
    if header.spacing_mm:
        # How much higher than wide a pixel is shown.
        (area,) = document.DisplayedAreaSelectionSequence
        del area.PresentationPixelAspectRatio
        area.PresentationPixelSpacing = [f"{side:.6g}" for side in header.spacing_mm]


def _outline(finding: Finding, header: Header, context: Context) -> GraphicObject:
    outline = simplified(clamped(finding.outline, header.grid))
    return GraphicObject(
        graphic_type="POLYLINE",
        graphic_data=np.asarray([*outline, outline[0]]).round(2),
        units="PIXEL",
        tracking_id=context.tracking.identifier(finding),
        tracking_uid=context.tracking.uid(finding),
    )


def _texts(findings: Sequence[Finding], header: Header, context: Context) -> Iterator[TextObject]:
    """A label for each finding, and the statement along the lower edge, where no label goes."""
    rows, columns = header.grid
    size = min(columns / (_CHARACTER * _CHARACTERS), rows / 4)
    lines = textwrap.wrap(context.research_only, _CHARACTERS)
    labels = [ascii_text(label_of(finding, graded=context.output.emit_malignancy)) for finding in findings]
    floor = max(rows - _LINE * size * len(lines), 1.0)
    boxes = place_labels(
        [finding.box for finding in findings],
        widths=[min(_CHARACTER * size * len(label), columns) for label in labels],
        text=size,
        size=(columns, floor),
    )
    for label, box in zip(labels, boxes, strict=True):
        yield _text(label, box, header)
    height = (rows - floor) / len(lines)
    for number, line in enumerate(lines):
        yield _text(line, Box(0, floor + number * height, columns, floor + (number + 1) * height), header)


def _text(text: str, box: Box, header: Header) -> TextObject:
    (left, top), _, (right, bottom), _ = clamped(box.corners, header.grid)
    edges = round(left, 2), round(top, 2), round(right, 2), round(bottom, 2)
    return TextObject(text, units="PIXEL", bounding_box=edges, text_justification="CENTER")
