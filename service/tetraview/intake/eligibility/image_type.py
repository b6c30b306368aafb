"""How the image came about: by one exposure of a breast, or for another purpose, with contrast, from tomosynthesis."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from tetraview.domain.instance import Decision
from tetraview.intake.eligibility.tables import (
    CONTRAST_TYPES,
    LOW_ENERGY,
    SYNTHETIC_TYPE,
    TOMOSYNTHESIS,
    UNREAD_TYPES,
)
from tetraview.intake.eligibility.values import Objection, items, shown, stated, text, texts
from tetraview.settings import Images

#: How the types of stereotactic images begin, whatever a device writes behind it.
STEREO = "STEREO"

_NOT_EXPOSED = frozenset({"SAMPLED", "DISTORTED", "MIXED"})


def against_type(dataset: Dataset, policy: Images) -> Iterator[Objection]:
    """Image Type (0008,0008): value 2 is the patient examination, value 3 is the purpose (PS3.3 C.8.11.7.1.4)."""
    values = [*texts(dataset, "ImageType"), "", "", ""]
    if values[1] == "SECONDARY":
        yield Decision.NOT_PRIMARY, stated("ImageType", "SECONDARY")
    for value in values[2:]:
        if value in UNREAD_TYPES:
            yield UNREAD_TYPES[value], stated("ImageType", value)
        elif value.startswith(STEREO):
            yield Decision.BIOPSY, stated("ImageType", STEREO)
        if value in CONTRAST_TYPES or (value == LOW_ENERGY and policy.low_energy == "reject"):
            yield Decision.CONTRAST, stated("ImageType", value)
    if (because := synthetic_because(dataset)) and policy.synthetic == "reject":
        yield Decision.SYNTHETIC, because
    if items(dataset, "BiopsyTargetSequence"):
        yield Decision.BIOPSY, stated("BiopsyTargetSequence", "present")


def is_low_energy(dataset: Dataset) -> bool:
    """Whether this is the low-energy image of a contrast acquisition, which looks like a usual mammogram."""
    return LOW_ENERGY in texts(dataset, "ImageType")[2:]


def synthetic_because(dataset: Dataset) -> str:
    """The sign that the image was computed from a tomosynthesis; empty where there is none (PS3.3 C.8.11.7)."""
    if SYNTHETIC_TYPE in texts(dataset, "ImageType")[2:]:
        return stated("ImageType", SYNTHETIC_TYPE)
    if text(dataset, "VolumetricProperties") in _NOT_EXPOSED:
        return shown(dataset, "VolumetricProperties")
    if text(dataset, "VolumeBasedCalculationTechnique") not in {"", "NONE"}:
        return shown(dataset, "VolumeBasedCalculationTechnique")
    if any(text(item, "ReferencedSOPClassUID") in TOMOSYNTHESIS for item in items(dataset, "SourceImageSequence")):
        return stated("SourceImageSequence", "tomosynthesis")
    return ""
