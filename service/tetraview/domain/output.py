"""Output profiles: which result objects a destination gets, and in which form its viewers can read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tetraview.domain.delivery import ResultKind


class SegmentationGeometry(StrEnum):
    """Plane groups of a Segmentation, whose source has no Frame of Reference (PS3.3 A.51.5)."""

    #: No plane groups, as the standard asks.
    NONE = "none"
    #: Plane Orientation and Pixel Measures only: a workaround that OHIF needs, though nothing in them is patient space.
    ORIENTATION_ONLY = "orientation_only"
    #: A made-up plane in a Frame of Reference of its own: a workaround that 3D Slicer needs. As `none` for an image
    #: that does not state how large its pixels are.
    SYNTHETIC_PLANE = "synthetic_plane"


class ReportClass(StrEnum):
    """SOP Class of the measurement report."""

    #: Comprehensive SR.
    COMPREHENSIVE = "comprehensive"
    #: Comprehensive 3D SR, which IHE AI Results asks for.
    COMPREHENSIVE_3D = "comprehensive_3d"


class CodingScheme(StrEnum):
    """How the Mammography CAD SR writes codes of SNOMED."""

    SCT = "SCT"
    #: SNOMED-RT style, which old workstations compare.
    SRT = "SRT"


class TrackingScope(StrEnum):
    """Findings that share a Tracking UID in the measurement report and the Segmentations."""

    #: Each view's finding has its own UID: viewers merge findings with the same UID and then draw only one outline.
    VIEW = "view"
    #: The findings of one lesion in both views share one.
    LESION = "lesion"


@dataclass(frozen=True, kw_only=True)
class Output:
    """Objects sent to a destination, and their form."""

    name: str
    #: Kinds of objects; Segmentations, Presentation States and Secondary Captures only of views with findings.
    objects: tuple[ResultKind, ...]
    report_class: ReportClass = ReportClass.COMPREHENSIVE
    seg_geometry: SegmentationGeometry = SegmentationGeometry.NONE
    coding_scheme: CodingScheme = CodingScheme.SCT
    tracking_scope: TrackingScope = TrackingScope.VIEW
    #: Write malignancy score and estimated suspicion level of every finding.
    emit_malignancy: bool = True
    #: Write the BI-RADS category nearest to the classifier's estimate.
    emit_birads: bool = False
    #: Write calibrated scores as probabilities.
    emit_probability: bool = False

    def form_of(self, kind: ResultKind) -> Mapping[str, str | bool]:
        """All settings that shape the bytes of objects of a kind, at every destination."""
        return {name: getattr(self, name) for name in _SHAPED_BY[kind]}


_SHAPED_BY: Mapping[ResultKind, tuple[str, ...]] = {
    ResultKind.SEGMENTATION: ("seg_geometry", "tracking_scope"),
    ResultKind.MEASUREMENT_REPORT: (
        "report_class",
        "tracking_scope",
        "emit_malignancy",
        "emit_birads",
        "emit_probability",
    ),
    ResultKind.CAD_REPORT: ("coding_scheme", "tracking_scope", "emit_probability"),
    ResultKind.PRESENTATION_STATE: ("tracking_scope", "emit_malignancy"),
    ResultKind.SECONDARY_CAPTURE: ("emit_malignancy",),
}


_ALL_READABLE = (ResultKind.SEGMENTATION, ResultKind.MEASUREMENT_REPORT, ResultKind.CAD_REPORT)
_MEASURED = (ResultKind.SEGMENTATION, ResultKind.MEASUREMENT_REPORT)
#: The name of the output that a destination gets unless something else is said for it.
DEFAULT_OUTPUT = "pacs"
#: Output profiles that need no section in the settings.
OUTPUTS: Mapping[str, Output] = {
    output.name: output
    for output in (
        Output(name="pacs", objects=_ALL_READABLE, seg_geometry=SegmentationGeometry.ORIENTATION_ONLY),
        Output(name="workstation", objects=(ResultKind.CAD_REPORT,)),
        Output(name="ohif", objects=_MEASURED, seg_geometry=SegmentationGeometry.ORIENTATION_ONLY),
        Output(name="slicer", objects=_MEASURED, seg_geometry=SegmentationGeometry.SYNTHETIC_PLANE),
        Output(
            name="air",
            objects=_MEASURED,
            report_class=ReportClass.COMPREHENSIVE_3D,
            tracking_scope=TrackingScope.LESION,
        ),
    )
}
