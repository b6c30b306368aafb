"""A screening exam: the images of one study sent to one of our AE titles."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
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
    #: Received, but holds no image that is read.
    SKIPPED = "skipped"
    FAILED = "failed"


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

    @property
    def called_ae_title(self) -> str:
        """Our AE title that the images were sent to; the ledger keeps those of others apart."""
        return next(iter(self.images.values())).called_ae_title

    @property
    def missing(self) -> tuple[View, ...]:
        """The slots without an image."""
        return tuple(view for view in View if view not in self.images)
