"""One received SOP instance and what was decided about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tetraview.domain.view import View


class Decision(StrEnum):
    """Why an image is read, or why not; the value is the reason code people see."""

    READ = "READ"
    OWN_RESULT = "OWN_RESULT"
    NOT_MAMMOGRAPHY = "NOT_MAMMOGRAPHY"
    FOR_PROCESSING = "FOR_PROCESSING"
    TOMOSYNTHESIS = "TOMOSYNTHESIS"
    NOT_PRIMARY = "NOT_PRIMARY"
    NO_LATERALITY = "NO_LATERALITY"
    NOT_STANDARD_VIEW = "NOT_STANDARD_VIEW"
    EXTRA_VIEW = "EXTRA_VIEW"
    IMPLANT = "IMPLANT"
    NO_SPACING = "NO_SPACING"
    NO_PIXELS = "NO_PIXELS"


@dataclass(frozen=True, kw_only=True)
class Eligibility:
    """Whether and as which view an image is read (an image is kept either way)."""

    decision: Decision
    #: The slot it can fill; None unless the decision is READ.
    view: View | None = None
    #: Attribute and value that decided, for example ``ImplantPresent (0028,1300) = YES``; no patient data.
    because: str = ""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A stored SOP instance: its bytes are on stable storage before one of these exists."""

    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str
    #: SHA-256 of the data set as received, without file meta information.
    sha256: str
    #: Length of the data set in bytes.
    size: int
    #: File in the spool, relative to it; named after our own digest, never after a UID.
    path: str
    #: When the instance was accepted, UTC.
    received_at: datetime
    eligibility: Eligibility


class Recorded(StrEnum):
    """How a received instance relates to what the ledger holds under its SOP Instance UID."""

    NEW = "new"
    #: The same bytes again.
    SAME = "same"
    #: Other bytes from the same sender: a new version.
    CHANGED = "changed"
    #: Other bytes from another sender: not kept.
    CONFLICT = "conflict"
