"""A screening exam: the images of one study sent to one of our AE titles."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tetraview.domain.instance import Instance
from tetraview.domain.view import View


def exam_id_of(*, called_ae_title: str, study_instance_uid: str) -> str:
    """An opaque identifier, 16 hex digits, safe in URLs and logs: it cannot be turned back into the study UID."""
    return hashlib.sha256(f"{called_ae_title}\n{study_instance_uid}".encode()).hexdigest()[:16]


class ExamState(StrEnum):
    """Where an exam is on its way."""

    COLLECTING = "collecting"
    READING = "reading"
    DELIVERING = "delivering"
    DONE = "done"
    #: Received, but not read: it holds no image that is, or not those that a policy asks for.
    SKIPPED = "skipped"
    #: Not read because its images contradict each other about whose they are.
    HELD = "held"
    FAILED = "failed"


class ExamEnd(StrEnum):
    """How an exam came to an end; one that is sent or asked for again may do so more than once."""

    #: Every destination has what it was owed.
    DELIVERED = "delivered"
    #: A destination refused a result.
    REFUSED = "refused"
    #: It could not be read, or no result could be made.
    FAILED = "failed"
    SKIPPED = "skipped"
    HELD = "held"


class Remark(StrEnum):
    """Special circumstance of an exam as a whole; the value is the code that people see."""

    #: One breast has images, the other none: not the same as a transfer that was cut short.
    UNILATERAL = "UNILATERAL"
    INCOMPLETE = "INCOMPLETE"
    #: A view came as several images of parts of the breast.
    MOSAIC = "MOSAIC"
    #: The policy of the AE title called asks for views that did not come.
    REQUIRES_MORE = "REQUIRES_MORE"
    #: Tomosynthesis only.
    NO_2D = "NO_2D"
    #: Nothing of it is read.
    NO_IMAGE = "NO_IMAGE"
    #: Its images name more than one patient, order or day.
    IDENTITY_DIFFERS = "IDENTITY_DIFFERS"


@dataclass(frozen=True, kw_only=True)
class Exam:
    """The choice of images that one generation of an exam is read from."""

    exam_id: str
    #: 1 for the first reading; a later image that changes the choice opens the next one.
    generation: int
    #: One image per slot, 1 to 4 of them.
    images: Mapping[View, Instance]
    #: When the choice was made, UTC; the Content Date and Time of every result.
    settled_at: datetime
    #: Reason code of each slot that has an image, but none that is read.
    unread: Mapping[View, str] = field(default_factory=dict)

    @property
    def called_ae_title(self) -> str:
        """Our AE title that the images were sent to; the ledger keeps those of others apart."""
        return next(iter(self.images.values())).called_ae_title

    @property
    def missing(self) -> tuple[View, ...]:
        """The slots without an image."""
        return tuple(view for view in View if view not in self.images)
