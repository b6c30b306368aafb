"""One received SOP instance and the decision about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from tetraview.domain.view import View


class Decision(StrEnum):
    """Why an image is read, or why not; the value is the reason code that people see."""

    READ = "READ"
    #: Made by this software.
    OWN_RESULT = "OWN_RESULT"
    #: A report, segmentation, presentation state, secondary capture or key object selection, whoever made it.
    RESULT_OBJECT = "RESULT_OBJECT"
    NOT_MAMMOGRAPHY = "NOT_MAMMOGRAPHY"
    #: A film that was digitised, stored as secondary capture.
    FILM = "FILM"
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


#: The sentence that people read for each decision.
SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        Decision.READ: "Read.",
        Decision.OWN_RESULT: "A result of ours that came back.",
        Decision.RESULT_OBJECT: "A report, segmentation, presentation state, secondary capture or key object.",
        Decision.NOT_MAMMOGRAPHY: "Not a digital mammogram.",
        Decision.FILM: "A digitised film; digital mammograms are read.",
        Decision.FOR_PROCESSING: "Raw image for processing; the one for presentation is read.",
        Decision.FOR_PRESENTATION: "Image for presentation, where raw images are read.",
        Decision.TOMOSYNTHESIS: "Tomosynthesis; two-dimensional mammograms are read.",
        Decision.NOT_PRIMARY: "Made from other images for another purpose.",
        Decision.BIOPSY: "Taken for a biopsy or for marking.",
        Decision.CONTRAST: "Belongs to a contrast acquisition.",
        Decision.SYNTHETIC: "Computed from tomosynthesis.",
        Decision.QUALITY_CONTROL: "A quality control image.",
        Decision.BURNED_IN: "Text may be burned into the image.",
        Decision.LOSSY: "Compressed with losses.",
        Decision.SPECIMEN: "Shows a specimen.",
        Decision.NO_LATERALITY: "Does not say which breast it shows.",
        Decision.LATERALITY_CONTRADICTION: "Its attributes disagree about which breast it shows.",
        Decision.NOT_STANDARD_VIEW: "Neither CC nor MLO by what it says.",
        Decision.EXTRA_VIEW: "Another view than the four of screening, or one by another technique.",
        Decision.IMPLANT: "Shows a breast with an implant.",
        Decision.NO_SPACING: "Its pixel spacing is missing or cannot be right.",
        Decision.NO_PIXELS: "Has no pixels that can be read.",
        Decision.DEVICE_NOT_VALIDATED: "From a device that is not on the list of those to read.",
        Decision.DIAGNOSTIC: "Of a diagnostic exam; screening is read.",
        Decision.NOT_CHOSEN: "Another image of the exam shows the same view.",
        Decision.MOSAIC: "One of several partial images of a view.",
        Decision.EXAM_NOT_READ: "It would be read, but its exam is not.",
    }
)

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
