"""Result objects and their way to each destination."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tetraview.domain.view import View


class ResultKind(StrEnum):
    """What kind of object a result is, as people call it."""

    #: Segmentation of one view.
    SEGMENTATION = "SEG"
    #: Comprehensive SR by TID 1500.
    MEASUREMENT_REPORT = "SR"
    #: Mammography CAD SR.
    CAD_REPORT = "CAD SR"
    #: Grayscale Softcopy Presentation State of one view.
    PRESENTATION_STATE = "PR"
    #: Secondary Capture of one view with its findings drawn.
    SECONDARY_CAPTURE = "SC"


@dataclass(frozen=True, kw_only=True)
class ResultObject:
    """One DICOM file that we made."""

    kind: ResultKind
    sop_class_uid: str
    sop_instance_uid: str
    #: Relative to the reading's folder.
    path: str
    #: The view it is about; None for the reports, which are about the exam.
    view: View | None = None
    #: Name of the output profile that it is part of.
    output: str = ""
    #: Empty where a version of the service made it that did not keep it.
    series_instance_uid: str = ""


class DeliveryState(StrEnum):
    """What became of one object at one destination."""

    PENDING = "pending"
    DELIVERED = "delivered"
    #: Dead letter: refused for good, a person decides.
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One result object on its way to one destination."""

    exam_id: str
    generation: int
    destination: str
    result: ResultObject
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    #: The last answer in words, for example ``0xA700 out of resources``.
    detail: str = ""
