"""The composite objects that we make, kind by kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydicom import uid

from tetraview.domain.delivery import ResultKind


@dataclass(frozen=True, kw_only=True)
class Made:
    """A kind of object."""

    #: Description in a few words.
    what: str
    sop_classes: tuple[uid.UID, ...]
    #: Modality (0008,0060).
    modality: str
    #: Series Number (0020,0011), in words.
    series_number: str
    #: When there is one.
    when: str
    #: Where its content is defined.
    defined_by: str


MADE: Mapping[ResultKind, Made] = {
    ResultKind.CAD_REPORT: Made(
        what="Mammography CAD report of an exam",
        sop_classes=(uid.MammographyCADSRStorage,),
        modality="SR",
        series_number="9003",
        when="always, also without findings or where views failed",
        defined_by=(
            "PS3.16 TID 4000, 4001, 4003 to 4006, 4015 to 4021 and 4108 (not extended); "
            "relationships by reference to the image library"
        ),
    ),
    ResultKind.MEASUREMENT_REPORT: Made(
        what="measurement report of an exam",
        sop_classes=(uid.ComprehensiveSRStorage, uid.Comprehensive3DSRStorage),
        modality="SR",
        series_number="9002",
        when="always, also without findings or where views failed",
        defined_by=(
            "PS3.16 TID 1500, 1204, 1002, 1004, 1600, 1602, 1603, 1410, 4019; extended by comments and by the CAD "
            "Processing and Findings Summary under Qualitative Evaluations"
        ),
    ),
    ResultKind.SEGMENTATION: Made(
        what="masks of the masses of one image, BINARY, one segment each, disjoint",
        sop_classes=(uid.SegmentationStorage,),
        modality="SEG",
        series_number="9100 R-CC, 9101 L-CC, 9102 R-MLO, 9103 L-MLO",
        when="for each image with findings, in a series of its own",
        defined_by="PS3.3 A.51; plane groups as the output profile says",
    ),
    ResultKind.PRESENTATION_STATE: Made(
        what="outlines and labels to be drawn on one image",
        sop_classes=(uid.GrayscaleSoftcopyPresentationStateStorage,),
        modality="PR",
        series_number="9004",
        when="for each image with findings, in a series of its own",
        defined_by="PS3.3 A.33.1; graphics in units of pixels in one layer",
    ),
    ResultKind.SECONDARY_CAPTURE: Made(
        what="picture of one image with outlines and labels burned in, 8 bits, RGB",
        sop_classes=(uid.SecondaryCaptureImageStorage,),
        modality="OT",
        series_number="9005",
        when="for each image with findings",
        defined_by="PS3.3 A.8.1; for viewers that show nothing else, not for diagnosis",
    ),
}
