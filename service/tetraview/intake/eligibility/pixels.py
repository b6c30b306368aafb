"""Whether there are pixels that can be read in millimetres."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from tetraview.domain.instance import Decision
from tetraview.intake.eligibility.values import Objection, number, numbers, shown, stated, texts

#: Pixel spacing of mammograms and of coarse copies of them, in mm.
SPACING_MM = (0.01, 1.0)
#: Fewest Rows and Columns: less is a thumbnail.
MIN_SIDE = 256


def against_pixels(dataset: Dataset, *, pixel_bytes: int) -> Iterator[Objection]:
    """Pixels that are absent, not greyscale, not of one frame, or of no known size."""
    if not _spacing(dataset):
        yield Decision.NO_SPACING, shown(dataset, _spacing_keyword(dataset))
    if not pixel_bytes:
        yield Decision.NO_PIXELS, stated("PixelData", "empty")
    for keyword in ("Rows", "Columns"):
        if number(dataset, keyword) < MIN_SIDE:
            yield Decision.NO_PIXELS, shown(dataset, keyword)
    for keyword in ("NumberOfFrames", "SamplesPerPixel"):
        if number(dataset, keyword, default=1) != 1:
            yield Decision.NO_PIXELS, shown(dataset, keyword)
    # As it is written: the decoder knows it in upper case only.
    if str(dataset.get("PhotometricInterpretation")) not in {"MONOCHROME1", "MONOCHROME2"}:
        yield Decision.NO_PIXELS, shown(dataset, "PhotometricInterpretation")
    yield from _against_bits(dataset)


def field_mm2_of(dataset: Dataset) -> float:
    """Imaged area; 0 where it is unknown."""
    spacing = _spacing(dataset)
    return number(dataset, "Rows") * number(dataset, "Columns") * spacing[0] * spacing[1] if spacing else 0.0


def _against_bits(dataset: Dataset) -> Iterator[Objection]:
    """Bits Allocated, Bits Stored and High Bit must describe one pixel (PS3.5 8.1.1)."""
    allocated, stored = number(dataset, "BitsAllocated"), number(dataset, "BitsStored")
    if allocated not in {8, 16}:
        yield Decision.NO_PIXELS, shown(dataset, "BitsAllocated")
    if not 1 <= stored <= allocated:
        yield Decision.NO_PIXELS, shown(dataset, "BitsStored")
    if number(dataset, "HighBit") != stored - 1:
        yield Decision.NO_PIXELS, shown(dataset, "HighBit")


def _spacing_keyword(dataset: Dataset) -> str:
    """Pixel Spacing (0028,0030) where there is one, which is calibrated, else that at the detector (0018,1164)."""
    return "PixelSpacing" if texts(dataset, "PixelSpacing") else "ImagerPixelSpacing"


def _spacing(dataset: Dataset) -> list[float]:
    """Spacing of rows and columns in mm; empty where it is unknown or cannot be right."""
    spacing = numbers(dataset, _spacing_keyword(dataset))
    least, most = SPACING_MM
    return spacing if len(spacing) == 2 and least <= min(spacing) and max(spacing) <= most else []  # noqa: PLR2004
