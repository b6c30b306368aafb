"""Whether an image is read, and as which view: the first rule that fails gives the reason.

The rules are pure functions of a pydicom data set; an image is stored whatever they say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    BreastProjectionXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForProcessing,
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
)

from tetraview.domain.instance import Decision, Eligibility
from tetraview.domain.product import MANUFACTURER
from tetraview.domain.view import Laterality, View, ViewPosition

_UNREAD_CLASSES: dict[str, Decision] = {
    DigitalMammographyXRayImageStorageForProcessing: Decision.FOR_PROCESSING,
    BreastTomosynthesisImageStorage: Decision.TOMOSYNTHESIS,
    BreastProjectionXRayImageStorageForPresentation: Decision.TOMOSYNTHESIS,
    BreastProjectionXRayImageStorageForProcessing: Decision.TOMOSYNTHESIS,
}
#: Image Type (0008,0008) value 3 of images that belong to a biopsy, a tomosynthesis or a contrast acquisition.
UNREAD_TYPES = frozenset(
    {
        *("STEREO_MINUS", "STEREO_PLUS", "STEREO_SCOUT", "PREFIRE", "POSTFIRE", "POSTBIOPSY", "POSTMARKER"),
        *("TOMO_SCOUT", "TOMO_PROJ", "PRE_CONTRAST", "POST_CONTRAST"),
    }
)
_CODING_SCHEMES = frozenset({"SCT", "SRT", "SNM3"})
#: View codes (PS3.16 CID 4014) in SNOMED CT and in the older SNOMED RT.
_VIEW_CODES = {
    "399162004": ViewPosition.CC,
    "R-10242": ViewPosition.CC,
    "399368009": ViewPosition.MLO,
    "R-10226": ViewPosition.MLO,
}
#: View modifier (PS3.16 CID 4015) that leaves a standard view standard: nipple in profile.
_NIPPLE_IN_PROFILE = "442581004"
#: Estimated Radiographic Magnification Factor (0018,1114) that contact views do not exceed.
_CONTACT_MAGNIFICATION = 1.1
#: Numbers, UIDs that DICOM defines and SNOMED codes.
_SHOWABLE = re.compile(r"\d{1,5}(\.\d{1,9})?|1\.2\.840\.10008\.[\d.]+|[1-9]\d{5,17}|R-[0-9A-F]{5}")
#: Words of the attributes that decide; another value may be anything, also a name, and is not repeated.
_TERMS = frozenset(
    {
        *UNREAD_TYPES,
        *("MG", "CR", "DX", "OT", "SC", "SR", "US", "MR", "PR", "KO", "SEG", "FOR PROCESSING", "SECONDARY", "YES"),
        *("L", "R", "B", "U", "ML", "LM", "LMO", "XCCL", "XCCM", "SIO", "ISO", "FB", "CC", "MLO"),
    }
)


def eligibility_of(dataset: Dataset, *, pixel_bytes: int) -> Eligibility:
    """Decide about one instance.

    Args:
        dataset: its attributes; those that cannot be decoded are left out.
        pixel_bytes: length of its pixel data.
    """
    position, laterality = _position(dataset), _laterality(dataset)
    for decision, because in _objections(dataset, position, laterality, pixel_bytes):
        return Eligibility(decision=decision, because=because)
    if position is None or laterality is None:
        raise AssertionError("an image without a view is objected to")
    return Eligibility(decision=Decision.READ, view=View.of(laterality, position))


def _objections(
    dataset: Dataset, position: ViewPosition | None, laterality: Laterality | None, pixel_bytes: int
) -> Iterator[tuple[Decision, str]]:
    """Everything against reading an image, in the order in which people are told."""
    yield from _against_class(dataset)
    yield from _against_type(dataset)
    if laterality is None:
        yield Decision.NO_LATERALITY, _shown(dataset, "ImageLaterality")
    if position is None:
        yield Decision.NOT_STANDARD_VIEW, _view_shown(dataset)
    yield from _against_technique(dataset)
    yield from _against_pixels(dataset, pixel_bytes)


def _against_class(dataset: Dataset) -> Iterator[tuple[Decision, str]]:
    if _text(dataset, "Manufacturer").casefold() == MANUFACTURER:
        yield Decision.OWN_RESULT, f"Manufacturer (0008,0070) = {MANUFACTURER}"
    sop_class = _text(dataset, "SOPClassUID")
    if sop_class in _UNREAD_CLASSES:
        yield _UNREAD_CLASSES[sop_class], _shown(dataset, "SOPClassUID")
    if sop_class != DigitalMammographyXRayImageStorageForPresentation:
        yield Decision.NOT_MAMMOGRAPHY, _shown(dataset, "SOPClassUID")
    if _text(dataset, "Modality") != "MG":
        yield Decision.NOT_MAMMOGRAPHY, _shown(dataset, "Modality")
    if _text(dataset, "PresentationIntentType") == "FOR PROCESSING":
        yield Decision.FOR_PROCESSING, _shown(dataset, "PresentationIntentType")


def _against_type(dataset: Dataset) -> Iterator[tuple[Decision, str]]:
    """Image Type (0008,0008): value 2 is the patient examination, value 3 is the purpose (PS3.3 C.8.11.7.1.4)."""
    values = [*_texts(dataset, "ImageType"), "", "", ""]
    if values[1] == "SECONDARY" or values[2] in UNREAD_TYPES:
        offending = "SECONDARY" if values[1] == "SECONDARY" else values[2]
        yield Decision.NOT_PRIMARY, f"ImageType (0008,0008) = {offending}"


def _against_technique(dataset: Dataset) -> Iterator[tuple[Decision, str]]:
    for modifier in _modifiers(dataset):
        if modifier != _NIPPLE_IN_PROFILE:
            yield Decision.EXTRA_VIEW, f"ViewModifierCodeSequence (0054,0222) = {_showable(modifier)}"
    if any(factor > _CONTACT_MAGNIFICATION for factor in _numbers(dataset, "EstimatedRadiographicMagnificationFactor")):
        yield Decision.EXTRA_VIEW, _shown(dataset, "EstimatedRadiographicMagnificationFactor")
    if _text(dataset, "BreastImplantPresent") == "YES":
        yield Decision.IMPLANT, _shown(dataset, "BreastImplantPresent")


def _against_pixels(dataset: Dataset, pixel_bytes: int) -> Iterator[tuple[Decision, str]]:
    if not (_is_spacing(dataset, "PixelSpacing") or _is_spacing(dataset, "ImagerPixelSpacing")):
        yield Decision.NO_SPACING, _shown(dataset, "ImagerPixelSpacing")
    if not pixel_bytes:
        yield Decision.NO_PIXELS, "PixelData (7FE0,0010) is empty"
    for keyword in ("Rows", "Columns"):
        if not _number(dataset, keyword):
            yield Decision.NO_PIXELS, _shown(dataset, keyword)
    if _number(dataset, "NumberOfFrames", default=1) != 1:
        yield Decision.NO_PIXELS, _shown(dataset, "NumberOfFrames")
    if _number(dataset, "SamplesPerPixel", default=1) != 1:
        yield Decision.NO_PIXELS, _shown(dataset, "SamplesPerPixel")
    yield from _against_bits(dataset)


def _against_bits(dataset: Dataset) -> Iterator[tuple[Decision, str]]:
    """Bits Allocated, Bits Stored and High Bit must describe one pixel (PS3.5 8.1.1)."""
    allocated, stored = _number(dataset, "BitsAllocated"), _number(dataset, "BitsStored")
    if allocated not in {8, 16}:
        yield Decision.NO_PIXELS, _shown(dataset, "BitsAllocated")
    if not 1 <= stored <= allocated:
        yield Decision.NO_PIXELS, _shown(dataset, "BitsStored")
    if _number(dataset, "HighBit") != stored - 1:
        yield Decision.NO_PIXELS, _shown(dataset, "HighBit")


def _laterality(dataset: Dataset) -> Laterality | None:
    """Image Laterality (0020,0062), else Laterality (0020,0060)."""
    side = _text(dataset, "ImageLaterality") or _text(dataset, "Laterality")
    return Laterality(side) if side in {"L", "R"} else None


def _position(dataset: Dataset) -> ViewPosition | None:
    """The projection by View Code Sequence (0054,0220), else by View Position (0018,5101); ML is not MLO."""
    codes = list(_codes(dataset, "ViewCodeSequence"))
    if codes:
        return _VIEW_CODES.get(codes[0])
    position = _text(dataset, "ViewPosition")
    return ViewPosition(position) if position in {"CC", "MLO"} else None


def _modifiers(dataset: Dataset) -> Iterator[str]:
    for view in _items(dataset, "ViewCodeSequence"):
        yield from _codes(view, "ViewModifierCodeSequence")


def _codes(dataset: Dataset, keyword: str) -> Iterator[str]:
    """SNOMED code values of a code sequence."""
    for item in _items(dataset, keyword):
        if _text(item, "CodingSchemeDesignator") in _CODING_SCHEMES:
            yield _text(item, "CodeValue")


def _view_shown(dataset: Dataset) -> str:
    codes = list(_codes(dataset, "ViewCodeSequence"))
    return f"ViewCodeSequence (0054,0220) = {_showable(codes[0])}" if codes else _shown(dataset, "ViewPosition")


def _shown(dataset: Dataset, keyword: str) -> str:
    """An attribute and its value in words, the value only where it cannot name a patient."""
    values = "\\".join(map(_showable, _texts(dataset, keyword)))
    tag = Tag(keyword)
    return f"{keyword} ({tag.group:04X},{tag.element:04X}) = {values or 'absent'}"


def _showable(value: str) -> str:
    return value if value in _TERMS or _SHOWABLE.fullmatch(value) else "not a value of this attribute"


def _is_spacing(dataset: Dataset, keyword: str) -> bool:
    spacing = _numbers(dataset, keyword)
    return len(spacing) == 2 and min(spacing) > 0  # noqa: PLR2004 - rows and columns


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    value = dataset.get(keyword)
    return list(value) if isinstance(value, Sequence) else []


def _texts(dataset: Dataset, keyword: str) -> list[str]:
    value = dataset.get(keyword)
    if value is None or value == "":
        return []
    return [str(part).strip() for part in (value if isinstance(value, MultiValue | list) else [value])]


def _text(dataset: Dataset, keyword: str) -> str:
    return next(iter(_texts(dataset, keyword)), "")


def _numbers(dataset: Dataset, keyword: str) -> list[float]:
    """Values as numbers; nothing where one of them is none."""
    try:
        return [float(text) for text in _texts(dataset, keyword)]
    except ValueError:
        return []


def _number(dataset: Dataset, keyword: str, *, default: int = 0) -> float:
    return next(iter(_numbers(dataset, keyword)), default)
