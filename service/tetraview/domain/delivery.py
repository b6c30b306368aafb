"""Result objects and their way to each destination."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tetraview.domain.view import View


class ResultKind(StrEnum):
    """Kind of a result object, under the name that people use."""

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
    """State of one object at one destination."""

    PENDING = "pending"
    #: Stored there; a destination that commits has yet to say that it keeps it.
    DELIVERED = "delivered"
    #: The destination has taken responsibility for it (storage commitment).
    COMMITTED = "committed"
    #: Dead letter: refused for good, a person decides.
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class DeliveryKey:
    """Which object, to whom, and in which round."""

    exam_id: str
    generation: int
    destination: str
    sop_instance_uid: str
    #: How often it was queued again, by a person or because it was not committed.
    round: int = 0

    @property
    def workflow_id(self) -> str:
        """Another one in each round; that of the first names no round."""
        first = f"{self.exam_id}-{self.generation}-{self.destination}-{self.sop_instance_uid}"
        return f"{first}-{self.round}" if self.round else first


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
    #: How often it was queued again, by a person or because it was not committed.
    round: int = 0
    #: How often it was sent again because it was not committed, since a person last asked for it.
    renewals: int = 0
    #: When it is sent again unless it is committed by then; None where nobody waits for that.
    commit_by: datetime | None = None

    @property
    def key(self) -> DeliveryKey:
        """Which it is."""
        return DeliveryKey(
            exam_id=self.exam_id,
            generation=self.generation,
            destination=self.destination,
            sop_instance_uid=self.result.sop_instance_uid,
            round=self.round,
        )

    @property
    def is_open(self) -> bool:
        """Whether something is still to come."""
        return self.state is DeliveryState.PENDING or (
            self.state is DeliveryState.DELIVERED and self.commit_by is not None
        )
