"""The Segmentation of one view: a mask for each mass on the source image's own pixel grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom.color import CIELabColor
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from tetraview.domain.delivery import ResultKind
from tetraview.domain.finding import Finding
from tetraview.domain.output import SegmentationGeometry
from tetraview.domain.product import MANUFACTURER
from tetraview.domain.reading import ViewReading
from tetraview.report import codes
from tetraview.report.document import Context, finish
from tetraview.report.equipment import MODEL_NAME
from tetraview.report.header import Header
from tetraview.report.outline import clamped, paint
from tetraview.report.text import ascii_text

#: Series Number of the first view; each image has its own series.
_SERIES_NUMBER = {"R-CC": 9100, "L-CC": 9101, "R-MLO": 9102, "L-MLO": 9103}
#: Content Description holds 64 characters; the whole statement stands with every segment.
_DESCRIPTION = "Research software, not for clinical use"
#: Along rows and down columns, in a space that is the image's own.
_ORIENTATION = [1, 0, 0, 0, 1, 0]
_ORANGE = CIELabColor(67.0, 43.0, 74.0)


def segmentation(view: ViewReading, header: Header, context: Context) -> Dataset:
    """A BINARY Segmentation (PS3.3 A.51) with one segment for each finding.

    The source has no Frame of Reference, so each pixel corresponds to a pixel of the source image (A.51.5); the output
    profile may add a plane for viewers that need one. Masks are disjoint, the higher score wins: some viewers refuse
    segments that overlap.

    Args:
        view: the reading of the image, with at least one finding.
        header: the image.
        context: facts that all results of the reading share.

    Raises:
        ReportImpossible: the image does not state its size.
    """
    findings = sorted(view.findings, key=lambda finding: finding.score, reverse=True)
    mask, visible = _label_mask(findings, header)
    source = header.instance.sop_instance_uid
    document = Segmentation(
        source_images=[_source_image(header, context)],
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[
            _segment(number, finding, header, context) for number, finding in enumerate(visible, start=1)
        ],
        series_instance_uid=context.identity.series_uid(ResultKind.SEGMENTATION, source),
        series_number=_SERIES_NUMBER[view.view],
        sop_instance_uid=context.identity.instance_uid(ResultKind.SEGMENTATION, source),
        instance_number=context.generation,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions=context.device.software,
        device_serial_number=context.device.serial_number,
        content_label="CAD_MASS",
        content_description=_DESCRIPTION,
        content_creator_name="",
        series_description=f"AI mass SEG {view.view.replace('-', ' ')}, research only",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    _complete(document, header, context)
    return finish(document, header, context)


def _source_image(header: Header, context: Context) -> Dataset:
    """The source image as highdicom gets it, in a made-up plane where that is asked for and pixels have a size."""
    image = header.skeleton
    if context.output.seg_geometry is SegmentationGeometry.SYNTHETIC_PLANE and header.spacing_mm:
        # A workaround: 3D Slicer places a Segmentation by a plane, though this one is nowhere in the patient.
        image.FrameOfReferenceUID = context.identity.frame_of_reference_uid(header.instance.sop_instance_uid)
        image.ImageOrientationPatient, image.ImagePositionPatient = _ORIENTATION, [0, 0, 0]
        image.PixelSpacing, image.SliceThickness = list(header.spacing_mm), 1
    return image


def _label_mask(findings: Sequence[Finding], header: Header) -> tuple[NDArray[np.uint8], list[Finding]]:
    """Segment numbers by pixel, (rows, columns), and the findings that have any, in the order of their numbers."""
    mask = np.zeros(header.grid, dtype=np.uint8)
    for label, finding in reversed(list(enumerate(findings, start=1))):
        paint(mask, clamped(finding.outline, header.grid), label=label)
    labels = [label for label in np.flatnonzero(np.bincount(mask.ravel())).tolist() if label]
    numbers = np.zeros(len(findings) + 1, dtype=np.uint8)
    numbers[labels] = np.arange(1, len(labels) + 1)
    return numbers[mask], [findings[label - 1] for label in labels]


def _segment(number: int, finding: Finding, header: Header, context: Context) -> SegmentDescription:
    outliner = context.device.outliner(finding)
    description = SegmentDescription(
        segment_number=number,
        segment_label=f"Mass {finding.label}",
        segmented_property_category=codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
        segmented_property_type=codes.MASS,
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=outliner.name,
            family=codes.ARTIFICIAL_INTELLIGENCE,
            version=outliner.version,
            source=MANUFACTURER,
        ),
        tracking_uid=context.tracking.uid(finding),
        tracking_id=context.tracking.identifier(finding),
        anatomic_regions=[codes.BREAST[header.view.laterality]],
        display_color=_ORANGE,
    )
    description.SegmentDescription = ascii_text(
        f"{context.research_only}; operating point {context.operating_point}; route {finding.route}"
    )
    return description


def _complete(document: Segmentation, header: Header, context: Context) -> None:
    document.PatientOrientation = list(header.patient_orientation) if header.patient_orientation else None
    dimension_uid = context.identity.dimension_uid(header.instance.sop_instance_uid)
    for item in (*document.DimensionOrganizationSequence, *document.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimension_uid
    if context.output.seg_geometry is SegmentationGeometry.ORIENTATION_ONLY:
        # A workaround: OHIF cannot load a Segmentation without these groups, though nothing in them is patient space.
        shared = document.SharedFunctionalGroupsSequence[0]
        orientation, measures = Dataset(), Dataset()
        orientation.ImageOrientationPatient = _ORIENTATION
        shared.PlaneOrientationSequence = [orientation]
        if header.spacing_mm:
            measures.PixelSpacing = list(header.spacing_mm)
            shared.PixelMeasuresSequence = [measures]
