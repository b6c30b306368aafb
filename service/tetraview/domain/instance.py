"""One received SOP instance and the decision about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tetraview.domain.view import View


class Decision(StrEnum):
    """Why an image is read, or why not; the value is the reason code that people see."""

    READ = "READ"
    #: Made by this software.
    OWN_RESULT = "OWN_RESULT"
    #: A report, segmentation, presentation state, secondary capture or key object selection, whoever made it.
    RESULT_OBJECT = "RESULT_OBJECT"
    NOT_MAMMOGRAPHY = "NOT_MAMMOGRAPHY"
    FOR_PROCESSING = "FOR_PROCESSING"
    FOR_PRESENTATION = "FOR_PRESENTATION"
    TOMOSYNTHESIS = "TOMOSYNTHESIS"
    #: Made from other images for another purpose.
    NOT_PRIMARY = "NOT_PRIMARY"
    #: Belongs to a biopsy or to marking for one.
    BIOPSY = "BIOPSY"
    #: Belongs to a contrast acquisition.
    CONTRAST = "CONTRAST"
    #: Two-dimensional, but computed from a tomosynthesis.
    SYNTHETIC = "SYNTHETIC"
    QUALITY_CONTROL = "QUALITY_CONTROL"
    BURNED_IN = "BURNED_IN"
    LOSSY = "LOSSY"
    SPECIMEN = "SPECIMEN"
    NO_LATERALITY = "NO_LATERALITY"
    #: Attributes disagree about the side.
    LATERALITY_CONTRADICTION = "LATERALITY_CONTRADICTION"
    #: It cannot be told whether the image is CC or MLO.
    NOT_STANDARD_VIEW = "NOT_STANDARD_VIEW"
    #: Another projection, or a standard one by another technique.
    EXTRA_VIEW = "EXTRA_VIEW"
    IMPLANT = "IMPLANT"
    NO_SPACING = "NO_SPACING"
    NO_PIXELS = "NO_PIXELS"
    DEVICE_NOT_VALIDATED = "DEVICE_NOT_VALIDATED"
    #: Belongs to a diagnostic exam, where only screening is read.
    DIAGNOSTIC = "DIAGNOSTIC"
    #: Another image of the exam fills the slot.
    NOT_CHOSEN = "NOT_CHOSEN"
    #: One of several partial images of one slot.
    MOSAIC = "MOSAIC"
    #: It would be read, but its exam is held or skipped.
    EXAM_NOT_READ = "EXAM_NOT_READ"


#: Objects that are kept and shown with an exam but are not images of it.
NOTED = frozenset({Decision.OWN_RESULT, Decision.RESULT_OBJECT, Decision.NOT_MAMMOGRAPHY})


class Flag(StrEnum):
    """A remark that people should see with an image, whether it is read or not."""

    BURNED_IN = "BURNED_IN"
    LOSSY = "LOSSY"
    #: View code and view string disagree; the code counts.
    VIEW_CONTRADICTION = "VIEW_CONTRADICTION"
    #: The low-energy image of a contrast acquisition.
    LOW_ENERGY = "LOW_ENERGY"
    SYNTHETIC = "SYNTHETIC"
    IMPLANT = "IMPLANT"
    #: The models were not validated on the device.
    DEVICE_NOT_VALIDATED = "DEVICE_NOT_VALIDATED"
    #: Nothing says whether the exam is for screening or diagnosis.
    PURPOSE_UNKNOWN = "PURPOSE_UNKNOWN"
    #: Shows a part of the breast (Partial View (0028,1350)).
    PARTIAL = "PARTIAL"
    NIPPLE_IN_PROFILE = "NIPPLE_IN_PROFILE"


@dataclass(frozen=True, kw_only=True)
class Eligibility:
    """Whether and as which view an image is read (an image is kept either way)."""

    decision: Decision
    #: The slot it can fill; None unless the decision is READ.
    view: View | None = None
    #: The standard view that it shows, read or not; None where that cannot be told.
    shows: View | None = None
    #: Attribute and value that decided, for example ``BreastImplantPresent (0028,1300) = YES``; no patient data.
    because: str = ""
    #: Coded remarks, in the order of `Flag`.
    flags: tuple[str, ...] = ()
    #: Computed from a tomosynthesis rather than exposed.
    synthetic: bool = False
    #: Taken with the implant pushed back (Eklund).
    displaced: bool = False
    #: Shows a part of the breast, to be seen together with other images of the view.
    partial: bool = False
    #: Imaged area in mm²; 0 where it is unknown.
    field_mm2: float = 0.0
    #: When it was acquired, DICOM text yyyymmddhhmmss.ffffff in the site's time; empty where it is unknown.
    acquired_at: str = ""


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
    #: Digest of Patient ID and its issuer, 16 hex digits; empty where there is no Patient ID, None in rows of a version
    #: of the service that did not keep it.
    patient_key: str | None = None
    #: Digest of Accession Number, as above.
    accession_key: str | None = None
    #: Digest of Study Date, as above.
    study_date_key: str | None = None
    #: Manufacturer and Manufacturer's Model Name of the header, ``maker/model``; None in rows as above.
    device: str | None = None


class Recorded(StrEnum):
    """How a received instance relates to what the ledger holds under its SOP Instance UID."""

    NEW = "new"
    #: The same bytes again.
    SAME = "same"
    #: Other bytes from the same sender, which are a new version.
    CHANGED = "changed"
    #: Other bytes from another sender; they are not kept.
    CONFLICT = "conflict"
